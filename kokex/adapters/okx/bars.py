"""Candle spans as OKX names them. From six hours on, those that open at UTC multiples (1D would open at 16:00)."""

from kokex.market import timeframes
from kokex.market.timeframes import HOUR, MINUTE, SECOND

BARS: dict[int, str] = {
    SECOND: "1s",
    MINUTE: "1m",
    3 * MINUTE: "3m",
    5 * MINUTE: "5m",
    15 * MINUTE: "15m",
    30 * MINUTE: "30m",
    HOUR: "1H",
    2 * HOUR: "2H",
    4 * HOUR: "4H",
    6 * HOUR: "6Hutc",
    12 * HOUR: "12Hutc",
    24 * HOUR: "1Dutc",
}


def bar_of(span_ns: int) -> str:
    """Raises ValueError for a span that OKX has no candles of."""
    try:
        return BARS[span_ns]
    except KeyError:
        known = ", ".join(timeframes.name_of(span) for span in BARS)
        raise ValueError(f"OKX has no candles of {span_ns / SECOND:g} s: known are {known}") from None
