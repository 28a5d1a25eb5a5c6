"""A server on 127.0.0.1 that speaks the wires of Anthropic and OpenAI, as well or as badly as it is told to.

It answers from a script and remembers every request. It is the judge of how many there were.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web
from msgspec import Struct

SIGNATURE = "c2lnbmVk"
Script = Callable[[dict[str, Any]], "Act"]


class Act(Struct, frozen=True, kw_only=True):
    """What to do with one request."""

    text: str = ""
    status: int = 200
    headers: dict[str, str] = {}
    error: dict[str, Any] | None = None  # the body of a status that is none
    calls: tuple[tuple[str, str, str], ...] = ()  # (id, name, arguments)
    thought: str = ""  # before the answer; signed
    slow_s: float = 0.0
    hold: threading.Event | None = None  # in the middle of a stream, wait for it
    cut: bool = False  # hang up within the answer
    raw: bytes | None = None  # send these bytes as they are
    stop: str = "end"
    input_tokens: int = 1000
    output_tokens: int = 100


class Models:
    """A loopback provider: `models.url`, `models.seen`."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.seen: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._end: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        assert self._loop
        assert self._end
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        app.router.add_post("/v1/messages", self._anthropic)
        app.router.add_post("/chat/completions", self._openai)
        app.router.add_get("/v1/models/{name}", self._model)
        app.router.add_get("/models/{name}", self._model)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._end.wait()
        await runner.cleanup()

    async def _model(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        name = request.match_info["name"]
        kind = {"type": "model", "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
        return web.json_response({"id": name, "object": "model", "created": 1, "owned_by": "nobody", **kind})

    async def _anthropic(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, anthropic_body, anthropic_events)

    async def _openai(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, openai_body, openai_events)

    async def _answer(self, request: web.Request, whole: Any, events: Any) -> web.StreamResponse:
        asked = json.loads(await request.read())
        self.seen.append(asked)
        self.paths.append(request.path)
        act = self.script(asked)
        if act.slow_s:
            await asyncio.sleep(act.slow_s)
        if act.status != 200:
            error = act.error or {"error": {"type": "error", "message": f"status {act.status}"}}
            return web.json_response(error, status=act.status, headers=act.headers)
        if asked.get("stream"):
            return await self._stream(request, act, events(act, asked["model"]))
        body = json.dumps(whole(act, asked["model"])).encode() if act.raw is None else act.raw
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Content-Length": str(len(body)), **act.headers}
        )
        await response.prepare(request)
        await response.write(body[: len(body) // 2] if act.cut else body)
        if act.cut:
            assert request.transport
            request.transport.abort()
        return response

    async def _stream(self, request: web.Request, act: Act, events: Iterator[bytes]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **act.headers})
        await response.prepare(request)
        for number, event in enumerate(events):
            if act.cut and number == 3:
                assert request.transport
                request.transport.abort()
                return response
            await response.write(event)
            if act.hold and number == 3:
                await asyncio.to_thread(act.hold.wait, 20)
        return response


@contextmanager
def models(script: Script) -> Generator[Models, None, None]:
    server = Models(script)
    server.start()
    try:
        yield server
    finally:
        server.stop()


# ---- the two wires ------------------------------------------------------------------------------


def anthropic_body(act: Act, model: str) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    if act.thought:
        content.append({"type": "thinking", "thinking": act.thought, "signature": SIGNATURE})
    content += [{"type": "text", "text": act.text}] if act.text or not act.calls else []
    content += [
        {"type": "tool_use", "id": number, "name": name, "input": json.loads(arguments)}
        for number, name, arguments in act.calls
    ]
    stop = "tool_use" if act.calls else {"end": "end_turn", "length": "max_tokens"}.get(act.stop, act.stop)
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": f"{model}-served", "content": content,
        "stop_reason": stop, "stop_sequence": None,
        "usage": {"input_tokens": act.input_tokens, "output_tokens": act.output_tokens},
    }  # fmt: skip


def anthropic_events(act: Act, model: str) -> Iterator[bytes]:
    whole = anthropic_body(act, model)
    content = whole.pop("content")
    stop = whole.pop("stop_reason")
    head = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 0}}
    yield _event("message_start", {"message": head})
    for index, block in enumerate(content):
        if block["type"] == "text":
            yield _event("content_block_start", {"index": index, "content_block": {"type": "text", "text": ""}})
            for word in _words(block["text"]):
                yield _event("content_block_delta", {"index": index, "delta": {"type": "text_delta", "text": word}})
        elif block["type"] == "thinking":
            yield _event(
                "content_block_start", {"index": index, "content_block": {**block, "thinking": "", "signature": ""}}
            )
            for word in _words(block["thinking"]):
                delta = {"type": "thinking_delta", "thinking": word}
                yield _event("content_block_delta", {"index": index, "delta": delta})
            delta = {"type": "signature_delta", "signature": SIGNATURE}
            yield _event("content_block_delta", {"index": index, "delta": delta})
        else:
            yield _event("content_block_start", {"index": index, "content_block": {**block, "input": {}}})
            for part in _words(json.dumps(block["input"])):
                delta = {"type": "input_json_delta", "partial_json": part}
                yield _event("content_block_delta", {"index": index, "delta": delta})
        yield _event("content_block_stop", {"index": index})
    usage = {"output_tokens": act.output_tokens}
    yield _event("message_delta", {"delta": {"stop_reason": stop, "stop_sequence": None}, "usage": usage})
    yield _event("message_stop", {})


def _event(kind: str, body: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **body})}\n\n".encode()


def _words(text: str) -> list[str]:
    return [text[start : start + 7] for start in range(0, len(text), 7)]


def openai_body(act: Act, model: str) -> dict[str, Any]:
    calls = [
        {"id": number, "type": "function", "function": {"name": name, "arguments": arguments}, **_signed(act)}
        for number, name, arguments in act.calls
    ]
    message: dict[str, Any] = {"role": "assistant", "content": act.text or None}
    if act.thought:
        message["reasoning_content"] = act.thought
    stop = "tool_calls" if calls else {"end": "stop", "refusal": "content_filter"}.get(act.stop, act.stop)
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": f"{model}-served",
        "choices": [
            {"index": 0, "message": {**message, **({"tool_calls": calls} if calls else {})}, "finish_reason": stop}
        ],
        "usage": {
            "prompt_tokens": act.input_tokens, "completion_tokens": act.output_tokens,
            "total_tokens": act.input_tokens + act.output_tokens,
        },
    }  # fmt: skip


def _signed(act: Act) -> dict[str, Any]:
    return {"extra_content": {"google": {"thought_signature": SIGNATURE}}} if act.thought else {}


def openai_events(act: Act, model: str) -> Iterator[bytes]:
    whole = openai_body(act, model)
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": whole["model"]}

    def chunk(delta: dict[str, Any], stop: str | None = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": stop}]
        return f"data: {json.dumps({**base, 'choices': choices})}\n\n".encode()

    yield chunk({"role": "assistant", "content": ""})
    for word in _words(act.thought):
        yield chunk({"reasoning_content": word})
    for word in _words(act.text):
        yield chunk({"content": word})
    for index, (number, name, arguments) in enumerate(act.calls):
        function = {"name": name, "arguments": ""}
        yield chunk(
            {"tool_calls": [{"index": index, "id": number, "type": "function", "function": function, **_signed(act)}]}
        )
        for part in _words(arguments):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
    yield chunk({}, whole["choices"][0]["finish_reason"])
    yield f"data: {json.dumps({**base, 'choices': [], 'usage': whole['usage']})}\n\n".encode()
    yield b"data: [DONE]\n\n"
