"""An account with several currencies, leverage by position, and long and short positions side by side.

What a venue calls futures or single-currency margin: spot is paid from the balance of its quote currency, a linear swap
takes margin and settles profit in it. `Account` is the plain one of a daemon on paper money; this one is the exchange
server's. Spot fees are taken from what the trade brings: a buy's in the base currency, a sell's in the quote currency.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Literal, NamedTuple

from msgspec import Struct, field

from kokex.market.instruments import exact, notional
from kokex.market.money import add, divide, multiply, subtract
from kokex.market.positions import flat, trade, unrealised
from kokex.market.positions import fund as funded
from kokex.messages import Fill, Instrument, Order, Position
from kokex.paper.account import Account, Liquidity
from kokex.paper.matching import TRIGGERED, ZERO

MarginMode = Literal["cash", "cross", "isolated"]
LegSide = Literal["net", "long", "short"]


class Terms(Struct, frozen=True):
    """What an order is placed on, besides what every order says."""

    mode: MarginMode
    side: LegSide
    leverage: Decimal


class Leg(Struct, eq=False):
    """One position: an instrument may have one for each margin mode and side."""

    position: Position
    mode: MarginMode
    side: LegSide
    leverage: Decimal
    number: int
    margin: Decimal = ZERO  # an isolated position's, kept apart from the rest
    opened_ns: int = 0
    changed_ns: int = 0
    trade_id: str = ""
    most: Decimal = ZERO  # the largest it was
    opened: Decimal = ZERO  # size and worth of all that opened and closed it, for its averages
    opened_worth: Decimal = ZERO
    closed: Decimal = ZERO
    closed_worth: Decimal = ZERO

    @property
    def instrument(self) -> str:
        return self.position.instrument


class Booked(NamedTuple):
    """What a fill did, when it did it."""

    leg: Leg | None  # of a swap
    pnl: Decimal
    change: dict[str, Decimal]  # by currency
    balance: dict[str, Decimal]
    held: Decimal  # position after it


class MarginAccount(Account, eq=False):
    """Balances by currency, positions as legs. `terms` must have an order's before it is placed."""

    balances: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    # By instrument, mode and side; flat ones stay.
    legs: dict[tuple[str, str, str], Leg] = field(default_factory=dict[tuple[str, str, str], Leg])
    terms: dict[str, Terms] = field(default_factory=dict[str, Terms])
    booked: dict[str, Booked] = field(default_factory=dict[str, Booked])  # by trade id, until asked
    closed_legs: list[Leg] = field(default_factory=list[Leg])
    numbers: int = 0

    def balance(self, currency: str) -> Decimal:
        return self.balances.get(currency, ZERO)

    def leg(self, instrument: str, mode: str, side: str) -> Leg | None:
        return self.legs.get((instrument, mode, side))

    def held(self, order: Order) -> Decimal:
        terms = self.terms[order.client_id]
        leg = self.leg(order.instrument, terms.mode, terms.side)
        return leg.position.size if leg else ZERO

    def may_short(self, instrument: Instrument) -> bool:
        return instrument.kind == "swap"

    def reducible(self, order: Order) -> Decimal:
        if self.terms[order.client_id].mode != "cash":
            size = self.held(order)
            return max(ZERO, -size if order.side == "buy" else size)
        others = (
            working.order.size - working.filled
            for name, working in self.working.items()
            if name != order.client_id and working.order.instrument == order.instrument and working.order.side == "sell"
        )
        return max(ZERO, self.balance(order.instrument.partition("-")[0]) - sum(others, ZERO))

    def book(self, fill: Fill, instrument: Instrument) -> None:
        before = dict(self.balances)
        if instrument.kind == "spot":
            leg, pnl, held = None, ZERO, ZERO
            paid = notional(instrument, fill.size, fill.price)
            if fill.side == "buy":
                self._move(instrument.base, subtract(fill.size, fill.fee))
                self._move(instrument.quote, paid.copy_negate())
            else:
                self._move(instrument.base, fill.size.copy_negate())
                self._move(instrument.quote, subtract(paid, fill.fee))
        else:
            leg, pnl = self._trade(fill, instrument)
            held = leg.position.size
            self._move(instrument.quote, subtract(pnl, fill.fee))
        change = {each: amount - before.get(each, ZERO) for each, amount in self.balances.items()}
        self.booked[fill.trade_id] = Booked(
            leg, pnl, {each: amount for each, amount in change.items() if amount}, dict(self.balances), held
        )

    def pay_funding(self, leg: Leg, amount: Decimal, currency: str) -> None:
        """Received positive; an isolated position's comes out of its own margin."""
        leg.position = funded(leg.position, amount)
        if leg.mode == "isolated":
            leg.margin = add(leg.margin, amount)
        self._move(currency, amount)

    def _move(self, currency: str, amount: Decimal) -> None:
        self.balances[currency] = add(self.balance(currency), amount)

    def _trade(self, fill: Fill, instrument: Instrument) -> tuple[Leg, Decimal]:
        terms = self.terms[fill.client_id]
        key = (fill.instrument, terms.mode, terms.side)
        leg = self.legs.get(key)
        if leg is None or not leg.position.size:
            self.numbers += 1
            leg = Leg(flat(fill.instrument), terms.mode, terms.side, terms.leverage, self.numbers, ZERO, fill.filled_ns)
            self.legs[key] = leg
        before = leg.position
        after = trade(before, instrument, fill.side, fill.size, fill.price, fill.fee)
        signed = fill.size if fill.side == "buy" else -fill.size
        closing = min(fill.size, abs(before.size)) if before.size and (before.size < 0) != (signed < 0) else ZERO
        opening = fill.size - closing
        if leg.mode == "isolated":
            if closing:
                kept = divide(abs(before.size) - closing, abs(before.size))
                leg.margin = multiply(leg.margin, kept)
            leg.margin += divide(notional(instrument, opening, fill.price), leg.leverage)
        leg.closed += closing
        leg.closed_worth += multiply(closing, fill.price)
        leg.opened += opening
        leg.opened_worth += multiply(opening, fill.price)
        leg.position, leg.most = after, max(leg.most, abs(after.size))
        leg.changed_ns, leg.trade_id = fill.filled_ns, fill.trade_id
        if not after.size:
            self.closed_legs.append(leg)
            del self.closed_legs[:-1000]
        return leg, subtract(after.realised, before.realised)


