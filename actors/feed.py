"""feed: market data in, in order and once.

Holds the next candle expected of each instrument. Receives Candles from the market; emits the same to the
indicator, without what came twice or late. Tells of gaps, and of a market that fell silent.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kokex.kernel.actor import Actor
from kokex.market.candles import Sequence
from kokex.messages import Alert, Candle, Candles, Instrument, Link
from kokex.ports import CandleRow, Console, Store
from kokex.present.words import clock, price

PRICE_LINE_NS = 10_000_000_000


class Feed(Actor):
    emits = (Candles, Link, Alert)
    state = dict[str, int]

    def __init__(
        self,
        instruments: Iterable[Instrument],
        span_ns: int,
        *,
        stale_s: float = 0,
        store: Store | None = None,
        console: Console | None = None,
        saved: Callable[[], None] | None = None,
    ) -> None:
        """`stale_s` 0: the market cannot fall silent (a file). With a store, candles are kept in it."""
        self._span_ns = span_ns
        self._expected: dict[str, int] = {each.symbol: 0 for each in instruments}
        self._stale_s = stale_s
        self._store = store
        self._console = console
        self._save_market = saved
        self._last_ns = 0
        self._silent: bool | None = None  # None: no candle yet, and not for long
        self._next_line_ns = 0

    async def load(self) -> dict[str, int]:
        """When the newest candle on record of each instrument opened."""
        if self._store is None:
            return {}
        newest = {each: await self._store.candles(each, self._span_ns, 1) for each in self._expected}
        return {instrument: candles[0].open_ns for instrument, candles in newest.items() if candles}

    def start(self, state: Mapping[str, int]) -> None:
        for instrument, open_ns in state.items():
            self._expected[instrument] = open_ns + self._span_ns
        if self._stale_s:
            self._last_ns = self.now
            self.later(self._stale_s, self._check_silence)

    def on_candles(self, candles: Candles) -> None:
        expected, span_ns = self._expected, self._span_ns
        if candles.passed:
            for instrument in expected:
                expected[instrument] += candles.passed * span_ns
        for row in candles.rows:
            if row.open_ns != expected[row.instrument]:
                candles = self._in_order(candles)
                if not candles.rows:
                    return
                break
        for row in candles.rows:
            expected[row.instrument] = row.open_ns + span_ns
        if self._stale_s:
            self._heard()
        if self._store:
            self._keep(candles.rows)
        if self._console:
            self._show(candles.rows)
        self.emit(candles)

    def _in_order(self, candles: Candles) -> Candles:
        """The candles that are neither late, nor repeated, nor off the grid. A gap is told, and lived with."""
        rows: list[Candle] = []
        for row in candles.rows:
            expected = self._expected[row.instrument]
            last_ns = expected - self._span_ns if expected else None
            place = Sequence(self._span_ns, last_ns).place(row.open_ns)
            if place.kind in {"new", "gap"}:
                rows.append(row)
            if place.kind == "gap":
                count = f"{place.missing} candle{'s' if place.missing > 1 else ''}"
                text = f"{row.instrument}: {count} missing from {clock(place.first_missing_ns)} on"
                self._say("warning", "gap", text)
        return Candles(close_ns=candles.close_ns, span_ns=candles.span_ns, rows=tuple(rows))

    def _keep(self, rows: Iterable[Candle]) -> None:
        assert self._store
        for row in rows:
            self._store.append(CandleRow(span_ns=self._span_ns, candle=row))
        if self._save_market:
            self._save_market()

    def _show(self, rows: Iterable[Candle]) -> None:
        """A line for each price, now and then."""
        assert self._console
        if self.now >= self._next_line_ns:
            self._next_line_ns = self.now + PRICE_LINE_NS
            for row in rows:
                self._console(
                    self.now, "INFO", "price", f"{row.instrument} {price(row.close)} volume {price(row.volume)}"
                )

    # ---- silence

    def _heard(self) -> None:
        self._last_ns = self.now
        if self._silent is not False:  # after a restart of this actor too: the one before may have said "down"
            self.emit(Link(account="", edge="market", up=True))
            if self._silent:
                self._say("info", "market", "market data is back")
            self._silent = False

    def _check_silence(self) -> None:
        quiet_s = (self.now - self._last_ns) / 1e9
        if quiet_s < self._stale_s:
            self.later(self._stale_s - quiet_s, self._check_silence)
            return
        self.later(self._stale_s, self._check_silence)
        if not self._silent:
            self._silent = True
            self.emit(Link(account="", edge="market", up=False, reason=f"no candle for {quiet_s:.0f} s"))
            self._say("warning", "market", f"no market data for {quiet_s:.0f} s: no cycle until it is back")

    def _say(self, severity: Any, kind: str, text: str) -> None:
        self.emit(Alert(severity=severity, kind=kind, text=text))
