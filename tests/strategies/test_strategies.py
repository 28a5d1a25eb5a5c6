"""Scenarios: these closes, that signal."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokex.messages import Candle, Signal
from strategies.spec import Strategy, build

SECOND = 1_000_000_000
SHORT = {"fast": 8, "slow": 21, "band": 0.7}  # a trend that a hundred candles show


def run(strategy: Strategy, closes: list[float]) -> list[Signal | None]:
    return [strategy.update(Candle("X", i, c, c, c, c, 1.0)) for i, c in enumerate(closes)]


def sides(signals: list[Signal | None]) -> list[int | None]:
    return [signal and signal.side for signal in signals]


@pytest.mark.parametrize(
    ("closes", "expected"),
    [
        # fast 1, slow 2: the fast one stands above after a rise, below after a fall, level after no change
        ([1, 2, 3], [None, 0, 0]),  # above from the start is no crossing
        ([1, 2, 1, 2], [None, 0, -1, 1]),
        ([2, 1, 2, 1], [None, 0, 1, -1]),
        ([1, 1, 2], [None, 0, 1]),  # level at first: the first move is a crossing
        ([1, 1, 1, 0], [None, 0, 0, -1]),
        ([1, 2, 2, 3], [None, 0, 0, 0]),  # level in between changes nothing
        ([1, 2, 2, 1], [None, 0, 0, -1]),
        ([2, 1, 2, 2, 3, 3, 2], [None, 0, 1, 1, 1, 1, -1]),
    ],
)
def test_equal_averages_are_not_a_crossing(closes: list[float], expected: list[int | None]) -> None:
    assert sides(run(build("sma_cross", {"fast": 1, "slow": 2}), closes)) == expected


def test_averages_equal_as_decimals_are_equal_whatever_floats_make_of_them() -> None:
    closes = [0.1, 0.2, 0.3, 0.2, 0.2, 0.2, 0.2]  # in floats sum([.1, .2, .3]) / 3 is not 0.2
    signals = run(build("sma_cross", {"fast": 1, "slow": 3}), closes)
    assert sides(signals) == [None, None, 0, -1, -1, -1, -1]
    drifted = run(build("sma_cross", {"fast": 2, "slow": 4}), [1e9, 0.1, 0.7, 0.3] + [0.1, 0.3] * 50)
    settled = drifted[8:]
    assert all(signal is settled[0] for signal in settled)


@given(st.lists(st.integers(1, 6), min_size=3, max_size=80), st.integers(1, 3), st.integers(1, 4))
def test_crossings_are_those_of_the_definition(ticks: list[int], fast: int, more: int) -> None:
    slow = fast + more
    got = sides(run(build("sma_cross", {"fast": fast, "slow": slow}), [tick / 10 for tick in ticks]))
    side, last = 0, None  # last: the relation when it was last not equal; 0: equal ever since the start
    for i in range(len(ticks)):
        if i + 1 < slow:
            assert got[i] is None
            continue
        a = Fraction(sum(ticks[i + 1 - fast : i + 1]), fast)
        b = Fraction(sum(ticks[i + 1 - slow : i + 1]), slow)
        relation = (a > b) - (a < b)
        if relation and last is not None and relation != last:
            side = relation
        last = relation or last or 0
        assert got[i] == side


def test_a_trend_is_followed_until_its_averages_meet() -> None:
    up = [100 + 0.1 * (-1) ** i for i in range(60)] + [100 + 0.5 * i for i in range(40)]
    signals = run(build("trend", SHORT), up)
    signal = signals[-1]
    assert signal is not None
    assert signal.side == 1
    began = signals.index(signal)
    assert began > 60
    assert signal.invalidation is not None
    assert signal.invalidation < up[began]
    assert 0.5 <= signal.strength < 1
    assert "true ranges apart" in signal.reason
    down = run(build("trend", SHORT), [200 - price for price in up])
    assert sides(down) == [side and -side for side in sides(signals)]
    ended = sides(run(build("trend", SHORT), up + [120 - 1.5 * i for i in range(30)]))
    assert ended[-1] == -1
    assert 0 in ended[began:]


def test_an_overdone_move_is_bet_against_until_the_middle() -> None:
    quiet = [100 + 0.1 * (-1) ** i for i in range(40)]
    strategy = build("mean_reversion", {})
    run(strategy, quiet)
    fallen, lower, back = run(strategy, [98.5, 98.4, 100.2])
    assert fallen is not None
    assert fallen.side == 1
    assert fallen.invalidation is not None
    assert fallen.invalidation < 98.5
    assert lower is fallen
    assert back is not None
    assert back.side == 0


def test_a_bet_is_given_up_at_its_invalidation_price() -> None:
    strategy = build("mean_reversion", {})
    run(strategy, [100 + 0.1 * (-1) ** i for i in range(40)])
    risen, crashed = run(strategy, [101.5, 120.0])
    assert risen is not None
    assert risen.side == -1
    assert risen.invalidation is not None
    assert 101.5 < risen.invalidation < 120
    assert crashed is not None
    assert crashed.side == 0
