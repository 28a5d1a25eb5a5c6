"""Candles of the past over REST, page by page, oldest first: to warm up, to fill gaps, to fetch into the database."""

from collections.abc import AsyncGenerator, Callable
from typing import final

from kokex.adapters.okx.bars import bar_of
from kokex.adapters.okx.frames import candle_of
from kokex.adapters.okx.public import PAGE, RECENT, PublicRest
from kokex.adapters.okx.wire import MS
from kokex.adapters.okx.wire.market import CandleRow
from kokex.market.timeframes import SECOND
from kokex.messages import Candle
from kokex.ports import Ambiguous

FULL = 100  # rows that even an older OKX gives at once: fewer are all there are


@final
class History:
    """Closed candles. `now` is OKX's time, UTC nanoseconds."""

    def __init__(self, public: PublicRest, now: Callable[[], int]) -> None:
        self._public = public
        self.now = now

    async def pages(
        self, instrument: str, span_ns: int, first_ns: int, until_ns: int
    ) -> AsyncGenerator[list[Candle], None]:
        """Candles that open at or after `first_ns` and before `until_ns`, in pages, oldest first.

        A page is empty where OKX has nothing. Raises Rejected or Ambiguous; what was given before that is whole.
        """
        first_ns += -first_ns % span_ns
        until_ns = min(until_ns, self.now() - span_ns + 1)  # what opens later has not closed
        while first_ns < until_ns:
            end_ns = min(first_ns + PAGE * span_ns, until_ns)
            yield await self._page(instrument, span_ns, first_ns, end_ns)
            first_ns += PAGE * span_ns

    async def between(self, instrument: str, span_ns: int, first_ns: int, until_ns: int) -> list[Candle]:
        """The same in one list."""
        return [candle async for page in self.pages(instrument, span_ns, first_ns, until_ns) for candle in page]

    async def _page(self, instrument: str, span_ns: int, first_ns: int, end_ns: int) -> list[Candle]:
        """All of them, however many requests that takes."""
        recent = span_ns != SECOND and first_ns > self.now() - RECENT * span_ns
        fetch = self._public.candles if recent else self._public.history_candles
        bar, before, after = bar_of(span_ns), first_ns // MS - 1, -(-end_ns // MS)
        found: list[Candle] = []
        while True:
            rows = await fetch(instrument, bar, after=after, before=before)
            found += [self._closed(instrument, row) for row in rows if row.confirm != "0"]
            if len(rows) < FULL:
                break
            oldest = min(int(row.ts) for row in rows)
            if oldest >= after or oldest <= before + 1:
                break
            after = oldest
        return sorted(
            (candle for candle in found if first_ns <= candle.open_ns < end_ns), key=lambda candle: candle.open_ns
        )

    @staticmethod
    def _closed(instrument: str, row: CandleRow) -> Candle:
        try:
            return candle_of(instrument, row)
        except ValueError as error:
            raise Ambiguous(f"a candle of {instrument} that cannot be read: {error}") from None
