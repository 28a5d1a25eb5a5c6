"""What paths say together; none of it needs torch."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokex.kronos.distribution import distribution, p_touch

PRICES = st.floats(1, 1000)


@st.composite
def candles(draw: st.DrawFn) -> list[float]:
    low, a, b, high = sorted(draw(st.tuples(PRICES, PRICES, PRICES, PRICES)))
    return [a, high, low, b, 0.0, 0.0]


def paths() -> st.SearchStrategy[list[list[list[float]]]]:
    return st.integers(1, 5).flatmap(
        lambda steps: st.lists(st.lists(candles(), min_size=steps, max_size=steps), min_size=1, max_size=8)
    )


@given(paths(), st.lists(PRICES, min_size=1, max_size=12))
def test_quantiles_rise_and_chances_are_chances(made: list[list[list[float]]], closes: list[float]) -> None:
    said = distribution(made, closes)
    assert len(said.quantiles) == len(made[0])
    for step, quantiles in enumerate(said.quantiles):
        ends = [path[step][3] for path in made]
        assert list(quantiles) == pytest.approx(sorted(quantiles))
        assert min(ends) - 1e-9 <= quantiles[0] <= quantiles[-1] <= max(ends) + 1e-9
    assert 0 <= said.p_up <= 1
    assert 0 <= said.p_volatility_up <= 1
    assert said.range_low <= closes[-1] <= said.range_high


@given(paths(), PRICES, st.floats(1, 2))
def test_a_farther_level_is_touched_no_more_often(made: list[list[list[float]]], price: float, further: float) -> None:
    for level, beyond in ((price * 1.1, price * 1.1 * further), (price * 0.9, price * 0.9 / further)):
        assert p_touch(made, price, beyond) <= p_touch(made, price, level) <= 1


def test_the_numbers_of_two_paths() -> None:
    up, down = [100, 112, 99, 110, 1, 1], [100, 101, 80, 90, 1, 1]
    said = distribution([[up], [down]], [100, 100, 100])
    assert said.quantiles == [pytest.approx((91, 95, 100, 105, 109))]
    assert (said.p_up, said.p_volatility_up) == (0.5, 1)
    assert said.volatility == pytest.approx(math.sqrt((math.log(1.1) ** 2 + math.log(0.9) ** 2) / 2))
    assert (said.range_low, said.range_high) == (89.5, 106.5)
    assert p_touch([[up], [down]], 100, 111) == p_touch([[up], [down]], 100, 85) == 0.5
    assert p_touch([[up], [down]], 100, 100) == 1


def test_what_does_not_move_is_neither_up_nor_more_volatile() -> None:
    said = distribution([[[5, 5, 5, 5]]], [5, 5, 5])
    assert (said.p_up, said.p_volatility_up, said.volatility) == (0.5, 0.5, 0)


@pytest.mark.parametrize(("made", "closes"), [([], [1.0]), ([[]], [1.0]), ([[[1, 1, 1, 1]]], [])])
def test_nothing_says_nothing(made: list[list[list[float]]], closes: list[float]) -> None:
    with pytest.raises(ValueError, match="a path, a step and a past"):
        distribution(made, closes)
