"""Scenario tables: an order, the candles after it, what must have been traded."""

from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from kokex.paper.matching import Depth, Rules
from tests.paper.desk import FREE, MINUTE, SWAP, Desk, Prices, candle, order

SLIPPING = Rules(maker_fee=Decimal(0), taker_fee=Decimal(0), slippage_bp=Decimal(10))
CALM: Prices = (100.0, 101.0, 99.0, 100.0)
RISE: Prices = (100.0, 106.0, 99.0, 105.0)
DROP: Prices = (100.0, 101.0, 94.0, 95.0)
LOW: Prices = (95.0, 96.0, 94.0, 95.0)
HIGH: Prices = (105.0, 106.0, 104.0, 105.0)


class Case(NamedTuple):
    """`fill` is (price, liquidity, the minute it is dated); None: no fill. `end` is the order's last state."""

    what: str
    order: dict[str, Any]
    table: list[Prices]
    fill: tuple[str, str, int] | None
    end: str | None
    rules: Rules = FREE
    held: str = ""


def limit(price: str, kind: str = "limit") -> dict[str, Any]:
    return {"kind": kind, "price": price}


def on_trigger(kind: str, trigger: str, side: str) -> dict[str, Any]:
    return {"kind": kind, "trigger": trigger, "side": side}


def took(price: str, minute: int) -> tuple[str, str, int]:
    return price, "taker", minute


def made(price: str, minute: int) -> tuple[str, str, int]:
    return price, "maker", minute


SELL = {"side": "sell"}
CASES = [
    Case("a market order takes the next open", {}, [CALM], took("100", 0), "filled"),
    Case("a buyer slips up", {}, [CALM], took("100.1", 0), "filled", SLIPPING),
    Case("a seller slips down", SELL, [CALM], took("99.9", 0), "filled", SLIPPING),
    Case("slippage rounds against the taker", {}, [(100.3, 101.0, 99.0, 100.0)], took("100.5", 0), "filled", SLIPPING),
    # limit
    Case("a limit at the open takes", limit("100"), [CALM], took("100", 0), "filled"),
    Case("a limit through the open takes the open", limit("103"), [CALM], took("100", 0), "filled"),
    Case("slippage never passes the limit", limit("100"), [CALM], took("100", 0), "filled", SLIPPING),
    Case("a touched limit does not fill", limit("99"), [CALM], None, None),
    Case("a limit fills inside once it is traded through", limit("99.1"), [CALM], made("99.1", 1), "filled"),
    Case("a resting limit keeps its price in a gap", limit("98"), [CALM, LOW], made("98", 1), "filled"),
    Case("a maker does not slip", limit("98"), [DROP], made("98", 1), "filled", SLIPPING),
    Case("a selling limit", {**SELL, **limit("105")}, [CALM, RISE], made("105", 2), "filled"),
    # post-only
    Case("post-only never takes", limit("100", "post_only"), [CALM], None, "cancelled"),
    Case("post-only rests", limit("95", "post_only"), [CALM, DROP], made("95", 2), "filled"),
    Case("a gap comes to a resting post-only", limit("98", "post_only"), [CALM, LOW], made("98", 1), "filled"),
    # at once or never
    Case("IOC within its limit", limit("100", "ioc"), [CALM], took("100", 0), "filled"),
    Case("IOC without a limit", {"kind": "ioc"}, [CALM], took("100", 0), "filled"),
    Case("IOC does not wait", limit("99", "ioc"), [DROP, LOW], None, "cancelled"),
    Case("FOK within its limit", limit("101", "fok"), [CALM], took("100", 0), "filled"),
    Case("FOK does not wait", limit("99", "fok"), [DROP, LOW], None, "cancelled"),
    # stop
    Case("a stop waits", on_trigger("stop", "98", "sell"), [CALM, CALM], None, None),
    Case("a touched stop triggers", on_trigger("stop", "99", "sell"), [CALM], took("99", 1), "filled"),
    Case("a stop slips", on_trigger("stop", "98", "sell"), [DROP], took("97.9", 1), "filled", SLIPPING),
    Case("a gap fills a stop at the open", on_trigger("stop", "98", "sell"), [CALM, LOW], took("95", 1), "filled"),
    Case("a buying stop", on_trigger("stop", "105", "buy"), [CALM, RISE], took("105", 2), "filled"),
    Case("a stop beyond the market fires at once", on_trigger("stop", "90", "buy"), [CALM], took("100", 0), "filled"),
    # take-profit
    Case("a target", on_trigger("take_profit", "105", "sell"), [CALM, RISE], took("105", 2), "filled"),
    Case("a target in a gap", on_trigger("take_profit", "103", "sell"), [CALM, HIGH], took("105", 1), "filled"),
    Case("a buying target", on_trigger("take_profit", "95", "buy"), [DROP], took("95", 1), "filled"),
    # reduce-only
    Case("reduce-only reduces", {**SELL, "reduce_only": True}, [CALM], took("100", 0), "filled", FREE, "30"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.what for case in CASES])
