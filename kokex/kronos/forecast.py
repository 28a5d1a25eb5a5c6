"""From candles to paths of candles: normalised as the published models were used, generated, and put back.

A candle is six numbers (config.CHANNELS). What is missing is made up as upstream does: no volume is a volume of zero,
no amount is the volume at the candle's mean price.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from kokex.kronos.arithmetic import Precision
from kokex.kronos.config import CHANNELS
from kokex.kronos.engine import Engine, Paths
from kokex.kronos.sampling import Rule

FEWEST = 2  # candles; from one there is no deviation
CLIP = 5.0  # deviations
EPSILON = 1e-5  # beside a deviation, so that constant prices do not divide by zero
AT_ONCE = 128  # paths, of all instruments; more are made in turns, to bound the memory
RULE = Rule()
SMALLEST = 1.0  # price; beside EPSILON those of a few satoshi would have no deviation
LARGEST = 1e18  # of any number: single precision holds no square of a greater one
_FLOOR = 1e-3  # of the last close: no price of a path is lower

Floats = NDArray[np.floating[Any]]


class Series(NamedTuple):
    """One instrument's past, oldest first, and when the candles to come open."""

    candles: Floats  # [L, 6]
    open_ns: Sequence[int]  # L
    future_ns: Sequence[int]  # n
    seed: int = 0


class Forecast(NamedTuple):
    """S paths of n candles."""

    s1: NDArray[np.int64]  # [S, n]
    s2: NDArray[np.int64]  # [S, n]
    normalised: NDArray[np.float32]  # [S, n, 6]
    candles: NDArray[np.float64]  # [S, n, 6]
    lookback: int  # candles that were looked at


class Normalised(NamedTuple):
    x: NDArray[np.float32]  # [L, 6]
    mean: NDArray[np.float32]  # [6]
    deviation: NDArray[np.float32]  # [6]


