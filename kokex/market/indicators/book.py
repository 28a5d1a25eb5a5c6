"""What the order book leans to."""

from itertools import islice

from kokex.market.indicators.exact import at_least
from kokex.messages import Book


class BookImbalance:
    """(bid size - ask size) / (bid size + ask size) over the best levels: -1 only asks, 1 only bids."""

    __slots__ = ("_levels", "warmup")

    def __init__(self, levels: int = 5) -> None:
        """Raises ValueError for fewer levels than 1."""
        self._levels = at_least(1, levels)
        self.warmup = 1

    def update(self, book: Book) -> float | None:
        """The imbalance of this book; None for a book without size."""
        bid = sum(float(level.sz) for level in islice(book.bids, self._levels))
        ask = sum(float(level.sz) for level in islice(book.asks, self._levels))
        return (bid - ask) / (bid + ask) if bid + ask else None
