"""The exchange's market: prices at every resolution, candle files, and books."""

import time
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kokex.adapters.okx.exchange.board import Board
from kokex.adapters.okx.exchange.course import Bar, Course, merged, refine
from kokex.adapters.okx.exchange.limits import Limit, Limits
from kokex.adapters.okx.exchange.listing import Listing, plain, usual_listings
from kokex.adapters.okx.exchange.opening import Opening, OpeningError, owners, serve, tls, venue
from kokex.adapters.okx.exchange.tapes import TapeError, read
from kokex.paper.prices import common_shocks

START = 1_790_001_234
HOUR, DAY = 3600, 86_400


def whole(bars: Sequence[Bar | None]) -> Bar:
    found: Bar | None = None
    for bar in bars:
        assert bar is not None
        found = merged(found, bar)
    assert found is not None
    return found


@given(
    st.floats(0.01, 1e5),
    st.floats(0, 0.3),
    st.floats(0, 0.3),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from([2, 4, 60]),
    st.integers(),
)
@settings(deadline=None)
def test_finer_bars_add_up_to_the_bar_they_are_of(
    low: float, up: float, rise: float, begin: float, end: float, parts: int, seed: int
) -> None:
    high = low * (1 + up + rise)
    bar = Bar(low + (high - low) * begin, high, low, low + (high - low) * end, 7.0)
    finer = refine(bar, parts, Random(seed))
    total = whole(finer)
    assert total[:4] == bar[:4]
    assert total.volume == pytest.approx(7.0)
    assert all(each.low <= min(each.open, each.close) <= max(each.open, each.close) <= each.high for each in finer)
    assert all(one.close == two.open for one, two in pairwise(finer))


