"""What both stores promise; each test runs on the one that waits and on the one that does not."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.direct import DirectStore
from kokex.adapters.sqlite.live import LiveStore
from kokex.adapters.sqlite.reader import Reader, integrity
from kokex.adapters.sqlite.rows import WRITERS
from kokex.messages import (
    Candle,
    Candles,
    Cycle,
    Edge,
    Funding,
    Message,
    OrderState,
    OrderUpdate,
    Portfolio,
    Position,
    Refused,
)
from kokex.ports import CandleRow, Input, Saved, StoreError
from kokex.topology import JOURNALED
from tests.adapters.sqlite.samples import AT, PLACE, approval, decision, direct, fill, intent, live, order, update

Stores = DirectStore | LiveStore
Scenario = Callable[[Stores], Awaitable[None]]
CANDLE = Candle("BTC-USDT", AT, 1.1, 1.3, 1.0, 1.2, 5.0)


@pytest.fixture(params=["direct", "live"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Scenario], Path]:
    """Runs a scenario on a fresh store, or on the same again, and gives the database's path."""
    path = tmp_path / "data" / "kokex.db"

    async def on_direct(scenario: Scenario) -> None:
        store = direct(path)
        try:
            await scenario(store)
        finally:
            store.close()

    async def on_live(scenario: Scenario) -> None:
        store = await live(path)
        try:
            await scenario(store)
        finally:
            await store.close()

    def run(scenario: Scenario) -> Path:
        asyncio.run((on_direct if request.param == "direct" else on_live)(scenario))
        return path

    return run


def test_what_was_committed_is_there_after_a_restart_and_the_rest_is_not(play: Callable[[Scenario], Path]) -> None:
    async def first(store: Stores) -> None:
        assert (store.session, store.tag, store.newest_ns) == (1, "abc123", 0)
        store.append(Saved(key="breaker", body=b"tripped"))
        store.append(intent(1, "one"))
        assert store.pending() == 2
        await store.commit()
        assert store.pending() == 0
        store.append(intent(2, "two"))

    async def second(store: Stores) -> None:
        assert (store.session, store.tag, store.newest_ns) == (2, "abc123", AT)
        assert await store.saved("breaker") == b"tripped"
        assert await store.saved("nothing") is None
        assert await store.unsettled("main") == [order("one")]

    play(first)
    play(second)


def test_a_read_sees_what_was_appended_before_it(play: Callable[[Scenario], Path]) -> None:
    async def scenario(store: Stores) -> None:
        store.append(Saved(key="a", body=b"1"))
        store.append(Saved(key="a", body=b"2"))
        assert await store.saved("a") == b"2"

    play(scenario)


def test_a_second_intent_under_one_client_id_fails_loudly_and_names_it(play: Callable[[Scenario], Path]) -> None:
    async def scenario(store: Stores) -> None:
        store.append(intent(1, "same"))
        await store.commit()
        store.append(decision(2))
        store.append(intent(3, "other"))
        store.append(intent(4, "same"))
        store.append(intent(5, "another"))
        with pytest.raises(StoreError, match=r"orders\.client_id.*'same', 4,"):
            await store.commit()
        assert store.pending() == 4

    path = play(scenario)
    with Reader(path) as reader:
        assert [m.id for m in reader.ask(queries.journal())] == [1]


@pytest.mark.parametrize(
    ("updates", "state", "filled", "reason"),
    [
        pytest.param([("working", "0", "")], "working", "0", "", id="acknowledged"),
        pytest.param([("partial", "0.5", ""), ("working", "0", "")], "working", "0.5", "", id="filled-never-falls"),
        pytest.param([("partial", "0.5", ""), ("cancelled", "0", "x")], "cancelled", "0.5", "x", id="cancelled-partly"),
        pytest.param([("filled", "1", ""), ("cancelled", "0", "late")], "filled", "1", "", id="settled-stays"),
        pytest.param([("expired", "0", "x"), ("working", "0", "y")], "expired", "0", "x", id="never-revived"),
        pytest.param([("cancelled", "0", "x"), ("filled", "1", "")], "cancelled", "1", "x", id="late-fill-counts"),
        pytest.param([("partial", "9", ""), ("partial", "10", "")], "partial", "10", "", id="compared-as-numbers"),
    ],
)
@pytest.mark.parametrize("one_batch", [True, False])
def test_an_order_never_leaves_its_end_and_never_unfills(
    play: Callable[[Scenario], Path],
    updates: list[tuple[OrderState, str, str]],
    state: str,
    filled: str,
    reason: str,
    one_batch: bool,
) -> None:
    async def scenario(store: Stores) -> None:
        store.append(intent(1, "it"))
        for number, told in enumerate(updates, 2):
            if not one_batch:
                await store.commit()
            store.append(update(number, "it", *told))
        await store.commit()
        assert bool(await store.unsettled("main")) is (state in {"working", "partial"})

    with Reader(play(scenario)) as reader:
        record = reader.ask(queries.order("it"))
        assert record is not None
        assert (record.state, record.filled, record.reason) == (state, Decimal(filled), reason)
        assert (record.order, record.updated_ns) == (order("it"), AT + 1 + len(updates))


