"""What training sees: no future in a window's scale, none of the validation, and the same windows for the same seed."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from kokex.kronos.training.windows import Series, TrainingError, Windows, normalised, series, split
from tests.kronos.training.candles import MINUTE, swinging

CONTEXT, AHEAD = 32, 8
LENGTH = CONTEXT + AHEAD


def test_what_comes_after_the_context_does_not_change_how_it_is_scaled() -> None:
    values = swinging(LENGTH).values[None]
    other = values.clone()
    other[:, CONTEXT:] *= 3
    one, changed = normalised(values, CONTEXT), normalised(other, CONTEXT)
    assert torch.equal(one[:, :CONTEXT], changed[:, :CONTEXT])
    assert one[0, :CONTEXT].mean(0).abs().max() < 1e-5
    assert one[0, :CONTEXT].std(0, correction=0) == pytest.approx(torch.ones(6).numpy(), abs=1e-3)
    assert changed.abs().max() <= 5


def test_a_price_is_as_good_as_a_thousandth_of_it() -> None:
    times, prices = [0, MINUTE, 2 * MINUTE], [[1.0, 2.0, 1.5]] * 4
    one = series("X", times, prices, [1, 2, 3])
    other = series("X", times, [[p / 1_000_000 for p in column] for column in prices], [0.001, 0.002, 0.003])
    assert torch.allclose(one.values, other.values)


def test_training_ends_a_gap_before_validation_begins_in_all_series_of_a_time() -> None:
    one, late = swinging(600, "one"), swinging(400, "late", begin_ns=200 * MINUTE)
    later = swinging(500, "later", begin_ns=5_000 * MINUTE)
    everything = [one, late, later]
    found = split(everything, LENGTH, share=0.25, gap=10)

    def last_of_training(place: int) -> int:
        rows = found.training[found.training[:, 0] == place, 1]
        return int(everything[place].open_ns[int(rows.max()) + LENGTH - 1])

    def first_of_validation(place: int) -> int:
        return int(everything[place].open_ns[int(found.validation[found.validation[:, 0] == place, 1].min())])

    assert first_of_validation(0) == first_of_validation(1)
    assert max(last_of_training(0), last_of_training(1)) + 11 * MINUTE == first_of_validation(0)
    assert last_of_training(2) + 11 * MINUTE == first_of_validation(2)
    assert len(found.validation[found.validation[:, 0] == 2]) == 125 - LENGTH + 1


def test_candles_of_the_validation_never_reach_training() -> None:
    whole = swinging(400)
    found = split([whole], LENGTH, share=0.25, gap=0)
    spoilt = whole.values.clone()
    spoilt[300:] = float("nan")
    blind = replace(whole, values=spoilt)
    for step in range(20):
        seen, unseen = (Windows([each], CONTEXT, AHEAD).drawn(found.training, 16, 1, step) for each in (whole, blind))
        assert torch.equal(seen.x, unseen.x)


def test_a_step_draws_the_same_windows_whoever_takes_them() -> None:
    everything = [swinging(300), swinging(200, "Y", 2)]
    windows = Windows(everything, CONTEXT, AHEAD)
    starts = split(everything, LENGTH, share=0.2, gap=0).training
    whole = windows.drawn(starts, 8, seed=3, step=5)
    parts = [windows.drawn(starts, 8, seed=3, step=5, part=(rank, 2)) for rank in (0, 1)]
    for name in ("x", "stamp", "chance"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))
    assert not torch.equal(windows.drawn(starts, 8, seed=3, step=6).x, whole.x)
    assert not torch.equal(windows.drawn(starts, 8, seed=4, step=5).x, whole.x)


def test_stamps_are_the_wall_clock_of_utc() -> None:
    (stamp,) = series("X", [1_709_214_360_000_000_000], [[1.0]] * 4, [1.0]).stamps.tolist()
    assert stamp == [46, 13, 3, 29, 2]  # Thursday 2024-02-29 13:46


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_price_that_cannot_be_is_refused(bad: float) -> None:
    with pytest.raises(TrainingError, match="X: a price"):
        series("X", [0, 1], [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, bad]], [1.0, 1.0])


def test_a_constant_price_without_volume_is_all_zeros() -> None:
    flat: Series = series("X", list(range(LENGTH)), [[7.0] * LENGTH] * 4, [0.0] * LENGTH)
    assert normalised(flat.values[None], CONTEXT).abs().max() < 1e-6


def test_too_few_candles_say_how_many_would_do() -> None:
    with pytest.raises(TrainingError, match="too few candles: 50 leave no window of 40 for validation"):
        split([swinging(50)], LENGTH, share=0.1, gap=0)
