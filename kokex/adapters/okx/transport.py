"""One WebSocket: the little of it that a stream needs, and the library behind it."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import anyio

from kokex.adapters.okx.hosts import Hosts, Path

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

OPEN_S = 10.0
CLOSE_S = 1.0
MOST_BYTES = 8 << 20  # of a frame; a whole book has some 40 kB


class Lost(Exception):
    """The connection is no more, or could not be made."""


class Transport(Protocol):
    """A connection that is open. Both raise Lost."""

    async def send(self, text: str) -> None: ...
    async def receive(self) -> bytes: ...


class Connect(Protocol):
    """Opens a connection; raises Lost when that fails."""

    def __call__(self) -> AbstractAsyncContextManager[Transport]: ...


def websocket(hosts: Hosts, path: Path) -> Connect:
    """Connections to one of OKX's three WebSockets."""
    url = hosts.socket(path)

    @asynccontextmanager
    async def connect() -> AsyncGenerator[Transport, None]:
        from websockets.asyncio.client import connect as open_websocket
        from websockets.exceptions import WebSocketException

        try:
            # No pings of the protocol: OKX wants its own. No compression: it costs more than it saves here.
            connection = await open_websocket(
                url, ping_interval=None, compression=None, open_timeout=OPEN_S, close_timeout=CLOSE_S,
                max_size=MOST_BYTES, user_agent_header="kokex", proxy=hosts.proxy or True,
            )  # fmt: skip
        except (OSError, TimeoutError, WebSocketException) as error:
            raise Lost(f"{url}: {error or type(error).__name__}") from None
        try:
            yield _WebSocket(connection)
        finally:
            with anyio.move_on_after(2 * CLOSE_S, shield=True):
                await connection.close()

    return connect


class _WebSocket:
    def __init__(self, connection: "ClientConnection") -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise Lost(str(error)) from None

    async def receive(self) -> bytes:
        from websockets.exceptions import ConnectionClosed

        try:
            return await self._connection.recv(decode=False)
        except ConnectionClosed as error:
            raise Lost(str(error)) from None
