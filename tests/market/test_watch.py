"""The thresholds on one instrument's indicators."""

import math
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from kokex.config import Edges
from kokex.market.watch import LONG, Watch
from kokex.messages import Candle

LEVELS = Edges()


def candle(index: int, close: float, volume: float = 10.0) -> Candle:
    return Candle("X", index, close, close * 1.001, close / 1.001, close, volume)


def test_it_is_warm_with_its_longest_look_back_and_not_before() -> None:
    watch = Watch(LEVELS)
    for index in range(LONG):
        watch.update(candle(index, 100 + index % 3))
    assert not watch.warm
    watch.update(candle(LONG, 100))
    assert watch.warm
    assert set(watch.values()) == {"rsi", "atr", "rate_of_change", "volatility", "volatility_ratio", "volume_z"}


def test_of_a_flat_price_there_is_no_ratio_of_volatilities_but_all_else() -> None:
    watch = Watch(LEVELS)
    crossings = [crossing for index in range(300) for crossing in watch.update(candle(index, 100))]
    assert watch.warm
    assert "volatility_ratio" not in watch.values()
    assert crossings == []


def test_a_burst_of_volume_is_told_with_its_value_and_significance() -> None:
    watch = Watch(LEVELS)
    for index in range(200):
        watch.update(candle(index, 100 + index % 2, volume=10 + index % 2))
    (crossing,) = watch.update(candle(200, 101, volume=100))
    assert (crossing.source, crossing.kind) == ("volume_z", "up")
    assert crossing.value > 3
    assert crossing.score > 0.5
    assert crossing.note.startswith("volume_z 4")
    assert crossing.note.endswith("crossed 3")


def test_a_jump_is_a_spike_and_the_next_quiet_candle_its_end() -> None:
    watch = Watch(LEVELS)
    chance, price = random.Random(3), 100.0
    for index in range(200):
        price *= math.exp(chance.gauss(0, 0.0005))
        watch.update(candle(index, price))
    jump = {c.source: c for c in watch.update(candle(200, price * 1.02))}
    assert jump["spike"].kind == "spike"
    assert jump["spike"].value > 4
    assert {c.source: c.kind for c in watch.update(candle(201, price * 1.02))}["spike"] == "calm"


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.floats(0.0005, 0.02))
def test_each_source_fires_and_releases_in_turn(seed: int, sigma: float) -> None:
    watch, chance, price = Watch(LEVELS), random.Random(seed), 100.0
    fired: dict[str, bool] = {}
    for index in range(400):
        price *= math.exp(chance.gauss(0, sigma))
        for crossing in watch.update(candle(index, price, chance.lognormvariate(2, 1))):
            # what was beyond its threshold from the first is only released
            assert (crossing.kind == "calm") == fired.get(crossing.source, crossing.kind == "calm")
            assert 0 <= crossing.score <= 1
            fired[crossing.source] = crossing.kind != "calm"
