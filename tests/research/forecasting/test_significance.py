"""Tests of difference against scipy, statsmodels, and what they promise: no more winners by chance than 5 %."""

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests

from kokex.research.forecasting.significance import diebold_mariano, holm, long_run_variance, two_sided


def correlated(rng: np.random.Generator, count: int, overlap: int) -> np.ndarray:
    """Like losses of forecasts that share their horizons: a moving average."""
    shocks = rng.normal(size=count + overlap)
    return np.convolve(shocks, np.ones(overlap + 1), "valid")


@pytest.mark.parametrize("lags", [0, 3, 10])
def test_the_long_run_variance_is_statsmodels(lags: int) -> None:
    series = correlated(np.random.default_rng(1), 300, 4)
    fit = sm.OLS(series, np.ones(300)).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False})
    assert long_run_variance(series, lags) / 300 == pytest.approx(float(fit.bse[0]) ** 2)


@pytest.mark.parametrize(("t", "freedom"), [(0.0, 5), (1.0, 1), (-2.3, 12), (1.96, 1_000), (8.0, 30)])
def test_student_s_t_is_scipy_s(t: float, freedom: int) -> None:
    assert two_sided(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), rel=1e-4, abs=1e-12)


def test_holm_is_statsmodels() -> None:
    p = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.5}
    judged: Any = multipletests(list(p.values()), method="holm")[1]
    assert list(holm(p).values()) == pytest.approx(list(judged))


@pytest.mark.parametrize("overlap", [0, 3])
def test_equal_models_are_rarely_called_different(overlap: int) -> None:
    rng = np.random.default_rng(5)
    rejected = np.mean([diebold_mariano(correlated(rng, 240, overlap), overlap) < 0.05 for _ in range(400)])
    assert 0.02 <= rejected <= 0.10


def test_a_true_difference_is_found() -> None:
    rng = np.random.default_rng(6)
    assert diebold_mariano(rng.normal(0.5, 1, 200), 0) < 1e-6


def test_too_few_losses_or_none_at_all_prove_nothing() -> None:
    assert diebold_mariano(np.array([]), 0) == 1.0
    assert diebold_mariano(np.array([1.0, 2.0, 1.5]), 2) == 1.0
    assert diebold_mariano(np.zeros(100), 0) == 1.0