def test_decisions_without_verdict_and_approvals_without_intent_are_open(play: Callable[[Scenario], Path]) -> None:
    undecided, unsent = decision(9), approval(4, 3, "unsent")

    async def scenario(store: Stores) -> None:
        refused = Refused(id=6, cause=5, at=AT, decision=5, rule="stale", reason="", **PLACE)
        sent = approval(2, 1, "sent"), intent(10, "sent", of=1)
        hold = approval(8, 7, None)
        for row in (decision(1), decision(3), decision(5), decision(7), *sent, unsent, refused, hold, undecided):
            store.append(row)
        assert await store.open_verdicts("main") == [unsent, undecided]
        assert await store.open_verdicts("other") == []

    play(scenario)


def test_fills_and_funding_after_an_id_come_back_exactly_and_in_order(play: Callable[[Scenario], Path]) -> None:
    paid = Funding(
        id=3, at=AT, account="main", instrument="BTC-USDT-SWAP", funding_id="f", rate=Decimal("1E-8"),
        amount=Decimal("-0.10"), due_ns=AT,
    )  # fmt: skip

    async def scenario(store: Stores) -> None:
        for row in (fill(1, "a", "t1"), fill(2, "a", "t2", "1.50"), paid, fill(4, "b", "t4")):
            store.append(row)
        assert await store.fills_after("main", 1) == [fill(2, "a", "t2", "1.50"), paid, fill(4, "b", "t4")]
        store.append(fill(5, "b", "t4"))
        with pytest.raises(StoreError, match=r"fills\.trade_id"):
            await store.commit()

    play(scenario)


def test_the_newest_candles_come_back_and_a_corrected_one_replaces_the_former(
    play: Callable[[Scenario], Path],
) -> None:
    def candle(number: int, close: float = 1.2) -> Candle:
        return Candle("BTC-USDT", AT + number * 60, 1.1, 1.3, 1.0, close, 5.0)

    async def scenario(store: Stores) -> None:
        for number in (0, 1, 2, 3, 3):
            store.append(CandleRow(span_ns=60, candle=candle(number)))
        store.append(CandleRow(span_ns=60, candle=candle(2, close=1.25)))
        store.append(CandleRow(span_ns=300, candle=candle(0)))
        assert await store.candles("BTC-USDT", 60, 2) == [candle(2, close=1.25), candle(3)]
        assert len(await store.candles("BTC-USDT", 60, 99)) == 4
        assert await store.candles("BTC-USDT", 60, 0) == []

    with Reader(play(scenario)) as reader:
        assert [h.count for h in reader.ask(queries.holdings())] == [4, 1]
        assert reader.ask(queries.candles_between("BTC-USDT", 60, AT + 60, AT + 120)) == [candle(1)]


def test_the_newest_portfolio_of_an_account_comes_back_whole(play: Callable[[Scenario], Path]) -> None:
    held = Position(instrument="BTC-USDT", size=Decimal("0.02"), cost=Decimal("840.0020"))

    def portfolio(number: int, account: str = "main") -> Portfolio:
        return Portfolio(
            id=number, at=AT, account=account, cash=Decimal(number), equity=Decimal("1000.50"), positions=(held,),
            day_start_equity=Decimal(1000), peak_equity=Decimal(1001),
        )  # fmt: skip

    async def scenario(store: Stores) -> None:
        assert await store.portfolio("main") is None
        for row in (portfolio(1), portfolio(2), portfolio(3, "shadow")):
            store.append(row)
        assert await store.portfolio("main") == portfolio(2)

    with Reader(play(scenario)) as reader:
        assert reader.ask(queries.accounts()) == ["main", "shadow"]


def test_market_data_on_its_way_is_not_kept(play: Callable[[Scenario], Path]) -> None:
    async def scenario(store: Stores) -> None:
        store.append(Candles(id=1, at=AT, close_ns=AT, span_ns=60, rows=(CANDLE,)))
        assert store.pending() == 0

    play(scenario)


