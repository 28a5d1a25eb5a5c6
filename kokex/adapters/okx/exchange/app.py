"""The server: aiohttp in front of the exchange, and the clock that drives it."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from kokex.adapters.okx.exchange.account_calls import ACCOUNT
from kokex.adapters.okx.exchange.algo_calls import ALGO
from kokex.adapters.okx.exchange.calls import Call, Endpoint
from kokex.adapters.okx.exchange.envelope import Failure, Params, encode, failed
from kokex.adapters.okx.exchange.faults import Fault
from kokex.adapters.okx.exchange.floor import TICK_NS
from kokex.adapters.okx.exchange.line import Door
from kokex.adapters.okx.exchange.listing import Row
from kokex.adapters.okx.exchange.public_calls import PUBLIC
from kokex.adapters.okx.exchange.trade_calls import TRADE
from kokex.adapters.okx.exchange.venue import Venue

TABLE: dict[tuple[str, str], Endpoint] = {**PUBLIC, **ACCOUNT, **TRADE, **ALGO}
PATHS = {path for _, path in TABLE}
LARGEST = 1 << 20
CATCH_UP = 40  # ticks that are made up for in one go after a pause
DOORS: tuple[Door, ...] = ("public", "private", "business")


class Server:
    def __init__(self, venue: Venue, *, faults: bool = False) -> None:
        self.venue = venue
        self._faulty = faults
        venue.table = TABLE

    def app(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST)
        for door in DOORS:
            app.router.add_get(f"/ws/v5/{door}", self._socket(door))
        if self._faulty:
            app.router.add_route("*", "/faults", self._control)
        app.router.add_route("*", "/{path:.*}", self._rest)
        return app

    # ---- time -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """The market, for ever."""
        venue = self.venue
        due = venue.now_ns() // TICK_NS * TICK_NS + TICK_NS
        due = max(due, (venue.floor.now_ms * 1_000_000) + TICK_NS)
        seconds = 0
        while True:
            await asyncio.sleep(max(0.0, (due - venue.now_ns()) / 1e9))
            for _ in range(CATCH_UP):
                if venue.now_ns() < due:
                    break
                venue.tick()
                due += TICK_NS
            if seconds != due // 1_000_000_000:
                seconds = due // 1_000_000_000
                venue.hub.check_idle()

    # ---- WebSocket ------------------------------------------------------------------------------

    def _socket(self, door: Door) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            if self._down(request):
                return web.Response(status=503)
            return await self.venue.hub.serve(request, door)

        return serve

    def _down(self, request: web.Request) -> bool:
        if not self.venue.faults.down(self.venue.now_ms()):
            return False
        if request.transport is not None:
            request.transport.abort()
        return True

    # ---- REST -----------------------------------------------------------------------------------

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        if self._down(request):
            return web.Response(status=503)
        raw = request.raw_path
        path = raw.partition("?")[0].removeprefix("/api/v5/")
        fault = self.venue.faults.pick("rest", f"/{path}", f"{request.method} /{path}") if self._faulty else None
        body = await request.read()
        if fault is not None and fault.kind in {"error", "busy"}:
            return self._answer(fault.status, {"code": fault.code, "msg": fault.text})
        if fault is not None and fault.kind == "close":
            return self._cut(request)
        began = self.venue.now_ns() // 1000
        try:
            status, answer, endpoint = 200, *self._do(request, raw, path, body)
        except Failure as failure:
            status, answer = failed(failure)
            endpoint = None
        if endpoint is not None and endpoint.stamped:
            answer = {**answer, "inTime": str(began), "outTime": str(self.venue.now_ns() // 1000)}
        if fault is not None and fault.kind == "drop":
            return self._cut(request)
        if fault is not None and fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        return self._answer(status, answer)

    def _do(self, request: web.Request, raw: str, path: str, body: bytes) -> tuple[Row, Endpoint]:
        method = request.method
        endpoint = TABLE.get((method, path))
        if endpoint is None:
            if path in PATHS:
                raise Failure("50115")
            raise Failure("404", "Not Found")
        venue = self.venue
        now = venue.now_ms()
        key = venue.keys.check(method, raw, body, request.headers, now) if endpoint.private else None
        decoded: Any = None
        if method == "POST":
            if body and "json" not in request.headers.get("Content-Type", "").lower():
                raise Failure("50006")
            decoded = _decoded(body)
            first = decoded[0] if isinstance(decoded, list) and decoded else decoded  # pyright: ignore[reportUnknownVariableType]
            given = Params(first if isinstance(first, dict) else {})  # pyright: ignore[reportUnknownArgumentType]
            if not endpoint.batch and not isinstance(decoded, dict):
                raise Failure("50002")
        else:
            given = Params(dict(parse_qsl(raw.partition("?")[2], keep_blank_values=True)))
        call = Call(
            venue,
            given,
            decoded,
            now,
            {"expTime": request.headers.get("expTime", "")},
            venue.members[key.account] if key else None,
        )
        weight = len(decoded) if endpoint.batch and isinstance(decoded, list) else 1  # pyright: ignore[reportUnknownArgumentType]
        if not venue.admit(call, (method, path), max(1, weight), request.remote or ""):
            raise Failure("50011")
        try:
            answer = endpoint.handler(call)
        finally:
            if call.who and method == "POST":
                call.who.noted(call.who, "", "", None)
                venue.keep()
        return answer if isinstance(answer, dict) else {"code": "0", "msg": "", "data": answer}, endpoint

    @staticmethod
    def _answer(status: int, body: Row) -> web.Response:
        return web.Response(status=status, body=encode(body), content_type="application/json", charset="utf-8")

    @staticmethod
    def _cut(request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        return web.Response(status=503)

    # ---- faults ---------------------------------------------------------------------------------

    async def _control(self, request: web.Request) -> web.StreamResponse:
        venue = self.venue
        now = venue.now_ms()
        if request.method == "DELETE":
            venue.faults.clear()
        elif request.method == "POST":
            try:
                fault = venue.faults.turn_on(await request.read(), now)
            except ValueError as error:
                return self._answer(400, {"error": str(error)})
            if fault.kind == "sockets":
                self._close_sockets(fault)
            elif fault.kind == "down":
                venue.hub.close_all(abrupt=True)
        return self._answer(200, venue.faults.told(now))

    def _close_sockets(self, fault: Fault) -> None:
        hub = self.venue.hub

        def close() -> None:
            hub.close_all(abrupt=fault.abrupt)

        if fault.notice:
            hub.notice()
            asyncio.get_running_loop().call_later(fault.seconds, close)
        else:
            close()


def _decoded(body: bytes) -> Any:
    if not body:
        raise Failure("50000")
    try:
        return msgspec.json.decode(body)
    except msgspec.MsgspecError:
        raise Failure("50002") from None


@asynccontextmanager
async def serving(server: Server, host: str, port: int, tls: ssl.SSLContext | None = None) -> AsyncGenerator[int, None]:
    """Listens, with the market running; yields the port. Raises OSError when it cannot be had."""
    runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, host, port, ssl_context=tls)
    try:
        await site.start()
        async with asyncio.TaskGroup() as tasks:  # a market that fails takes the server with it
            market = tasks.create_task(server.run())
            taken: int = runner.addresses[0][1]
            yield taken
            market.cancel()
    finally:
        await server.venue.hub.shut()
        await runner.cleanup()
