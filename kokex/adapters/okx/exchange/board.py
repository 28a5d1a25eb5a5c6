"""One instrument's board: its order book, last trades and day, all of it made from where the price stands.

The book is two ladders around the price, one tick apart. A level's size follows from its price and a slow counter, so
that from one look to the next most levels stand and some change, as in a real book. What somebody takes is gone from
its level until the next look.
"""

from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from kokex.adapters.okx.exchange.listing import Listing, digits, plain
from kokex.paper.matching import Depth
from kokex.ports import Chance

DEPTH = 400
LEVEL_WORTH = 25_000.0  # quote currency that a level shows, on average
TRADES_KEPT = 500
STEP = 2e-6  # levels are at least this part of the price apart


class Trade(NamedTuple):
    number: int
    price: Decimal
    size: Decimal
    side: str  # the taker's
    at_ms: int


Ladder = list[tuple[int, int]]  # price in ticks, size in lots; best first


class Board:
    """`see(price)` moves it; the rest looks."""

    def __init__(self, listing: Listing, price: float, chance: Chance) -> None:
        self.listing = listing
        self.trades: deque[Trade] = deque(maxlen=TRADES_KEPT)  # newest last
        self.number = 1_000_000
        self.sequence = 1  # of the book: counts its changes
        self.at_ms = 0
        self._chance = chance
        inst = listing.inst
        self._tick, self._lot = float(inst.tick), float(inst.lot)
        self._price_digits, self._size_digits = digits(inst.tick), digits(inst.lot)
        self._worth = LEVEL_WORTH if listing.type == "SWAP" else LEVEL_WORTH / 2
        self._epoch = 0
        self._taken: dict[int, int] = {}
        self._anchor = 1
        self._step = max(1, round(price * STEP / self._tick))
        self._ladders: dict[str, Ladder] = {}
        self.last = price
        self.last_size = inst.minimum
        self._place(price)

    def _place(self, price: float) -> None:
        self.price = price
        self._anchor = max(self._step, round(price / self._tick))

    # ---- moving -----------------------------------------------------------------------------

    def see(self, price: float, at_ms: int) -> None:
        """The market is here now."""
        self._place(price)
        self.at_ms = at_ms
        self._epoch += 1
        self._taken.clear()
        self._ladders.clear()
        self.sequence += 1 + int(self._chance.random() * 5)

    @property
    def is_off(self) -> bool:
        """Whether the last trade is further from the price than the book allows."""
        return abs(self.last - self.price) > 1.5 * self._step * self._tick

    def trade(self, at_ms: int) -> Trade:
        """Somebody else trades."""
        side = "buy" if self._chance.random() < 0.5 else "sell"
        ticks = self.best("asks" if side == "buy" else "bids")[0]
        lots = self._minimum() + int(self._chance.random() ** 4 * self._worth / max(1e-12, self._value_of_lot()))
        return self.print(Decimal(ticks) * self.listing.inst.tick, lots * self.listing.inst.lot, side, at_ms)

    def print(self, price: Decimal, size: Decimal, side: str, at_ms: int) -> Trade:
        """A trade becomes public."""
        self.number += 1
        done = Trade(self.number, price, size, side, at_ms)
        self.trades.append(done)
        self.last, self.last_size = float(price), size
        return done

    def take(self, side: str, price: Decimal, size: Decimal) -> None:
        """Size is gone from the level that sold to (bought from) a taker."""
        ticks = round(price / self.listing.inst.tick)
        key = ticks if side == "buy" else -ticks
        self._taken[key] = self._taken.get(key, 0) + round(size / self.listing.inst.lot)
        self._ladders.clear()
        self.sequence += 1

    # ---- looking ----------------------------------------------------------------------------

    def ladder(self, side: str) -> Ladder:
        """`asks` or `bids`, `DEPTH` levels."""
        found = self._ladders.get(side)
        if found is None:
            found = self._ladders[side] = list(self._levels(side, DEPTH))
        return found

    def best(self, side: str) -> tuple[int, int]:
        return next(self._levels(side, 1))

    def bid(self) -> Decimal:
        return self.best("bids")[0] * self.listing.inst.tick

    def ask(self) -> Decimal:
        return self.best("asks")[0] * self.listing.inst.tick

    def rows(self, ladder: Ladder) -> list[list[str]]:
        """Levels as OKX writes them: price, size, a deprecated zero, orders."""
        return [[self.price_text(ticks), self.size_text(lots), "0", str(1 + ticks % 7)] for ticks, lots in ladder]

    def price_text(self, ticks: int) -> str:
        return _stripped(f"{ticks * self._tick:.{self._price_digits}f}")

    def size_text(self, lots: int) -> str:
        return _stripped(f"{lots * self._lot:.{self._size_digits}f}")

    def text(self, price: float) -> str:
        """A price on the tick."""
        return self.price_text(max(1, round(price / self._tick)))

    def book(self, levels: int) -> Depth:
        """As the matching engine takes it."""
        tick, lot = self.listing.inst.tick, self.listing.inst.lot

        def side(name: str) -> tuple[tuple[Decimal, Decimal], ...]:
            ladder = self.ladder(name) if levels > 50 else self._levels(name, levels)
            return tuple((ticks * tick, lots * lot) for ticks, lots in ladder)

        return Depth(instrument=self.listing.id, bids=side("bids"), asks=side("asks"))

    def _levels(self, side: str, most: int) -> Iterator[tuple[int, int]]:
        sign = 1 if side == "asks" else -1
        step, taken, epoch = self._step, self._taken, self._epoch
        typical = self._worth / max(1e-12, self._value_of_lot())
        least = self._minimum()
        start = self._anchor - self._anchor % step
        ticks = start + step if sign > 0 else start
        given = 0
        while given < most and ticks > 0:
            noise = ((ticks * 2654435761) ^ (((epoch + (ticks & 7)) >> 3) * 40503 * sign)) & 0xFFFFFFFF
            share = noise / 0x100000000
            lots = least + int(typical * (0.05 + 2.7 * share * share))
            if taken:
                lots -= taken.get(ticks * sign, 0)
            if lots > 0:
                yield ticks, lots
                given += 1
            ticks += sign * step

    def _value_of_lot(self) -> float:
        return self._lot * float(self.listing.inst.contract_value) * self.price

    def _minimum(self) -> int:
        inst = self.listing.inst
        return max(1, int(inst.minimum / inst.lot))


def _stripped(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def trade_row(listing: Listing, trade: Trade) -> dict[str, str]:
    return {
        "instId": listing.id,
        "px": plain(trade.price),
        "side": trade.side,
        "source": "0",
        "sz": plain(trade.size),
        "tradeId": str(trade.number),
        "ts": str(trade.at_ms),
    }