def test_the_chain_of_an_order_goes_from_its_fill_back_to_the_candle(play: Callable[[Scenario], Path]) -> None:
    def edge(number: int) -> Edge:
        return Edge(
            id=number, at=AT, plan="default", instrument="BTC-USDT", source="trend", kind="up", score=0.9, value=1.0,
            close_ns=AT, candle=CANDLE,
        )  # fmt: skip

    story: list[Message] = [
        edge(10),
        edge(11),
        Cycle(id=12, cause=11, at=AT, plan="default", why="edge", instruments=("BTC-USDT",), edges=(10, 11)),
        decision(13, cause=12),
        approval(14, 13, "it"),
        intent(15, "it", of=13, cause=14),
        update(17, "it", "working"),
        fill(18, "it", "t1"),
        update(19, "it", "filled", "0.02"),
    ]

    async def scenario(store: Stores) -> None:
        for row in (*story, edge(9), intent(16, "other"), update(20, "other", "working"), fill(21, "other", "t2")):
            store.append(row)
        await store.commit()

    path = play(scenario)
    with Reader(path) as reader:
        assert reader.ask(queries.chain("it")) == story
        assert reader.ask(queries.chain("nobody")) == []
    assert integrity(path) == []


def test_pruning_forgets_market_noise_but_neither_money_nor_what_led_to_an_order(
    play: Callable[[Scenario], Path],
) -> None:
    async def scenario(store: Stores) -> None:
        def cycle(number: int, at: int = AT) -> Cycle:
            return Cycle(id=number, at=at, plan="default", why="long", instruments=("BTC-USDT",))

        rows = (cycle(1), cycle(2), decision(3, cause=2), approval(4, 3, "it"), intent(5, "it", of=3), decision(6))
        for row in (*rows, cycle(7, at=AT + 100), fill(8, "it", "t1"), update(9, "it", "filled", "0.02")):
            store.append(row)
        store.append(CandleRow(span_ns=60, candle=CANDLE))
        store.append(Input(turn=1, at=AT, actor="feed", kind="post", ref=0, body=b"x"))
        store.append(Input(turn=2, at=AT + 100, actor="feed", kind="timer", ref=7, body=b""))
        await store.commit()
        await store.prune(AT + 50)
        assert await store.candles("BTC-USDT", 60, 9) == []

    path = play(scenario)
    with Reader(path) as reader:
        assert [m.id for m in reader.ask(queries.journal())] == [2, 3, 4, 5, 6, 7, 8, 9]
        assert [put.ref for put in reader.ask(queries.inputs(1))] == [7]
    assert integrity(path) == []


def test_an_update_of_an_unknown_order_is_kept_in_the_journal_only(play: Callable[[Scenario], Path]) -> None:
    async def scenario(store: Stores) -> None:
        store.append(update(1, "manual", "working"))
        await store.commit()
        assert await store.unsettled("main") == []

    with Reader(play(scenario)) as reader:
        (told,) = reader.ask(queries.journal(kinds=("OrderUpdate",), account="main", last=5))
        assert isinstance(told, OrderUpdate)
        assert reader.ask(queries.orders()) == []


def test_whatever_is_journaled_is_written() -> None:
    assert WRITERS.keys() >= JOURNALED


@pytest.mark.parametrize("one_batch", [True, False])
def test_a_stop_is_read_back_as_it_was_amended_and_one_in_doubt_is_named(
    play: Callable[[Scenario], Path], one_batch: bool
) -> None:
    def stop(number: int, state: OrderState, size: int) -> OrderUpdate:
        terms = replace(order("stop"), size=Decimal(size), trigger=Decimal(90 + size))
        return replace(update(number, "stop", state, "0", ""), order=terms)

    async def scenario(store: Stores) -> None:
        async def say(*told: OrderUpdate) -> tuple[list[str], Decimal]:
            for each in told:
                if not one_batch:
                    await store.commit()
                store.append(each)
            await store.commit()
            (there,) = await store.unsettled("main")
            return await store.amending("main"), there.size

        store.append(intent(1, "stop"))
        size = order("stop").size
        assert await say(update(2, "stop", "working", "0", "")) == ([], size)
        assert await say(stop(3, "amending", 7)) == (["stop"], size)
        assert await say(stop(4, "working", 7), stop(5, "amending", 5), stop(6, "working", 5)) == ([], Decimal(5))
        assert await say(stop(7, "amending", 4)) == (["stop"], Decimal(5))
        store.append(update(8, "stop", "cancelled", "0", ""))
        await store.commit()
        assert await store.amending("main") == []

    with Reader(play(scenario)) as reader:
        record = reader.ask(queries.order("stop"))
        assert record
        assert (record.order.size, record.order.trigger) == (5, 95)