def test_an_order_trades_as_written(case: Case) -> None:
    desk = Desk(case.rules)
    if case.held:
        desk.hold(case.held)
    start = desk.now
    desk.place(order(**case.order))
    desk.play(case.table)
    traded = [(fill.price, fill.liquidity, fill.filled_ns) for fill in desk.fills]
    if case.fill is None:
        assert traded == []
    else:
        price, liquidity, minute = case.fill
        assert traded == [(Decimal(price), liquidity, start + minute * MINUTE)]
        assert desk.fills[0].size == 10
    assert desk.ends.get("a", (None, ""))[0] == case.end


def test_a_stop_inside_a_candle_is_assumed_before_its_target() -> None:
    desk = Desk()
    desk.hold("10")
    target = order("target", side="sell", kind="take_profit", trigger="105", reduce_only=True)
    stop = order("stop", side="sell", kind="stop", trigger="95", reduce_only=True)
    desk.place(target, stop)
    desk.play([(100.0, 110.0, 90.0, 100.0)])
    assert [(fill.client_id, fill.price) for fill in desk.fills] == [("stop", Decimal(95))]
    assert desk.ends["target"] == ("cancelled", "nothing left to reduce")


def test_an_order_never_sees_the_candle_that_was_running_when_it_came() -> None:
    desk = Desk()
    desk.place(order("first", kind="limit", price="50"))  # keeps the instrument busy
    desk.exchange.on_open(SWAP.symbol, 100.0, 1e9, 0)
    desk.now = 1
    desk.place(order("late", kind="stop", trigger="103"), order("later", kind="limit", price="97"), order("market"))
    desk.exchange.on_candle(candle(0, RISE), MINUTE)
    assert desk.fills == []
    desk.now = MINUTE
    desk.play([HIGH])
    assert [fill.client_id for fill in desk.fills] == ["late", "market"]
    assert {fill.filled_ns for fill in desk.fills} == {MINUTE}


SHARED = Rules(maker_fee=Decimal(0), taker_fee=Decimal(0), volume_share=Decimal("0.1"))


@pytest.mark.parametrize(
    ("kind", "extra", "sizes", "end"),
    [
        ("market", {}, [4, 4, 2], ("filled", "")),
        ("limit", {"price": "100"}, [4, 4, 2], ("filled", "")),
        ("limit", {"price": "102"}, [4, 4, 2], ("filled", "")),
        ("ioc", {}, [4], ("cancelled", "the rest is not fillable at once")),
        ("fok", {}, [], ("cancelled", "not fillable at once")),
        ("stop", {"trigger": "100"}, [4, 4, 2], ("filled", "")),
    ],
)
def test_a_candle_fills_no_more_than_its_share_of_the_volume(
    kind: str, extra: dict[str, Any], sizes: list[int], end: tuple[str, str]
) -> None:
    desk = Desk(SHARED)
    desk.place(order(kind=kind, **extra))
    desk.play([(100.0, 101.0, 100.0, 100.0)] * 4, volume=4.9)  # 49 contracts, a tenth in whole lots: 4
    assert [fill.size for fill in desk.fills] == sizes
    assert {fill.price for fill in desk.fills} <= {Decimal(100)}
    assert desk.ends["a"] == end


