"""The live market: each candle once, in order and whole, whatever becomes of the connection."""

import gc
from collections.abc import Iterable
from decimal import Decimal
from random import Random

import anyio
import pytest
from msgspec.structs import replace

from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.direct import DirectStore, open_direct
from kokex.config import Account, Config
from kokex.kernel.system import Hooks, System
from kokex.kernel.tasks import Tasks
from kokex.market.instruments import parse_symbol
from kokex.market.timeframes import MINUTE
from kokex.messages import Message
from kokex.paper.exchange import Exchange as PaperExchange
from kokex.paper.matching import Rules
from kokex.paper.pushed import PushedMarket
from kokex.paper.venue import PaperVenue
from kokex.simulation.backtest import signals_only
from kokex.simulation.virtual_time import TrioTime, seeded
from kokex.topology import JOURNALED, Ports, Variant, build
from tests.actors.desk import Deaf
from tests.adapters.okx.exchange_in_memory import SPAN_NS, START_NS, Exchange, candle, trading


@pytest.fixture
def clock() -> TrioTime:
    seeded(None)
    return TrioTime(START_NS)


def minutes(count: int) -> list[int]:
    return [START_NS + number * SPAN_NS for number in range(count)]


def all_handed_on(exchange: Exchange, openings: Iterable[int]) -> None:
    for name in exchange.names:
        assert exchange.handed_on(name) == list(openings), name


async def test_candles_of_one_instant_travel_together_as_they_closed(clock: TrioTime) -> None:
    async with trading(clock) as exchange:
        await anyio.sleep(5 * 60 + 1)
        assert [len(message.rows) for message in exchange.posted] == [2] * 5
        all_handed_on(exchange, minutes(5))
        for message in exchange.posted:
            for row in message.rows:
                assert row == candle(row.instrument, row.open_ns, row.open_ns + SPAN_NS)
        assert exchange.channels.connections == 1
        assert exchange.asked == 0


async def test_what_was_missed_while_down_is_asked_for_and_comes_before_what_is_new(clock: TrioTime) -> None:
    async with trading(clock) as exchange:
        await anyio.sleep(65)
        exchange.memory.up = False
        exchange.memory.wires[0].close()
        await anyio.sleep(20 * 60)
        assert len(exchange.posted) == 1
        exchange.memory.up = True
        await anyio.sleep(60)
        all_handed_on(exchange, minutes(22))
        missed = [at for seen, at in exchange.seen if seen.open_ns == START_NS + 10 * MINUTE]
        assert missed == [START_NS + 11 * MINUTE] * 2, "the paper exchange sees it once, as of its close"


async def test_a_last_word_that_never_came_is_asked_for(clock: TrioTime) -> None:
    async with trading(clock) as exchange:
        exchange.silent = {START_NS + MINUTE, START_NS + 2 * MINUTE}
        await anyio.sleep(5 * 60 + 15)
        all_handed_on(exchange, minutes(5))
        assert exchange.troubles == []


async def test_what_the_exchange_does_not_have_either_is_left_out_in_the_end(clock: TrioTime) -> None:
    async with trading(clock) as exchange:
        exchange.silent = exchange.missing = {START_NS + MINUTE}
        await anyio.sleep(5 * 60 + 1)
        all_handed_on(exchange, [START_NS, *minutes(5)[2:]])


async def test_while_rest_is_down_the_stream_goes_on_and_says_so(clock: TrioTime) -> None:
    async with trading(clock) as exchange:
        exchange.silent = {START_NS + MINUTE}
        exchange.rest_up = False
        await anyio.sleep(5 * 60 + 1)
        all_handed_on(exchange, [START_NS, *minutes(5)[2:]])
        assert "could not be had: down" in exchange.troubles[0]


