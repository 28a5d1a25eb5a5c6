"""Anthropic's Messages through its SDK: one request a call, none repeated behind our back."""

import json
from collections.abc import Callable, Sequence
from typing import Any, cast

from kokex.adapters.llm.dates import Dates
from kokex.adapters.llm.faults import LARGEST_ANSWER, Oversized, Unreadable
from kokex.adapters.llm.wire import AnthropicAnswer, Block, Usage, anthropic_answer, anthropic_reply, whole
from kokex.brain.models import Endpoint
from kokex.messages.llm import Prompt, Reply, Turn


class AnthropicClient:
    def __init__(self, endpoint: Endpoint, secret: str, dates: Dates) -> None:
        import anthropic

        self._endpoint = endpoint
        self._client = anthropic.AsyncAnthropic(
            api_key=secret or "none",
            base_url=endpoint.base_url or None,
            max_retries=0,
            timeout=endpoint.timeout_s,
            http_client=anthropic.DefaultAsyncHttpxClient(follow_redirects=False, event_hooks=dates.hooks),
        )

    async def ask(self, prompt: Prompt, timeout_s: float) -> Reply:
        asked: Any = self._client.messages.with_streaming_response  # read no further than any answer goes
        return anthropic_reply(await whole(asked.create(**request(prompt, self._endpoint), timeout=timeout_s)))

    async def stream(self, prompt: Prompt, timeout_s: float, tell: Callable[[str], object]) -> Reply:
        answer = AnthropicAnswer(content=[])
        usage, partial, size, ended = Usage(), dict[int, str](), 0, False
        stream = await self._client.messages.create(**request(prompt, self._endpoint), timeout=timeout_s, stream=True)
        async with stream:
            async for event in stream:
                if event.type == "message_start":
                    answer.model = event.message.model
                    usage.input_tokens = event.message.usage.input_tokens
                    usage.cache_read_input_tokens = event.message.usage.cache_read_input_tokens
                elif event.type == "content_block_start":
                    block: Any = event.content_block
                    given = {name: getattr(block, name, "") for name in ("id", "name", "data")}
                    answer.content.append(Block(block.type, **given))
                elif event.type == "content_block_delta":
                    part = event.delta
                    size += sum(len(getattr(part, name, "")) for name in ("text", "partial_json", "thinking"))
                    if size > LARGEST_ANSWER:
                        raise Oversized(f"an answer of more than {LARGEST_ANSWER} bytes")
                    if part.type == "text_delta":
                        answer.content[event.index].text += part.text
                        tell(part.text)
                    elif part.type == "thinking_delta":
                        answer.content[event.index].thinking += part.thinking
                    elif part.type == "signature_delta":
                        answer.content[event.index].signature += part.signature
                    elif part.type == "input_json_delta":
                        partial[event.index] = partial.get(event.index, "") + part.partial_json
                elif event.type == "message_delta":
                    answer.stop_reason = event.delta.stop_reason
                    usage.output_tokens = event.usage.output_tokens
                elif event.type == "message_stop":
                    ended = True
        if not ended:
            raise Unreadable("the stream ended before the answer did")
        answer.usage = usage
        for index, text in partial.items():
            try:
                answer.content[index].input = json.loads(text or "{}")
            except ValueError:
                raise Unreadable("a tool call whose arguments are no JSON") from None
        return anthropic_answer(answer)

    async def probe(self) -> str:
        return (await self._client.models.retrieve(self._endpoint.model)).id

    async def close(self) -> None:
        await self._client.close()


def request(prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
    """The body of the request."""
    system = prompt.system
    asked: dict[str, Any] = {
        "model": endpoint.model,
        "max_tokens": prompt.max_tokens,
        "messages": messages(prompt.turns, endpoint.name),
    }
    if prompt.shape and endpoint.schema == "native":
        asked["output_config"] = {"format": {"type": "json_schema", "schema": prompt.shape.schema}}
    elif prompt.shape:
        system = f"{system}\n\n{in_words(prompt)}"
    if prompt.tools:
        asked["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
            for tool in prompt.tools
        ]
    return {**asked, "system": system} if system else asked


def in_words(prompt: Prompt) -> str:
    """Where the wire cannot enforce the schema, the prompt asks for it."""
    assert prompt.shape
    return f"Answer with one JSON object and nothing else, by this JSON schema:\n{json.dumps(prompt.shape.schema)}"


def messages(turns: Sequence[Turn], provider: str) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for turn in turns:
        if turn.role == "tool":
            result: dict[str, Any] = {
                "type": "tool_result",
                "tool_use_id": turn.answers,
                "content": turn.text,
                "is_error": turn.failed,
            }
            if not results:
                results = []  # the results of one turn belong into one message
                made.append({"role": "user", "content": results})
            results.append(result)
            continue
        results = []
        if turn.calls:
            blocks: list[dict[str, Any]] = list(turn.echo.get("thinking", ())) if turn.by == provider else []
            blocks += [{"type": "text", "text": turn.text}] if turn.text else []
            blocks += [
                {"type": "tool_use", "id": call.id, "name": call.name, "input": _object(call.arguments)}
                for call in turn.calls
            ]
            made.append({"role": "assistant", "content": blocks})
        else:
            made.append({"role": turn.role, "content": turn.text})
    return made


def _object(arguments: str) -> dict[str, Any]:
    """Arguments as this wire takes them; another provider's model may have written what is no object."""
    try:
        written = json.loads(arguments or "{}")
    except ValueError:
        written = arguments
    return cast("dict[str, Any]", written) if isinstance(written, dict) else {"unreadable": written}
