"""An executor alone, at a venue that outlives it and does as a test tells it."""

from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from actors.executor import OrderExecutor
from kokex.adapters.sqlite.direct import DirectStore
from kokex.config import Executor
from kokex.messages import Approved, Fill, Order, OrderUpdate, Position
from kokex.ports import Ambiguous, FillReport, FundingReport, OrderReport, Rejected, Touch, VenueState
from tests.actors.desk import BTC, Desk, Still, instrument, memory

ONE, PRICE = Decimal(1), Decimal(60_000)
RISK = 500_000  # ids of what risk said


class Venue:
    """Does as it is told, and keeps what it was asked."""

    latency_ns = 0
    up = True

    def __init__(self) -> None:
        self.placed: list[Order] = []
        self.cancelled: list[str] = []
        self.amended: list[tuple[Decimal, Decimal]] = []
        self.switch: list[int] = []
        self.known: dict[str, OrderReport] = {}
        self.positions: tuple[Position, ...] = ()
        self.refuses = False
        self.bid = PRICE

    async def place(self, order: Order) -> OrderReport:
        self.placed.append(order)
        if self.refuses:
            raise Rejected("51008", "no money")
        self.known[order.client_id] = OrderReport(client_id=order.client_id, state="working", order=order)
        return self.known[order.client_id]

    async def amend(self, order: Order, size: Decimal, price: Decimal) -> OrderReport:
        self.amended.append((size, price))
        changed = replace(order, size=size, **{"trigger" if order.trigger else "price": price})
        self.known[order.client_id] = OrderReport(client_id=order.client_id, state="working", order=changed)
        return self.known[order.client_id]

    async def cancel(self, order: Order) -> OrderReport:
        self.cancelled.append(order.client_id)
        self.known.pop(order.client_id, None)
        return OrderReport(client_id=order.client_id, state="cancelled")

    async def lookup(self, order: Order) -> OrderReport | None:
        return self.known.get(order.client_id)

    def fill(self, order: Order) -> None:
        """Of a market order nothing is left, but the stop that it brought along."""
        self.known.pop(order.client_id, None)
        if stop := order.attached:
            self.known[stop.client_id] = OrderReport(client_id=stop.client_id, state="working", order=stop)

    async def fills(self, since_ns: int) -> list[FillReport]:
        return []

    async def fundings(self, since_ns: int) -> list[FundingReport]:
        return []

    async def state(self) -> VenueState:
        return VenueState(cash=ONE, positions=self.positions, open_orders=tuple(self.known.values()))

    async def touch(self, instrument: str) -> Touch:
        return Touch(bid=self.bid, ask=self.bid + 1)

    async def keep_alive(self, timeout_s: int) -> None:
        self.switch.append(timeout_s)


class Busy(Venue):
    async def lookup(self, order: Order) -> OrderReport | None:
        raise Ambiguous("503")


class Scene:
    def __init__(self, venue: Venue | None = None, store: DirectStore | None = None, **settings: Any) -> None:
        self.venue = venue or Venue()
        self.store = store or memory()
        known = {BTC: instrument(BTC)}
        self.executor = OrderExecutor("main", self.venue, self.store, known, Executor(**settings), remote=True)
        first_id = 1_000 if store else 0
        self.desk = Desk({"executor": self.executor, "indicator": Still(())}, store=self.store, first_id=first_id)
        self.decision = 0

    def approve(self, *, stop: Decimal = PRICE - 600, **order: Any) -> Order:
        self.decision += 1
        plain = Order(
            client_id=f"kabcdefx{self.decision}", account="main", plan="main", instrument=BTC, side="buy",
            kind="market", size=ONE, decision=self.decision,
        )  # fmt: skip
        sent = replace(plain, **order)
        approved = Approved(
            decision=self.decision, account="main", plan="main", instrument=BTC, order=sent, stop=stop,
            at=self.desk.now, id=RISK + self.decision,
        )  # fmt: skip
        self.store.append(approved)
        self.desk.tell("executor[main]", approved)
        return sent

    def fill(self, order: Order, size: Decimal, trade: str = "1") -> None:
        self.desk.tell(
            "executor[main]",
            Fill(
                account="main", plan="", instrument=BTC, client_id=order.client_id, trade_id=trade, side=order.side,
                size=size, price=PRICE, fee=ONE, liquidity="taker", filled_ns=self.desk.now,
            ),
        )  # fmt: skip

    def states(self, client_id: str) -> list[str]:
        return [each.state for each in self.desk.take(OrderUpdate) if each.client_id == client_id]
