"""Names of candle spans: "1m" is 60,000,000,000 nanoseconds."""

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

SPANS: dict[str, int] = {
    "1s": SECOND,
    "5s": 5 * SECOND,
    "1m": MINUTE,
    "3m": 3 * MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": HOUR,
    "2h": 2 * HOUR,
    "4h": 4 * HOUR,
    "6h": 6 * HOUR,
    "12h": 12 * HOUR,
    "1d": DAY,
}
_NAMES = {span_ns: name for name, span_ns in SPANS.items()}


class UnknownTimeframe(ValueError):
    """No timeframe has this name, or this span."""


def parse(name: str) -> int:
    """The span in nanoseconds of a timeframe such as "5m". Raises UnknownTimeframe."""
    try:
        return SPANS[name]
    except KeyError:
        raise UnknownTimeframe(f"unknown timeframe {name!r}: known are {', '.join(SPANS)}") from None


def name_of(span_ns: int) -> str:
    """The name of a span. Raises UnknownTimeframe."""
    try:
        return _NAMES[span_ns]
    except KeyError:
        raise UnknownTimeframe(f"no timeframe spans {span_ns} ns: known are {', '.join(SPANS)}") from None
