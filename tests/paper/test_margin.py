"""Accounts with several currencies and legs, traded on books: no cent leaks, nothing is opened that cannot be paid."""

from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kokex.messages import Fill, Message, Order
from kokex.paper.exchange import Exchange
from kokex.paper.margin import MarginAccount, MarginFunds, Rates, Terms
from kokex.paper.matching import Depth, Rules
from kokex.ports import Rejected
from tests.paper.desk import SPOT, SWAP, order

LISTED = {each.symbol: each for each in (SPOT, SWAP)}
RATES = {
    SPOT.symbol: Rates(Decimal("0.0008"), Decimal("0.001")),
    SWAP.symbol: Rates(Decimal("0.0002"), Decimal("0.0005")),
}
CASH = Decimal(10_000)


class Floor:
    """One account, and books around a price."""

    def __init__(self) -> None:
        self.now = 0
        self.said: list[Message] = []
        self.exchange = Exchange(list(LISTED.values()), Rules(), lambda: self.now, self.post)
        self.funds = MarginFunds(LISTED, self.exchange.marks, RATES)
        self.books = MarginAccount("main", "margin", Decimal(0), balances={"USDT": CASH})
        self.exchange.admit(self.books, self.funds)
        self.prices = dict.fromkeys(LISTED, Decimal(100))
        for symbol in LISTED:
            self.show(symbol, Decimal(100))

    def post(self, actor: str, message: Message) -> None:
        assert actor == "executor[main]"
        self.said.append(message)

    def show(self, symbol: str, price: Decimal, depth: str = "1000") -> None:
        """The market is here; whoever can trades with it."""
        self.now += 1
        tick, sizes = Decimal("0.1"), Decimal(depth)
        bids = tuple((price - tick * step, sizes) for step in range(5))
        asks = tuple((price + tick * (step + 1), sizes) for step in range(5))
        self.exchange.marks[symbol] = float(price)
        self.exchange.on_book(Depth(instrument=symbol, bids=bids, asks=asks), self.now)

    def place(self, placed: Order, terms: Terms) -> bool:
        self.books.terms[placed.client_id] = terms
        try:
            self.exchange.place("main", placed)
        except Rejected:
            return False
        self.show(placed.instrument, Decimal(str(self.exchange.marks[placed.instrument])))
        return True

    @property
    def fills(self) -> list[Fill]:
        return [message for message in self.said if isinstance(message, Fill)]


CASH_TERMS = Terms("cash", "net", Decimal(1))
TERMS = [
    Terms("cross", "net", Decimal(5)),
    Terms("isolated", "net", Decimal(3)),
    Terms("cross", "long", Decimal(10)),
    Terms("cross", "short", Decimal(10)),
]


class Step(NamedTuple):
    spot: bool
    buys: bool
    size: int
    limit: int | None  # ticks from the price
    terms: int
    moves: int  # ticks, before


STEPS = st.lists(
    st.builds(
        Step,
        st.booleans(),
        st.booleans(),
        st.integers(1, 400),
        st.none() | st.integers(-20, 20),
        st.integers(0, len(TERMS) - 1),
        st.integers(-30, 30),
    ),
    min_size=1,
    max_size=25,
)


@given(STEPS)
@settings(max_examples=80, deadline=None)
def test_balances_are_the_sum_of_trades_and_positions_the_sum_of_fills(steps: list[Step]) -> None:
    floor = Floor()
    opened: dict[str, tuple[Order, Terms]] = {}
    for number, step in enumerate(steps):
        on = SPOT if step.spot else SWAP
        price = max(Decimal(50), floor.prices[on.symbol] + Decimal(step.moves) / 10)
        floor.prices[on.symbol] = price
        floor.show(on.symbol, price)
        terms = CASH_TERMS if step.spot else TERMS[step.terms]
        side = "buy" if step.buys else "sell"
        closes = (terms.side, side) in {("long", "sell"), ("short", "buy")}
        size = str(Decimal(step.size) / 100) if step.spot else str(step.size)
        kind = "ioc" if step.limit is None else "limit"
        fields = {} if step.limit is None else {"price": str(price + Decimal(step.limit) / 10)}
        asked = order(f"o{number}", side=side, size=size, kind=kind, on=on, reduce_only=closes, **fields)
        free = floor.funds.available(floor.books, "USDT")
        if floor.place(asked, terms):
            opened[asked.client_id] = asked, terms
            if not step.spot and not closes and step.limit is not None:
                assert free >= 0, "nothing is opened on an account that is under water"

    cash, coins = CASH, Decimal(0)
    held: dict[tuple[str, str], Decimal] = {}
    for fill in floor.fills:
        signed = fill.size if fill.side == "buy" else -fill.size
        if fill.instrument == SPOT.symbol:
            cash -= signed * fill.price + (fill.fee if fill.side == "sell" else 0)
            coins += signed - (fill.fee if fill.side == "buy" else 0)
        else:
            cash -= fill.fee
            terms = opened[fill.client_id][1]
            held[terms.mode, terms.side] = held.get((terms.mode, terms.side), Decimal(0)) + signed
    pnl = sum((booked.pnl for booked in floor.books.booked.values()), Decimal(0))
    assert floor.books.balance("USDT") == cash + pnl
    assert floor.books.balance("ABC") == coins >= 0, "spot is never short"
    for (_, mode, side), leg in floor.books.legs.items():
        assert leg.position.size == held.get((mode, side), Decimal(0))
        assert leg.margin >= 0
        assert side == "net" or (leg.position.size >= 0) == (side == "long") or not leg.position.size, "no leg turns"