def graph(clock: TrioTime, exchange: Exchange) -> tuple[System, DirectStore]:
    """The daemon's actors on paper money, fed with what the market hands on."""
    config = Config()
    system: System

    def post(actor: str, message: Message) -> None:
        system.post(actor, message)

    instruments = [parse_symbol(name) for name in exchange.names]
    paper = PaperExchange(instruments, Rules(taker_fee=Decimal(0)), clock.now, post)
    paper.open_account("main", Decimal(100_000), "margin")
    plan = replace(
        signals_only(config.resolved_plans()[0]), instruments=tuple(exchange.names), timeframe_ns=SPAN_NS,
        brain=replace(config.brain, strategies=("sma_cross",), min_conviction=1),
        parameters={"sma_cross": {"fast": 5, "slow": 60}},
    )  # fmt: skip
    store = open_direct(
        ":memory:", now_ns=START_NS, mode="test", version="0", config_json="{}", tag_factory=lambda: "abcdef"
    )
    system = build(
        config, [plan], [Account(name="main", cash=Decimal(100_000))], instruments,
        Ports(store=store, venues={"main": PaperVenue(paper, "main", 0)}, chance=Random, control=Deaf()),
        base_ns=SPAN_NS, variant=Variant(commit_s=0, keep_candles=False), start_ns=START_NS,
        hooks=Hooks(tap=store.append, journaled=JOURNALED),
    )  # fmt: skip
    exchange.hears, exchange.sees = post, PushedMarket(paper).candle
    return system, store


async def test_a_day_of_breaks_and_bursts_loses_nothing_and_leaves_nothing_behind(clock: TrioTime) -> None:
    """24 hours of connections that break, hang, are handed over or refused, lost last words, bursts of repeats, and the
    daemon's actors trading on what comes of them."""
    chance = Random(24)

    async def misfortune(exchange: Exchange) -> None:
        while True:
            await anyio.sleep(chance.uniform(60, 900))
            memory = exchange.memory
            wire = memory.wires[-1] if memory.wires else None
            if wire is None:
                continue
            match chance.randrange(6):
                case 0:
                    wire.close()
                case 1:
                    wire.deaf = True
                case 2:
                    wire.push({"event": "notice", "code": "64008", "msg": "soon closed", "connId": "c"})
                    await anyio.sleep(60)
                    wire.close()
                case 3:
                    memory.up = False
                    wire.close()
                    await anyio.sleep(chance.uniform(1, 1800))
                    memory.up = True
                case 4:
                    now = clock.now()
                    exchange.silent = {now - now % SPAN_NS + MINUTE * number for number in range(chance.randrange(4))}
                case _:
                    now = clock.now()
                    for _ in range(500):
                        exchange.tell(now - now % SPAN_NS - MINUTE * chance.randrange(3), now, chance.choice("01"))

    names = ("BTC-USDT-SWAP", "ETH-USDT-SWAP", "SOL-USDT", "DOGE-USDT")
    sizes: list[int] = []
    openings: dict[str, list[int]] = {name: [] for name in names}
    async with trading(clock, names) as exchange, anyio.create_task_group() as actors:
        system, store = graph(clock, exchange)
        driver = Tasks(system, clock, virtual=clock)
        actors.start_soon(driver.run)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(misfortune, exchange)
            for _ in range(24):
                await anyio.sleep(3600)
                for name in names:
                    openings[name] += exchange.handed_on(name)
                for kept in (exchange.posted, exchange.seen, exchange.troubles, exchange.memory.frames):
                    kept.clear()
                store.flush()
                gc.collect()
                sizes.append(len(gc.get_objects()))
            tasks.cancel_scope.cancel()
        exchange.memory.up = True
        for wire in exchange.memory.wires:
            wire.deaf = False
        await anyio.sleep(601)  # calm
        for name in names:
            openings[name] += exchange.handed_on(name)
            assert openings[name] == minutes(24 * 60 + 10), name
        assert exchange.memory.connections > 50
        assert all(wire.waiting() == 0 for wire in exchange.memory.wires)
        assert exchange.market._instants == {}
        assert all(not line.waiting and not line.filling for line in exchange.market._lines.values())
        for actor in system.status():
            assert (actor.state, actor.waiting, actor.restarts) == ("running", 0, 0), actor
            assert actor.high_water < 64, actor
        assert len(store.ask(queries.fills_after("main", 0))) > 50  # the actors had something to do
        driver.stop()
    growth = (sum(sizes[-6:]) - sum(sizes[2:8])) / 6
    assert growth < 200, f"{growth:.0f} objects more in the last six hours than in the first: {sizes}"
