"""An order book kept from a snapshot and what changed since.

Each update names the one before it (prevSeqId); when that is not the last one applied, something was missed, and the
book says so instead of serving what it cannot know: its owner subscribes anew and gets a snapshot. The sequence
may be set back by OKX's maintenance; that is an update like any other as long as it names its predecessor. The
checksum is 0 nowadays and proves nothing; where there is one, it is checked.
"""

import zlib
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import chain, islice, zip_longest
from typing import Literal, final

from kokex.adapters.okx.wire import Decimals
from kokex.adapters.okx.wire.market import BookRow
from kokex.messages import Level

Outcome = Literal["applied", "ignored", "gap"]

CHECKED = 25  # levels a side under the checksum

_decimals = Decimals()


@final
class Side:
    """Levels of one side by price, and the prices in order."""

    __slots__ = ("_best_last", "_levels", "_prices")

    def __init__(self, best_last: bool) -> None:
        self._best_last = best_last  # bids: the highest, which is the last of the rising prices, is the best
        self._levels: dict[Decimal, Level] = {}
        self._prices: list[Decimal] = []

    def replace(self, levels: Iterable[Level]) -> None:
        """Raises ValueError."""
        self._levels = {_decimals[level.px]: level for level in levels if _decimals[level.sz]}
        self._prices = sorted(self._levels)

    def change(self, levels: Iterable[Level]) -> None:
        """Raises ValueError."""
        known = self._levels
        for level in levels:
            price = _decimals[level.px]
            if _decimals[level.sz]:
                if price not in known:
                    insort(self._prices, price)
                known[price] = level
            elif known.pop(price, None) is not None:
                del self._prices[bisect_left(self._prices, price)]

    def best(self, depth: int) -> tuple[Level, ...]:
        """Best first."""
        prices = reversed(self._prices) if self._best_last else iter(self._prices)
        return tuple([self._levels[price] for price in islice(prices, depth)])

    def __len__(self) -> int:
        return len(self._prices)


@final
class OrderBook:
    """`valid` is False until the first snapshot, and from a gap to the next one."""

    def __init__(self) -> None:
        self.valid = False
        self.seq_id: int | None = None
        self.ts_ms = 0
        self.bids = Side(best_last=True)
        self.asks = Side(best_last=False)

    def snapshot(self, row: BookRow) -> Outcome:
        self.bids.replace(row.bids)
        self.asks.replace(row.asks)
        return self._agreed(row)

    def update(self, row: BookRow) -> Outcome:
        """ "gap": subscribe anew; "ignored": it was known already, or the book waits for a snapshot."""
        if not self.valid:
            return "ignored"
        if row.prev_seq_id is not None and self.seq_id is not None and row.prev_seq_id != self.seq_id:
            if row.seq_id is not None and row.seq_id <= self.seq_id and row.prev_seq_id < self.seq_id:
                return "ignored"  # from before the snapshot, or said twice
            self.valid = False
            return "gap"
        self.bids.change(row.bids)
        self.asks.change(row.asks)
        return self._agreed(row)

    def _agreed(self, row: BookRow) -> Outcome:
        self.seq_id = row.seq_id
        self.ts_ms = int(row.ts or 0)
        self.valid = not row.checksum or row.checksum == self.checksum()
        return "applied" if self.valid else "gap"

    def checksum(self) -> int:
        """CRC-32, signed, over the best 25 of both sides, bid and ask in turn, as `price:size` in OKX's own digits."""
        pairs: Iterable[Sequence[Level | None]] = zip_longest(self.bids.best(CHECKED), self.asks.best(CHECKED))
        text = ":".join(f"{level.px}:{level.sz}" for level in chain.from_iterable(pairs) if level)
        value = zlib.crc32(text.encode())
        return value - (1 << 32) if value >= 1 << 31 else value
