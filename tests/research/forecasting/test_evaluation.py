"""Rolling origins: nobody sees what is to come, and the table says who wins only when it is so."""

from collections.abc import Sequence

import numpy as np
import pytest

from kokex.research.forecasting.evaluation import (
    Asked,
    Evaluation,
    Incomparable,
    ModelScore,
    Series,
    evaluate,
    origins_of,
)
from kokex.research.forecasting.models import Forecaster, Historical, Past
from kokex.research.forecasting.scores import Floats

ASKED = Asked(lookback=40, horizon=4, stride=4, samples=100, seed=1)


class Normal:
    """A random walk that believes in one volatility, and remembers what it was shown."""

    def __init__(self, sigma: float, name: str = "") -> None:
        self.name = name or f"sigma {sigma}"
        self.sigma = sigma
        self.shown: list[tuple[Past, Sequence[int]]] = []

    def paths(self, past: Past, future_ns: Sequence[int], samples: int, seed: int) -> Floats:
        self.shown.append((past, future_ns))
        return np.cumsum(np.random.default_rng(seed).normal(0, self.sigma, (samples, len(future_ns))), axis=1)


class Seer(Normal):
    """Knows the drift of a series that rises by a thousandth a step."""

    def paths(self, past: Past, future_ns: Sequence[int], samples: int, seed: int) -> Floats:
        return super().paths(past, future_ns, samples, seed) + 0.001 * np.arange(1, len(future_ns) + 1)


def series(name: str = "X", count: int = 1_000, sigma: float = 0.001, drift: float = 0.0, seed: int = 3) -> Series:
    closes = (50 * np.exp(np.cumsum(np.random.default_rng(seed).normal(drift, sigma, count)))).tolist()
    times = [60_000_000_000 * i for i in range(count)]
    return Series(name=name, candles=Past(times, closes, closes, closes, closes, [1.0] * count))


def scored(found: Evaluation, model: Forecaster) -> ModelScore:
    return next(score for score in found.models if score.model == model.name)


def test_a_model_sees_its_lookback_and_nothing_of_what_is_scored() -> None:
    whole, model = series(count=100), Normal(0.001)
    found = evaluate([whole], [model], ASKED)
    assert found.origins == len(model.shown) == 15
    for past, future in model.shown:
        assert len(past.close) == 40
        assert past.open_ns[-1] < future[0]
        place = whole.candles.open_ns.index(past.open_ns[-1])
        assert list(past.close) == whole.candles.close[place - 39 : place + 1]
        assert list(future) == whole.candles.open_ns[place + 1 : place + 5]


def test_only_candles_between_from_and_to_are_scored() -> None:
    whole = series(count=200)
    times = whole.candles.open_ns
    cut = Series(name="X", candles=whole.candles, from_ns=times[100], to_ns=times[150])
    rows = [row + step for row in origins_of(cut, ASKED) for step in range(1, 5)]
    assert rows == list(range(100, 148))


def test_the_true_volatility_wins_and_the_others_are_called_worse() -> None:
    true, timid, wild = Normal(0.001), Normal(0.0004), Normal(0.003)
    found = evaluate([series(), series("Y", sigma=0.001, seed=4)], [true, timid, wild], ASKED)
    assert found.models[0].model == true.name
    assert scored(found, timid).verdict == scored(found, wild).verdict == "worse"
    assert scored(found, true).coverage["80"] == pytest.approx(0.8, abs=0.05)
    assert scored(found, timid).coverage["80"] < 0.5
    assert scored(found, wild).coverage["80"] > 0.98
    assert found.verdict == "sigma 0.001 has the lowest CRPS"


def test_who_knows_the_drift_beats_who_does_not() -> None:
    blind, seer = Normal(0.001), Seer(0.001, "seer")
    found = evaluate([series(drift=0.001)], [blind, seer], ASKED)
    assert scored(found, seer).verdict == "better"
    assert found.verdict.startswith("seer wins")
    direction = scored(found, seer).direction
    assert direction.accuracy is not None
    assert direction.low > 0.9


def test_the_same_model_under_another_name_is_no_better() -> None:
    found = evaluate([series()], [Normal(0.001, "one"), Normal(0.001, "other")], ASKED)
    assert {score.verdict for score in found.models} == {"reference", "no difference"}
    assert found.verdict == "nobody wins: one and other have the very same CRPS"


def test_a_series_on_which_the_reference_has_no_loss_is_left_out_of_every_score() -> None:
    models, flat = (Historical(), Normal(0.001)), series("flat", sigma=0.0)
    alone, both = (evaluate(some, models, ASKED) for some in ([series()], [flat, series()]))
    assert both.left_out == ("flat",)
    assert (both.series, both.origins, both.models) == (alone.series, alone.origins, alone.models)
    with pytest.raises(Incomparable, match="nothing can be compared: historical has no loss on any series"):
        evaluate([flat], models, ASKED)


def test_a_quiet_series_counts_as_much_as_a_wild_one() -> None:
    loud, quiet = series("loud", sigma=0.01), series("quiet", sigma=0.0001, seed=5)
    good, bad = Normal(0.01, "good"), Normal(0.02, "bad")
    alone, both = (scored(evaluate(some, [good, bad], ASKED), bad).crps_ratio for some in ([loud], [loud, quiet]))
    assert both == pytest.approx((alone + 2) / 2, abs=0.05)  # on the quiet one it is twice as bad


def test_too_few_candles_say_what_is_missing() -> None:
    with pytest.raises(Incomparable, match="30 candles, and no room for 40 to look back on and 4 to be scored"):
        evaluate([series(count=30)], [Normal(1)], ASKED)
