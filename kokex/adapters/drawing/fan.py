"""A fan: the bands in which what comes may lie. By itself after what came, or at the end of a chart of candles."""

from collections.abc import Sequence

from msgspec import Struct

from kokex.adapters.drawing.picture import Points

Band = tuple[int, float, float, float, float, float]  # time; 5, 25, 50, 75 and 95 % of the close


class Fan(Struct, frozen=True):
    """A forecast, from the close it was made at."""

    at_ns: int
    price: float
    bands: tuple[Band, ...]

    def opened(self) -> list[Band]:
        """The bands, opening from that close."""
        price = self.price
        return [(self.at_ns, price, price, price, price, price), *self.bands]


class FanChart(Struct, frozen=True, tag=True):
    """What the child process of `drawing` reads."""

    title: str
    summary: str  # the numbers in one line
    history: Points  # closes, at the times they were made
    fan: Fan
    levels: Sequence[tuple[float, str]] = ()  # a price, and what is to be said of it

    def check(self) -> None:
        """Raises ValueError when there is nothing to draw."""
        if len(self.history) < 2 or not self.fan.bands:
            raise ValueError("a fan chart needs two closes or more, and a step to come")
