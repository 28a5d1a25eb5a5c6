"""What is said to a language model and by it, and the record of every request that left the house."""

from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct

from kokex.messages.values import Message

Purpose = Literal["scheduled", "event", "chat", "research", "news"]
CallState = Literal["reserved", "unsent", "ok", "failed"]
FaultKind = Literal[
    "rate_limited",  # 429
    "overloaded",  # 529, 503
    "server_error",  # another 5xx
    "rejected",  # another 4xx: the request itself, or the key
    "unreachable",  # no connection
    "timeout",
    "cut_off",  # the connection ended within the answer
    "unreadable",  # an answer that is none of this wire's
    "oversized",  # an answer beyond all measure
]


class Moment(Struct, frozen=True):
    """What the clocks of the machine say. Two moments of one `boot` are as far apart as their steady clocks say."""

    wall_ns: int  # the system clock's, which people and NTP set
    steady_ns: int  # since the machine started; nobody sets it
    boot: str


class Tool(Struct, frozen=True):
    """A function a model may ask for."""

    name: str
    description: str
    parameters: dict[str, Any]  # JSON schema of its arguments


class ToolCall(Struct, frozen=True):
    id: str
    name: str
    arguments: str  # JSON as the model wrote it: to be checked


class Turn(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a conversation with a model."""

    role: Literal["user", "assistant", "tool"]
    text: str = ""
    calls: tuple[ToolCall, ...] = ()  # of an assistant
    answers: str = ""  # of a tool: the id of the ToolCall it answers
    failed: bool = False  # of a tool: the text says what went wrong
    echo: dict[str, Any] = {}  # of an assistant: see Reply
    by: str = ""  # and the provider it came from


class Shape(Struct, frozen=True):
    """The form an answer must have."""

    name: str
    schema: dict[str, Any]  # JSON schema: flat, no bounds, all fields required
    version: str


class Prompt(Message, frozen=True, kw_only=True, gc=False):
    """A question to a model, put to the actor `llm`; the answer is an `Answered`."""

    purpose: Purpose
    plan: str = ""
    system: str
    turns: tuple[Turn, ...]
    shape: Shape | None = None
    tools: tuple[Tool, ...] = ()
    max_tokens: int = 2000
    deadline_ns: int = 0  # trading time; an answer later than this is of no use; 0: `timeout_s` of the provider
    stream: str = ""  # under this name the text is told as it comes; empty: only at the end
    wording: str = ""  # hash of the texts that made it
    part: int = 1  # of a question too long for one; those after the first go only where requests are to spare
    parts: int = 1


class Reply(Struct, frozen=True, kw_only=True, tag="reply"):
    """What a model answered."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    stop: Literal["end", "length", "tools", "refusal"]
    model: str  # that answered, by its own word
    input_tokens: int = 0  # cached ones included
    cached_tokens: int = 0
    output_tokens: int = 0
    echo: dict[str, Any] = {}  # what the provider wants to see again with this turn, as it came: its own business


class Fault(Struct, frozen=True, kw_only=True, tag="fault"):
    """Why a request has no answer."""

    kind: FaultKind
    status: int = 0  # HTTP; 0: none came
    text: str = ""
    retry_after_s: float | None = None


class Sent(Struct, frozen=True):
    """What came of one request."""

    outcome: Reply | Fault
    ended: Moment
    took_ms: int
    shown: str = ""  # of a recording: what the model had been shown, which need not be the prompt
    ahead_s: int = 0  # our clock of the provider's, as far as its answer tells


class Answered(Struct, frozen=True, kw_only=True):
    """The answer to a Prompt: a reply, or why there is none."""

    reply: Reply | None = None
    call: int = 0  # id of the LlmCall that brought it
    provider: str = ""
    shown: str = ""  # as in Sent
    why: str = ""  # there is none, in one line
    refused: bool = False  # the ledger let no request go
    faults: tuple[Fault, ...] = ()  # of each provider that was tried
    next_ns: int = 0  # trading time from which on the ledger may let one go


class LlmCall(Message, frozen=True, kw_only=True, gc=False):
    """The record of one HTTP request, written before it is sent (`reserved`) and again when it is over.

    A `reserved` one that nothing follows may have been sent: it counts as spent.
    """

    call: int = 0  # id of the reservation; 0: this is it
    state: CallState
    purpose: Purpose
    plan: str = ""
    provider: str
    model: str  # asked for
    begun: Moment
    ended: Moment | None = None
    within_s: float  # after which nothing of it can arrive any more
    usd: Decimal  # reserved: at most; later: by the provider's count of tokens
    wording: str = ""  # hash of the texts the prompt was made of
    shape: str = ""  # version of the form wanted
    prompt: str = ""  # hash of what was asked
    part: int = 1  # of a question that was split into `parts`
    parts: int = 1
    request: str = ""  # reserved: what was asked, as JSON
    answer: str = ""  # what came, as JSON (Reply or Fault)
    served: str = ""  # the model that answered
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    took_ms: int = 0
    fault: str = ""  # kind
    status: int = 0
    blocked_s: float = 0  # how long the provider is left alone after it


class Allowance(Message, frozen=True, kw_only=True, gc=False):
    """From when on the ledger lets a request of this purpose go, as far as it can tell."""

    purpose: Purpose
    not_before_ns: int  # trading time
    why: str = ""


class DayCost(Struct, frozen=True):
    """A day's requests to one model for one purpose."""

    day: str  # UTC
    provider: str
    model: str
    purpose: str
    calls: int
    failed: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    usd: Decimal
