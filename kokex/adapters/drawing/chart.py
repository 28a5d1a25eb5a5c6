"""What a chart of candles shows: prices and volume, what was decided and traded, and the fan of the last forecast."""

from msgspec import Struct

from kokex.adapters.drawing.fan import Fan

Bar = tuple[int, float, float, float, float, float]  # open_ns, open, high, low, close, volume


class Mark(Struct, frozen=True, array_like=True):
    """Something that happened at a price."""

    at: int
    price: float
    up: bool  # bought, or wanted to be long
    traded: bool  # a fill; else only wanted


class Chart(Struct, frozen=True, tag=True):
    """One instrument's candles, oldest first."""

    title: str
    summary: str
    span_ns: int
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...] = ()
    fan: Fan | None = None
    stop: float | None = None  # where the protective stop is
