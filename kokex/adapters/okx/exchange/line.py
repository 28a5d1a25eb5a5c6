"""One WebSocket connection: what it subscribed to, and its way out. It closes when nothing was said for 30 seconds."""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Literal

from aiohttp import WSCloseCode, WSMsgType, web

from kokex.adapters.okx.exchange.envelope import encode
from kokex.adapters.okx.exchange.listing import Row
from kokex.adapters.okx.exchange.member import Member

Door = Literal["public", "private", "business"]
Topic = tuple[str, ...]  # channel, and the arguments that tell its data apart
BUFFER = 5000  # frames that a slow reader may be behind
IDLE_MS = 30_000
REQUESTS_AN_HOUR = 480


class Line:
    """`send` never waits; frames leave in order."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.BaseTransport | None,
        door: Door,
        number: str,
        now_ms: int,
    ) -> None:
        self.socket = socket
        self.door: Door = door
        self.number = number  # connId
        self.member: Member | None = None
        self.topics: dict[Topic, Row] = {}
        self.active_ms = now_ms
        self.requests: deque[int] = deque()
        self._transport = transport
        self._closing: asyncio.Task[None] | None = None
        self._out: asyncio.Queue[str | None] = asyncio.Queue(BUFFER)

    def send(self, frame: str, now_ms: int) -> None:
        self.active_ms = now_ms
        try:
            self._out.put_nowait(frame)
        except asyncio.QueueFull:
            self.close(4005, "Buffer is full, cannot write data")

    def say(self, row: Row, now_ms: int) -> None:
        self.send(encode(row).decode(), now_ms)

    def close(self, code: int = WSCloseCode.GOING_AWAY, text: str = "") -> None:
        """From outside its own tasks; only the first time counts."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(code, text))

    async def _close(self, code: int, text: str) -> None:
        with suppress(ConnectionError, RuntimeError):
            await self.socket.close(code=code, message=text.encode())

    def drop(self) -> None:
        """As a cut cable does: no closing frame."""
        if isinstance(self._transport, asyncio.Transport):
            self._transport.abort()

    async def write(self) -> None:
        """Sends what `send` was given, until the connection is gone."""
        with suppress(ConnectionError, RuntimeError):
            while (frame := await self._out.get()) is not None:
                await self.socket.send_str(frame)

    def admit_request(self, now_ms: int) -> bool:
        """480 logins and (un)subscriptions an hour."""
        while self.requests and self.requests[0] < now_ms - 3_600_000:
            self.requests.popleft()
        self.requests.append(now_ms)
        return len(self.requests) <= REQUESTS_AN_HOUR


TEXT = WSMsgType.TEXT
