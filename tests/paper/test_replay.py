from decimal import Decimal

import pytest

from kokex.messages import Candle, Candles, Fill
from kokex.paper.replay import Columns, ReplayMarket
from tests.paper.desk import MINUTE, SPOT, SWAP, Desk, order


def columns(minutes: list[int], price: float = 100.0) -> Columns:
    prices = [price + minute for minute in minutes]
    return Columns([minute * MINUTE for minute in minutes], prices, prices, prices, prices, [1e9] * len(minutes))


def instants(desk: Desk) -> list[tuple[int, list[str]]]:
    return [
        (message.close_ns // MINUTE, [row.instrument for row in message.rows])
        for actor, message in desk.said
        if actor == "feed" and isinstance(message, Candles)
    ]


def run(desk: Desk, market: ReplayMarket) -> list[int]:
    """The times of all events."""
    times: list[int] = []
    while (at := market.next_at()) is not None:
        desk.now = at
        times.append(at)
        market.take()
    return times


def test_candles_that_close_together_travel_together() -> None:
    desk = Desk()
    data = {SPOT.symbol: columns([0, 1, 3]), SWAP.symbol: columns([1, 2, 3])}
    run(desk, ReplayMarket([SPOT, SWAP], data, MINUTE, desk.exchange, desk.post))
    both = [SPOT.symbol, SWAP.symbol]
    assert instants(desk) == [(1, [SPOT.symbol]), (2, both), (3, [SWAP.symbol]), (4, both)]


def test_instruments_without_gaps_are_replayed_in_order() -> None:
    desk = Desk()
    data = {SWAP.symbol: columns([0, 1]), SPOT.symbol: columns([0, 1])}
    run(desk, ReplayMarket([SPOT, SWAP], data, MINUTE, desk.exchange, desk.post))
    assert instants(desk) == [(1, [SPOT.symbol, SWAP.symbol]), (2, [SPOT.symbol, SWAP.symbol])]


def test_an_open_is_an_event_only_for_a_busy_instrument() -> None:
    desk = Desk()
    market = ReplayMarket([SWAP], {SWAP.symbol: columns([0, 1, 2])}, MINUTE, desk.exchange, desk.post)
    assert market.next_at() == MINUTE
    desk.place(order())
    assert market.next_at() == 1
    assert run(desk, market) == [1, MINUTE, 2 * MINUTE, 3 * MINUTE]
    assert market.next_at() is None
    market.take()
    assert len(instants(desk)) == 3


def test_a_decision_on_a_close_is_filled_at_the_next_open_and_heard_before_the_next_candle() -> None:
    desk = Desk()
    market = ReplayMarket([SWAP], {SWAP.symbol: columns([0, 1])}, MINUTE, desk.exchange, desk.post)
    desk.now = market.next_at() or 0
    market.take()
    desk.place(order())
    run(desk, market)
    (fill,) = desk.fills
    assert (fill.price, fill.filled_ns) == (Decimal(101), MINUTE)
    assert [type(message) for actor, message in desk.said if isinstance(message, Fill) or actor == "feed"] == [
        Candles,
        Fill,
        Candles,
    ]


def test_after_a_gap_the_next_candle_there_is_opens() -> None:
    desk = Desk()
    market = ReplayMarket([SWAP], {SWAP.symbol: columns([0, 5])}, MINUTE, desk.exchange, desk.post)
    desk.now = market.next_at() or 0
    market.take()
    desk.place(order())
    assert run(desk, market) == [5 * MINUTE + 1, 6 * MINUTE]
    assert desk.fills[0].filled_ns == 5 * MINUTE


def test_an_order_that_comes_while_a_candle_runs_waits_without_turning_the_clock_back() -> None:
    desk = Desk()
    market = ReplayMarket([SWAP], {SWAP.symbol: columns([0, 1])}, MINUTE, desk.exchange, desk.post)
    desk.now = 30
    desk.place(order())
    assert run(desk, market) == [MINUTE, MINUTE + 1, 2 * MINUTE]
    assert desk.fills[0].filled_ns == MINUTE


def test_all_opens_of_an_instant_are_one_event() -> None:
    desk = Desk()
    desk.place(order("a", on=SPOT), order("b", on=SWAP))
    data = {SPOT.symbol: columns([0]), SWAP.symbol: columns([0])}
    assert run(desk, ReplayMarket([SPOT, SWAP], data, MINUTE, desk.exchange, desk.post)) == [1, MINUTE]
    assert {fill.client_id for fill in desk.fills} == {"a", "b"}


def test_marks_follow_the_closes_of_an_idle_market() -> None:
    desk = Desk()
    run(desk, ReplayMarket([SWAP], {SWAP.symbol: columns([0, 1])}, MINUTE, desk.exchange, desk.post))
    assert desk.exchange.marks == {SWAP.symbol: 101.0}


def test_history_is_what_was_given() -> None:
    desk = Desk()
    before = [Candle(SWAP.symbol, -MINUTE, 1.0, 1.0, 1.0, 1.0, 1.0)]
    market = ReplayMarket([SWAP], {SWAP.symbol: columns([0])}, MINUTE, desk.exchange, desk.post, history=before)
    assert list(market.history()) == before


def test_columns_must_be_there_and_of_one_length() -> None:
    desk = Desk()
    with pytest.raises(ValueError, match="no candles"):
        ReplayMarket([SWAP], {}, MINUTE, desk.exchange, desk.post)
    uneven = columns([0, 1])._replace(close=[1.0])
    with pytest.raises(ValueError, match="differ in length"):
        ReplayMarket([SWAP], {SWAP.symbol: uneven}, MINUTE, desk.exchange, desk.post)