class Rates(NamedTuple):
    maker: Decimal
    taker: Decimal


class MarginFunds:
    """`Means` of margin accounts. `marks` is the exchange's; `rates` are by instrument."""

    def __init__(
        self, instruments: Mapping[str, Instrument], marks: Mapping[str, float], rates: Mapping[str, Rates]
    ) -> None:
        self._instruments = instruments
        self._marks = marks
        self._rates = rates

    def fee(self, order: Order, size: Decimal, price: Decimal, liquidity: Liquidity) -> Decimal:
        """In the currency that the trade brings; a swap's in its quote currency."""
        listed, rates = self._instruments[order.instrument], self._rates[order.instrument]
        rate = rates.maker if liquidity == "maker" else rates.taker
        taken = size if listed.kind == "spot" and order.side == "buy" else notional(listed, size, price)
        return multiply(taken, rate)

    def lack(self, account: Account, order: Order, size: Decimal, price: Decimal, *, beside_orders: bool) -> str:
        assert isinstance(account, MarginAccount)
        listed = self._instruments[order.instrument]
        needed = self.needed(account, order, size, price)
        if not needed:
            return ""
        free = self.available(account, listed.quote, beside_orders=beside_orders)
        return f"{listed.quote}: needs {needed:f}, available are {free:f}" if needed > free else ""

    def needed(self, account: MarginAccount, order: Order, size: Decimal, price: Decimal) -> Decimal:
        """Quote currency that a trade takes."""
        listed = self._instruments[order.instrument]
        if listed.kind == "spot":
            return notional(listed, size, price) if order.side == "buy" else ZERO
        held = account.held(order)
        grows = max(ZERO, abs(held + (size if order.side == "buy" else -size)) - abs(held))
        if order.reduce_only or not grows:
            return ZERO
        worth = notional(listed, grows, price)
        fee = multiply(worth, max(ZERO, self._rates[order.instrument].taker))
        return add(divide(worth, account.terms[order.client_id].leverage), fee)

    def available(self, account: MarginAccount, currency: str, *, beside_orders: bool = True) -> Decimal:
        """What is free of a currency, as far as an account may go with it."""
        free = account.balance(currency)
        for leg in self.open_legs(account, currency):
            if leg.mode == "isolated":
                free -= leg.margin
            else:
                free += self.profit(leg) - self.margin(leg)
        return free - self.frozen(account, currency) if beside_orders else free

    def frozen(self, account: MarginAccount, currency: str) -> Decimal:
        """What working orders hold of a currency."""
        total = ZERO
        for working in account.working.values():
            order = working.order
            listed = self._instruments[order.instrument]
            left = order.size - working.filled
            if order.kind in TRIGGERED:
                continue
            if listed.kind == "spot" and order.side == "sell":
                total += left if listed.base == currency else ZERO
            elif listed.quote == currency:
                total += self.needed(account, order, left, order.price or self.price(order.instrument))
        return total

    def open_legs(self, account: MarginAccount, currency: str | None = None) -> Iterator[Leg]:
        for leg in account.legs.values():
            if leg.position.size and (currency is None or self._instruments[leg.instrument].quote == currency):
                yield leg

    def price(self, instrument: str) -> Decimal:
        return exact(self._marks[instrument]) if instrument in self._marks else ZERO

    def profit(self, leg: Leg) -> Decimal:
        """Unrealised, at the last price."""
        price = self.price(leg.instrument) or leg.position.mark
        return unrealised(leg.position, self._instruments[leg.instrument], price)

    def worth(self, leg: Leg) -> Decimal:
        """Notional at the last price, never negative."""
        price = self.price(leg.instrument) or leg.position.mark
        return abs(notional(self._instruments[leg.instrument], leg.position.size, price))

    def margin(self, leg: Leg) -> Decimal:
        return divide(self.worth(leg), leg.leverage)
