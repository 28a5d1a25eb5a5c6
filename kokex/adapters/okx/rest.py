"""One REST connection to OKX: signing, limits, OKX's clock, and what each answer means.

A read (GET) has no effect, so it is tried again by itself, a few times, with growing pauses. What has an effect
(POST) is sent once: whoever sent it decides what an `Ambiguous` outcome calls for. Only a refusal for its timestamp
(50102) is definitive and cured here: the clock is asked again, and the request signed anew.
"""

import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Self, TypeVar, final

import anyio
import msgspec

from kokex.adapters.okx.answers import BATCH, EXPIRED_TIMESTAMP, Throttled, Unsent, failure
from kokex.adapters.okx.hosts import Hosts
from kokex.adapters.okx.limits import Limits, owner
from kokex.adapters.okx.sign import Credentials, headers, login
from kokex.adapters.okx.wire import MS
from kokex.adapters.okx.wire.frames import Envelope
from kokex.adapters.okx.wire.market import Time
from kokex.ports import Ambiguous, Chance, Rejected

T = TypeVar("T")
Params = Mapping[str, str | int | None]  # None and "": left out

TRIES = 4  # of a read
PAUSE_S = 0.5  # after the first; then twice as long each time
IDLE_S = 15.0  # then a connection is closed
SYNC_TRIES = 3  # measurements of OKX's clock; the quickest counts


