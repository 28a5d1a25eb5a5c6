import csv
import gzip
import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokex.market.candles import Gap, Place, Resampler, Sequence, check, fill, flaw
from kokex.market.timeframes import MINUTE, SPANS, UnknownTimeframe, name_of, parse
from kokex.messages import Candle

SHARED = Path(__file__).parents[3] / "shared" / "data" / "candles"


def candle(open_ns: int, price: float = 1.0, volume: float = 1.0) -> Candle:
    return Candle("X", open_ns, price, price, price, price, volume)


def minutes(*numbers: int) -> list[Candle]:
    return [candle(number * MINUTE) for number in numbers]


def test_timeframes_are_named_both_ways() -> None:
    assert parse("5m") == 300_000_000_000
    assert [name_of(span) for span in SPANS.values()] == list(SPANS)
    with pytest.raises(UnknownTimeframe, match="unknown timeframe '2m': known are 1s, 5s, 1m"):
        parse("2m")
    with pytest.raises(UnknownTimeframe, match="no timeframe spans 7 ns"):
        name_of(7)


def test_a_stream_is_watched_for_repetition_order_and_gaps() -> None:
    sequence = Sequence(MINUTE)
    opens = [7, 8, 8, 7, 11, 9, 12]
    kinds = [sequence.place(number * MINUTE) for number in opens]
    assert [place.kind for place in kinds] == [
        "new", "new", "duplicate", "out_of_order", "gap", "out_of_order", "new",
    ]  # fmt: skip
    assert kinds[4] == Place("gap", 2, 9 * MINUTE, 10 * MINUTE)
    assert sequence.place(13 * MINUTE + 1).kind == "out_of_order", "between two lines of the grid"


@given(st.sets(st.integers(0, 60), min_size=1), st.sampled_from([1, 3, 5]), st.randoms(use_true_random=False))
def test_larger_candles_are_those_a_plain_loop_makes(numbers: set[int], per: int, chance: random.Random) -> None:
    base = [
        Candle("X", n * MINUTE, chance.random(), 2 + chance.random(), -chance.random(), chance.random(), 1.0)
        for n in sorted(numbers)
    ]
    resampler = Resampler(per * MINUTE, MINUTE)
    got: list[Candle] = []
    for row in base:
        for larger in resampler.push(row):
            assert row.open_ns + MINUTE >= larger.open_ns + per * MINUTE, "emitted before it was over"
            got.append(larger)
    buckets: dict[int, list[Candle]] = {}
    for row in base:
        buckets.setdefault(row.open_ns // MINUTE // per, []).append(row)
    want = [
        Candle(
            "X",
            bucket * per * MINUTE,
            rows[0].open,
            max(row.high for row in rows),
            min(row.low for row in rows),
            rows[-1].close,
            float(len(rows)),
        )
        for bucket, rows in buckets.items()
    ]
    last_is_over = (base[-1].open_ns // MINUTE + 1) % per == 0
    assert got == (want if last_is_over else want[:-1])


def test_a_candle_after_a_gap_may_close_two() -> None:
    resampler = Resampler(2 * MINUTE, MINUTE)
    pushed = [resampler.push(row) for row in minutes(0, 3)]
    assert [[larger.open_ns for larger in larger_ones] for larger_ones in pushed] == [[], [0, 2 * MINUTE]]


def test_a_resampler_refuses_what_it_cannot_add_up() -> None:
    with pytest.raises(ValueError, match="do not add up"):
        Resampler(5 * MINUTE, 2 * MINUTE)
    resampler = Resampler(5 * MINUTE, MINUTE)
    resampler.push(candle(MINUTE))
    with pytest.raises(ValueError, match="came after"):
        resampler.push(candle(MINUTE))


def test_a_check_lists_exactly_what_is_wrong() -> None:
    rows = [*minutes(0, 1, 1, 5, 4, 6), Candle("X", 7 * MINUTE, 1, 1, 2, 1, 1), Candle("X", 9 * MINUTE, 1, 1, 1, 1, -1)]
    report = check(rows, MINUTE)
    assert report.rows == 8
    assert report.gaps == (Gap(2 * MINUTE, 2), Gap(8 * MINUTE, 1))
    assert report.missing == 3
    assert report.duplicates == (MINUTE,)
    assert report.out_of_order == (4 * MINUTE,)
    assert [tuple(flaw) for flaw in report.impossible] == [
        (7 * MINUTE, "high below low"),
        (9 * MINUTE, "negative volume"),
    ]
    assert not report.clean
    assert check(minutes(3, 4, 5), MINUTE).clean
    assert check([], MINUTE).clean


def test_impossible_candles_are_named() -> None:
    assert flaw(Candle("X", 0, 1, 2, 1, math.nan, 1)) == "not a finite number"
    assert flaw(Candle("X", 0, 1, 2, 1, 1, math.inf)) == "not a finite number"
    assert flaw(Candle("X", 0, 1, 2, -1, 1, 1)) == "price not above zero"
    assert flaw(Candle("X", 0, 1, 2, 1, 3, 1)) == "open or close outside low to high"
    assert flaw(Candle("X", 0, 1, 2, 1, 2, 0)) == ""


def test_gaps_are_filled_at_the_previous_close_without_volume() -> None:
    rows = [candle(0, 5.0), candle(3 * MINUTE, 7.0)]
    whole = fill(rows, MINUTE)
    assert whole == [rows[0], candle(MINUTE, 5.0, 0.0), candle(2 * MINUTE, 5.0, 0.0), rows[1]]
    assert check(whole, MINUTE).clean
    with pytest.raises(ValueError, match="out of order"):
        fill(minutes(2, 1), MINUTE)


@pytest.mark.skipif(not SHARED.is_dir(), reason="shared candles are absent")
@pytest.mark.parametrize(
    ("stem", "span_ns", "rows"),
    [("ADA-BTC-5m", 5 * MINUTE, 5720), ("TRX-BTC-5m", 5 * MINUTE, 5754), ("X-BTC-1m", MINUTE, 13681)],
)
def test_gaps_of_real_candles_are_found_and_filled(stem: str, span_ns: int, rows: int) -> None:
    candles = read(SHARED / f"{stem}.csv.gz")
    report = check(candles, span_ns)
    assert report.rows == rows
    assert report.gaps
    assert (report.duplicates, report.out_of_order, report.impossible) == ((), (), ())
    opens = {row.open_ns for row in candles}
    expected = set(range(candles[0].open_ns, candles[-1].open_ns + 1, span_ns)) - opens
    assert {gap.first_ns + step * span_ns for gap in report.gaps for step in range(gap.missing)} == expected
    assert all(gap.first_ns - span_ns in opens for gap in report.gaps), "neighbouring gaps are one"
    sequence = Sequence(span_ns)
    streamed = [place for place in (sequence.place(row.open_ns) for row in candles) if place.kind != "new"]
    assert [Gap(place.first_missing_ns, place.missing) for place in streamed] == list(report.gaps)
    whole = fill(candles, span_ns)
    assert len(whole) == rows + report.missing
    assert check(whole, span_ns).clean


def read(path: Path) -> list[Candle]:
    with gzip.open(path, "rt", newline="") as file:
        return [
            Candle(path.name.split(".")[0], int(row["timestamp_ms"]) * 1_000_000, *(float(row[key]) for key in keys))
            for row in csv.DictReader(file)
        ]


keys = ("open", "high", "low", "close", "volume")
