"""Candles as OKX serves them: names of bars, where they open, and their rows."""

from calendar import timegm
from collections.abc import Iterator
from time import gmtime

from kokex.adapters.okx.exchange.board import Board
from kokex.adapters.okx.exchange.course import Bar, Course, merged

HOUR, DAY = 3600, 86_400
SHIFT = 8 * HOUR  # bars of six hours and more open by the clock of Hong Kong, those ending in utc by UTC's
MONDAY = 4 * DAY  # 1970-01-05

# seconds; months are negative
SPANS = {
    "1s": 1, "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "1H": HOUR, "2H": 2 * HOUR, "4H": 4 * HOUR,
    "6H": 6 * HOUR, "12H": 12 * HOUR, "1D": DAY, "2D": 2 * DAY, "3D": 3 * DAY, "5D": 5 * DAY, "1W": 7 * DAY,
    "1M": -1, "3M": -3, "6M": -6, "1Y": -12,
}  # fmt: skip
SHIFTED = frozenset({"6H", "12H", "1D", "2D", "3D", "5D", "1W", "1M", "3M", "6M", "1Y"})


class UnknownBar(ValueError):
    """No bar has this name."""


class Span:
    """A bar size. Raises UnknownBar."""

    def __init__(self, name: str) -> None:
        plain = name.removesuffix("utc")
        if plain not in SPANS or (plain != name and plain not in SHIFTED) or (plain == "1s" and plain != name):
            raise UnknownBar(name)
        self.name = name
        self.seconds = SPANS[plain]
        self._shift = SHIFT if plain == name and plain in SHIFTED else 0
        self._origin = MONDAY if plain == "1W" else 0

    def opening(self, at: int) -> int:
        """When the bar that holds second `at` opened."""
        local = at + self._shift
        if self.seconds > 0:
            return local - (local - self._origin) % self.seconds - self._shift
        year, month = _month(local)
        return _month_start(year, month - (month - 1) % -self.seconds) - self._shift

    def following(self, opening: int) -> int:
        if self.seconds > 0:
            return opening + self.seconds
        year, month = _month(opening + self._shift)
        return _month_start(year, month - self.seconds) - self._shift

    def preceding(self, opening: int) -> int:
        return self.opening(opening - 1)

    @property
    def base(self) -> int:
        """The kept bars it is made of."""
        if 0 < self.seconds < 60:
            return 1
        return 60 if 0 < self.seconds < HOUR else HOUR

    def bar(self, course: Course, opening: int) -> Bar | None:
        """The bar, as far as it has come; None: there is none."""
        found: Bar | None = None
        at, end = opening, min(self.following(opening), course.next)
        while at < end:
            part = course.bar(self.base, at)
            if part is not None:
                found = merged(found, part)
            at += self.base
        return found


def _month(at: int) -> tuple[int, int]:
    return gmtime(at)[:2]


def _month_start(year: int, month: int) -> int:
    return timegm((year + (month - 1) // 12, (month - 1) % 12 + 1, 1, 0, 0, 0))


def newest_first(
    course: Course, span: Span, older_than_ms: int | None, newer_than_ms: int | None
) -> Iterator[tuple[int, Bar]]:
    """(opening in seconds, bar), exclusive at both ends, until there is nothing older."""
    opening = span.opening(course.next - 1)
    if older_than_ms is not None:
        opening = min(opening, span.opening((older_than_ms - 1) // 1000))
    missing = 0
    while missing < 100:
        if newer_than_ms is not None and opening * 1000 <= newer_than_ms:
            return
        bar = span.bar(course, opening)
        if bar is None:
            missing += 1
        else:
            missing = 0
            yield opening, bar
        opening = span.preceding(opening)


def candle_row(board: Board, span: Span, opening: int, bar: Bar, now: int) -> list[str]:
    """ts, open, high, low, close, volume (contracts, or base), volume in base, in quote, confirm."""
    inst = board.listing.inst
    volume = f"{bar.volume:.6f}".rstrip("0").rstrip(".") or "0"
    quote = f"{bar.volume * bar.close:.4f}".rstrip("0").rstrip(".") or "0"
    units = f"{bar.volume / float(inst.contract_value):.2f}".rstrip("0").rstrip(".") if inst.kind == "swap" else volume
    return [
        str(opening * 1000),
        *[board.text(price) for price in bar[:4]],
        units or "0",
        volume,
        quote,
        "1" if span.following(opening) <= now else "0",
    ]
