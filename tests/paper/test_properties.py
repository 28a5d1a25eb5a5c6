"""What holds for any orders on any candles."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from kokex.market.instruments import exact, notional, size_of
from kokex.market.positions import equity
from kokex.messages import SETTLED, Candle, Fill, Funding, Order
from kokex.paper.matching import Rules
from kokex.paper.replay import Columns, ReplayMarket
from kokex.paper.tape import FundingDue
from kokex.ports import Rejected
from tests.paper.desk import MINUTE, SPOT, SWAP, Desk

CASH = 10_000
PRICES = st.integers(900, 1100).map(lambda tenths: tenths / 10)
INSTRUMENTS = (SPOT, SWAP)
BOOKS = {instrument.symbol: instrument for instrument in INSTRUMENTS}


class World(NamedTuple):
    rules: Rules
    cash_account: bool
    candles: list[tuple[float, float, float, float, float]]
    orders: dict[int, list[dict[str, Any]]]  # by the minute they are sent
    funding: list[int]  # rate in basis points, by minute


@st.composite
def candles(draw: st.DrawFn) -> tuple[float, float, float, float, float]:
    open_, close, low, high = draw(PRICES), draw(PRICES), draw(PRICES), draw(PRICES)
    return (open_, max(open_, close, high), min(open_, close, low), close, draw(st.integers(0, 500)) / 10)


@st.composite
def orders(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["market", "limit", "post_only", "ioc", "fok", "stop", "take_profit"]))
    price = exact(draw(PRICES))
    wants_price = kind in {"limit", "post_only"} or (kind in {"ioc", "fok"} and draw(st.booleans()))
    return {
        "instrument": draw(st.sampled_from(INSTRUMENTS)).symbol,
        "side": draw(st.sampled_from(["buy", "sell"])),
        "kind": kind,
        "size": Decimal(draw(st.integers(1, 120))),
        "price": price if wants_price else None,
        "trigger": price if kind in {"stop", "take_profit"} else None,
        "reduce_only": draw(st.booleans()),
    }


@st.composite
def worlds(draw: st.DrawFn) -> World:
    length = draw(st.integers(1, 12))
    rules = Rules(
        maker_fee=Decimal(draw(st.integers(-2, 10))).scaleb(-4),
        taker_fee=Decimal(draw(st.integers(0, 10))).scaleb(-4),
        slippage_bp=Decimal(draw(st.integers(0, 30))),
        volume_share=Decimal(draw(st.sampled_from([0, 1, 3]))) / 10,
        leverage=Decimal(draw(st.integers(1, 7))),
    )
    sent = st.dictionaries(st.integers(0, length - 1), st.lists(orders(), max_size=4), max_size=length)
    rates = st.lists(st.integers(-50, 50), min_size=length, max_size=length)
    return World(rules, draw(st.booleans()), [draw(candles()) for _ in range(length)], draw(sent), draw(rates))


class Played(NamedTuple):
    desk: Desk
    sent: dict[str, tuple[Order, int]]
    candles: Sequence[Candle]
    sizes: list[tuple[Fill, Decimal]]  # each fill with the position before it


def play(world: World) -> Played:
    """Both instruments trade at the same prices; orders are sent on the close of a minute."""
    desk = Desk(world.rules, str(CASH), "cash" if world.cash_account else "margin")
    opened = [minute * MINUTE for minute in range(len(world.candles))]
    rows = [list(column) for column in zip(*world.candles, strict=True)]
    columns = {instrument.symbol: Columns(opened, *rows) for instrument in INSTRUMENTS}
    rates = zip(opened, world.funding, strict=True)
    funding = [FundingDue(ns + MINUTE, SWAP.symbol, Decimal(rate).scaleb(-4)) for ns, rate in rates]
    market = ReplayMarket(INSTRUMENTS, columns, MINUTE, desk.exchange, desk.post, funding=funding)
    sent: dict[str, tuple[Order, int]] = {}

    def send(minute: int) -> None:
        for count, fields in enumerate(world.orders.get(minute, [])):
            order = Order(client_id=f"minute{minute}order{count}", account="main", plan="p", **fields)
            with suppress(Rejected):
                desk.place(order)
                sent[order.client_id] = (order, desk.now)

    send(0)
    while (at := market.next_at()) is not None:
        desk.now = at
        market.take()
        if at % MINUTE == 0:
            send(at // MINUTE)
    held: dict[str, Decimal] = defaultdict(Decimal)
    sizes: list[tuple[Fill, Decimal]] = []
    for fill in desk.fills:
        sizes.append((fill, held[fill.instrument]))
        held[fill.instrument] += fill.size if fill.side == "buy" else -fill.size
    candles = [Candle(symbol, ns, *world.candles[row]) for symbol in columns for row, ns in enumerate(opened)]
    return Played(desk, sent, candles, sizes)


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_orders_and_books_keep_their_promises(world: World) -> None:
    played = play(world)
    desk = played.desk
    nothing_leaks(played)
    filled: dict[str, Decimal] = defaultdict(Decimal)
    for fill, before in played.sizes:
        order, arrived = played.sent[fill.client_id]
        filled[fill.client_id] += fill.size
        assert filled[fill.client_id] <= order.size, "more filled than ordered"
        assert fill.filled_ns >= arrived, "a fill before its order"
        after = before + (fill.size if fill.side == "buy" else -fill.size)
        if order.reduce_only:
            assert before * after >= 0, "reduce-only flipped"
            assert abs(after) < abs(before), "reduce-only opened"
        if fill.instrument == SPOT.symbol or world.cash_account:
            assert after >= 0, "short where nobody may be"
        if order.price is not None:
            assert fill.price <= order.price if fill.side == "buy" else fill.price >= order.price, "past the limit"
        if order.kind == "post_only":
            assert fill.liquidity == "maker"
    ends = {sent: report for sent in played.sent if (report := desk.exchange.lookup("main", sent))}
    for client_id, update in ends.items():
        assert update.filled == filled[client_id]
        order, _ = played.sent[client_id]
        if order.kind == "fok":
            assert update.state == "cancelled" or filled[client_id] == order.size
    working = {report.client_id for report in desk.exchange.state("main").open_orders}
    assert not working & {client_id for client_id, update in ends.items() if update.state in SETTLED}
    assert desk.exchange.busy == {played.sent[client_id][0].instrument for client_id in working}
    again = Desk(world.rules)
    again.exchange.restore("main", desk.exchange.snapshot("main"))
    assert again.exchange.snapshot("main") == desk.exchange.snapshot("main")
    assert again.exchange.state("main").cash == desk.cash


def nothing_leaks(played: Played) -> None:
    """What came in and went out, plus what the positions are worth, is the equity: to the last digit."""
    state = played.desk.exchange.state("main")
    last = {candle.instrument: exact(candle.close) for candle in played.candles}
    total = Decimal(CASH)
    for fill in played.desk.fills:
        signed = fill.size if fill.side == "buy" else -fill.size
        total += notional(BOOKS[fill.instrument], signed, last[fill.instrument] - fill.price) - fill.fee
    for _, message in played.desk.said:
        if isinstance(message, Funding):
            total += message.amount
    assert equity(state.cash, state.positions, BOOKS) == total


@settings(max_examples=100, deadline=None)
@given(worlds())
def test_no_candle_fills_more_than_the_share_of_its_volume(world: World) -> None:
    """Two minutes' worth at most bear the same date: the close of one and the open of the next."""
    played = play(world)
    if not world.rules.volume_share:
        return
    dated: dict[tuple[str, int], Decimal] = defaultdict(Decimal)
    for fill in played.desk.fills:
        dated[fill.instrument, fill.filled_ns // MINUTE] += fill.size
    volume = {(candle.instrument, candle.open_ns // MINUTE): exact(candle.volume) for candle in played.candles}
    for (symbol, minute), size in dated.items():
        traded = [volume.get((symbol, row), Decimal(0)) for row in (minute - 1, minute)]
        assert size <= sum(size_of(BOOKS[symbol], world.rules.volume_share * part) for part in traded)
