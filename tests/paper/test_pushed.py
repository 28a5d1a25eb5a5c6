"""Paper money on a live market: orders meet the prices told after they arrived, and every candle's whole range."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from kokex.messages import Candle, Fill, Funding, Order
from kokex.paper.pushed import PushedMarket
from tests.paper.desk import MINUTE, SPOT, SWAP, Desk

SECOND = 1_000_000_000


def order(
    name: str, side: str, kind: str, *, size: str = "1", trigger: str | None = None, of: str = SPOT.symbol
) -> Order:
    return Order(
        client_id=name, account="main", plan="p", instrument=of, side=side, kind=kind,  # pyright: ignore[reportArgumentType]
        size=Decimal(size), trigger=Decimal(trigger) if trigger else None,
    )  # fmt: skip


def telling(
    desk: Desk, market: PushedMarket, at_s: float, start: float, high: float, low: float, close: float,
    *, open_ns: int = 0, of: str = SPOT.symbol,
) -> None:  # fmt: skip
    """The candle as it stands."""
    desk.now = round(at_s * SECOND)
    market.candle(Candle(of, open_ns, start, high, low, close, 1000.0), desk.now)


def fills(desk: Desk) -> list[tuple[str, Decimal]]:
    return [(each.client_id, each.price) for _, each in desk.said if isinstance(each, Fill)]


def test_a_market_order_fills_at_the_first_price_told_after_it_arrived() -> None:
    desk = Desk()
    market = PushedMarket(desk.exchange)
    telling(desk, market, 1, 100, 101, 99, 100)
    desk.now = 2 * SECOND
    desk.place(order("late", "buy", "market"))
    assert fills(desk) == []
    telling(desk, market, 3, 100, 105, 99, 104)
    assert fills(desk) == [("late", Decimal(104))]


def test_a_stop_trades_when_it_is_touched_between_two_tellings_but_never_by_an_extreme_from_before_it_came() -> None:
    desk = Desk()
    market = PushedMarket(desk.exchange)
    desk.place(order("entry", "buy", "market"))
    telling(desk, market, 1, 100, 100, 90, 100)  # the low of 90 is older than the stop
    desk.place(order("stop", "sell", "stop", trigger="95"))
    telling(desk, market, 2, 100, 102, 90, 101)
    telling(desk, market, 3, 100, 102, 90, 99)
    assert fills(desk) == [("entry", Decimal(100))]
    telling(desk, market, 4, 100, 102, 89, 98)  # a new low: it was touched since
    assert fills(desk)[1:] == [("stop", Decimal(95))]


def test_what_was_missed_is_matched_as_of_its_close_and_not_against_orders_that_came_later() -> None:
    desk = Desk()
    market = PushedMarket(desk.exchange)
    desk.place(order("entry", "buy", "market"))
    telling(desk, market, 1, 100, 100, 100, 100)
    desk.place(order("stop", "sell", "stop", trigger="95"))
    telling(desk, market, 2, 100, 100, 100, 100)
    desk.now = 200 * SECOND  # an outage: two candles are told afterwards
    desk.place(order("during", "buy", "market"))
    for number in (1, 2):
        low = 90 if number == 1 else 99
        market.candle(Candle(SPOT.symbol, number * MINUTE, 100, 100, low, 99, 10.0), (number + 1) * MINUTE)
    assert fills(desk)[1:] == [("stop", Decimal(95))]
    telling(desk, market, 201, 99, 99, 97, 97, open_ns=3 * MINUTE)
    assert fills(desk)[2:] == [("during", Decimal(97))]


def test_funding_is_booked_once_when_it_falls_due_at_the_rate_last_told_before() -> None:
    desk = Desk()
    market = PushedMarket(desk.exchange)
    desk.place(order("entry", "buy", "market", size="10", of=SWAP.symbol))
    telling(desk, market, 1, 100, 100, 100, 100, of=SWAP.symbol)
    market.rate(SWAP.symbol, Decimal("0.0001"), 10 * SECOND, 2 * SECOND)
    market.rate(SWAP.symbol, Decimal("0.0002"), 10 * SECOND, 9 * SECOND)
    telling(desk, market, 9.5, 100, 100, 100, 100, of=SWAP.symbol)
    assert not [each for _, each in desk.said if isinstance(each, Funding)]
    market.rate(SWAP.symbol, Decimal("0.0009"), 20 * SECOND, 11 * SECOND)
    telling(desk, market, 12, 100, 100, 100, 100, of=SWAP.symbol)
    (paid,) = [each for _, each in desk.said if isinstance(each, Funding)]
    assert (paid.rate, paid.amount, paid.due_ns) == (Decimal("0.0002"), Decimal("-0.02"), 10 * SECOND)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(900, 1100), min_size=3, max_size=30), st.integers(900, 1100), st.integers(0, 28))
def test_a_stop_is_triggered_exactly_when_the_path_of_prices_reaches_it(
    path: list[int], level: int, placed: int
) -> None:
    """The candle is told after every price; whatever it looks like by then, only prices since the stop count."""
    desk = Desk()
    market = PushedMarket(desk.exchange)
    desk.place(order("entry", "buy", "market"))
    placed = min(placed, len(path) - 2)
    stopped_at = next((at for at, price in enumerate(path) if at > placed and price <= level), None)
    for at, price in enumerate(path):
        so_far = [each / 10 for each in path[: at + 1]]
        telling(desk, market, at + 1, so_far[0], max(so_far), min(so_far), price / 10)
        if at == placed:
            desk.place(order("stop", "sell", "stop", trigger=str(level / 10)))
        done = len(fills(desk)) > 1
        assert done == (stopped_at is not None and at >= stopped_at)
