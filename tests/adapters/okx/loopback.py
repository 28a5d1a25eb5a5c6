"""A server of a few lines on loopback, whose every answer a test writes: real HTTP, real WebSockets."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from kokex.adapters.okx.hosts import Hosts
from kokex.adapters.okx.limits import Limits
from kokex.adapters.okx.rest import Rest
from kokex.adapters.okx.sign import Credentials

CREDENTIALS = Credentials("the-key", "the-secret", "the-phrase")
Answer = tuple[int, Any]
Socket = web.WebSocketResponse


class Loopback:
    """`answers[path]` makes the answer of a REST request; `sockets` are the connections that are open, oldest first."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[web.Request, bytes], Answer | Awaitable[Answer]]] = {
            "public/time": lambda *_: (
                200,
                {"code": "0", "msg": "", "data": [{"ts": str(time.time_ns() // 1_000_000)}]},
            )
        }
        self.requests: list[tuple[web.Request, bytes]] = []
        self.sockets: list[Socket] = []
        self.frames: list[tuple[str, Any]] = []  # path and what came, "ping" too
        self.pongs = True
        self.subscribed: Callable[[Socket, dict[str, str]], Awaitable[None]] | None = None
        self.operate: Callable[[Socket, Any], Awaitable[None]] | None = None
        self.hosts = Hosts(rest="", sockets="")

    async def rest(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append((request, body))
        made = self.answers[request.path.removeprefix("/api/v5/")](request, body)
        status, answer = await made if isinstance(made, Awaitable) else made
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return web.Response(status=status, text=text, content_type="application/json")

    async def socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        async for message in socket:
            await self.hear(socket, request.path.rpartition("/")[2], message)
        self.sockets.remove(socket)
        return socket

    async def hear(self, socket: Socket, path: str, message: WSMessage) -> None:
        if message.type is not WSMsgType.TEXT:
            return
        if message.data == "ping":
            self.frames.append((path, "ping"))
            if self.pongs:
                await socket.send_str("pong")
            return
        frame = json.loads(message.data)
        self.frames.append((path, frame))
        if frame["op"] == "login":
            await socket.send_json({"event": "login", "code": "0", "msg": "", "connId": "c"})
        elif frame["op"] in ("subscribe", "unsubscribe"):
            for arg in frame["args"]:
                await socket.send_json({"event": frame["op"], "arg": arg, "connId": "c"})
                if frame["op"] == "subscribe" and self.subscribed:
                    await self.subscribed(socket, arg)
        elif self.operate:
            await self.operate(socket, frame)

    def asked(self, op: str) -> list[str]:
        """Channels that were subscribed to, or unsubscribed from."""
        return [
            arg["channel"] for _, frame in self.frames if frame != "ping" and frame["op"] == op for arg in frame["args"]
        ]


@asynccontextmanager
async def loopback() -> AsyncGenerator[Loopback, None]:
    server = Loopback()
    app = web.Application()
    app.router.add_route("*", "/api/v5/{endpoint:.*}", server.rest)
    app.router.add_get("/ws/v5/{path}", server.socket)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    server.hosts = Hosts(rest=f"http://127.0.0.1:{port}", sockets=f"ws://127.0.0.1:{port}/ws/v5")
    try:
        yield server
    finally:
        await runner.cleanup()


def rest_of(server: Loopback, **how: Any) -> Rest:
    return Rest(server.hosts, now=time.time_ns, chance=Random(1), limits=Limits(), **how)


async def until(condition: Callable[[], object], what: str = "it", for_s: float = 5.0) -> None:
    """Waits until it is so, without guessing how long that takes."""
    end = time.monotonic() + for_s
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen"
        await asyncio.sleep(0.005)


def told(*rows: Any) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": list(rows)}
