"""OpenAI's chat completions through its SDK, for all who speak it: OpenAI, Gemini, Qwen, DeepSeek, local servers."""

from collections.abc import Callable, Sequence
from typing import Any

from kokex.adapters.llm.anthropic_wire import in_words
from kokex.adapters.llm.dates import Dates
from kokex.adapters.llm.faults import LARGEST_ANSWER, Oversized, Unreadable
from kokex.adapters.llm.wire import Asked, Spoken, Usage, openai_answer, openai_reply, whole
from kokex.brain.models import Endpoint
from kokex.messages.llm import Prompt, Reply, Turn


class OpenAIClient:
    def __init__(self, endpoint: Endpoint, secret: str, dates: Dates) -> None:
        import openai

        self._endpoint = endpoint
        self._client = openai.AsyncOpenAI(
            api_key=secret or "none",
            base_url=endpoint.base_url or "https://api.openai.com/v1",
            max_retries=0,
            timeout=endpoint.timeout_s,
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False, event_hooks=dates.hooks),
        )

    async def ask(self, prompt: Prompt, timeout_s: float) -> Reply:
        asked: Any = (
            self._client.chat.completions.with_streaming_response
        )  # so that no answer is read beyond all measure
        return openai_reply(await whole(asked.create(**request(prompt, self._endpoint), timeout=timeout_s)))

    async def stream(self, prompt: Prompt, timeout_s: float, tell: Callable[[str], object]) -> Reply:
        said, calls, usage = Spoken(content=""), dict[int, Asked](), Usage()
        reason, model, size = None, "", 0
        stream = await self._client.chat.completions.create(
            **request(prompt, self._endpoint), timeout=timeout_s, stream=True, stream_options={"include_usage": True}
        )
        async with stream:
            async for chunk in stream:
                model = chunk.model or model
                if chunk.usage:
                    usage.prompt_tokens = chunk.usage.prompt_tokens
                    usage.completion_tokens = chunk.usage.completion_tokens
                for choice in chunk.choices[:1]:
                    delta = choice.delta
                    reason = choice.finish_reason or reason
                    if delta.refusal:
                        said.refusal = (said.refusal or "") + delta.refusal
                    if delta.content:
                        size += len(delta.content)
                        said.content = (said.content or "") + delta.content
                        tell(delta.content)
                    if (thought := getattr(delta, "reasoning_content", None)) is not None:
                        size += len(thought)
                        said.reasoning_content = (said.reasoning_content or "") + thought
                    for each in delta.tool_calls or ():
                        call = calls.setdefault(each.index, Asked())
                        call.extra_content = getattr(each, "extra_content", None) or call.extra_content
                        call.id = each.id or call.id
                        if each.function:
                            call.function.name += each.function.name or ""
                            call.function.arguments += each.function.arguments or ""
                            size += len(each.function.arguments or "")
                    if size > LARGEST_ANSWER:
                        raise Oversized(f"an answer of more than {LARGEST_ANSWER} bytes")
        if reason is None:
            raise Unreadable("the stream ended before the answer did")
        said.tool_calls = [calls[index] for index in sorted(calls)]
        return openai_answer(said, reason, model, usage)

    async def probe(self) -> str:
        return (await self._client.models.retrieve(self._endpoint.model)).id

    async def close(self) -> None:
        await self._client.close()


def request(prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
    """The body of the request."""
    system = prompt.system
    # The successor of max_tokens is OpenAI's own; all others know the old name.
    limit = "max_tokens" if endpoint.base_url else "max_completion_tokens"
    asked: dict[str, Any] = {"model": endpoint.model, limit: prompt.max_tokens}
    if prompt.shape and endpoint.schema == "native":
        form = {"name": prompt.shape.name, "strict": True, "schema": prompt.shape.schema}
        asked["response_format"] = {"type": "json_schema", "json_schema": form}
    elif prompt.shape:
        system = f"{system}\n\n{in_words(prompt)}"
        if endpoint.schema == "json":
            asked["response_format"] = {"type": "json_object"}
    if prompt.tools:
        asked["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
            }
            for tool in prompt.tools
        ]
    lead = [{"role": "system", "content": system}] if system else []
    return {**asked, "messages": [*lead, *messages(prompt.turns, endpoint.name)]}


def messages(turns: Sequence[Turn], provider: str) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for turn in turns:
        if turn.role == "tool":
            text = f"FAILED: {turn.text}" if turn.failed else turn.text
            made.append({"role": "tool", "tool_call_id": turn.answers, "content": text})
        elif turn.calls:
            echo = turn.echo if turn.by == provider else {}
            extra, thought = echo.get("extra_content", {}), echo.get("reasoning_content")
            calls = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                    **({"extra_content": extra[call.id]} if call.id in extra else {}),
                }
                for call in turn.calls
            ]
            more = {} if thought is None else {"reasoning_content": thought}
            made.append({"role": "assistant", "content": turn.text or None, "tool_calls": calls, **more})
        else:
            made.append({"role": turn.role, "content": turn.text})
    return made
