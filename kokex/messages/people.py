"""People, and the kernel's own word."""

from typing import Any, Literal

from msgspec import Struct

from kokex.messages.llm import Turn
from kokex.messages.values import Message, Severity


class Alert(Message, frozen=True, kw_only=True, gc=False):
    """Something a person should know."""

    severity: Severity
    kind: str  # "order", "fill", "breaker", "crash", ...
    text: str
    account: str = ""
    plan: str = ""


class Command(Message, frozen=True, kw_only=True, gc=False):
    """What a person asked for."""

    verb: str
    args: dict[str, str] = {}
    by: str = "local"
    request: int = 0  # whom to answer


class Answer(Message, frozen=True, kw_only=True, gc=False):
    """What came of a command that did not come over the socket; with the key "error" when nothing did."""

    command: int  # id of the Command
    body: dict[str, Any] = {}


class Remark(Message, frozen=True, kw_only=True, gc=False):
    """One step of a conversation with the agent, for the record: a question, an answer, what a tool brought."""

    conversation: int  # 1 for the first there ever was
    by: str  # whose conversation it is: "local", or "telegram" and the number of the user
    turn: Turn
    note: bool = False  # not what a person said, but what became of something they were asked
    call: int = 0  # id of the LlmCall that an assistant's turn came from


class Spoken(Message, frozen=True, kw_only=True, gc=False):
    """What a model has said so far of an answer under way."""

    talk: str  # as who asked named it
    text: str


class Reloaded(Message, frozen=True, kw_only=True, gc=False):
    """What of the configuration may change while it runs, as it is from now on (kokex/config/live.py)."""

    account: str  # who is told; it is the same for all
    settings: dict[str, Any]


class Paused(Message, frozen=True, kw_only=True, gc=False):
    """Plans that a person has paused or stopped: they may enter nothing, whatever they decided before."""

    account: str  # who is told; it is the same for all
    plans: tuple[str, ...]


class Span(Struct, frozen=True, array_like=True, gc=False):
    """A part of a text that is shown otherwise. In UTF-16 units, as Telegram counts."""

    kind: Literal["bold", "italic", "code", "pre"]
    start: int
    length: int


class Words(Struct, frozen=True, gc=False):
    """Text as a chat shows it: nothing in it is markup."""

    text: str
    spans: tuple[Span, ...] = ()


class Button(Struct, frozen=True, array_like=True, gc=False):
    """Under a message. `data` comes back when it is tapped; at most 64 bytes."""

    label: str
    data: str


class Notice(Message, frozen=True, kw_only=True, gc=False):
    """Something to show in the chat at once: an answer, a question. Not kept: late, it would be wrong."""

    words: Words
    buttons: tuple[tuple[Button, ...], ...] = ()
    keyboard: tuple[tuple[str, ...], ...] = ()  # what can be said by a tap, shown from then on
    edit: int = 0  # the message to put it in the place of; 0: a new one
    picture: str = ""  # file to show above it


class Lifecycle(Message, frozen=True, kw_only=True, gc=False):
    """An actor's change of state, from the kernel."""

    actor: str
    event: Literal["started", "crashed", "restarting", "stopped", "escalated", "dead_letter"]
    error: str = ""
    restarts: int = 0
