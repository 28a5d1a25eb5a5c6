"""The statistical models: true to what they claim, and reproducible."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from kokex.market.volatility import ewma
from kokex.research.forecasting.models import Baseline, Bootstrap, Forecaster, Garch, Historical, Past

MODELS = (Bootstrap(), Baseline(), Historical(), Garch())
AHEAD = list(range(300, 312))


def past_of(returns: Sequence[float] | np.ndarray) -> Past:
    closes = [100.0, *(100.0 * np.exp(np.cumsum(returns))).tolist()]
    return Past(list(range(len(closes))), closes, closes, closes, closes, [1.0] * len(closes))


def walk(seed: int, count: int = 299, sigma: float = 0.002) -> Past:
    return past_of(sigma * np.random.default_rng(seed).standard_t(5, count))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_the_same_seed_draws_the_same_paths(model: Forecaster) -> None:
    past = walk(1)
    one, again, other = (model.paths(past, AHEAD, 50, seed) for seed in (7, 7, 8))
    assert one.shape == (50, 12)
    assert np.isfinite(one).all()
    assert (one == again).all()
    assert (one != other).any()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_price_that_stands_still_is_forecast_to_stand_still(model: Forecaster) -> None:
    assert not model.paths(past_of([0.0] * 100), AHEAD, 20, 1).any()


@pytest.mark.parametrize("model", MODELS[1:], ids=lambda model: model.name)
def test_a_symmetric_model_has_no_opinion_on_the_direction(model: Forecaster) -> None:
    paths = model.paths(walk(2), AHEAD, 100, 3)
    assert (paths[:, -1] > 0).mean() == 0.5


def test_a_random_walk_spreads_with_the_root_of_time() -> None:
    past = walk(3)
    now = ewma(np.diff(np.log(past.close)).tolist())[-1]
    for model in (Baseline(), Bootstrap()):
        spread = model.paths(past, AHEAD, 20_000, 1).std(axis=0)
        assert spread[11] == pytest.approx(spread[0] * math.sqrt(12), rel=0.05)
    assert Baseline().paths(past, AHEAD, 20_000, 1).std(axis=0)[0] == pytest.approx(now, rel=0.05)


def test_garch_spreads_as_its_library_says_in_closed_form() -> None:
    from arch import arch_model

    rng, variance, returns = np.random.default_rng(5), 1e-6, []
    for _ in range(1_500):
        returns.append(math.sqrt(variance) * rng.normal())
        variance = 1e-7 + 0.1 * returns[-1] ** 2 + 0.8 * variance
    past = past_of(returns)
    fitted = arch_model(
        100 * np.diff(np.log(past.close)), mean="Zero", vol="GARCH", p=1, q=1, dist="t", rescale=True
    ).fit(disp="off", show_warning=False)
    analytic = fitted.forecast(horizon=12, reindex=False).variance.to_numpy()[0] / (100 * fitted.model.scale) ** 2
    steps = np.diff(Garch().paths(past, AHEAD, 40_000, 1), axis=1, prepend=0)
    assert steps.var(axis=0) == pytest.approx(analytic, rel=0.08)
