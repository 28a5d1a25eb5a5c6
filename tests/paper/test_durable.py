"""An exchange that outlives the daemon: at every prefix of what is on disk it knows at least what the daemon knows."""

import asyncio
from decimal import Decimal

import pytest

from kokex.messages import Fill, Message
from kokex.paper.durable import DurablePaperVenue, keep, key
from kokex.paper.exchange import Exchange
from kokex.paper.venue import PaperVenue
from kokex.ports import Ambiguous, Row, Saved, StoreError
from tests.paper.desk import FREE, Desk, order


class Rows:
    """A store that keeps what is appended, and counts commits."""

    def __init__(self, *, full: bool = False) -> None:
        self.rows: list[Row] = []
        self.commits = 0
        self.full = full

    def append(self, row: Row) -> None:
        self.rows.append(row)

    async def commit(self) -> None:
        if self.full:
            raise StoreError("the disk is full")
        self.commits += 1


class DurableDesk(Desk):
    def __init__(self, *, full: bool = False) -> None:
        super().__init__()
        self.store = Rows(full=full)
        keep(self.exchange, self.store)  # type: ignore[arg-type]
        self.venue = DurablePaperVenue(self.exchange, "main", 0, self.store)  # type: ignore[arg-type]

    def post(self, actor: str, message: Message) -> None:
        super().post(actor, message)
        if hasattr(self, "store"):
            self.store.append(message)

    def after(self, rows: int) -> PaperVenue:
        """The exchange as a daemon finds it that starts from the first `rows` rows."""
        exchange = Exchange(self.instruments, FREE, lambda: self.now, _nowhere)
        exchange.open_account("main", Decimal(1_000_000), "margin")
        for row in self.store.rows[:rows]:
            if isinstance(row, Saved):
                exchange.restore("main", row.body)
        return PaperVenue(exchange, "main", 0)


def test_an_order_is_acknowledged_once_it_is_on_disk() -> None:
    desk = DurableDesk()
    report = asyncio.run(desk.venue.place(order("a")))
    assert (report.state, desk.store.commits) == ("working", 1)
    asyncio.run(desk.venue.cancel(order("a")))
    assert desk.store.commits == 2
    assert all(isinstance(row, Saved) and row.key == key("main") for row in desk.store.rows)


def test_an_order_whose_writing_failed_is_in_doubt_and_not_refused() -> None:
    desk = DurableDesk(full=True)
    with pytest.raises(Ambiguous, match="the disk is full"):
        asyncio.run(desk.venue.place(order("a")))


def test_no_fill_is_on_record_that_the_exchange_forgot() -> None:
    desk = DurableDesk()
    asyncio.run(desk.venue.place(order("a", size="10")))
    asyncio.run(desk.venue.place(order("b", size="7", side="sell")))
    desk.play([(100, 101, 99, 100), (100, 101, 99, 100)], volume=5.0)
    rows = desk.store.rows
    assert sum(isinstance(row, Fill) for row in rows) >= 2
    for count in range(len(rows) + 1):
        told = {row.trade_id for row in rows[:count] if isinstance(row, Fill)}
        known = {fill.trade_id for fill in asyncio.run(desk.after(count).fills(0))}
        assert told <= known


def _nowhere(actor: str, message: Message) -> None:
    """Nobody listens."""
