"""What a training step sees: windows of candles, normalised by their past alone, in an order that a seed decides.

Two leaks that are common elsewhere are impossible here. A window's mean and deviation come from its context, never
from the part to be predicted. And validation lies later than training by a gap: no window reaches over the cut.

Which windows a step takes follows from the seed and its number and nothing else. So training that was killed goes on
with the very windows it would have taken, and several processes can each take their part of the same batch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import torch
from torch import Tensor

CLIP = 5.0  # deviations
EPSILON = 1e-5  # beside a deviation, as the published models have it
USUAL = 100.0  # a price of this size makes that epsilon nothing


class TrainingError(Exception):
    """Training cannot begin, or not go on: what is wrong, and what would be right. One line."""


@dataclass(frozen=True, slots=True)
class Series:
    """An instrument's candles, oldest first."""

    name: str
    open_ns: Tensor  # int64 [n]
    values: Tensor  # float64 [n, 6]: open, high, low, close, volume, amount
    stamps: Tensor  # int64 [n, 5]: minute, hour, weekday, day, month; UTC

    def __len__(self) -> int:
        return len(self.open_ns)


def series(name: str, open_ns: Sequence[int], prices: Sequence[Sequence[float]], volume: Sequence[float]) -> Series:
    """`prices`: open, high, low, close. A scale is taken out of them: what is learned holds for any price.

    Raises TrainingError for a number that is not finite, or a price that is not above zero.
    """
    ohlc = torch.tensor([list(column) for column in prices], dtype=torch.float64).T  # [n, 4]
    traded = torch.tensor(list(volume), dtype=torch.float64)
    if not (ohlc.isfinite().all() and traded.isfinite().all() and (ohlc > 0).all()):
        raise TrainingError(f"{name}: a price or volume is not a number, or a price is not above zero")
    ohlc = ohlc * (USUAL / ohlc[0, 3])
    some = traded[traded > 0]
    traded = traded * (USUAL / some[0]) if len(some) else traded
    amount = traded * ohlc.mean(dim=1)
    values = torch.cat([ohlc, traded[:, None], amount[:, None]], dim=1)
    return Series(name, torch.tensor(list(open_ns), dtype=torch.int64), values, stamps(open_ns))


def stamps(open_ns: Sequence[int]) -> Tensor:
    """int64 [n, 5]: minute, hour, weekday (Monday 0), day, month; UTC."""
    moments = [datetime.fromtimestamp(at // 1_000_000_000, UTC) for at in open_ns]
    return torch.tensor([(m.minute, m.hour, m.weekday(), m.day, m.month) for m in moments], dtype=torch.int64)


# ---- training and validation ------------------------------------------------------------------


class Split(NamedTuple):
    """Where windows may start: [n, 2] of (place of the series, row)."""

    training: Tensor
    validation: Tensor


def split(all_series: Sequence[Series], window: int, share: float, gap: int) -> Split:
    """The newest `share` of the candles for validation; training ends `gap` candles before it begins.

    Series whose times overlap are cut at one moment: what one of them will do shows in the others. Raises
    TrainingError when one side has no room for a window.
    """
    training: list[Tensor] = []
    validation: list[Tensor] = []
    for places in _contemporaries(all_series):
        times = torch.cat([all_series[place].open_ns for place in places]).sort().values
        cut_ns = int(times[min(len(times) - 1, math.ceil((1 - share) * len(times)))])
        for place in places:
            cut = int(torch.searchsorted(all_series[place].open_ns, cut_ns))
            training.append(_starts(place, 0, cut - gap - window))
            validation.append(_starts(place, cut, len(all_series[place]) - window))
    found = Split(torch.cat(training), torch.cat(validation))
    longest = max(map(len, all_series))
    for side, starts in (("training", found.training), ("validation", found.validation)):
        if not len(starts):
            raise TrainingError(
                f"too few candles: {longest:,} leave no window of {window} for {side} "
                f"({share:.0%} are for validation, {gap} lie between); more candles, or a shorter --context, are needed"
            )
    return found


def _contemporaries(all_series: Sequence[Series]) -> list[list[int]]:
    """The places of series whose times overlap, directly or through others."""
    groups: list[list[int]] = []
    reach = -1
    for place in sorted(range(len(all_series)), key=lambda each: int(all_series[each].open_ns[0])):
        begin, end = int(all_series[place].open_ns[0]), int(all_series[place].open_ns[-1])
        if groups and begin <= reach:
            groups[-1].append(place)
        else:
            groups.append([place])
        reach = max(reach, end)
    return groups


def _starts(place: int, first: int, last: int) -> Tensor:
    """Both included; none when `last` is before `first`."""
    rows = torch.arange(first, max(first, last + 1))
    return torch.stack([torch.full_like(rows, place), rows], dim=1)


# ---- batches ----------------------------------------------------------------------------------


class Batch(NamedTuple):
    x: Tensor  # float32 [B, W, 6], normalised
    stamp: Tensor  # int64 [B, W, 5]
    chance: Tensor  # float32 [B, W] in [0, 1): the luck of a step, one for each token


class Windows:
    """Windows of `context` candles and `ahead` more, from any of the series."""

    def __init__(self, all_series: Sequence[Series], context: int, ahead: int) -> None:
        self.series = all_series
        self.context = context
        self.length = context + ahead

    def drawn(self, starts: Tensor, count: int, seed: int, step: int, part: tuple[int, int] = (0, 1)) -> Batch:
        """`count` of them, as the seed and the step have it; of these the part (this, of how many)."""
        generator = torch.Generator().manual_seed(mixed(seed, step))
        chosen = starts[torch.randint(len(starts), (count,), generator=generator)]
        chance = torch.rand(count, self.length, generator=generator)
        return self._batch(chosen, chance, part)

    def spread(self, starts: Tensor, most: int, size: int, part: tuple[int, int] = (0, 1)) -> list[Batch]:
        """At most `most` of them, evenly spread and always the same, in batches of `size`: for validation."""
        chosen = starts[torch.linspace(0, len(starts) - 1, min(most, len(starts))).round().long()]
        chance = torch.rand(len(chosen), self.length, generator=torch.Generator().manual_seed(0))
        pieces = zip(chosen.split(size), chance.split(size), strict=True)
        return [self._batch(rows, luck, part) for rows, luck in pieces if len(rows) >= part[1]]

    def _batch(self, chosen: Tensor, chance: Tensor, part: tuple[int, int]) -> Batch:
        mine = slice(part[0] * len(chosen) // part[1], (part[0] + 1) * len(chosen) // part[1])
        pairs: list[tuple[int, int]] = [tuple(pair) for pair in chosen[mine].tolist()]
        values = torch.stack([self.series[place].values[row : row + self.length] for place, row in pairs])
        stamp = torch.stack([self.series[place].stamps[row : row + self.length] for place, row in pairs])
        return Batch(normalised(values, self.context), stamp, chance[mine])


def normalised(values: Tensor, context: int) -> Tensor:
    """float64 [B, W, 6] -> float32: by mean and population deviation of the first `context` rows, clipped."""
    past = values[:, :context]
    mean = past.mean(dim=1, keepdim=True)
    deviation = past.std(dim=1, keepdim=True, correction=0)
    return ((values - mean) / (deviation + EPSILON)).clamp(-CLIP, CLIP).float()


def mixed(*numbers: int) -> int:
    """One seed of several numbers, far from that of their neighbours (SplitMix64)."""
    state = 0
    for number in numbers:
        state = (state + number + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state >> 1  # what manual_seed takes
