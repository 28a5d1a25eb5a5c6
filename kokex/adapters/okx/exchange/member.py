"""An account of the exchange: its settings, its orders, and what is on record of it."""

from collections.abc import Callable
from decimal import Decimal
from itertools import count
from typing import Any

from kokex.adapters.okx.exchange.listing import Listing, Row
from kokex.adapters.okx.exchange.orders import Algo, Order
from kokex.market.money import EXACT
from kokex.paper.margin import MarginAccount, Terms

DEFAULT_LEVERAGE = Decimal(3)
KEPT = 20_000  # settled orders, fills and bills that are remembered


class Numbers:
    """Ids of orders, algo orders, bills and positions: they rise with time, as OKX's do."""

    def __init__(self, start_ms: int) -> None:
        self._count = count((start_ms - 1_300_000_000_000) << 22)

    def __call__(self) -> str:
        return str(next(self._count))


class Member:
    """`config` and everything below are OKX's; `books` is what the matching engine knows."""

    def __init__(self, name: str, uid: str, books: MarginAccount, *, level: str = "2", mode: str = "net_mode") -> None:
        self.name = name
        self.uid = uid
        self.books = books
        self.level = level
        self.position_mode = mode
        self.leverage: dict[tuple[str, str, str], Decimal] = {}
        self.orders: dict[str, Order] = {}
        self.live: dict[str, Order] = {}  # by order id, in order of arrival
        self.by_client: dict[str, Order] = {}  # the latest with a client id
        self.algos: dict[str, Algo] = {}
        self.live_algos: dict[str, Algo] = {}
        self.fills: list[Row] = []  # oldest first
        self.bills: list[Row] = []
        self.algo_by_client: dict[str, Algo] = {}
        self.cancel_at_ms: dict[str, int] = {}  # by tag, "" for all: cancel-all-after
        self.changed_ms = 0
        self.funding_balance: dict[str, Decimal] = {}
        self.noted: Callable[[Member, str, str, Any], None] = _forgotten  # (member, kind, number, what changed)

    @property
    def hedged(self) -> bool:
        return self.position_mode == "long_short_mode"

    def lever(self, listing: Listing, mode: str, side: str) -> Decimal:
        """What was set; cross positions of both sides share one."""
        key = (listing.id, mode, side if mode == "isolated" else "net")
        return min(self.leverage.get(key, DEFAULT_LEVERAGE), Decimal(listing.most_leverage))

    def terms(self, listing: Listing, mode: str, side: str) -> Terms:
        if listing.type == "SPOT":
            return Terms("cash", "net", Decimal(1))
        sided = "long" if side == "long" else "short" if side == "short" else "net"
        return Terms("isolated" if mode == "isolated" else "cross", sided, self.lever(listing, mode, sided))

    def add(self, order: Order) -> None:
        self.orders[order.id] = order
        self.live[order.id] = order
        if order.client_id:
            self.by_client[order.client_id] = order
        if len(self.orders) > 2 * KEPT:
            for old in [each for each in self.orders.values() if each.final][:KEPT]:
                self.forget(old)

    def forget(self, order: Order) -> None:
        self.orders.pop(order.id, None)
        self.live.pop(order.id, None)
        self.books.terms.pop(order.id, None)
        if self.by_client.get(order.client_id) is order:
            del self.by_client[order.client_id]

    def find(self, order_id: str, client_id: str) -> Order | None:
        return self.orders.get(order_id) if order_id else self.by_client.get(client_id)

    def find_algo(self, algo_id: str, client_id: str) -> Algo | None:
        return self.algos.get(algo_id) if algo_id else self.algo_by_client.get(client_id)

    def record_fill(self, row: Row) -> None:
        self._record("fill", self.fills, row)

    def record_bill(self, row: Row) -> None:
        self._record("bill", self.bills, row)

    def _record(self, kind: str, rows: list[Row], row: Row) -> None:
        rows.append(row)
        if len(rows) > 2 * KEPT:
            del rows[:KEPT]
        self.noted(self, kind, row["billId"], row)

    def closing(self, listing: Listing, mode: str, side: str) -> Decimal:
        """What pending orders would close of a position of long and short mode."""
        closes = "sell" if side == "long" else "buy"
        pending = [
            order.size - order.filled
            for order in self.live.values()
            if order.listing.id == listing.id
            and order.mode == mode
            and order.position_side == side
            and order.side == closes
        ]
        return sum(pending, Decimal(0))

    def move(self, currency: str, amount: Decimal) -> None:
        self.books.balances[currency] = EXACT.add(self.books.balance(currency), amount)


def _forgotten(*_: object) -> None:
    """Nobody keeps it."""