def test_an_isolated_margin_shrinks_with_its_position() -> None:
    floor = Floor()
    floor.place(order("a", size="90", kind="ioc"), TERMS[1])
    leg = floor.books.leg(SWAP.symbol, "isolated", "net")
    assert leg is not None
    margin = leg.margin
    assert margin == Decimal("100.1") * 9 / 3
    before = floor.funds.available(floor.books, "USDT")
    floor.place(order("b", side="sell", size="60", kind="ioc", reduce_only=True), TERMS[1])
    assert leg.margin == margin / 3
    assert floor.funds.available(floor.books, "USDT") > before


def test_an_account_under_water_may_close_but_not_open() -> None:
    floor = Floor()
    assert floor.place(order("a", size="4900", kind="ioc"), TERMS[0])
    floor.show(SWAP.symbol, Decimal(70))
    assert floor.funds.available(floor.books, "USDT") < 0
    assert not floor.place(order("b", size="10", kind="ioc"), TERMS[0])
    assert floor.place(order("c", side="sell", size="4900", kind="ioc", reduce_only=True), TERMS[0])
    leg = floor.books.leg(SWAP.symbol, "cross", "net")
    assert leg is not None
    assert leg.position.size == 0


# ---- amending -----------------------------------------------------------------------------------


def resting() -> Floor:
    floor = Floor()
    assert floor.place(order("a", size="10", kind="limit", price="95"), TERMS[0])
    return floor


def test_an_amended_order_trades_at_its_new_price_and_for_its_new_size() -> None:
    floor = resting()
    report = floor.exchange.amend("main", "a", Decimal(20), Decimal("99.5"))
    assert report.state == "working"
    floor.show(SWAP.symbol, Decimal("99.2"))
    assert [(fill.size, fill.price, fill.liquidity) for fill in floor.fills] == [(20, Decimal("99.3"), "taker")]


@pytest.mark.parametrize(
    ("size", "price", "code"),
    [
        ("0", "95", "below_minimum"),
        ("1.5", "95", "bad_lot"),
        ("10", "95.05", "bad_tick"),
        ("99999", "95", "insufficient_funds"),
    ],
)
def test_a_refused_change_leaves_the_order_as_it_was(size: str, price: str, code: str) -> None:
    floor = resting()
    with pytest.raises(Rejected) as refused:
        floor.exchange.amend("main", "a", Decimal(size), Decimal(price))
    assert refused.value.code == code
    floor.show(SWAP.symbol, Decimal("94.5"))
    assert [(fill.size, fill.price) for fill in floor.fills] == [(10, 95)]


def test_what_is_over_cannot_be_amended() -> None:
    floor = resting()
    floor.exchange.cancel("main", SWAP.symbol, "a")
    with pytest.raises(Rejected, match="unknown_order"):
        floor.exchange.amend("main", "a", Decimal(20), Decimal(95))


def test_what_is_filled_counts_in_the_new_size() -> None:
    floor = resting()
    floor.show(SWAP.symbol, Decimal("94.8"), depth="4")
    filled = sum(fill.size for fill in floor.fills)
    assert 0 < filled < 10
    with pytest.raises(Rejected):
        floor.exchange.amend("main", "a", Decimal(filled), Decimal(95))
    floor.exchange.amend("main", "a", Decimal(filled + 1), Decimal(95))
    floor.show(SWAP.symbol, Decimal("94.0"))
    report = floor.exchange.lookup("main", "a")
    assert report
    assert report.state == "filled"
    assert sum(fill.size for fill in floor.fills) == filled + 1


def test_an_amended_stop_has_waited_all_along_and_one_that_was_triggered_is_past_it() -> None:
    floor = Floor()
    floor.place(order("in", size="40"), TERMS[0])
    floor.place(order("stop", side="sell", size="40", kind="stop", trigger="95", reduce_only=True), TERMS[0])
    report = floor.exchange.amend("main", "stop", Decimal(30), Decimal(96))
    assert report.order
    assert (report.state, report.order.size, report.order.trigger) == ("working", 30, 96)
    floor.show(SWAP.symbol, Decimal("95.9"), depth="4")
    with pytest.raises(Rejected, match="triggered"):
        floor.exchange.amend("main", "stop", Decimal(35), Decimal(96))
    floor.show(SWAP.symbol, Decimal("95.9"))
    assert sum(fill.size for fill in floor.fills if fill.side == "sell") == 30
