"""A fan chart: what came, and the bands in which what comes may lie."""

from collections.abc import Sequence

from msgspec import Struct

from kokex.adapters.drawing.picture import Points


class Fan(Struct, frozen=True, tag=True):
    """What the child process of `drawing` reads."""

    title: str
    summary: str  # the numbers in one line
    history: Points  # closes, at the times they were made
    bands: Sequence[tuple[int, float, float, float, float, float]]  # time; 5, 25, 50, 75 and 95 % of the close
    levels: Sequence[tuple[float, str]] = ()  # a price, and what is to be said of it

    def opened(self) -> Sequence[tuple[int, float, float, float, float, float]]:
        """The bands, opening from the last close. Raises ValueError when there is nothing to draw."""
        if len(self.history) < 2 or not self.bands:
            raise ValueError("a fan chart needs two closes or more, and a step to come")
        at, close = self.history[-1]
        return [(at, close, close, close, close, close), *self.bands]
