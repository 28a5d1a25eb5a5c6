"""An OKX in memory, on the event loop's own time: connections that a test breaks, silences and feeds at will."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio

from kokex.adapters.okx.transport import Lost


class Wire:
    """One connection, seen from the server."""

    def __init__(self, server: "Memory") -> None:
        self._server = server
        self._send, self._receive = anyio.create_memory_object_stream[bytes](100_000)
        self.open = True
        self.deaf = False  # takes everything, answers nothing
        self.args: list[dict[str, str]] = []

    async def send(self, text: str) -> None:
        if not self.open:
            raise Lost("closed")
        self._server.heard(self, text)

    async def receive(self) -> bytes:
        try:
            return await self._receive.receive()
        except anyio.EndOfStream:
            raise Lost("closed by the other side") from None

    def push(self, frame: bytes | dict[str, Any]) -> None:
        if self.open and not self.deaf:
            self._send.send_nowait(frame if isinstance(frame, bytes) else json.dumps(frame).encode())

    def close(self) -> None:
        self.open = False
        self._send.close()

    def waiting(self) -> int:
        """Frames that were pushed and not taken."""
        return self._receive.statistics().current_buffer_used


class Memory:
    """`connect` is a stream's; `wires` are the open connections, oldest first."""

    def __init__(self) -> None:
        self.wires: list[Wire] = []
        self.connections = 0
        self.up = True
        self.frames: list[Any] = []
        self.operate: Callable[[Wire, Any], None] | None = None
        self.subscribed: Callable[[Wire, dict[str, str]], None] | None = None

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[Wire, None]:
        await anyio.sleep(0.05)
        if not self.up:
            raise Lost("connection refused")
        wire = Wire(self)
        self.connections += 1
        self.wires.append(wire)
        try:
            yield wire
        finally:
            wire.close()
            wire._receive.close()
            self.wires.remove(wire)

    def heard(self, wire: Wire, text: str) -> None:
        if wire.deaf:
            return
        if text == "ping":
            wire.push(b"pong")
            return
        frame = json.loads(text)
        self.frames.append(frame)
        if frame["op"] == "login":
            wire.push({"event": "login", "code": "0", "msg": ""})
        elif frame["op"] in ("subscribe", "unsubscribe"):
            for arg in frame["args"]:
                if frame["op"] == "subscribe":
                    wire.args.append(arg)
                elif arg in wire.args:
                    wire.args.remove(arg)
                wire.push({"event": frame["op"], "arg": arg, "connId": "c"})
                if frame["op"] == "subscribe" and self.subscribed:
                    self.subscribed(wire, arg)
        elif self.operate:
            self.operate(wire, frame)


class Ear:
    """A stream's listener that remembers what it was told."""

    def __init__(self) -> None:
        self.pushes: list[bytes] = []
        self.told: list[str] = []
        self.troubles: list[str] = []

    def received(self, frame: bytes) -> None:
        if b"broken" in frame:
            raise ValueError("broken")
        self.pushes.append(frame)

    def restored(self) -> None:
        self.told.append("restored")

    def lost(self, reason: str) -> None:
        self.told.append(f"lost: {reason}")

    def trouble(self, what: str) -> None:
        self.troubles.append(what)
