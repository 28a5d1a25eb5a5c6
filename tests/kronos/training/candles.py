"""Candles that have something to learn: a price that swings, with noise."""

import math

import torch

from kokex.kronos.training.windows import Series, series

MINUTE = 60_000_000_000


def swinging(count: int, name: str = "X", seed: int = 1, begin_ns: int = 0) -> Series:
    noise = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    close = [100 * math.exp(0.05 * math.sin(i / 9) + 0.002 * float(noise[i, 0])) for i in range(count)]
    open_ = [close[max(0, i - 1)] for i in range(count)]
    high = [1.001 * max(pair) for pair in zip(open_, close, strict=True)]
    low = [0.999 * min(pair) for pair in zip(open_, close, strict=True)]
    volume = [math.exp(float(noise[i, 1])) for i in range(count)]
    return series(name, [begin_ns + i * MINUTE for i in range(count)], (open_, high, low, close), volume)