def test_a_stop_that_triggered_in_a_thin_candle_goes_on_as_a_market_order() -> None:
    desk = Desk(SHARED)
    desk.hold("4")
    desk.place(order(side="sell", kind="stop", trigger="95", size="4", reduce_only=True))
    desk.play([DROP], volume=0.0)
    assert desk.fills == []
    desk.play([HIGH])
    assert [(fill.price, fill.size) for fill in desk.fills] == [(Decimal(105), 4)]


def test_a_reduce_only_order_is_clipped_to_the_position() -> None:
    desk = Desk()
    desk.hold("-6")
    desk.place(order(size="10", reduce_only=True))
    desk.play([CALM])
    assert [fill.size for fill in desk.fills] == [6]
    assert desk.ends["a"] == ("cancelled", "nothing left to reduce")
    assert desk.size() == 0


def book(bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> Depth:
    def levels(rows: list[tuple[str, str]]) -> tuple[tuple[Decimal, Decimal], ...]:
        return tuple((Decimal(price), Decimal(size)) for price, size in rows)

    return Depth(instrument=SWAP.symbol, bids=levels(bids), asks=levels(asks))


DEPTH = book([("99", "5"), ("98", "9")], [("101", "4"), ("102", "3"), ("103", "9")])


@pytest.mark.parametrize(
    ("fields", "fills", "end"),
    [
        ({}, [("101", 4), ("102", 3), ("103", 3)], "filled"),
        (limit("102"), [("101", 4), ("102", 3)], "partial"),
        (limit("102", "ioc"), [("101", 4), ("102", 3)], "cancelled"),
        (limit("102", "fok"), [], "cancelled"),
        (limit("103", "fok"), [("101", 4), ("102", 3), ("103", 3)], "filled"),
        (limit("101", "post_only"), [], "cancelled"),
        (limit("100", "post_only"), [], None),
        ({"side": "sell", "kind": "stop", "trigger": "99"}, [("99", 5), ("98", 5)], "filled"),
        ({"side": "sell", "kind": "stop", "trigger": "98"}, [], None),
    ],
)
def test_an_order_walks_the_book(fields: dict[str, Any], fills: list[tuple[str, int]], end: str | None) -> None:
    desk = Desk()
    desk.place(order(**fields))
    desk.exchange.on_book(DEPTH, 5)
    assert [(fill.price, fill.size) for fill in desk.fills] == [(Decimal(price), size) for price, size in fills]
    assert desk.ends.get("a", (None, ""))[0] == end


def test_the_depth_an_account_took_is_gone_until_the_next_book() -> None:
    desk = Desk()
    desk.place(order("a", size="6"), order("b", size="6"), order("c", size="6"))
    desk.exchange.on_book(DEPTH, 5)
    assert sum(fill.size for fill in desk.fills) == 16
    assert desk.ends["c"] == ("partial", "")
    desk.exchange.on_book(DEPTH, 6)
    assert desk.ends["c"] == ("filled", "")


def test_a_resting_limit_in_a_book_makes_at_its_price() -> None:
    desk = Desk()
    desk.place(order(kind="limit", price="100", size="3"))
    desk.exchange.on_book(DEPTH, 5)
    desk.exchange.on_book(book([("98", "1")], [("100", "9")]), 6)
    assert desk.fills == []
    desk.exchange.on_book(book([("98", "1")], [("99.5", "2"), ("99.9", "9")]), 7)
    assert [(fill.price, fill.size, fill.liquidity) for fill in desk.fills] == [(100, 2, "maker"), (100, 1, "maker")]
