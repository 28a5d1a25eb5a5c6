"""Whether one model's loss is truly below another's: Diebold and Mariano (1995), with corrections.

Losses of forecasts that overlap in time are correlated, so the variance of their mean is the long-run one (Newey
and West 1987). Small samples get the correction of Harvey, Leybourne and Newbold (1997) and Student's t. Who tests
many models at once finds a winner by chance: Holm (1979) takes that back.
"""

import math
from collections.abc import Mapping

import numpy as np

from kokex.research.forecasting.scores import Floats

_GRID = 20_001  # of the integral of Student's density


def long_run_variance(series: Floats, lags: int) -> float:
    """Of the mean, times its length: autocovariances up to `lags`, with Bartlett's weights. Never negative."""
    count = len(series)
    centred = series - series.mean()
    total = float(centred @ centred)
    for lag in range(1, min(lags, count - 1) + 1):
        total += 2 * (1 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag])
    return total / count


def usual_lags(count: int) -> int:
    """How far autocorrelation is looked for: 4 (n / 100)^(2/9), the rule of Newey and West (1994)."""
    return int(4 * (count / 100) ** (2 / 9))


def diebold_mariano(differences: Floats, overlap: int) -> float:
    """Two-sided p-value of "the mean of these loss differences is zero".

    `overlap`: how many neighbours a forecast shares its horizon with, itself excluded. 1.0 where nothing differs, or
    where there are too few to tell.
    """
    count, mean = len(differences), float(differences.mean()) if len(differences) else 0.0
    lags = max(overlap, usual_lags(count))
    if count <= 2 * (lags + 1) or mean == 0:
        return 1.0
    variance = long_run_variance(differences, lags)
    if variance <= 0:
        return 0.0  # the same difference at every origin
    steps = overlap + 1
    small = (count + 1 - 2 * steps + steps * (steps - 1) / count) / count
    return two_sided(mean / math.sqrt(variance / count) * math.sqrt(small), count - 1)


def two_sided(t: float, freedom: int) -> float:
    """Probability that |Student's t| with `freedom` degrees is beyond |t|."""
    if math.isinf(t):
        return 0.0
    # With u = atan(x / sqrt(freedom)) the density is a power of a cosine on a bounded interval.
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    angles = np.linspace(math.atan(abs(t) / math.sqrt(freedom)), math.pi / 2, _GRID)
    density = np.cos(angles) ** (freedom - 1)
    return min(1.0, 2 * scale * float(np.trapezoid(density, angles)))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """The same, such that rejecting what is below a level errs once in a while at that level, over all of them."""
    adjusted: dict[str, float] = {}
    highest, left = 0.0, len(p_values)
    for name, p in sorted(p_values.items(), key=lambda each: each[1]):
        highest = max(highest, min(1.0, left * p))
        adjusted[name] = highest
        left -= 1
    return {name: adjusted[name] for name in p_values}