class ServerClock:
    """OKX's time: ours, and what the two are apart."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self.offset_ns = 0

    def now(self) -> int:
        """UTC nanoseconds, as OKX counts them."""
        return self._now() + self.offset_ns

    def heard(self, sent_ns: int, received_ns: int, server_ns: int) -> None:
        """An answer said `server_ns`: taken to be half way between question and answer."""
        self.offset_ns = server_ns - (sent_ns + received_ns) // 2


@final
class Rest:
    """A connection, to be entered before use: `async with Rest(...) as rest`.

    `now` is UTC nanoseconds (the trading clock's). With credentials it may ask for what is private; `user` names their
    account in the limits, so that two accounts have buckets of their own.
    """

    def __init__(
        self,
        hosts: Hosts,
        *,
        now: Callable[[], int],
        chance: Chance,
        limits: Limits | None = None,
        credentials: Credentials | None = None,
        user: str = "",
        timeout_s: float = 10.0,
    ) -> None:
        self.hosts = hosts
        self.limits = limits or Limits()
        self.clock = ServerClock(now)
        self.user = user
        self._now = now
        self._chance = chance
        self._credentials = credentials
        self._timeout_s = timeout_s
        self._session: Any = None

    async def __aenter__(self) -> Self:
        import aiohttp

        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(keepalive_timeout=IDLE_S),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            headers={"User-Agent": "kokex", "Content-Type": "application/json"},
            proxy=self.hosts.rest_proxy() or None,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        with anyio.CancelScope(shield=True):
            await self._session.close()

    async def sync_clock(self) -> int:
        """Asks OKX what time it is; the nanoseconds that it is ahead of us. Raises Rejected or Ambiguous."""
        best: tuple[int, int, int] | None = None
        for _ in range(SYNC_TRIES):
            sent = self._now()
            rows = await self.get("public/time", Time)
            received = self._now()
            if best is None or received - sent < best[1] - best[0]:
                best = sent, received, int(rows[0].ts) * MS
        assert best
        self.clock.heard(*best)
        return self.clock.offset_ns

    async def stay_warm(self) -> None:
        """Keeps a connection open, for ever: an order that had to make one first would be three ways to OKX late."""
        while True:
            await anyio.sleep(IDLE_S / 2)
            with suppress(Rejected, Ambiguous):
                await self.get("public/time", Time)

    async def login(self) -> dict[str, str]:
        """The argument of a WebSocket's login, by OKX's clock. Raises Rejected or Ambiguous."""
        if self._credentials is None:
            raise Rejected("no_key", "a private stream needs an API key")
        await self.sync_clock()
        return login(self._credentials, self.clock.now())

    # ---- reading

    async def get(
        self, endpoint: str, row: type[T], params: Params | None = None, *, limit: str = "", private: bool = False
    ) -> list[T]:
        """GET /api/v5/`endpoint`; `limit`: its name in the table of limits, where that is another.

        Raises Rejected, or Ambiguous once it was tried often enough. Never an empty list for a failure.
        """
        given = {key: str(value) for key, value in (params or {}).items() if value is not None and value != ""}
        query = "&".join(f"{key}={value}" for key, value in given.items())  # ids and numbers: nothing to quote
        path = f"/api/v5/{endpoint}" + (f"?{query}" if query else "")
        name = limit or endpoint
        of = owner(name, self.user, given.get("instId", ""), given.get("instType", ""))
        attempt = 0
        while True:
            attempt += 1
            await self.limits.take(name, of)
            try:
                return await self._once("GET", path, b"", row, private=private)
            except (Ambiguous, Throttled) as error:
                if isinstance(error, Throttled):
                    self.limits.exceeded(name, of)
                if attempt == TRIES:
                    raise
            await anyio.sleep(PAUSE_S * 2 ** (attempt - 1) * (0.5 + self._chance.random()))

    # ---- doing

    async def post(
        self,
        endpoint: str,
        row: type[T],
        body: object,
        *,
        limit: str = "",
        instrument: str = "",
        count: int = 1,
        expires_ns: int = 0,
        rows_tell: bool = False,
    ) -> list[T]:
        """POST /api/v5/`endpoint`, once. `expires_ns` (our clock): OKX must not do it later; 0: whenever it comes.

        `rows_tell`: rows with a code of their own are returned when some, or all, of them failed. Raises Rejected or
        Ambiguous.
        """
        name = limit or endpoint
        of = owner(name, self.user, instrument)
        await self.limits.take(name, of, count)
        path = f"/api/v5/{endpoint}"
        encoded = msgspec.json.encode(body)
        try:
            return await self._once(
                "POST", path, encoded, row, private=True, expires_ns=expires_ns, rows_tell=rows_tell
            )
        except Throttled:
            self.limits.exceeded(name, of)
            raise

    async def _once(self, method: str, path: str, body: bytes, row: type[T], **how: Any) -> list[T]:
        try:
            return await self._exchange(method, path, body, row, **how)
        except Rejected as rejection:
            if rejection.code != EXPIRED_TIMESTAMP:
                raise
        await self.sync_clock()
        return await self._exchange(method, path, body, row, **how)

    async def _exchange(
        self,
        method: str,
        path: str,
        body: bytes,
        row: type[T],
        *,
        private: bool = False,
        expires_ns: int = 0,
        rows_tell: bool = False,
    ) -> list[T]:
        """One request, one answer. Raises Rejected or Ambiguous."""
        status, raw = await self._send(method, path, body, self._headers(method, path, body, private, expires_ns))
        try:
            answer = msgspec.json.decode(raw, type=Envelope)
        except msgspec.MsgspecError:
            raise failure(status, "", f"unreadable: {raw[:80]!r}") from None
        code = str(answer.code)
        told = rows_tell and code in BATCH and bytes(answer.data) not in (b"", b"[]", b"null")
        if status >= 400 or (code != "0" and not told):
            raise failure(status, code, answer.msg or "")
        try:
            return msgspec.json.decode(answer.data or b"[]", type=list[row])
        except msgspec.MsgspecError as error:
            raise Ambiguous(f"{path.partition('?')[0]}: an answer that cannot be read: {error}") from None

    def _headers(self, method: str, path: str, body: bytes, private: bool, expires_ns: int) -> dict[str, str]:
        sent: dict[str, str] = {"x-simulated-trading": "1"} if self.hosts.demo else {}
        if private:
            if self._credentials is None:
                raise Rejected("no_key", f"{path.partition('?')[0]} is private, and there is no API key")
            sent |= headers(self._credentials, self.clock.now(), method, path, body)
        if expires_ns:
            sent["expTime"] = str((expires_ns + self.clock.offset_ns) // MS)
        return sent

    async def _send(self, method: str, path: str, body: bytes, sent: dict[str, str]) -> tuple[int, bytes]:
        import aiohttp

        try:
            async with self._session.request(
                method, self.hosts.rest + path, data=body or None, headers=sent, allow_redirects=False
            ) as response:
                return response.status, await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unsent(f"{self.hosts.rest}: no connection: {_reason(error)}") from None
        except (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError) as error:
            raise Ambiguous(f"{path.partition('?')[0]}: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
