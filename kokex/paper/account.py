"""An account at the paper exchange: its books, and what it can afford."""

from collections.abc import Mapping
from decimal import Decimal
from itertools import islice
from typing import Literal, Protocol

from msgspec import Struct
from msgspec.structs import replace

from kokex.market.instruments import exact, notional
from kokex.market.money import add, divide, multiply, subtract
from kokex.market.positions import apply_fill, cash_change, flat, unrealised
from kokex.market.positions import fund as funded
from kokex.messages import Fill, Instrument, Order, OrderState, Position, Side
from kokex.paper.matching import TRIGGERED, ZERO, Rules, Working
from kokex.ports import FillReport, FundingReport, OrderReport

KEPT = 1000  # settled orders, fills, and funding payments that an account remembers, at least; at most twice as many
SAVED = 50  # of these, the newest go into a snapshot: whoever takes an account up again has all but the last few

AccountKind = Literal["cash", "margin"]
Liquidity = Literal["maker", "taker"]


class Account(Struct, eq=False):
    """Cash, positions and orders of one owner. This struct, shortened, is what a snapshot holds."""

    name: str
    kind: AccountKind
    cash: Decimal
    positions: dict[str, Position] = {}
    working: dict[str, Working] = {}  # by client id, in order of arrival
    settled: dict[str, OrderReport] = {}  # by client id, oldest first
    fills: list[FillReport] = []
    trades: int = 0  # counts trade ids
    fundings: list[FundingReport] = []

    def position(self, instrument: str) -> Position:
        return self.positions.get(instrument) or flat(instrument)

    def may_short(self, instrument: Instrument) -> bool:
        return self.kind == "margin" and instrument.kind == "swap"

    def reducible(self, order: Order) -> Decimal:
        """How much an order can reduce its position by."""
        held = self.position(order.instrument).size
        return abs(held) if held and (held < ZERO) == (order.side == "buy") else ZERO

    def book(self, fill: Fill, instrument: Instrument) -> None:
        """Takes a fill into positions, cash and the list of fills."""
        before = self.position(fill.instrument)
        after = apply_fill(before, fill, instrument)
        self.positions[fill.instrument] = after
        self.cash = add(self.cash, cash_change(before, after, instrument))
        self.fills.append(
            FillReport(
                client_id=fill.client_id,
                instrument=fill.instrument,
                trade_id=fill.trade_id,
                side=fill.side,
                size=fill.size,
                price=fill.price,
                fee=fill.fee,
                liquidity=fill.liquidity,
                filled_ns=fill.filled_ns,
            )
        )
        if len(self.fills) > 2 * KEPT:
            del self.fills[:KEPT]

    def fund(self, paid: FundingReport) -> None:
        """Books a funding payment; received positive."""
        self.positions[paid.instrument] = funded(self.position(paid.instrument), paid.amount)
        self.cash = add(self.cash, paid.amount)
        self.fundings.append(paid)
        if len(self.fundings) > 2 * KEPT:
            del self.fundings[:KEPT]

    def settle(self, client_id: str, state: OrderState, reason: str) -> OrderReport:
        """The order's life ends."""
        filled = self.working.pop(client_id).filled
        report = OrderReport(client_id=client_id, state=state, filled=filled, reason=reason)
        self.settled[client_id] = report
        if len(self.settled) > 2 * KEPT:
            self.settled = dict(islice(self.settled.items(), KEPT, None))
        return report

    def shortened(self) -> "Account":
        """As a snapshot keeps it: all that counts, and the last of what is over."""
        settled = dict(islice(self.settled.items(), max(0, len(self.settled) - SAVED), None))
        return replace(self, settled=settled, fills=self.fills[-SAVED:], fundings=self.fundings[-SAVED:])

    def report(self, client_id: str) -> OrderReport | None:
        working = self.working.get(client_id)
        if working is None:
            return self.settled.get(client_id)
        return OrderReport(client_id=client_id, state=working.state, filled=working.filled, order=working.order)


class Means(Protocol):
    """What a trade costs an account, and whether it has that."""

    def lack(self, account: Account, order: Order, size: Decimal, price: Decimal, *, beside_orders: bool) -> str:
        """What is missing to trade `size` at `price`; empty: nothing. `beside_orders`: they hold something."""
        ...

    def fee(self, order: Order, size: Decimal, price: Decimal, liquidity: Liquidity) -> Decimal: ...


class Funds:
    """What a plain account can afford, at the last known prices: `Means`, all in the quote currency.

    `marks` is shared with the exchange, which keeps it up to date.
    """

    def __init__(self, instruments: Mapping[str, Instrument], marks: Mapping[str, float], rules: Rules) -> None:
        self._instruments = instruments
        self._marks = marks
        self._rules = rules
        self._fee = max(ZERO, rules.taker_fee)  # what a trade may cost; a rebate is not counted on

    def lack(self, account: Account, order: Order, size: Decimal, price: Decimal, *, beside_orders: bool) -> str:
        needed = self.needed(account, order.instrument, order.side, size, price)
        if not needed:  # whoever is under water may still close
            return ""
        free = self.available(account)
        if beside_orders:
            free = subtract(free, self.reserved(account))
        return f"needs {needed:f}, available are {free:f}" if needed > free else ""

    def fee(self, order: Order, size: Decimal, price: Decimal, liquidity: Liquidity) -> Decimal:
        rate = self._rules.maker_fee if liquidity == "maker" else self._rules.taker_fee
        return multiply(notional(self._instruments[order.instrument], size, price), rate)

    def available(self, account: Account) -> Decimal:
        """Cash, and the profit of swap positions, less the margin they hold."""
        free = account.cash
        for symbol, position in account.positions.items():
            if position.size and (instrument := self._instruments[symbol]).kind == "swap":
                price = exact(self._marks[symbol]) if symbol in self._marks else position.mark
                free = add(free, unrealised(position, instrument, price))
                margin = self._margin(account, notional(instrument, abs(position.size), price))
                free = subtract(free, margin)
        return free

    def reserved(self, account: Account) -> Decimal:
        """What the working orders that may open something will need at their limits.

        Stops and take-profits hold nothing: they are checked when they trigger.
        """
        total = ZERO
        for working in account.working.values():
            order = working.order
            if not order.reduce_only and order.kind not in TRIGGERED:
                price = order.price or self._mark(order.instrument)
                size = order.size - working.filled
                total = add(total, self.needed(account, order.instrument, order.side, size, price))
        return total

    def needed(self, account: Account, symbol: str, side: Side, size: Decimal, price: Decimal) -> Decimal:
        """What a trade takes from the available funds; closing takes nothing.

        Spot is paid in full, with the fee. A swap needs margin for what the position grows by, and the fee.
        """
        instrument = self._instruments[symbol]
        if instrument.kind == "spot":
            grows = size if side == "buy" else ZERO
        else:
            held = account.position(symbol).size
            grows = max(ZERO, abs(held + (size if side == "buy" else -size)) - abs(held))
        if not grows:
            return ZERO
        worth = notional(instrument, grows, price)
        fee = multiply(notional(instrument, size, price), self._fee)
        return add(worth if instrument.kind == "spot" else self._margin(account, worth), fee)

    def _margin(self, account: Account, worth: Decimal) -> Decimal:
        return divide(worth, self._rules.leverage) if account.kind == "margin" else worth

    def _mark(self, symbol: str) -> Decimal:
        return exact(self._marks[symbol]) if symbol in self._marks else ZERO
