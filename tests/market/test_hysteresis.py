import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokex.market.hysteresis import Hysteresis, Spike, significance

finite = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(("arm", "release", "way"), [(70.0, 60.0, "up"), (30.0, 40.0, "down")])
def test_noise_around_one_level_fires_once(arm: float, release: float, way: str) -> None:
    chance = random.Random(1)
    gate = Hysteresis(arm, release)
    events = [gate.update(50.0), *(gate.update(arm + chance.uniform(-9, 9)) for _ in range(10_000))]
    assert [event for event in events if event] == [way]
    events = [gate.update(release + chance.uniform(-9, 9)) for _ in range(10_000)]
    assert [event for event in events if event] == ["calm"]
    assert gate.update(arm) == way, "armed again"


def test_a_first_value_beyond_the_threshold_is_no_crossing() -> None:
    gate = Hysteresis(70, 60)
    assert [gate.update(x) for x in (80, 75, 90, 60, 70)] == [None, None, None, "calm", "up"]


@given(st.lists(finite), finite, finite)
def test_alarms_and_calms_alternate(values: list[float], arm: float, release: float) -> None:
    if arm == release:
        with pytest.raises(ValueError, match="must differ"):
            Hysteresis(arm, release)
        return
    gate = Hysteresis(arm, release)
    events = [event for event in map(gate.update, values) if event]
    assert all(a != b for a, b in pairwise(events))
    assert set(events) <= {gate.direction, "calm"}


def test_a_spike_is_told_once_until_it_has_calmed_down() -> None:
    chance = random.Random(2)
    spike = Spike(arm=5, release=2)
    price, events = 100.0, list[str]()
    moves = [chance.uniform(-1e-3, 1e-3) for _ in range(60)] + [0.02, -0.05, 0.2] + [1e-4] * 5
    for move in moves:
        price *= math.exp(move)
        if event := spike.update(price):
            events.append(event)
    assert events == ["spike", "calm"]


def test_a_spike_needs_no_history_of_movement() -> None:
    spike = Spike(warmup=10)
    assert [spike.update(x) for x in [100.0] * 20 + [100.1]][-1] == "spike"
    assert spike.z == 100.0


def test_nothing_spikes_while_warming_up_or_in_a_flat_market() -> None:
    spike = Spike(warmup=30)
    assert not any(spike.update(x) for x in [100.0] * 10 + [150.0] * 18)
    assert not any(Spike().update(100.0) for _ in range(100))


@given(finite, finite, finite, finite)
def test_significance_rises_with_the_distance_past_release(arm: float, release: float, a: float, b: float) -> None:
    if abs(arm - release) < 1e-3:
        return
    ahead = 1 if arm > release else -1
    low, high = sorted((a, b), key=lambda x: ahead * x)
    assert 0 <= significance(low, arm, release) <= significance(high, arm, release) <= 1


def test_significance_has_known_points() -> None:
    assert significance(60, 70, 60) == 0
    assert significance(70, 70, 60) == significance(30, 30, 40) == 0.5
    assert significance(50, 70, 60) == 0
    assert significance(math.inf, 70, 60) == 1