def test_what_was_history_and_what_came_live_tell_one_story() -> None:
    course = Course(50.0, START, Random(1), Random)
    chance = Random(2)
    assert course.price == pytest.approx(50.0)
    for _ in range(5000):
        course.close(course.draw(common_shocks(chance)))
    now = course.next
    for begin in range(START // HOUR * HOUR - 2 * HOUR, now - HOUR, HOUR):
        minutes = [course.bar(60, begin + minute * 60) for minute in range(60)]
        assert whole(minutes)[:4] == course.bar(HOUR, begin)[:4]  # type: ignore[index]
    for begin in range(START // 60 * 60 - 120, now - 60, 60):
        seconds = [course.bar(1, begin + second) for second in range(60)]
        assert whole(seconds)[:4] == course.bar(60, begin)[:4]  # type: ignore[index]
    assert course.bar(1, now) is None
    assert course.bar(HOUR, START - 3000 * DAY) is None


# ---- files --------------------------------------------------------------------------------------


def candles(file: Path, first_s: int, span_s: int, prices: Sequence[float]) -> Path:
    rows = [f"{(first_s + at * span_s) * 1000},{p},{p + 2},{p - 2},{p + 1},10" for at, p in enumerate(prices)]
    file.write_text("\n".join(["timestamp_ms,open,high,low,close,volume", *rows]) + "\n")
    return file


def test_a_file_that_reaches_into_the_future_stays_where_it_is(tmp_path: Path) -> None:
    now = 1_790_000_000 // 60 * 60
    file = candles(tmp_path / "BTC-USDT-SWAP.csv", now - 600, 60, [100.0 + at for at in range(20)])
    [tape] = read([file], now).values()
    assert tape.moved_s == 0
    course = Course(1.0, now, Random(1), Random, tape.rows, tape.span)
    first = now - 600
    assert course.bar(60, first) == Bar(100, 102, 98, 101, 10)
    assert course.bar(60, first + 9 * 60) == Bar(109, 111, 107, 110, 10)
    for _ in range(620):
        course.close(course.draw((0.0, 0.0, 0.0, 0.0)))
    for at in range(10, 20):
        played = course.bar(60, first + at * 60)
        assert played is not None
        assert played[:4] == (100 + at, 102 + at, 98 + at, 101 + at), "the future came as the file has it"
    assert course.price == pytest.approx(120, rel=0.05), "past its end the price goes on"


def test_an_old_file_is_moved_by_whole_days_and_a_short_one_by_whole_candles(tmp_path: Path) -> None:
    now = 1_790_000_000
    old = candles(tmp_path / "ETH-USDT.csv", 1_500_000_000, HOUR, [50.0] * 240)
    short = candles(tmp_path / "FOO-USDT.csv", 1_500_000_000, 60, [12.5] * 60)
    tapes = read([old, short], now)
    eth, foo = tapes["ETH-USDT"], tapes["FOO-USDT"]
    assert eth.moved_s % DAY == 0
    assert eth.rows[0][0] < now - 4 * DAY < now + 4 * DAY < eth.rows[-1][0]
    assert foo.moved_s % 60 == 0
    assert foo.rows[0][0] < now - 28 * 60 < now + 28 * 60 < foo.rows[-1][0]
    assert plain(foo.listing.inst.tick) == "0.1"
    assert foo.listing.code not in {each.code for each in usual_listings()}


def test_a_gap_in_a_file_is_a_gap(tmp_path: Path) -> None:
    now = 1_790_000_000 // HOUR * HOUR
    file = candles(tmp_path / "BTC-USDT.csv", now - 1200, 60, [100.0] * 30)
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:5] + lines[8:]) + "\n")
    [tape] = read([file], now).values()
    course = Course(1.0, now, Random(1), Random, tape.rows, tape.span)
    there = [course.bar(60, now - 1200 + minute * 60) is not None for minute in range(20)]
    assert there == [True] * 4 + [False] * 3 + [True] * 13


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("BTC-USDT.csv", "a,b\n", "BTC-USDT.csv"),
        ("prices.csv", None, "named by its instrument"),
        ("BTC-USDT.csv", "timestamp_ms,open,high,low,close,volume\n1000,1,1,1,1,1\n91000,1,1,1,1,1\n", "90 s apart"),
    ],
)
def test_a_file_that_cannot_be_played_is_one_clear_line(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    file = tmp_path / name
    if text is None:
        candles(file, 1_500_000_000, 60, [10.0] * 3)
    else:
        file.write_text(text)
    with pytest.raises(TapeError, match=said):
        read([file], int(time.time()))
    with pytest.raises(OpeningError):
        venue(Opening(candles=(file,)))


def test_one_pair_is_played_from_one_file(tmp_path: Path) -> None:
    files = [candles(tmp_path / f"BTC-USDT{end}.csv", 1_500_000_000, 60, [10.0] * 3) for end in ("", "-SWAP")]
    with pytest.raises(TapeError, match="another file"):
        read(files, int(time.time()))


# ---- books and limits ---------------------------------------------------------------------------


@given(st.sampled_from(usual_listings()), st.floats(0.5, 1.5), st.integers(0, 50))
@settings(deadline=None, max_examples=40)
def test_a_book_has_two_sides_that_never_meet(listing: Listing, by: float, looks: int) -> None:
    board = Board(listing, listing.usual, Random(1))
    for look in range(looks + 1):
        board.see(listing.usual * by, look)
    asks, bids = board.ladder("asks"), board.ladder("bids")
    assert bids[0][0] < asks[0][0]
    assert abs(asks[0][0] * float(listing.inst.tick) / (listing.usual * by) - 1) < 0.002
    assert [ticks for ticks, _ in asks] == sorted({ticks for ticks, _ in asks})
    for side, ladder in (("buy", asks), ("sell", bids)):
        ticks, lots = ladder[0]
        board.take(side, ticks * listing.inst.tick, lots * listing.inst.lot)
        assert board.ladder("asks" if side == "buy" else "bids")[0] == ladder[1], "what was taken whole is gone"


def test_prices_and_sizes_are_written_without_exponent_or_idle_zeros() -> None:
    assert [plain(Decimal(text)) for text in ("1E-8", "100", "1.500", "-0", "0.0", "1E+3")] == [
        "0.00000001", "100", "1.5", "0", "0", "1000",
    ]  # fmt: skip


def test_a_limit_is_a_sliding_window_and_a_batch_counts_its_orders() -> None:
    limits = Limits()
    three = Limit(3, 2.0)
    assert [limits.admit(("a",), three, at) for at in (0, 500, 1000, 1500, 2000, 2100)] == [True] * 3 + [
        False,
        True,
        False,
    ]
    assert limits.admit(("b",), three, 0, weight=3)
    assert not limits.admit(("b",), three, 1999)
    assert limits.admit(("b",), three, 2000)
    assert not Limits().admit(("c",), three, 0, weight=4)


# ---- opening ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "accounts"),
        ("accounts = []", "no"),
        ('[[accounts]]\nname = "a"\nkey = "k"\nsecret = "s"', "passphrase"),
        ('[[accounts]]\nname = "a"\nkey = "k"\nsecret = "s"\npassphrase = "p"\nlevel = "3"', "level"),
        ('[[accounts]]\nname = "a"\nkey = "k"\nsecret = "s"\npassphrase = "p"\n' * 2, "same name"),
        ('[[accounts]]\nname = "a"\nkey = "k"\nsecret = "s"\npassphrase = "p"\ncash = { BTC = "-1" }', "cash of BTC"),
    ],
)
def test_an_accounts_file_that_is_wrong_is_one_clear_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(text)
    with pytest.raises(OpeningError, match=said) as error:
        owners(Opening(accounts=file))
    assert "\n" not in str(error.value)


def test_funding_is_a_second_apart_at_least() -> None:
    with pytest.raises(OpeningError, match="a second at least"):
        venue(Opening(funding_s=0))


def test_a_certificate_needs_its_key_and_a_port_must_be_free(tmp_path: Path) -> None:
    with pytest.raises(OpeningError, match="go together"):
        tls(Opening(tls_cert=tmp_path / "c.pem"))
    with pytest.raises(OpeningError, match=r"c\.pem"):
        tls(Opening(tls_cert=tmp_path / "c.pem", tls_key=tmp_path / "k.pem"))
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OpeningError, match="cannot listen"):
            serve(Opening(port=taken.getsockname()[1]), lambda _: None)
