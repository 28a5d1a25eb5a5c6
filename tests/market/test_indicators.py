import math
import random
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokex.market.indicators import (
    ATR,
    EMA,
    MACD,
    RSI,
    SMA,
    Bollinger,
    BookImbalance,
    CrossingAverages,
    RateOfChange,
    RealisedVolatility,
    VolumeZScore,
)
from kokex.market.indicators.exact import DecimalScale
from kokex.messages import Book, Level

# Prices as venues write them, artefacts with 17 digits, and scales that have nothing to do with each other.
written = st.decimals(min_value=0, max_value=10**6, places=8, allow_nan=False).map(float)
any_price = st.floats(min_value=0, max_value=1e15, allow_subnormal=False)
prices = st.one_of(
    st.lists(written, min_size=1, max_size=60),
    st.lists(any_price, min_size=1, max_size=60),
    st.lists(st.one_of(written, any_price, st.sampled_from([5e-324, 1e-300, 1e22, 1e300, 0.1 + 0.2])), max_size=60),
)


def decimal(x: float) -> Fraction:
    return Fraction(Decimal(repr(x)))


@given(prices, st.integers(1, 12))
def test_an_average_is_the_decimal_average_rounded_once(values: list[float], length: int) -> None:
    sma = SMA(length)
    for i, value in enumerate(values):
        window = values[max(0, i + 1 - length) : i + 1]
        want = sum(map(decimal, window), Fraction(0)) / length if len(window) == length else None
        got = sma.update(value)
        assert got == (None if want is None else want.numerator / want.denominator)


@given(prices, st.integers(1, 6), st.integers(1, 6))
def test_crossing_averages_compare_as_the_decimal_averages_do(values: list[float], fast: int, more: int) -> None:
    averages = CrossingAverages(fast, fast + more)
    for i, value in enumerate(values):
        window = [decimal(x) for x in values[max(0, i + 1 - fast - more) : i + 1]]
        spread = averages.update(value)
        if len(window) < fast + more:
            assert spread is None
            continue
        want = sum(window[-fast:]) / fast - sum(window) / len(window)
        assert spread is not None
        assert (spread > 0) - (spread < 0) == (want > 0) - (want < 0)


@given(st.integers(2**51, 2**53), st.integers(0, 22))
def test_a_float_between_two_decimals_is_read_as_repr_writes_it(whole: int, places: int) -> None:
    scale, value = DecimalScale(), whole / 10**places
    for _ in range(2):  # the slow way, then, where it may, the quick one
        assert Fraction(scale.whole(value), scale.unit) == decimal(value)


def test_equal_averages_are_identical_floats_wherever_they_came_from() -> None:
    chance = random.Random(3)
    window = [0.1, 0.2, 0.7, 0.4]
    plain, travelled = SMA(4), SMA(4)
    for _ in range(1_000):
        travelled.update(chance.choice([1e9, 1e-9, 5.2900000000000005e-05, 60_000.1]) * chance.random())
    assert [plain.update(x) for x in window][-1] == [travelled.update(x) for x in reversed(window)][-1] == 0.35


@pytest.mark.parametrize("length", [2, 20])
def test_a_flat_window_has_no_deviation_even_after_a_huge_move(length: int) -> None:
    bands, volatility, score = Bollinger(length), RealisedVolatility(length), VolumeZScore(length)
    wild = [60_000.1, 1e-7, 987_654_321.987, 0.1, 1e12, 5.2900000000000005e-05]
    last = None
    for x in wild * 5 + [0.3] * (length + 1):
        last = (bands.update(x), volatility.update(x), score.update(x))
    assert last == (0.3, 0.0, 0.0)
    assert bands.deviation == 0.0
    assert bands.upper == bands.middle == bands.lower == 0.3


def test_a_deviation_far_below_the_price_is_not_lost() -> None:
    bands = Bollinger(4)
    for x in [1_000_000_000.01, 1_000_000_000.02] * 2:
        bands.update(x)
    assert bands.deviation == pytest.approx(0.005, rel=1e-12)


def test_a_score_stays_within_its_bound() -> None:
    score = VolumeZScore(20)
    values = [score.update(x) for x in [1.0] * 19 + [1e9]]
    assert values[-1] == pytest.approx(math.sqrt(19))


def test_nothing_is_told_before_the_warm_up() -> None:
    for make in (SMA, EMA, RSI, RateOfChange, Bollinger, RealisedVolatility, VolumeZScore):
        indicator = make(5)
        values = [indicator.update(1.0 + i) for i in range(indicator.warmup)]
        assert values[:-1] == [None] * (indicator.warmup - 1), make
        assert values[-1] is not None, make


@pytest.mark.parametrize("x", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(x: float) -> None:
    with pytest.raises(ValueError, match="no price"):
        SMA(2).update(x)
    with pytest.raises(ValueError, match="no price"):
        CrossingAverages(1, 2).update(x)


def test_lengths_that_mean_nothing_are_refused() -> None:
    for make in (SMA, EMA, RateOfChange, RealisedVolatility, Bollinger, BookImbalance, ATR, RSI, VolumeZScore):
        with pytest.raises(ValueError, match="at least"):
            make(0)
    for pair in (CrossingAverages, MACD):
        with pytest.raises(ValueError, match="at least"):
            pair(5, 5)


def test_the_book_leans_to_the_larger_side_of_its_best_levels() -> None:
    book = Book(instrument="X", bids=(Level("9", "3"), Level("8", "100")), asks=(Level("10", "1"),))
    assert BookImbalance(1).update(book) == 0.5
    assert BookImbalance(2).update(book) == pytest.approx(102 / 104)
    assert BookImbalance(2).update(Book(instrument="X", bids=(), asks=())) is None
