import math
import sys
from pathlib import Path

import pytest

import strategies
from kokex.messages import Candle
from strategies.spec import BadParameter, UnknownStrategy, build, find, names

GUIDE = Path(__file__).parents[2] / "docs" / "strategies.md"
RIGHT = "must be a whole number from 1 to 10000 (candles in the fast average)"


def candle(close: float) -> Candle:
    return Candle("X", 0, close, close, close, close, 1.0)


def test_strategies_are_found_by_their_file_names() -> None:
    assert names() == ["mean_reversion", "sma_cross", "trend"]
    for name in names():
        assert find(name).name == name
        assert find(name).doc
        assert not find(name).forecast


def test_an_unknown_strategy_is_told_what_exists() -> None:
    with pytest.raises(
        UnknownStrategy,
        match=r"unknown strategy 'sma_cros' \(did you mean sma_cross\?\): there are mean_reversion, sma_cross, trend",
    ):
        build("sma_cros", {})
    with pytest.raises(UnknownStrategy, match=r"unknown strategy 'spec': there are"):
        build("spec", {})


@pytest.mark.parametrize(
    ("params", "line"),
    [
        ({"fasst": 3}, "sma_cross has no parameter 'fasst': there are fast, slow"),
        ({"fast": 0}, f"sma_cross: fast = 0 {RIGHT}"),
        ({"fast": 2.5}, f"sma_cross: fast = 2.5 {RIGHT}"),
        ({"fast": math.nan}, f"sma_cross: fast = nan {RIGHT}"),
        ({"fast": 30}, "sma_cross: fast must be below slow: fast = 30, slow = 30"),
    ],
)
def test_a_bad_parameter_is_one_clear_line(params: dict[str, float], line: str) -> None:
    with pytest.raises(BadParameter) as caught:
        build("sma_cross", params)
    assert str(caught.value) == line


def test_whole_parameters_stay_whole() -> None:
    fast = find("sma_cross").parameters[0].checked(12.0)
    assert fast == 12
    assert isinstance(fast, int)
    assert isinstance(find("trend").parameters[-1].checked(2), float)


@pytest.mark.parametrize("name", names())
def test_defaults_are_within_their_bounds_and_warm_up_is_kept(name: str) -> None:
    for parameter in find(name).parameters:
        assert parameter.low <= parameter.default <= parameter.high
    strategy = build(name, {})
    signals = [strategy.update(candle(100.0 + i % 3)) for i in range(strategy.warmup + 5)]
    assert signals[: strategy.warmup - 1] == [None] * (strategy.warmup - 1)
    assert all(signal is not None for signal in signals[strategy.warmup - 1 :])


@pytest.mark.parametrize("name", names())
def test_an_unchanged_signal_is_the_same_object_and_two_strategies_share_nothing(name: str) -> None:
    one, other = build(name, {}), build(name, {})
    flat = [one.update(candle(100.0)) for _ in range(one.warmup + 50)]
    assert len({id(signal) for signal in flat[one.warmup - 1 :]}) == 1
    assert other.update(candle(100.0)) is None


@pytest.mark.parametrize("name", names())
def test_the_guide_has_each_parameter(name: str) -> None:
    table = GUIDE.read_text()
    for p in find(name).parameters:
        assert f"| `{p.name}` | {p.default:g} | {p.low:g} to {p.high:g} | {p.doc} |" in table


def test_the_strategy_in_the_guide_works_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = GUIDE.read_text().split("```python\n")[1].split("```")[0]
    (tmp_path / "breakout.py").write_text(code)
    monkeypatch.setattr(strategies, "__path__", [*strategies.__path__, str(tmp_path)])
    assert "breakout" in names()
    strategy = build("breakout", {"length": 3})
    signals = [strategy.update(candle(close)) for close in (10, 11, 12, 11.5, 12, 13, 14, 10, 9)]
    sides = [signal and signal.side for signal in signals]
    assert sides == [None, None, None, 0, 0, 1, 1, -1, -1]
    assert signals[5] is signals[6]
    with pytest.raises(BadParameter, match="breakout: length = 1 must be a whole number from 2"):
        build("breakout", {"length": 1})
    del sys.modules["strategies.breakout"]
