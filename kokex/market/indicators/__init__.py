"""Streaming indicators: O(1) for each update, no drift.

Each is a small class with `warmup`, the number of updates until the first value, and `update(...)`, which
returns the value, or None before that.
"""

from kokex.market.indicators.averages import EMA, MACD, SMA, CrossingAverages
from kokex.market.indicators.book import BookImbalance
from kokex.market.indicators.dispersion import ATR, Bollinger, RealisedVolatility, VolumeZScore
from kokex.market.indicators.momentum import RSI, RateOfChange

__all__ = [
    "ATR",
    "EMA",
    "MACD",
    "RSI",
    "SMA",
    "Bollinger",
    "BookImbalance",
    "CrossingAverages",
    "RateOfChange",
    "RealisedVolatility",
    "VolumeZScore",
]
