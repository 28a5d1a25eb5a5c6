"""Scores against closed forms and independent implementations."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from kokex.research.forecasting.scores import crps, inside, pinball, wilson


def normal_crps(sigma: float, y: float) -> float:
    """Of N(0, sigma^2), in closed form (Gneiting and Raftery 2007, equation 21)."""
    z, unit = y / sigma, NormalDist()
    return sigma * (z * (2 * unit.cdf(z) - 1) + 2 * unit.pdf(z) - 1 / math.sqrt(math.pi))


@pytest.mark.parametrize(("sigma", "y"), [(1.0, 0.0), (1.0, 2.5), (0.3, -1.0)])
def test_the_crps_of_normal_samples_is_the_closed_form(sigma: float, y: float) -> None:
    samples = np.random.default_rng(1).normal(0, sigma, (200_000, 1))
    assert crps(samples, np.array([y]))[0] == pytest.approx(normal_crps(sigma, y), abs=0.01 * sigma)


def test_the_crps_does_not_depend_on_how_many_samples_there_are() -> None:
    rng = np.random.default_rng(2)
    y = rng.normal(size=20_000)
    few, many = (crps(rng.normal(size=(m, len(y))), y).mean() for m in (5, 100))
    assert few == pytest.approx(many, rel=0.02)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=12), st.floats(-5, 5))
def test_the_crps_is_the_mean_distance_less_half_that_among_samples(drawn: list[float], y: float) -> None:
    m = len(drawn)
    among = sum(abs(a - b) for a in drawn for b in drawn) / (2 * m * (m - 1))
    naive = sum(abs(x - y) for x in drawn) / m - among
    assert crps(np.array(drawn), np.array(y)) == pytest.approx(naive, abs=1e-9)


def test_pinball_loss_over_many_quantiles_is_half_the_crps() -> None:
    samples = np.random.default_rng(3).normal(size=(4_000, 1))
    levels = tuple((i + 0.5) / 500 for i in range(500))
    y = np.array([0.7])
    assert 2 * pinball(samples, y, levels)[0] == pytest.approx(crps(samples, y)[0], rel=0.01)


def test_a_band_holds_as_often_as_it_claims_when_the_model_is_true() -> None:
    rng = np.random.default_rng(4)
    y = rng.normal(size=5_000)
    for band in (0.5, 0.8, 0.95):
        assert inside(rng.normal(size=(400, len(y))), y, band).mean() == pytest.approx(band, abs=0.02)


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (7, 10), (530, 1_000), (3, 3)])
def test_wilson_agrees_with_statsmodels(hits: int, trials: int) -> None:
    assert wilson(hits, trials) == pytest.approx(proportion_confint(hits, trials, method="wilson"), abs=1e-9)


def test_without_a_trial_anything_may_be() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
