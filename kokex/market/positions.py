"""Positions at average cost, exact.

Spot and linear swap share the arithmetic: what a size cost and what it brings, in quote currency. When part
of a position closes, its share of the cost goes with it; the last part takes all that is left, so that a flat
position has cost exactly 0 and its realised P&L is exactly the sum of its cash flows. No cent leaks.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from kokex.market.instruments import notional, quantity
from kokex.market.money import CENT, EXACT, add, divide, multiply, subtract
from kokex.messages import Fill, Instrument, Position, Side

_ZERO = Decimal(0)


def flat(instrument: str) -> Position:
    """No position yet."""
    return Position(instrument=instrument, size=_ZERO, cost=_ZERO)


def change(fill: Fill) -> Decimal:
    """What a fill adds to the size held, signed: of coins bought, those that the venue did not keep as its fee."""
    if fill.side == "sell":
        return -fill.size
    return subtract(fill.size, fill.base_fee) if fill.base_fee else fill.size


def apply_fill(position: Position, fill: Fill, instrument: Instrument) -> Position:
    """The position after a fill: opened, extended, reduced, closed or flipped.

    A fee in coins is booked as if all had been bought that is left, and the fee paid in quote currency for its worth:
    the cash that flows is the same to the last digit, and the size is what the account has.
    """
    return trade(position, instrument, fill.side, abs(change(fill)), fill.price, fill.fee)


def trade(
    position: Position, instrument: Instrument, side: Side, size: Decimal, price: Decimal, fee: Decimal = _ZERO
) -> Position:
    """The position after buying or selling `size` (above zero, venue unit) at `price`; the mark becomes the price.

    Raises ValueError for a size that is not above zero.
    """
    if size <= _ZERO:
        raise ValueError(f"a trade of size {size}")
    signed = size if side == "buy" else -size
    held = position.size
    cost, realised, opened = position.cost, position.realised, signed
    if held and (held < _ZERO) != (side == "sell"):
        closing = min(size, abs(held))
        closed = closing.copy_sign(held)  # the part of the held size that goes
        released = _share(position, closing)
        cost = subtract(cost, released)
        realised = add(realised, subtract(notional(instrument, closed, price), released))
        opened = add(signed, closed)  # what is left of the trade to open or extend
    return Position(
        instrument=position.instrument,
        size=add(held, signed),
        cost=add(cost, notional(instrument, opened, price)) if opened else cost,
        realised=realised,
        fees=add(position.fees, fee),
        funding=position.funding,
        mark=price,
    )


def _share(position: Position, closing: Decimal) -> Decimal:
    """The cost of the part that closes."""
    held = abs(position.size)
    if closing == held:
        return position.cost
    return divide(multiply(position.cost, closing), held).quantize(CENT, context=EXACT)


def fund(position: Position, amount: Decimal) -> Position:
    """The position after a funding payment: received positive, paid negative."""
    return _with(position, funding=add(position.funding, amount))


def mark(position: Position, price: Decimal) -> Position:
    """The position at another last known price."""
    return _with(position, mark=price)


def _with(position: Position, *, funding: Decimal | None = None, mark: Decimal | None = None) -> Position:
    return Position(
        instrument=position.instrument,
        size=position.size,
        cost=position.cost,
        realised=position.realised,
        fees=position.fees,
        funding=position.funding if funding is None else funding,
        mark=position.mark if mark is None else mark,
    )


def average_price(position: Position, instrument: Instrument) -> Decimal:
    """What one unit of base cost; 0 when flat. Rounded: for people and stops, never for the books."""
    if not position.size:
        return _ZERO
    return position.cost / quantity(instrument, position.size)


def unrealised(position: Position, instrument: Instrument, price: Decimal | None = None) -> Decimal:
    """What closing at `price` (default: the mark) would bring, before fees."""
    price = position.mark if price is None else price
    return subtract(notional(instrument, position.size, price), position.cost)


def profit(position: Position, instrument: Instrument, price: Decimal | None = None) -> Decimal:
    """All the position ever brought: realised and unrealised, fees paid and funding received."""
    booked = add(subtract(position.realised, position.fees), position.funding)
    return add(booked, unrealised(position, instrument, price))


def cash_change(before: Position, after: Position, instrument: Instrument) -> Decimal:
    """What moved through the account's cash between two states of one position.

    A spot trade pays and receives its whole worth; a swap settles only what was realised.
    """
    change = subtract(before.fees, after.fees)
    if after.realised is not before.realised:
        change = add(change, subtract(after.realised, before.realised))
    if after.funding is not before.funding:
        change = add(change, subtract(after.funding, before.funding))
    if instrument.kind == "spot":
        change = add(change, subtract(before.cost, after.cost))
    return change


def worth(position: Position, instrument: Instrument, price: Decimal | None = None) -> Decimal:
    """What a position adds to its account's cash: its market value (spot) or its unrealised P&L (swap)."""
    if instrument.kind == "spot":
        return notional(instrument, position.size, position.mark if price is None else price)
    return unrealised(position, instrument, price)


def equity(cash: Decimal, positions: Iterable[Position], instruments: Mapping[str, Instrument]) -> Decimal:
    """Cash, and the open positions at their marks. Raises KeyError for one whose instrument is not in `instruments`."""
    total = cash
    for position in positions:
        if position.size:
            total = add(total, worth(position, instruments[position.instrument]))
    return total
