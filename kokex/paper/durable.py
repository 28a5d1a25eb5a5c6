"""A paper exchange that outlives the daemon.

Its accounts are rows of the store like everything else. The row that says what an account is stands before the
messages that tell of it, so whatever prefix of the rows is on disk, no fill is on record that the exchange forgot;
and an order is acknowledged once its row is on disk, so no order is forgotten either.
"""

from decimal import Decimal

from kokex.messages import Order
from kokex.paper.exchange import Exchange
from kokex.paper.venue import PaperVenue
from kokex.ports import Ambiguous, OrderReport, Saved, Store, StoreError


def key(account: str) -> str:
    """Under which `Saved` row an account is kept."""
    return f"venue[{account}]"


def keep(exchange: Exchange, store: Store) -> None:
    """From now on every change of an account goes to the store."""

    def changed(account: str) -> None:
        store.append(Saved(key=key(account), body=exchange.snapshot(account)))

    exchange.changed = changed


class DurablePaperVenue(PaperVenue):
    """A paper venue whose yes is on disk. Raises Ambiguous when that fails: the order may be forgotten or not."""

    def __init__(self, exchange: Exchange, account: str, latency_ns: int, store: Store) -> None:
        super().__init__(exchange, account, latency_ns)
        self._store = store

    async def place(self, order: Order) -> OrderReport:
        return await self._acknowledged(await super().place(order))

    async def cancel(self, order: Order) -> OrderReport:
        return await self._acknowledged(await super().cancel(order))

    async def amend(self, order: Order, size: Decimal, price: Decimal) -> OrderReport:
        return await self._acknowledged(await super().amend(order, size, price))

    async def _acknowledged(self, report: OrderReport) -> OrderReport:
        try:
            await self._store.commit()
        except StoreError as error:
            raise Ambiguous(f"the paper exchange could not write its books: {error}") from error
        return report
