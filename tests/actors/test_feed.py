"""feed: market data in, in order and once."""

import pytest

from actors.feed import Feed
from kokex.adapters.sqlite.direct import DirectStore
from kokex.messages import Alert, Candles, Link
from tests.actors.desk import BTC, ETH, INSTRUMENTS, MINUTE, START, Console, Desk, candle, candles, memory

KNOWN = [INSTRUMENTS[BTC], INSTRUMENTS[ETH]]


def desk_of(store: DirectStore | None = None, *, stale_s: float = 0, console: Console | None = None) -> Desk:
    return Desk({"feed": Feed(KNOWN, MINUTE, stale_s=stale_s, store=store, console=console)})


def opened(desk: Desk) -> list[tuple[str, int]]:
    """Which candles were passed on: instrument, minute."""
    return [(row.instrument[:3], (row.open_ns - START) // MINUTE) for m in desk.take(Candles) for row in m.rows]


def at(minute: int, of: str = BTC) -> Candles:
    return candles(candle(START + minute * MINUTE, 100.0, of=of))


def test_late_and_repeated_candles_are_dropped() -> None:
    desk = desk_of()
    for minute in (0, 1, 1, 0, 2):
        desk.tell("feed", at(minute))
    assert opened(desk) == [("BTC", 0), ("BTC", 1), ("BTC", 2)]
    assert desk.take(Alert) == []


def test_of_one_instant_only_the_candles_in_order_pass() -> None:
    desk = desk_of()
    desk.tell("feed", at(0), at(1, ETH))
    desk.tell("feed", candles(candle(START + MINUTE, 100.0), candle(START + MINUTE, 100.0, of=ETH)))
    assert opened(desk) == [("BTC", 0), ("ETH", 1), ("BTC", 1)]


def test_a_candle_off_the_grid_is_dropped() -> None:
    desk = desk_of()
    desk.tell("feed", at(0), candles(candle(START + MINUTE + 1, 100.0)), at(1))
    assert opened(desk) == [("BTC", 0), ("BTC", 1)]


def test_a_gap_is_told_and_lived_with() -> None:
    desk = desk_of()
    desk.tell("feed", at(0), at(3), at(4))
    assert opened(desk) == [("BTC", 0), ("BTC", 3), ("BTC", 4)]
    assert [alert.text for alert in desk.take(Alert)] == [f"{BTC}: 2 candles missing from 2023-11-15T00:01:00Z on"]


def test_a_gap_over_a_restart_is_told_too_and_what_came_before_does_not_come_again() -> None:
    store = memory()
    desk_of(store).tell("feed", at(0), at(1))
    desk = desk_of(store)
    desk.tell("feed", at(1), at(3))
    assert opened(desk) == [("BTC", 3)]
    assert "1 candle missing" in desk.take(Alert)[0].text


async def test_candles_are_kept_in_the_store() -> None:
    store = memory()
    desk_of(store).tell("feed", at(0), at(0), at(1), at(1, ETH))
    assert [row.open_ns for row in await store.candles(BTC, MINUTE, 10)] == [START, START + MINUTE]
    assert len(await store.candles(ETH, MINUTE, 10)) == 1


def test_silence_is_told_once_and_so_is_its_end() -> None:
    desk = desk_of(stale_s=30)
    desk.tell("feed", at(0))
    assert [link.up for link in desk.take(Link)] == [True]
    desk.wait(200)
    assert [(link.edge, link.up, link.reason) for link in desk.take(Link)] == [("market", False, "no candle for 30 s")]
    desk.tell("feed", at(1), at(2))
    assert [link.up for link in desk.take(Link)] == [True]
    assert [alert.text for alert in desk.take(Alert)] == [
        "no market data for 30 s: no cycle until it is back",
        "market data is back",
    ]


def test_a_late_candle_does_not_end_the_silence() -> None:
    desk = desk_of(stale_s=30)
    desk.tell("feed", at(5))
    desk.wait(40)
    desk.take(Link)
    desk.tell("feed", at(4))
    assert desk.take(Link) == []


def test_candles_in_time_are_never_silence() -> None:
    desk = desk_of(stale_s=61)
    for minute in range(10):
        desk.tell("feed", at(minute))
        desk.wait(60)
    assert [link.up for link in desk.take(Link)] == [True]


def test_a_new_feed_says_that_the_market_is_up() -> None:
    """The one before it may have crashed in the midst of a silence: nobody else would end it."""
    desk = desk_of(memory(), stale_s=30)
    desk.tell("feed", at(0))
    assert [link.up for link in desk.take(Link)] == [True]
    assert desk.take(Alert) == []


@pytest.mark.parametrize("minutes", [1, 5])
def test_prices_are_shown_every_ten_seconds_at_most(minutes: int) -> None:
    console = Console()
    desk = desk_of(console=console)
    desk.tell("feed", *(at(minute) for minute in range(minutes)))
    assert console.take() == [f"INFO price {BTC} 100 volume 10"]
    desk.wait(10)
    desk.tell("feed", at(minutes))
    assert len(console.take()) == 1
