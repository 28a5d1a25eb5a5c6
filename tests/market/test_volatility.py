import math
import random
from itertools import accumulate, pairwise

import pytest

from kokex.market.volatility import baseline, ewma, freedom_of, walks
from kokex.messages import ForecastStep


def closes(sigma: float, seed: int = 1, n: int = 500) -> list[float]:
    chance, price, prices = random.Random(seed), 100.0, list[float]()
    for _ in range(n):
        price *= math.exp(chance.gauss(0, sigma))
        prices.append(price)
    return prices


def test_quantiles_are_in_order_and_spread_with_the_root_of_time() -> None:
    got = baseline(closes(0.001), 16, 2_000, random.Random(1))
    assert len(got.steps) == 16
    for step in got.steps:
        assert step.q05 < step.q25 < step.q50 < step.q75 < step.q95
    width = [math.log(step.q95 / step.q05) for step in got.steps]
    assert width[15] / width[0] == pytest.approx(4, rel=0.15)
    assert width[0] == pytest.approx(2 * 1.645 * got.volatility, rel=0.15)
    assert got.p_up == pytest.approx(0.5, abs=0.05)
    assert got.range_low < closes(0.001)[-1] < got.range_high


def test_no_drift_is_claimed_however_prices_rose() -> None:
    rising = [100 * math.exp(0.01 * i + 0.001 * (i % 3)) for i in range(200)]
    got = baseline(rising, 10, 2_000, random.Random(1))
    assert got.steps[-1].q50 == pytest.approx(rising[-1], rel=0.01)


def test_there_is_no_opinion_on_the_direction() -> None:
    got = baseline(closes(0.001), 12, 200, random.Random(3))
    assert got.p_up == 0.5
    assert got.steps[-1].q50 == pytest.approx(closes(0.001)[-1], rel=1e-9)


def student(freedom: float, count: int, seed: int) -> list[float]:
    """By its definition: a normal over the root of a mean of squares of others."""
    chance = random.Random(seed)
    return [chance.gauss(0, 1) / math.sqrt(chance.gammavariate(freedom / 2, 2) / freedom) for _ in range(count)]


@pytest.mark.parametrize("freedom", [3.0, 5.0, math.inf])
def test_the_tails_of_the_past_are_those_of_what_may_come(freedom: float) -> None:
    chance = random.Random(4)
    drawn = [chance.gauss(0, 1) for _ in range(20_000)] if math.isinf(freedom) else student(freedom, 20_000, 4)
    found = freedom_of(drawn)
    assert found >= 30 if math.isinf(freedom) else found == pytest.approx(freedom, abs=0.6)
    prices = [100 * math.exp(0.001 * each) for each in accumulate(drawn[:3_000])]
    paths, now = walks(prices, 1, 20_000, random.Random(5))
    steps = sorted(abs(path[0]) / now for path in paths)
    wanted = freedom if math.isinf(freedom) else freedom_of([path[0] for path in paths])
    unit = 1.0 if math.isinf(freedom) else math.sqrt((wanted - 2) / wanted)
    expected = sorted(abs(each) * unit for each in (drawn if math.isinf(freedom) else student(wanted, 20_000, 6)))
    for share in (0.5, 0.9, 0.99):
        assert steps[int(share * 20_000)] == pytest.approx(expected[int(share * 20_000)], rel=0.08)


def test_the_forecast_is_at_the_volatility_of_now() -> None:
    calm_then_wild = closes(0.0005, n=300) + closes(0.01, seed=2, n=100)
    assert baseline(calm_then_wild, 1, 10, random.Random(1)).volatility == pytest.approx(0.01, rel=0.5)


def test_the_same_chance_gives_the_same_forecast() -> None:
    a, b = (baseline(closes(0.001), 24, 200, random.Random(7)) for _ in range(2))
    assert a == b


def test_a_flat_market_stays_where_it_is() -> None:
    got = baseline([100.0] * 50, 3, 20, random.Random(1))
    assert got.steps == (ForecastStep(100.0, 100.0, 100.0, 100.0, 100.0),) * 3
    assert (got.p_up, got.volatility, got.range_low, got.range_high) == (0.5, 0.0, 100.0, 100.0)


def test_ewma_is_the_plain_recursion() -> None:
    returns = [math.log(b / a) for a, b in pairwise(closes(0.001, n=40))]
    path = ewma(returns, decay=0.9)
    assert len(path) == len(returns) + 1
    assert path[-1] ** 2 == pytest.approx(0.9 * path[-2] ** 2 + 0.1 * returns[-1] ** 2)
    with pytest.raises(ValueError, match="no returns"):
        ewma([])


def test_too_little_to_forecast_from_is_said() -> None:
    with pytest.raises(ValueError, match="from 2 closes"):
        baseline([1.0, 2.0], 3, 10, random.Random(1))
