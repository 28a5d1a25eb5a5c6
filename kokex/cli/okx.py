"""OKX's market for the daemon: what is listed, its clock, candles to warm up with, and those that arrive."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import msgspec
from msgspec.structs import replace

from kokex.adapters.host.chance import Random
from kokex.adapters.host.clock import TradingClock
from kokex.adapters.okx.bars import bar_of
from kokex.adapters.okx.channels import Channels
from kokex.adapters.okx.history import History
from kokex.adapters.okx.hosts import Path as Socket
from kokex.adapters.okx.hosts import hosts_of
from kokex.adapters.okx.limits import Limits
from kokex.adapters.okx.market import LiveMarket
from kokex.adapters.okx.preflight import listed
from kokex.adapters.okx.public import PublicRest
from kokex.adapters.okx.rest import Rest
from kokex.adapters.okx.transport import websocket
from kokex.adapters.okx.wire import nanoseconds, number
from kokex.adapters.okx.wire.market import FundingRate
from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.live import LiveStore
from kokex.adapters.sqlite.reader import Reader
from kokex.cli.output import Mistake
from kokex.config import Config
from kokex.messages import Candle, Instrument
from kokex.paper.exchange import Exchange
from kokex.paper.pushed import PushedMarket
from kokex.ports import Ambiguous, CandleRow, Post, Rejected, StoreError

AGAIN_S = 5.0  # after the market's own task failed, which it should not

Console = Callable[[int, str, str, str], None]


class Met(NamedTuple):
    """What OKX said before anything began."""

    config: Config  # with the instruments as OKX lists them: on record with the session, and replayed from there
    ahead_ns: int  # of our system clock


def meet(config: Config) -> Met:
    """Asks OKX for its instruments and its time; what it cannot be asked, the last session knows. Raises Mistake."""
    try:
        bar_of(config.market.span_ns)
    except ValueError as error:
        raise Mistake(f"market.timeframe: {error}") from None
    return anyio.run(_meet, config, backend="asyncio")


async def _meet(config: Config) -> Met:
    try:
        async with public_rest(config, TradingClock().now, Limits()) as rest:
            ahead_ns = await rest.sync_clock()
            return Met(replace(config, listing=await listed(PublicRest(rest), config.market.symbols)), ahead_ns)
    except Rejected as error:
        raise Mistake(f"market.instruments: {error.reason}") from None
    except Ambiguous as error:
        if known := _listed_before(config):
            return Met(replace(config, listing=known), 0)
        raise Mistake(f"OKX cannot be asked for its instruments: {error}; check the network and [venue]") from None


def public_rest(config: Config, now: Callable[[], int], limits: Limits) -> Rest:
    """Of the accounts at OKX, or of public data for paper money."""
    venue = next((each.venue for each in config.resolved_accounts() if each.venue.kind == "okx"), config.venue)
    return Rest(hosts_of(venue), now=now, chance=Random(), limits=limits)


def _listed_before(config: Config) -> tuple[Instrument, ...]:
    """The instruments as the newest session with the same ones had them; empty: there was none."""
    path = Path(config.store.path)
    if not path.exists():
        return ()
    try:
        with Reader(path) as reader:
            sessions = reader.ask(queries.sessions())
    except StoreError:
        return ()
    for session in reversed(sessions):
        try:
            before = msgspec.json.decode(session.config, type=Config)
        except msgspec.MsgspecError:
            continue
        if {each.symbol for each in before.listing}.issuperset(config.market.symbols):
            by_symbol = {each.symbol: each for each in before.listing}
            return tuple(by_symbol[symbol] for symbol in config.market.symbols)
    return ()


@asynccontextmanager
async def okx_market(
    config: Config, instruments: Sequence[Instrument], history: int, store: LiveStore, exchange: Exchange | None,
    post: Post, now: Callable[[], int], console: Console,
) -> AsyncGenerator[Callable[[anyio.Event], Coroutine[Any, Any, None]], None]:  # fmt: skip
    """Candles for `instruments`, with `history` of them in the store to begin with; to be run beside the actors.

    `exchange`: the paper exchange that is matched against what arrives, if there is one. Raises StoreError.
    """

    def trouble(what: str) -> None:
        console(now(), "WARNING", "market", what)

    limits = Limits()
    async with public_rest(config, now, limits) as rest:
        try:
            await rest.sync_clock()
        except (Rejected, Ambiguous) as error:
            trouble(f"OKX's time is not known: {error}")
        past = History(PublicRest(rest), rest.clock.now)
        since = await _warm(config, instruments, history, store, exchange, past, trouble)
        market: LiveMarket

        def restored(path: Socket) -> None:
            console(now(), "INFO", "market", f"connected to OKX ({path})")
            market.restored(path)

        def lost(path: Socket, reason: str) -> None:
            trouble(f"connection to OKX ({path}) lost: {reason}")

        channels = Channels(
            lambda path: websocket(rest.hosts, path), chance=Random(), limits=limits, restored=restored, lost=lost,
            trouble=trouble,
        )  # fmt: skip
        seen = _paper(channels, instruments, exchange, now) if exchange else _unseen
        market = LiveMarket(
            channels, past, [each.symbol for each in instruments], config.market.span_ns, since, post, rest.clock.now,
            seen, trouble,
        )  # fmt: skip

        async def run(started: anyio.Event) -> None:
            await started.wait()
            while True:
                try:
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(channels.run)
                        tasks.start_soon(market.run)
                except Exception as error:  # whatever it is: exits must go on being managed
                    console(now(), "ERROR", "market", f"the market's task failed and begins anew: {error!r}")
                await anyio.sleep(AGAIN_S)

        yield run


def _paper(
    channels: Channels, instruments: Sequence[Instrument], exchange: Exchange, now: Callable[[], int]
) -> Callable[[Candle, int], None]:
    """The paper exchange sees what arrives, funding too."""
    pushed = PushedMarket(exchange)

    def rate(row: FundingRate) -> None:
        value = number(row.funding_rate)
        if value is not None:
            pushed.rate(row.inst_id, value, nanoseconds(row.funding_time), now())

    for each in instruments:
        if each.kind == "swap":
            channels.funding_rates(each.symbol, rate)
    return pushed.candle


def _unseen(*_: object) -> None:
    """Nobody is matched against it here."""


async def _warm(
    config: Config, instruments: Sequence[Instrument], wanted: int, store: LiveStore, exchange: Exchange | None,
    past: History, trouble: Callable[[str], None],
) -> dict[str, int]:  # fmt: skip
    """Fetches what the store lacks of the last `wanted` candles; which candle of each instrument comes next."""
    span_ns = config.market.span_ns
    since: dict[str, int] = {}

    async def warm(symbol: str) -> None:
        newest = await store.candles(symbol, span_ns, 1)
        now_ns = past.now()
        begin_ns = now_ns - now_ns % span_ns - wanted * span_ns
        since[symbol] = max(begin_ns, newest[0].open_ns + span_ns) if newest else begin_ns
        candles: list[Candle] = []
        try:
            candles = await past.between(symbol, span_ns, since[symbol], now_ns)
        except (Rejected, Ambiguous) as error:
            trouble(f"{symbol}: no history: {error}")
        for candle in candles:
            store.append(CandleRow(span_ns=span_ns, candle=candle))
            since[symbol] = candle.open_ns + span_ns
        if exchange and (last := candles or newest):
            exchange.marks[symbol] = last[-1].close

    async with anyio.create_task_group() as tasks:
        for each in instruments:
            tasks.start_soon(warm, each.symbol)
    await store.commit()
    return since
