"""The paper venue: one account at a paper exchange, as `ports.Venue`. A client id is unique in its account."""

from decimal import Decimal

from kokex.market.instruments import exact
from kokex.messages import Order
from kokex.paper.exchange import Exchange
from kokex.ports import FillReport, FundingReport, OrderReport, Rejected, Touch, VenueState


class PaperVenue:
    """Its coroutines never wait, so a driver without an event loop can step them by hand."""

    up = True  # in process, nothing comes between

    def __init__(self, exchange: Exchange, account: str, latency_ns: int) -> None:
        self.latency_ns = latency_ns
        self._exchange = exchange
        self._account = account

    async def place(self, order: Order) -> OrderReport:
        return self._exchange.place(self._account, order)

    async def cancel(self, order: Order) -> OrderReport:
        return self._exchange.cancel(self._account, order.instrument, order.client_id)

    async def lookup(self, order: Order) -> OrderReport | None:
        return self._exchange.lookup(self._account, order.client_id)

    async def fills(self, since_ns: int) -> list[FillReport]:
        return self._exchange.fills(self._account, since_ns)

    async def fundings(self, since_ns: int) -> list[FundingReport]:
        return self._exchange.fundings(self._account, since_ns)

    async def amend(self, order: Order, size: Decimal, price: Decimal) -> OrderReport:
        return self._exchange.amend(self._account, order.client_id, size, price)

    async def touch(self, instrument: str) -> Touch:
        """Raises Rejected before the first candle."""
        mark = self._exchange.marks.get(instrument)
        if mark is None:
            raise Rejected("no_price", f"{instrument} has no price yet")
        return Touch(bid=exact(mark), ask=exact(mark))

    async def keep_alive(self, timeout_s: int) -> None:
        """In process nobody can be cut off from it."""

    async def state(self) -> VenueState:
        return self._exchange.state(self._account)