class Forecaster:
    """A tokenizer and a predictor at work."""

    def __init__(
        self, tokenizer: str | Path, predictor: str | Path, *, max_context: int = 512, precision: Precision = "fp32"
    ) -> None:
        """Folders of checkpoints; `max_context` is what the predictor was trained with; `precision`: see Engine.

        Raises CheckpointError, ValueError for a precision this processor lacks.
        """
        self.engine = Engine(tokenizer, predictor, precision)
        self.max_context = max_context

    def forecast(
        self, series: Sequence[Series], samples: int, *, rule: Rule = RULE, exact: bool = False
    ) -> list[Forecast]:
        """One Forecast for each series, in their order; those of equal length are generated together, a few at a time.

        Looks at no more candles than leave room for the horizon, and makes each candle consistent. `exact` does
        neither, but slides the window as upstream does, at many times the cost. Raises ValueError.
        """
        rule.checked()
        if samples < 1:
            raise ValueError(f"samples is {samples}; it must be at least 1")
        cut = [each if exact else self._cut(each) for each in series]
        made: dict[int, Forecast] = {}
        places = sorted(range(len(cut)), key=lambda place: _shape(cut[place]))
        for _, alike in groupby(places, key=lambda place: _shape(cut[place])):
            group, few = list(alike), max(1, AT_ONCE // samples)
            for start in range(0, len(group), few):
                some = group[start : start + few]
                made |= zip(some, self._together([cut[place] for place in some], samples, rule, exact), strict=True)
        return [made[place] for place in range(len(cut))]

    def _cut(self, series: Series) -> Series:
        room = self.max_context - len(series.future_ns)
        if room < FEWEST:
            raise ValueError(
                f"horizon is {len(series.future_ns)}; it must leave room in the context of {self.max_context} candles"
            )
        return series._replace(candles=series.candles[-room:], open_ns=series.open_ns[-room:])

    def _together(self, series: Sequence[Series], samples: int, rule: Rule, exact: bool) -> Iterator[Forecast]:
        raised = [np.ones(len(CHANNELS)) if exact else _raise(each) for each in map(checked, series)]
        normalised = [
            normalise(each._replace(candles=each.candles * power)) for each, power in zip(series, raised, strict=True)
        ]
        x = torch.from_numpy(np.stack([each.x for each in normalised]))
        stamp = torch.tensor([stamps([*each.open_ns, *each.future_ns]) for each in series])
        seeds = [each.seed for each in series]
        parts: list[Paths] = []
        for start in range(0, samples, AT_ONCE):
            if start:  # the turns after the first have a chance of their own
                seeds = [(seed + 0x9E3779B97F4A7C15) % 2**64 for seed in seeds]
            count = min(AT_ONCE, samples - start)
            parts.append(self.engine.generate(x, stamp, count, rule=rule, seeds=seeds, max_context=self.max_context))
        s1, s2, paths = (
            torch.cat(some, 1).numpy()
            for some in zip(*((part.tokens.s1, part.tokens.s2, part.candles) for part in parts), strict=True)
        )
        if not np.isfinite(paths).all():
            raise ValueError("the model's weights give no finite numbers")
        for place, (each, scale, power) in enumerate(zip(series, normalised, raised, strict=True)):
            candles = restore(paths[place], scale) / power
            if not exact:
                candles = consistent(candles, each.candles[-1, 3] * _FLOOR)
            yield Forecast(s1[place], s2[place], paths[place], candles, len(each.candles))


def with_amount(columns: Mapping[str, Sequence[float]]) -> Floats:
    """[L, 6] of columns [L]: the four prices, and volume and amount where there are any."""
    held = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
    prices = np.column_stack([held[name] for name in CHANNELS[:4]])
    volume = held["volume"] if "volume" in held else np.zeros(len(prices))
    with np.errstate(over="ignore"):  # whoever looks at them says so
        amount = held["amount"] if {"volume", "amount"} <= held.keys() else volume * prices.mean(1)
    return np.column_stack([prices, volume, amount])


def checked(series: Series) -> Series:
    """Raises ValueError for what cannot be forecast from."""
    candles, times, future = series.candles, series.open_ns, series.future_ns
    if candles.ndim != 2 or candles.shape[1] != len(CHANNELS) or len(candles) != len(times):
        raise ValueError(
            f"candles are {candles.shape} for {len(times)} times; there must be {len(CHANNELS)} numbers each"
        )
    if len(candles) < FEWEST:
        raise ValueError(f"the past has {len(candles)} candles; {FEWEST} are the fewest")
    if not future:
        raise ValueError("horizon is 0; it must be at least 1")
    bad = ~np.isfinite(candles)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(f"{CHANNELS[column]} of candle {row + 1} of {len(candles)} is {candles[row, column]}")
    large = np.abs(candles) > LARGEST
    if large.any():
        row, column = np.argwhere(large)[0]
        raise ValueError(
            f"{CHANNELS[column]} of candle {row + 1} of {len(candles)} is {candles[row, column]:g};"
            f" the most is {LARGEST:g}"
        )
    if (candles[:, :4] <= 0).any():
        row, column = np.argwhere(candles[:, :4] <= 0)[0]
        raise ValueError(
            f"{CHANNELS[column]} of candle {row + 1} of {len(candles)} is {candles[row, column]}; prices are above 0"
        )
    if any(after <= before for before, after in pairwise([*times, *future])):
        raise ValueError("times must rise, and the future must follow the past")
    return series


def _raise(series: Series) -> Floats:
    """What columns are multiplied with, [6]: prices and amounts by a power of ten, where they are small."""
    last = float(series.candles[-1, 3])
    power = 10.0 ** math.ceil(math.log10(SMALLEST / last)) if last < SMALLEST else 1.0
    return np.array([1.0 if name == "volume" else power for name in CHANNELS])


def normalise(series: Series) -> Normalised:
    """By mean and deviation of the whole past.

    In single precision and column by column, as upstream's data frame has it: a borderline bit hangs on the rounding.
    """
    x = np.asfortranarray(series.candles.astype(np.float32))
    mean, deviation = x.mean(0), x.std(0)
    return Normalised(np.clip((x - mean) / (deviation + np.float32(EPSILON)), -CLIP, CLIP), mean, deviation)


def restore(paths: NDArray[np.float32], scale: Normalised) -> NDArray[np.float64]:
    return (paths * (scale.deviation + np.float32(EPSILON)) + scale.mean).astype(np.float64)


def consistent(candles: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
    """High above and low below open and close, no price under `floor`, nothing negative. [..., 6]"""
    prices = np.maximum(candles[..., :4], floor)
    prices[..., 1], prices[..., 2] = prices.max(-1), prices.min(-1)
    return np.concatenate((prices, np.maximum(candles[..., 4:], 0)), -1)


def stamps(times_ns: Sequence[int]) -> list[tuple[int, int, int, int, int]]:
    """Minute, hour, weekday (Monday 0), day and month of each, in UTC: the columns of shapes.STAMPS."""
    moments = [datetime.fromtimestamp(at // 1_000_000_000, UTC) for at in times_ns]
    return [(each.minute, each.hour, each.weekday(), each.day, each.month) for each in moments]


def _shape(series: Series) -> tuple[int, int]:
    return len(series.candles), len(series.future_ns)
