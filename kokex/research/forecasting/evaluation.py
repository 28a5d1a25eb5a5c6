"""Rolling origin: every model forecasts from the same candles, again and again, and is scored on what came.

An origin is a closed candle. A model sees the `lookback` candles up to it and nothing else; the next `horizon` closes
are what it is scored on, as log returns from the origin's close. Origins are a horizon apart unless asked otherwise,
so that no candle is scored twice. Series of different volatility count alike: before losses are averaged over series
they are divided by the reference model's mean loss on that series. A series on which that is zero (its price stood
still) has nothing to divide by, and is left out of every score.
"""

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from kokex.research.forecasting.models import Forecaster, Past
from kokex.research.forecasting.scores import BANDS, Floats, crps, inside, pinball, wilson
from kokex.research.forecasting.significance import diebold_mariano, holm

BP = 1e4
LEVEL = 0.05
_NOTHING = 1e-12  # a mean loss up to here is rounding

Progress = Callable[[float], None]


class Series(Struct, frozen=True, kw_only=True):
    """An instrument's candles, and which of them may be scored."""

    name: str
    candles: Past
    from_ns: int = 0  # only candles that open at or after it are scored; those before may be looked back on
    to_ns: int = 2**63 - 1


class Asked(Struct, frozen=True, kw_only=True):
    """How models are compared."""

    lookback: int = 240  # candles
    horizon: int = 24
    stride: int = 24  # candles between origins
    samples: int = 200
    seed: int = 0


class Direction(Struct, frozen=True, kw_only=True):
    """Up or down at the horizon. A model without an opinion (exactly half of its paths up) is not counted."""

    calls: int
    hits: int
    accuracy: float | None
    low: float  # 95 % interval (Wilson), of as many calls as do not overlap
    high: float


class StepScore(Struct, frozen=True, kw_only=True):
    """At one step ahead. Basis points of the origin's close."""

    step: int
    crps_bp: float
    crps_ratio: float | None  # to the reference's; None where that is zero
    mae_bp: float
    coverage: dict[str, float]


class ModelScore(Struct, frozen=True, kw_only=True):
    """Over all steps and origins."""

    model: str
    crps_bp: float
    crps_ratio: float  # mean over origins of loss / the reference's mean loss on that series; below 1 is better
    p: float | None  # that it differs from the reference by chance, two-sided
    p_holm: float | None  # the same, with all models tested at once
    verdict: str  # "reference", "better", "worse", "no difference"
    pinball_bp: float
    coverage: dict[str, float]  # of the central bands, by what they claim
    mae_bp: float  # of the median at the horizon
    direction: Direction
    steps: tuple[StepScore, ...]


class Evaluation(Struct, frozen=True, kw_only=True):
    """Who wins."""

    reference: str
    origins: int
    series: dict[str, int]  # name -> origins
    left_out: tuple[str, ...]  # series on which the reference has no loss
    asked: Asked
    models: tuple[ModelScore, ...]  # best first
    verdict: str


class Incomparable(ValueError):
    """No series has a lookback and a horizon, or a loss to compare others with. One line."""


def evaluate(
    series: Sequence[Series], models: Sequence[Forecaster], asked: Asked, tell: Progress = lambda _: None
) -> Evaluation:
    """The scores of `models`; the first is the reference. Raises Incomparable, ValueError for a model named twice."""
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        raise ValueError(f"each model once: {', '.join(names)}")
    origins = [(each, row) for each in series for row in origins_of(each, asked)]
    if not origins:
        longest = max((len(each.candles.close) for each in series), default=0)
        raise Incomparable(
            f"{longest} candles, and no room for {asked.lookback} to look back on and {asked.horizon} to be scored"
        )
    sheets = {name: _Sheet(len(origins), asked.horizon) for name in names}
    for number, (each, row) in enumerate(origins):
        past = each.candles.cut(slice(row + 1 - asked.lookback, row + 1))
        ahead = slice(row + 1, row + 1 + asked.horizon)
        closes = np.array(each.candles.close[ahead])
        observed = np.log(closes / each.candles.close[row])
        seed = zlib.crc32(f"{asked.seed}/{each.name}/{row}".encode())
        for model in models:
            paths = model.paths(past, each.candles.open_ns[ahead], asked.samples, seed)
            sheets[model.name].enter(number, paths, observed)
        tell((number + 1) / len(origins))
    where = np.array([series.index(each) for each, _ in origins])
    when = np.array([each.candles.open_ns[row] for each, row in origins])
    return _summary(names, sheets, series, where, when, asked)


def origins_of(series: Series, asked: Asked) -> range:
    """Rows to forecast from: all that a lookback ends with and a horizon follows, inside what may be scored."""
    times = series.candles.open_ns
    first = max(asked.lookback - 1, int(np.searchsorted(times, series.from_ns)) - 1)
    last = int(np.searchsorted(times, series.to_ns)) - asked.horizon  # one after
    return range(first, last, asked.stride)


