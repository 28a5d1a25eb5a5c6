"""Scores of one probabilistic forecast, from its sample paths.

All of them are proper or say what they are: a forecaster cannot gain by telling something else than it believes.
Shapes: `samples` (m, ...), `observed` (...); each score has the shape of `observed`.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BANDS = (0.5, 0.8, 0.95)  # central intervals
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)  # of the pinball loss
Z_95 = 1.959963984540054


def crps(samples: Floats, observed: Floats) -> Floats:
    """Continuous ranked probability score: mean |x - y| - half the mean |x - x'| (Gneiting and Raftery 2007).

    The fair estimate (Ferro 2014) does not depend on how many samples there are, so that models with different
    numbers of paths can be compared. Raises ValueError for fewer than two samples.
    """
    count = samples.shape[0]
    if count < 2:
        raise ValueError("a CRPS needs at least two samples")
    error = np.abs(samples - observed).mean(axis=0)
    ranked = np.sort(samples, axis=0)
    weights = np.arange(1.0 - count, count, 2.0)
    return error - np.tensordot(weights, ranked, axes=1) / (count * (count - 1))


def pinball(samples: Floats, observed: Floats, quantiles: tuple[float, ...] = QUANTILES) -> Floats:
    """Mean pinball (quantile) loss over `quantiles` (Koenker and Bassett 1978)."""
    losses = np.zeros_like(observed)
    for q in quantiles:
        over = observed - np.quantile(samples, q, axis=0)
        losses += np.maximum(q * over, (q - 1) * over)
    return losses / len(quantiles)


def inside(samples: Floats, observed: Floats, band: float) -> NDArray[np.bool_]:
    """Whether the central interval that claims the probability `band` holds what came."""
    low, high = np.quantile(samples, ((1 - band) / 2, (1 + band) / 2), axis=0)
    return (low <= observed) & (observed <= high)


class Interval(NamedTuple):
    low: float
    high: float


def wilson(hits: float, trials: float) -> Interval:
    """95 % interval of a proportion (Wilson 1927). Without a trial, all of [0, 1]."""
    if trials <= 0:
        return Interval(0.0, 1.0)
    share, z2 = hits / trials, Z_95 * Z_95
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    reach = Z_95 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    return Interval(max(0.0, middle - reach), min(1.0, middle + reach))
