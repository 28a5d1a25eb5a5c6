"""The answers of both wires as they are sent, as far as they matter here: the types are the check."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from kokex.adapters.llm.faults import LARGEST_ANSWER, Oversized, Unreadable
from kokex.messages.llm import Reply, ToolCall

Stop = Literal["end", "length", "tools", "refusal"]


class Block(Struct):
    """Anthropic: a piece of content."""

    type: str
    text: str = ""
    id: str = ""
    name: str = ""
    input: Any = None
    thinking: str = ""
    signature: str = ""  # of the thinking
    data: str = ""  # of redacted thinking


class Usage(Struct):
    """Of both wires: Anthropic counts what was cached apart, OpenAI within."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int | None = 0
    cache_creation_input_tokens: int | None = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: dict[str, Any] | None = None


class AnthropicAnswer(Struct):
    content: list[Block]
    model: str = ""
    stop_reason: str | None = None
    usage: Usage | None = None


class Function(Struct):
    name: str = ""
    arguments: str = ""


class Asked(Struct):
    """OpenAI: a call of a tool."""

    id: str = ""
    function: Function = msgspec.field(default_factory=Function)
    extra_content: Any = None  # Gemini: a signature, without which it takes no result


class Spoken(Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[Asked] | None = None
    reasoning_content: str | None = None  # DeepSeek: wanted again with the results of tools


class Choice(Struct):
    message: Spoken
    finish_reason: str | None = None


class OpenAIAnswer(Struct):
    choices: list[Choice]
    model: str = ""
    usage: Usage | None = None


_anthropic = msgspec.json.Decoder(AnthropicAnswer)
_openai = msgspec.json.Decoder(OpenAIAnswer)

_STOPS: dict[str | None, Stop] = {
    "max_tokens": "length", "length": "length", "model_context_window_exceeded": "length",
    "tool_use": "tools", "tool_calls": "tools", "refusal": "refusal", "content_filter": "refusal",
}  # fmt: skip


def stop_of(reason: str | None) -> Stop:
    return _STOPS.get(reason, "end")


def anthropic_reply(body: bytes) -> Reply:
    """Raises Unreadable."""
    try:
        answer = _anthropic.decode(body)
    except msgspec.MsgspecError as error:
        raise Unreadable(f"not an answer of Anthropic's wire: {error}") from None
    return anthropic_answer(answer)


def anthropic_answer(answer: AnthropicAnswer) -> Reply:
    usage = answer.usage or Usage()
    cached, made = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    return Reply(
        text="".join(block.text for block in answer.content if block.type == "text"),
        calls=tuple(
            ToolCall(block.id, block.name, msgspec.json.encode(block.input).decode())
            for block in answer.content
            if block.type == "tool_use"
        ),
        stop=stop_of(answer.stop_reason),
        model=answer.model,
        input_tokens=usage.input_tokens + cached + made,
        cached_tokens=cached,
        output_tokens=usage.output_tokens,
        echo=_thought(answer.content),
    )


def _thought(content: list[Block]) -> dict[str, Any]:
    """Where a model thought before it asked for a tool, it wants to be told so with the result."""
    if not any(block.type == "tool_use" for block in content):
        return {}
    blocks: list[dict[str, str]] = []
    for block in content:
        if block.type == "thinking":
            blocks.append({"type": block.type, "thinking": block.thinking, "signature": block.signature})
        elif block.type == "redacted_thinking":
            blocks.append({"type": block.type, "data": block.data})
    return {"thinking": blocks} if blocks else {}


def openai_reply(body: bytes) -> Reply:
    """Raises Unreadable."""
    try:
        answer = _openai.decode(body)
    except msgspec.MsgspecError as error:
        raise Unreadable(f"not an answer of OpenAI's wire: {error}") from None
    if not answer.choices:
        raise Unreadable("an answer without a choice")
    said, reason = answer.choices[0].message, answer.choices[0].finish_reason
    return openai_answer(said, reason, answer.model, answer.usage)


def openai_answer(said: Spoken, reason: str | None, model: str, usage: Usage | None) -> Reply:
    count = usage or Usage()
    cached = (count.prompt_tokens_details or {}).get("cached_tokens") or 0
    return Reply(
        text=said.content or "",
        calls=tuple(ToolCall(each.id, each.function.name, each.function.arguments) for each in said.tool_calls or ()),
        stop="refusal" if said.refusal else stop_of(reason),
        model=model,
        input_tokens=count.prompt_tokens,
        cached_tokens=int(cached),
        output_tokens=count.completion_tokens,
        echo=_signed(said),
    )


def _signed(said: Spoken) -> dict[str, Any]:
    """The same of those who speak this wire: https://ai.google.dev/gemini-api/docs/thought-signatures and
    https://api-docs.deepseek.com/guides/thinking_mode#tool-calls
    """
    echo: dict[str, Any] = {}
    if said.tool_calls and said.reasoning_content is not None:
        echo["reasoning_content"] = said.reasoning_content
    if extra := {each.id: each.extra_content for each in said.tool_calls or () if each.extra_content}:
        echo["extra_content"] = extra
    return echo


async def whole(answer: Any) -> bytes:
    """The body of a streaming response. Raises Oversized as soon as it is."""
    body = bytearray()
    async with answer as response:
        async for part in response.iter_bytes():
            body += part
            if len(body) > LARGEST_ANSWER:
                raise Oversized(f"an answer of more than {LARGEST_ANSWER} bytes")
    return bytes(body)