class _Sheet:
    """One model's scores by origin and step."""

    def __init__(self, origins: int, horizon: int) -> None:
        self.crps = np.zeros((origins, horizon))
        self.pinball = np.zeros((origins, horizon))
        self.error = np.zeros((origins, horizon))
        self.inside = np.zeros((len(BANDS), origins, horizon), dtype=bool)
        self.up = np.zeros(origins)  # probability that the last close is above the origin's
        self.rose = np.zeros(origins)  # -1, 0, 1

    def of(self, kept: NDArray[np.bool_]) -> "_Sheet":
        """The scores of these origins."""
        some = _Sheet(0, self.crps.shape[1])
        some.crps, some.pinball, some.error = self.crps[kept], self.pinball[kept], self.error[kept]
        some.inside, some.up, some.rose = self.inside[:, kept], self.up[kept], self.rose[kept]
        return some

    def enter(self, origin: int, paths: Floats, observed: Floats) -> None:
        """`paths` (samples, horizon), `observed` (horizon)."""
        self.crps[origin] = crps(paths, observed)
        self.pinball[origin] = pinball(paths, observed)
        self.error[origin] = np.abs(np.median(paths, axis=0) - observed)
        for place, band in enumerate(BANDS):
            self.inside[place, origin] = inside(paths, observed, band)
        ends = paths[:, -1]
        self.up[origin] = (ends > 0).mean() + 0.5 * (ends == 0).mean()
        self.rose[origin] = np.sign(observed[-1])


def _summary(
    names: Sequence[str], sheets: dict[str, _Sheet], series: Sequence[Series], where: Any, when: Any, asked: Asked
) -> Evaluation:
    overlap = -(-asked.horizon // asked.stride) - 1
    reference = sheets[names[0]]
    losses = {int(place): float(reference.crps[where == place].mean()) for place in np.unique(where)}
    flat = [place for place, loss in losses.items() if loss <= _NOTHING]
    if len(flat) == len(losses):
        raise Incomparable(f"nothing can be compared: {names[0]} has no loss on any series; prices must move")
    if flat:
        kept = ~np.isin(where, flat)
        sheets = {name: sheet.of(kept) for name, sheet in sheets.items()}
        reference, where, when = sheets[names[0]], where[kept], when[kept]
    scale = np.array([losses[int(place)] for place in where])
    relative = {name: sheet.crps.mean(axis=1) / scale for name, sheet in sheets.items()}
    p_values = {
        name: diebold_mariano(_over_time(relative[name] - relative[names[0]], when), overlap) for name in names[1:]
    }
    adjusted = holm(p_values)
    scores = [
        ModelScore(
            model=name,
            crps_bp=BP * float(sheet.crps.mean()),
            crps_ratio=float(relative[name].mean()),
            p=p_values.get(name),
            p_holm=adjusted.get(name),
            verdict=_verdict(adjusted.get(name), float(relative[name].mean())),
            pinball_bp=BP * float(sheet.pinball.mean()),
            coverage=_coverage(sheet.inside),
            mae_bp=BP * float(sheet.error[:, -1].mean()),
            direction=_direction(sheet, overlap + 1),
            steps=tuple(_step(sheet, reference, step) for step in _told(asked.horizon)),
        )
        for name, sheet in sheets.items()
    ]
    scores.sort(key=lambda score: score.crps_ratio)
    return Evaluation(
        reference=names[0],
        origins=len(where),
        series={each.name: int((where == place).sum()) for place, each in enumerate(series) if place not in flat},
        left_out=tuple(series[place].name for place in flat),
        asked=asked,
        models=tuple(scores),
        verdict=_who_wins(scores, names[0]),
    )


def _over_time(differences: Floats, when: Any) -> Floats:
    """What happens at one time to several instruments is one observation: they move together."""
    _, place = np.unique(when, return_inverse=True)
    return np.bincount(place, weights=differences) / np.bincount(place)


def _coverage(inside_: Any) -> dict[str, float]:
    return {f"{100 * band:g}": float(inside_[place].mean()) for place, band in enumerate(BANDS)}


def _direction(sheet: _Sheet, overlap: int) -> Direction:
    counted = (sheet.up != 0.5) & (sheet.rose != 0)
    calls, hits = int(counted.sum()), int((np.sign(sheet.up - 0.5) == sheet.rose)[counted].sum())
    low, high = wilson(hits / overlap, calls / overlap)
    return Direction(calls=calls, hits=hits, accuracy=hits / calls if calls else None, low=low, high=high)


def _step(sheet: _Sheet, reference: _Sheet, step: int) -> StepScore:
    at = step - 1
    mean, loss = float(sheet.crps[:, at].mean()), float(reference.crps[:, at].mean())
    return StepScore(
        step=step,
        crps_bp=BP * mean,
        crps_ratio=mean / loss if loss > _NOTHING else None,
        mae_bp=BP * float(sheet.error[:, at].mean()),
        coverage=_coverage(sheet.inside[:, :, at]),
    )


def _told(horizon: int) -> list[int]:
    """The first step, the last, and one between."""
    return sorted({1, (horizon + 3) // 4, horizon})


def _verdict(p: float | None, ratio: float) -> str:
    if p is None:
        return "reference"
    if p >= LEVEL:
        return "no difference"
    return "better" if ratio < 1 else "worse"


def _who_wins(scores: Sequence[ModelScore], reference: str) -> str:
    leader = next((score for score in scores if score.verdict == "better"), scores[0])
    alike = [score.model for score in scores if score.crps_ratio == leader.crps_ratio]
    if len(scores) == 1:
        return f"{reference} is alone: no CRPS to compare its own with"
    if len(alike) > 1:
        return f"nobody wins: {' and '.join(alike)} have the very same CRPS"
    first = leader.model
    if leader.verdict == "better":
        return f"{first} wins: its CRPS is significantly below {reference}'s (5 %, Holm)"
    if first == reference:
        return f"{reference} has the lowest CRPS"
    return f"{first} has the lowest CRPS, but not significantly below {reference}'s (5 %, Holm)"
