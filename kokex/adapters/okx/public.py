"""The public REST endpoints, by OKX's names: instruments, market data, funding, the clock."""

from collections.abc import Sequence
from typing import Literal, final

from kokex.adapters.okx.rest import Rest
from kokex.adapters.okx.wire.market import (
    BookRow,
    CandleRow,
    FundingRate,
    FundingRateRecord,
    Instrument,
    MarkPrice,
    PriceLimit,
    Ticker,
    Trade,
)

InstType = Literal["SPOT", "SWAP"]

PAGE = 300  # candles at once
RECENT = 1440  # candles that market/candles reaches back


@final
class PublicRest:
    """What anybody may ask. All raise Rejected or Ambiguous; an empty list means that there is nothing."""

    def __init__(self, rest: Rest) -> None:
        self.rest = rest

    async def instruments(self, inst_type: InstType, inst_id: str = "") -> list[Instrument]:
        return await self.rest.get("public/instruments", Instrument, {"instType": inst_type, "instId": inst_id})

    async def candles(
        self, inst_id: str, bar: str, *, after: int | None = None, before: int | None = None, limit: int = PAGE
    ) -> list[CandleRow]:
        """Newest first, the one that is still open included; opening (ms) below `after` and above `before`.

        Reaches back 1,440 candles.
        """
        params = {"instId": inst_id, "bar": bar, "after": after, "before": before, "limit": limit}
        return await self.rest.get("market/candles", CandleRow, params)

    async def history_candles(
        self, inst_id: str, bar: str, *, after: int | None = None, before: int | None = None, limit: int = PAGE
    ) -> list[CandleRow]:
        """The same, of years (candles of 1 s: of three months)."""
        params = {"instId": inst_id, "bar": bar, "after": after, "before": before, "limit": limit}
        return await self.rest.get("market/history-candles", CandleRow, params)

    async def ticker(self, inst_id: str) -> list[Ticker]:
        return await self.rest.get("market/ticker", Ticker, {"instId": inst_id})

    async def tickers(self, inst_type: InstType) -> list[Ticker]:
        return await self.rest.get("market/tickers", Ticker, {"instType": inst_type})

    async def books(self, inst_id: str, depth: int = 400) -> Sequence[BookRow]:
        return await self.rest.get("market/books", BookRow, {"instId": inst_id, "sz": depth})

    async def trades(self, inst_id: str, limit: int = 100) -> list[Trade]:
        """Newest first."""
        return await self.rest.get("market/trades", Trade, {"instId": inst_id, "limit": limit})

    async def funding_rate(self, inst_id: str) -> list[FundingRate]:
        return await self.rest.get("public/funding-rate", FundingRate, {"instId": inst_id})

    async def funding_rate_history(
        self, inst_id: str, *, after: int | None = None, before: int | None = None, limit: int = 100
    ) -> list[FundingRateRecord]:
        """Newest first."""
        params = {"instId": inst_id, "after": after, "before": before, "limit": limit}
        return await self.rest.get("public/funding-rate-history", FundingRateRecord, params)

    async def mark_price(self, inst_type: InstType, inst_id: str = "") -> list[MarkPrice]:
        return await self.rest.get("public/mark-price", MarkPrice, {"instType": inst_type, "instId": inst_id})

    async def price_limit(self, inst_id: str) -> list[PriceLimit]:
        return await self.rest.get("public/price-limit", PriceLimit, {"instId": inst_id})
