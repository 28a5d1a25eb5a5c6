"""The statistical baseline forecast: EWMA volatility and bootstrapped paths.

Filtered historical simulation (Hull and White 1998; Barone-Adesi, Giannopoulos and Vosper 1999): each past
log return is divided by the volatility of its time, paths draw those residuals with replacement and scale
them by the volatility of now. The residuals are centred: no drift is claimed.
"""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Protocol

from kokex.messages import ForecastStep, Outlook

DECAY = 0.94  # RiskMetrics' daily decay (J.P. Morgan 1996)
_BURN_IN = 10  # returns that only warm the volatility up


class Uniform(Protocol):
    """Chance in [0, 1)."""

    def random(self) -> float: ...


def ewma(returns: Sequence[float], decay: float = DECAY) -> list[float]:
    """The volatility known before each return, and, last, the one after all: one longer than `returns`.

    var = decay * var + (1 - decay) * r^2, started at the mean square of the first returns.
    Raises ValueError without returns.
    """
    if not returns:
        raise ValueError("no returns to take a volatility from")
    start = returns[:_BURN_IN]
    variance = sum(r * r for r in start) / len(start)
    path = accumulate(returns, lambda var, r: decay * var + (1 - decay) * r * r, initial=variance)
    return [math.sqrt(var) for var in path]


def bootstrap(closes: Sequence[float], horizon: int, samples: int, chance: Uniform) -> tuple[list[list[float]], float]:
    """Cumulative log returns over the next `horizon` steps, `samples` paths of them; and the volatility of now.

    `closes` oldest first, above zero. Raises ValueError for fewer than three closes, no step or no sample.
    """
    if len(closes) < 3 or horizon < 1 or samples < 1:
        raise ValueError(f"cannot forecast {horizon} steps, {samples} samples from {len(closes)} closes")
    returns = [math.log(after / before) for before, after in pairwise(closes)]
    *before, now = ewma(returns)
    shocks = _shocks(returns, before, now)
    draw, count = chance.random, len(shocks)
    return [list(accumulate([shocks[int(draw() * count)] for _ in range(horizon)])) for _ in range(samples)], now


def baseline(closes: Sequence[float], horizon: int, samples: int, chance: Uniform) -> Outlook:
    """Quantiles of the next `horizon` closes over `samples` paths. Raises ValueError as `bootstrap` does."""
    paths, now = bootstrap(closes, horizon, samples, chance)
    price = closes[-1]
    ends = [path[-1] for path in paths]
    return Outlook(
        steps=tuple(_quantiles(price, sorted(column)) for column in zip(*paths, strict=True)),
        p_up=(sum(end > 0 for end in ends) + 0.5 * ends.count(0.0)) / samples,
        volatility=now,
        range_low=price * sum(math.exp(min(0.0, *path)) for path in paths) / samples,
        range_high=price * sum(math.exp(max(0.0, *path)) for path in paths) / samples,
    )


def _shocks(returns: Sequence[float], before: Sequence[float], now: float) -> list[float]:
    """Centred residuals at the volatility of now; one zero where nothing ever moved."""
    skip = min(_BURN_IN, len(returns) // 2)
    residuals = [r / sigma for r, sigma in zip(returns[skip:], before[skip:], strict=True) if sigma > 0]
    if not residuals:
        return [0.0]
    mean = sum(residuals) / len(residuals)
    return [now * (residual - mean) for residual in residuals]


def _quantiles(price: float, column: Sequence[float]) -> ForecastStep:
    """Linear between order statistics, in logarithms: exp keeps the order."""
    last = len(column) - 1

    def at(q: float) -> float:
        low = int(q * last)
        high = min(low + 1, last)
        return price * math.exp(column[low] + (q * last - low) * (column[high] - column[low]))

    return ForecastStep(at(0.05), at(0.25), at(0.5), at(0.75), at(0.95))
