"""What may forecast, and the statistical models that a better one has to beat.

All of them claim no drift: they say how far the price may go, not where. Those that are symmetric draw each path
with its mirror image, so that they have no opinion on the direction by accident.
"""

import math
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple, Protocol, final

import numpy as np
from numpy.typing import NDArray

from kokex.market.volatility import ewma, walks
from kokex.research.forecasting.scores import Floats

RECENT = 20  # returns of the rolling historical volatility
_BURN_IN = 10
_SCALED = 100.0  # GARCH is fitted to percents: an optimiser stumbles over numbers of 1e-4


class Past(NamedTuple):
    """Candles up to an origin, oldest first; all columns have the same length."""

    open_ns: Sequence[int]
    open: Sequence[float]
    high: Sequence[float]
    low: Sequence[float]
    close: Sequence[float]
    volume: Sequence[float]

    def cut(self, rows: slice) -> "Past":
        return Past(
            self.open_ns[rows], self.open[rows], self.high[rows], self.low[rows], self.close[rows], self.volume[rows]
        )


class Forecaster(Protocol):
    """Whoever draws paths of what may come."""

    @property
    def name(self) -> str: ...

    def paths(self, past: Past, future_ns: Sequence[int], samples: int, seed: int) -> Floats:
        """Log returns from the last close to those of the candles that open then, (samples, len(future_ns)).

        The same past and seed give the same paths.
        """
        ...


@final
class Baseline:
    """What the daemon forecasts with by itself (kokex/market/volatility.py)."""

    name = "baseline"

    def paths(self, past: Past, future_ns: Sequence[int], samples: int, seed: int) -> Floats:
        drawn, _ = walks(past.close, len(future_ns), samples, np.random.default_rng(seed))
        return np.array(drawn)


@final
class Bootstrap:
    """Past returns over the volatility of their time, centred, drawn with replacement, times the volatility of now.

    Filtered historical simulation (Hull and White 1998; Barone-Adesi, Giannopoulos and Vosper 1999).
    """

    name = "bootstrap"

    def paths(self, past: Past, future_ns: Sequence[int], samples: int, seed: int) -> Floats:
        returns = log_returns(past)
        *before, now = ewma(returns.tolist())
        known = np.array(before[_BURN_IN:])
        residuals = returns[_BURN_IN:][known > 0] / known[known > 0]
        shape = (samples, len(future_ns))
        if not len(residuals):  # nothing ever moved
            return np.zeros(shape)
        shocks = now * (residuals - residuals.mean())
        return np.cumsum(shocks[np.random.default_rng(seed).integers(len(shocks), size=shape)], axis=1)


@final
class Historical:
    """A random walk with the standard deviation of the last returns, normal."""

    name = "historical"

    def paths(self, past: Past, future_ns: Sequence[int], samples: int, seed: int) -> Floats:
        recent = log_returns(past)[-RECENT:]
        return _mirrored(float(np.sqrt(np.mean(recent**2))), len(future_ns), samples, seed)


@final
class Garch:
    """GARCH(1,1) with Student-t innovations (Bollerslev 1987), fitted anew at every origin.

    Raises ImportError without the `arch` library.
    """

    name = "garch-t"

    def __init__(self) -> None:
        # Untyped on purpose: its stubs promise every return type at once.
        self._model: Any = import_module("arch").arch_model

    def paths(self, past: Past, future_ns: Sequence[int], samples: int, seed: int) -> Floats:
        returns = log_returns(past) * _SCALED
        if len(np.unique(returns)) < 3:  # a price that stands still has no likelihood
            return _mirrored(float(returns.std()) / _SCALED, len(future_ns), samples, seed)
        model = self._model(returns, mean="Zero", vol="GARCH", p=1, q=1, dist="t", rescale=True)
        fitted = model.fit(disp="off", show_warning=False)
        draw, freedom = np.random.default_rng(seed), float(fitted.params["nu"])
        forecast = fitted.forecast(
            horizon=len(future_ns), method="simulation", simulations=(samples + 1) // 2, reindex=False,
            rng=partial(_student, draw, freedom),
        )  # fmt: skip
        steps: Floats = forecast.simulations.values[0] / (_SCALED * model.scale)
        walk = np.cumsum(steps, axis=1)
        return np.concatenate([walk, -walk])[:samples]


def log_returns(past: Past) -> Floats:
    return np.diff(np.log(np.array(past.close)))


def _mirrored(volatility: float, horizon: int, samples: int, seed: int) -> Floats:
    half = (samples + 1) // 2
    walk = np.cumsum(volatility * np.random.default_rng(seed).standard_normal((half, horizon)), axis=1)
    return np.concatenate([walk, -walk])[:samples]


def _student(rng: np.random.Generator, freedom: float, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Of unit variance."""
    return rng.standard_t(freedom, shape) * math.sqrt((freedom - 2) / freedom)
