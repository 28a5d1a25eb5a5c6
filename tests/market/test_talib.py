"""TA-Lib as the judge of the indicators, to 1e-8, over series of 100,000."""

import random
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytest
import talib
from numpy.typing import NDArray

from kokex.market.indicators import ATR, EMA, MACD, RSI, SMA, Bollinger, RateOfChange, RealisedVolatility, VolumeZScore
from kokex.messages import Candle

N = 100_000
Floats = NDArray[np.float64]


def walk(seed: int, jump: float = 0.0) -> list[float]:
    chance = random.Random(seed)
    price, prices = 60_000.0, list[float]()
    for _ in range(N):
        price *= 1 + chance.gauss(0, 0.0005)
        if jump and chance.random() < 0.001:
            price *= (1 + jump) if price < 60_000 else 1 / (1 + jump)
        prices.append(round(price, 1))
    return prices


def ticks(seed: int) -> list[float]:
    """One tick up or down now and then, like a quiet market."""
    chance = random.Random(seed)
    return [round(60_000 + chance.choice([0.0, 0.0, 0.0, 0.1, -0.1]), 1) for _ in range(N)]


SERIES: dict[str, list[float]] = {
    "random": walk(1),
    "flat": [60_000.1] * N,
    "one tick in the middle": [0.4567] * (N // 2) + [0.4568] * (N // 2),
    "single ticks": ticks(2),
    "gapped": walk(3, jump=0.2),
    "small": [round(price / 6e8, 8) for price in walk(4)],
}


@pytest.fixture(params=SERIES)
def prices(request: pytest.FixtureRequest) -> list[float]:
    return SERIES[request.param]


def agree(got: Iterable[float | None], want: Floats, warmup: int) -> None:
    """Nothing before the warm-up, and then the same to 1e-8, relative or absolute."""
    values = list(got)
    assert values[: warmup - 1] == [None] * (warmup - 1)
    mine = np.array(values[warmup - 1 :], dtype=np.float64)  # a None becomes NaN and fails
    np.testing.assert_allclose(mine, want[warmup - 1 :], rtol=1e-8, atol=1e-8)


def test_sma(prices: list[float]) -> None:
    sma = SMA(30)
    agree(map(sma.update, prices), talib.SMA(np.array(prices), 30), sma.warmup)


def test_ema(prices: list[float]) -> None:
    ema = EMA(21)
    agree(map(ema.update, prices), talib.EMA(np.array(prices), 21), ema.warmup)


def test_rsi(prices: list[float]) -> None:
    rsi = RSI(14)
    agree(map(rsi.update, prices), talib.RSI(np.array(prices), 14), rsi.warmup)


def test_macd(prices: list[float]) -> None:
    macd = MACD(12, 26, 9)
    rows = [(macd.update(price), macd.signal, macd.histogram) for price in prices]
    line, signal, histogram = talib.MACD(np.array(prices), 12, 26, 9)
    agree((row[0] for row in rows), line, macd.warmup)
    ready = slice(macd.warmup - 1, None)
    np.testing.assert_allclose([row[1] for row in rows][ready], signal[ready], rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose([row[2] for row in rows][ready], histogram[ready], rtol=1e-8, atol=1e-8)


def test_bollinger(prices: list[float]) -> None:
    bands = Bollinger(20, 2.0)
    rows = [(bands.update(price), bands.upper, bands.lower) for price in prices]
    upper, middle, lower = talib.BBANDS(np.array(prices), 20, 2.0, 2.0)
    agree((row[0] for row in rows), middle, bands.warmup)
    ready = slice(bands.warmup - 1, None)
    np.testing.assert_allclose([row[1] for row in rows][ready], upper[ready], rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose([row[2] for row in rows][ready], lower[ready], rtol=1e-8, atol=1e-8)


def test_rate_of_change(prices: list[float]) -> None:
    roc = RateOfChange(10)
    agree(map(roc.update, prices), talib.ROCP(np.array(prices), 10), roc.warmup)


def test_atr(prices: list[float]) -> None:
    candles = candles_of(prices)
    atr = ATR(14)
    high, low, close = (np.array([getattr(c, name) for c in candles]) for name in ("high", "low", "close"))
    agree(map(atr.update, candles), talib.ATR(high, low, close, 14), atr.warmup)


def test_realised_volatility(prices: list[float]) -> None:
    volatility = RealisedVolatility(30)
    returns = np.diff(np.log(np.array(prices)), prepend=np.nan)
    want = np.sqrt(windowed(returns**2, 30, np.mean))
    agree(map(volatility.update, prices), want, volatility.warmup)


def test_volume_z_score() -> None:
    chance = random.Random(5)
    volumes = [round(chance.lognormvariate(3, 1.5), 8) for _ in range(N)]
    score = VolumeZScore(20)
    array = np.array(volumes)
    want = (array - talib.SMA(array, 20)) / talib.STDDEV(array, 20)
    agree(map(score.update, volumes), want, score.warmup)


def windowed(values: Floats, length: int, of: Callable[..., Floats]) -> Floats:
    tail = of(np.lib.stride_tricks.sliding_window_view(values, length), axis=1)
    return np.concatenate([np.full(length - 1, np.nan), tail])


def candles_of(prices: Sequence[float]) -> list[Candle]:
    chance = random.Random(9)
    opens = [prices[0], *prices[:-1]]
    return [
        Candle("X", i, o, max(o, c) * (1 + chance.random() / 1e3), min(o, c) * (1 - chance.random() / 1e3), c, 1.0)
        for i, (o, c) in enumerate(zip(opens, prices, strict=True))
    ]
