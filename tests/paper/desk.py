"""A trader's desk for tests: an exchange on a clock of its own, and all that it said."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from kokex.messages import Candle, Fill, Instrument, Message, Order, OrderUpdate
from kokex.paper.account import AccountKind
from kokex.paper.exchange import Exchange
from kokex.paper.matching import Rules
from kokex.paper.replay import Columns, ReplayMarket
from kokex.paper.tape import FundingDue

MINUTE = 60_000_000_000
FREE = Rules(maker_fee=Decimal(0), taker_fee=Decimal(0))

SPOT = Instrument(
    symbol="ABC-USDT",
    kind="spot",
    base="ABC",
    quote="USDT",
    tick=Decimal("0.1"),
    lot=Decimal("0.01"),
    minimum=Decimal("0.01"),
)
SWAP = Instrument(
    symbol="ABC-USDT-SWAP",
    kind="swap",
    base="ABC",
    quote="USDT",
    tick=Decimal("0.1"),
    lot=Decimal(1),
    minimum=Decimal(1),
    contract_value=Decimal("0.1"),
)

Prices = tuple[float, float, float, float]  # open, high, low, close


class Desk:
    def __init__(
        self,
        rules: Rules = FREE,
        cash: str = "1000000",
        kind: AccountKind = "margin",
        instruments: Sequence[Instrument] = (SPOT, SWAP),
    ) -> None:
        self.now = 0
        self.said: list[tuple[str, Message]] = []
        self.instruments = instruments
        self.exchange = Exchange(instruments, rules, lambda: self.now, self.post)
        self.exchange.open_account("main", Decimal(cash), kind)

    def post(self, actor: str, message: Message) -> None:
        self.said.append((actor, message))

    def place(self, *orders: Order) -> None:
        for order in orders:
            self.exchange.place(order.account, order)

    def play(
        self, table: Sequence[Prices], volume: float = 1e9, on: Instrument = SWAP, funding: Sequence[FundingDue] = ()
    ) -> None:
        """A minute per row, from now on; the market is driven as a backtest drives it."""
        start = self.now
        opened = [start + row * MINUTE for row in range(len(table))]
        open_, high, low, close = ([prices[column] for prices in table] for column in range(4))
        columns = Columns(opened, open_, high, low, close, [volume] * len(table))
        market = ReplayMarket([on], {on.symbol: columns}, MINUTE, self.exchange, self.post, funding=funding)
        while (at := market.next_at()) is not None:
            self.now = at
            market.take()

    def hold(self, size: str, price: float = 100.0, on: Instrument = SWAP) -> None:
        """Starts with a position; what was said about it is forgotten."""
        self.place(order("start", side="sell" if size.startswith("-") else "buy", size=size.lstrip("-"), on=on))
        self.play([(price, price, price, price)], on=on)
        self.said.clear()

    @property
    def fills(self) -> list[Fill]:
        return [message for _, message in self.said if isinstance(message, Fill)]

    @property
    def ends(self) -> dict[str, tuple[str, str]]:
        """client id: state, reason; of orders of which something was said."""
        told = dict.fromkeys(each.client_id for _, each in self.said if isinstance(each, Fill | OrderUpdate))
        found = [self.exchange.lookup("main", client_id) for client_id in told]
        return {report.client_id: (report.state, report.reason) for report in found if report}

    def size(self, on: Instrument = SWAP) -> Decimal:
        held = {position.instrument: position.size for position in self.exchange.state("main").positions}
        return held.get(on.symbol, Decimal(0))

    @property
    def cash(self) -> Decimal:
        return self.exchange.state("main").cash


def order(client_id: str = "a", *, size: str = "10", on: Instrument = SWAP, **fields: Any) -> Order:
    """A market buy, unless told otherwise. Prices may be given as strings."""
    prices = {name: Decimal(fields.pop(name)) for name in ("price", "trigger") if name in fields}
    told: dict[str, Any] = {"account": "main", "plan": "plan", "side": "buy", "kind": "market", **fields, **prices}
    return Order(client_id=client_id, instrument=on.symbol, size=Decimal(size), **told)


def candle(open_ns: int, prices: Prices, volume: float = 1e9, on: Instrument = SWAP) -> Candle:
    return Candle(on.symbol, open_ns, *prices, volume)
