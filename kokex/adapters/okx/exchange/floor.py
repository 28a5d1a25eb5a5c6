"""The trading floor: all pairs and boards, and the time that passes on them.

Four times a second every price moves, orders that work are matched against the book, and what happened is told to those
who listen. `tick` is called by the server's clock; after a pause it catches up second by second.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from msgspec import Struct

from kokex.adapters.okx.exchange.board import Board
from kokex.adapters.okx.exchange.course import Bar, Course, refine
from kokex.adapters.okx.exchange.listing import Listing
from kokex.paper.exchange import Exchange
from kokex.paper.prices import common_shocks, funding_rate
from kokex.ports import Chance

PARTS = 4  # ticks in a second
TICK_NS = 1_000_000_000 // PARTS
MATCH_LEVELS = 50
LEFT_OUT = 1000
DAY = 86_400


class Day(NamedTuple):
    """The last 24 hours, and where the price was when two days began."""

    open: float
    high: float
    low: float
    volume: float  # base currency
    quote_volume: float
    utc0: float
    utc8: float


class Market(Struct):
    """What a floor that goes on later needs, besides its courses: (trade number, book's sequence) and funding rates."""

    boards: dict[str, tuple[int, int]]
    rates: dict[str, float]
    paid: dict[str, list[tuple[int, float]]]


class Floor:
    def __init__(
        self, listings: list[Listing], courses: Mapping[str, Course], chance: Chance, funding_s: int, start_s: int
    ) -> None:
        self.listings = {each.id: each for each in listings}
        self.codes = {each.code: each for each in listings}
        self.courses = dict(courses)
        self.boards = {each.id: Board(each, courses[each.pair].price, chance) for each in listings}
        self.funding_s = funding_s
        self.now_ms = start_s * 1000
        self.next_funding_s = start_s - start_s % funding_s + funding_s
        self.rates: dict[str, float] = {}  # of the running interval
        self.paid: dict[str, list[tuple[int, float]]] = {}  # (seconds, rate), newest first
        self._chance = chance
        self._second: dict[str, Bar] = {}  # that is running, and what is left of it
        self._parts: list[dict[str, Bar]] = []
        self._days: dict[str, tuple[int, Day]] = {}
        self.swaps = [each for each in listings if each.type == "SWAP"]
        for each in self.swaps:
            self.rates[each.id] = self._draw_rate(each)
            self.paid[each.id] = [
                (self.next_funding_s - (back + 1) * funding_s, self._draw_rate(each)) for back in range(100)
            ]
        for board in self.boards.values():
            self._open(board)

    def market(self) -> Market:
        return Market(
            {symbol: (each.number, each.sequence) for symbol, each in self.boards.items()}, self.rates, self.paid
        )

    def resume(self, market: Market) -> None:
        """Goes on from there. Some numbers are left out: they may have been told, and not been kept."""
        self.rates.update(market.rates)
        self.paid.update(market.paid)
        for symbol, (number, sequence) in market.boards.items():
            if board := self.boards.get(symbol):
                board.number, board.sequence = number + LEFT_OUT, sequence + LEFT_OUT
                board.trades.clear()
                self._open(board)

    def _open(self, board: Board) -> None:
        board.see(self.courses[board.listing.pair].price, self.now_ms)
        for back in range(100, 0, -1):
            board.trade(self.now_ms - back * 700)

    # ---- time ---------------------------------------------------------------------------------

    def tick(self, exchange: Exchange, now_ns: Callable[[], int]) -> list[tuple[str, int, float]]:
        """A quarter of a second passes. Returns the funding that fell due: (swap, seconds, rate)."""
        if not self._parts:
            common = common_shocks(self._chance)
            self._second = {pair: course.draw(common) for pair, course in self.courses.items()}
            drawn = {pair: refine(bar, PARTS, self._chance) for pair, bar in self._second.items()}
            self._parts = [{pair: parts[index] for pair, parts in drawn.items()} for index in range(PARTS)]
        now = self._parts.pop(0)
        self.now_ms += 1000 // PARTS
        if not self._parts:
            for pair, course in self.courses.items():
                course.close(self._second[pair])
        for board in self.boards.values():
            price = now[board.listing.pair].close
            board.see(price, self.now_ms)
            if board.is_off or self._chance.random() < 0.3:
                board.trade(self.now_ms)
            exchange.marks[board.listing.id] = float(board.text(price))
        for symbol in tuple(exchange.busy):
            self.match(exchange, symbol, now_ns())
        return self._funding() if not self._parts else []

    def match(self, exchange: Exchange, symbol: str, at_ns: int) -> None:
        """Working orders meet the book as it stands; the deep part of it only if the near part is not enough."""
        exchange.on_book(self.boards[symbol].book(MATCH_LEVELS), at_ns)

    def _funding(self) -> list[tuple[str, int, float]]:
        second = self.now_ms // 1000
        due: list[tuple[str, int, float]] = []
        while self.next_funding_s <= second:
            for each in self.swaps:
                rate = self.rates[each.id]
                due.append((each.id, self.next_funding_s, rate))
                self.paid[each.id].insert(0, (self.next_funding_s, rate))
                del self.paid[each.id][400:]
                self.rates[each.id] = self._draw_rate(each)
            self.next_funding_s += self.funding_s
        return due

    def _draw_rate(self, swap: Listing) -> float:
        return round(funding_rate(self.courses[swap.pair].path(), self._chance), 8)

    # ---- looking ------------------------------------------------------------------------------

    def price(self, symbol: str) -> float:
        return self.boards[symbol].price

    def day(self, pair: str) -> Day:
        """Computed once a minute; its price goes on meanwhile."""
        course = self.courses[pair]
        minute = course.next - course.next % 60
        found = self._days.get(pair)
        if found is None or found[0] != minute:
            found = self._days[pair] = minute, self._look_back(course, minute)
        day = found[1]
        return day._replace(high=max(day.high, course.price), low=min(day.low, course.price))

    def _look_back(self, course: Course, minute: int) -> Day:
        hours = [course.bar(3600, minute - minute % 3600 - back * 3600) for back in range(24)]
        bars = [bar for bar in hours if bar]
        now = course.price

        def opened(at: int) -> float:
            bar = course.bar(3600, at)
            return bar.open if bar else now

        first = course.bar(60, minute - DAY)
        volume = sum(bar.volume for bar in bars)
        return Day(
            first.open if first else bars[-1].open if bars else now,
            max((bar.high for bar in bars), default=now),
            min((bar.low for bar in bars), default=now),
            volume,
            volume * now,
            opened(minute - minute % DAY),
            opened((minute + 28_800) // DAY * DAY - 28_800),
        )
