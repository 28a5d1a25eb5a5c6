"""What many paths say together: quantiles, and the chances of what somebody wants to know.

Imports neither torch nor numpy: paths of any origin are rows of numbers, open, high, low and close first.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

Candle = Sequence[float]  # open, high, low, close, ...
Quantiles = tuple[float, float, float, float, float]


class Distribution(NamedTuple):
    """Of one instrument's next n candles."""

    quantiles: list[Quantiles]  # of the close at each step, at QUANTILES
    p_up: float  # of a close above now at the last step; an unchanged path counts half
    p_volatility_up: float  # of more volatility over the n steps than over the last n before them; alike counts half
    volatility: float  # per step, root mean square of all paths' log returns
    range_low: float  # mean of the paths' lowest low, now included
    range_high: float


def distribution(paths: Sequence[Sequence[Candle]], closes: Sequence[float]) -> Distribution:
    """paths: [S][n] candles with prices above zero; closes: the past, oldest first, the last one is now.

    Raises ValueError without a path, a step or a past.
    """
    if not paths or not paths[0] or not closes:
        raise ValueError("a distribution needs a path, a step and a past")
    price, horizon = closes[-1], len(paths[0])
    ended = [[candle[3] for candle in path] for path in paths]
    swings = [_mean_square([price, *path]) for path in ended]
    before = _mean_square(closes[-horizon - 1 :])
    return Distribution(
        quantiles=[_quantiles(sorted(column)) for column in zip(*ended, strict=True)],
        p_up=_share([path[-1] for path in ended], price),
        p_volatility_up=_share(swings, before),
        volatility=math.sqrt(sum(swings) / len(swings)),
        range_low=sum(min(price, *(candle[2] for candle in path)) for path in paths) / len(paths),
        range_high=sum(max(price, *(candle[1] for candle in path)) for path in paths) / len(paths),
    )


def p_touch(paths: Sequence[Sequence[Candle]], price: float, level: float) -> float:
    """The share of paths that reach `level` from `price` at any step, from whichever side."""
    if level >= price:
        return sum(any(candle[1] >= level for candle in path) for path in paths) / len(paths)
    return sum(any(candle[2] <= level for candle in path) for path in paths) / len(paths)


def _share(values: Sequence[float], threshold: float) -> float:
    above = sum(value > threshold for value in values)
    return (above + 0.5 * sum(value == threshold for value in values)) / len(values)


def _mean_square(closes: Sequence[float]) -> float:
    """Of the log returns; 0 without one."""
    returns = [math.log(after / before) for before, after in pairwise(closes)]
    return sum(r * r for r in returns) / len(returns) if returns else 0.0


def _quantiles(ordered: Sequence[float]) -> Quantiles:
    """Linear between order statistics."""
    last = len(ordered) - 1

    def at(q: float) -> float:
        low = int(q * last)
        return ordered[low] + (q * last - low) * (ordered[min(low + 1, last)] - ordered[low])

    return at(0.05), at(0.25), at(0.5), at(0.75), at(0.95)
