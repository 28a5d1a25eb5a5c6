"""The model that is part of the program: there, small, and able to forecast without a download."""

from pathlib import Path

import pytest

from kokex.kronos.registry import NANO, NANO_MODEL, resolve

np = pytest.importorskip("numpy")
pytest.importorskip("torch")

from kokex.kronos.returns import Returns


def test_it_is_there_and_small() -> None:
    found = resolve(NANO)
    files = [file for folder in (found.tokenizer, found.model) for file in Path(folder).iterdir()]
    assert sum(file.stat().st_size for file in files) < 2_000_000
    assert found.max_context == NANO_MODEL.max_context == 264


def walk(scale: float, volatility: float) -> tuple[list[int], list[list[float]], list[float]]:
    closes = scale * np.exp(np.cumsum(np.random.default_rng(1).normal(0, volatility, 240)))
    opens = np.concatenate([closes[:1], closes[:-1]])
    prices = [opens, np.maximum(opens, closes), np.minimum(opens, closes), closes]
    return [i * 300_000_000_000 for i in range(240)], [column.tolist() for column in prices], [1.0] * 240


def spread(scale: float, volatility: float) -> float:
    times, prices, volume = walk(scale, volatility)
    future = [times[-1] + step * 300_000_000_000 for step in range(1, 25)]
    return float(Returns(NANO).draw(times, prices, volume, future, 200, seed=3)[:, -1].std())


def test_its_paths_are_as_wild_as_the_past_at_any_price() -> None:
    calm, wild = spread(100.0, 0.001), spread(100.0, 0.01)
    assert 0.3 < calm / (0.001 * 24**0.5) < 2
    assert 0.3 < wild / (0.01 * 24**0.5) < 2
    assert spread(5e-5, 0.001) == pytest.approx(calm, rel=0.2)
