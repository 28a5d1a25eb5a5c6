"""How much: the size of an entry from the risk budget and the limits. Pure, and only ever rounded down.

Budget: the loss if the stop is hit may be `risk_per_trade_pct` of equity, scaled by conviction (5 of 5: all of
it). Caps: one order, one position, all positions, and what cash there is.
"""

from decimal import Decimal
from functools import cache
from typing import NamedTuple, Protocol

from kokex.market.instruments import exact, floor_size, notional, size_of
from kokex.messages import Instrument, Side

BP = Decimal("0.0001")
PERCENT = Decimal("0.01")


class Limits(Protocol):
    """The percentages of [risk]."""

    @property
    def max_order_pct(self) -> float: ...
    @property
    def max_exposure_pct(self) -> float: ...
    @property
    def max_position_pct(self) -> float: ...
    @property
    def risk_per_trade_pct(self) -> float: ...
    @property
    def stop_atr(self) -> float: ...
    @property
    def min_stop_bp(self) -> float: ...


class Room(NamedTuple):
    """What an account has and carries, in quote currency. Exposures count positions and working orders."""

    equity: Decimal
    free: Decimal  # cash that no position or order ties up
    exposure: Decimal  # of all instruments, absolute
    position: Decimal  # of this instrument, absolute, what the order would add to


class Sized(NamedTuple):
    size: Decimal  # 0: none
    rule: str  # the cap that decided, or why there is none


def stop_distance(price: Decimal, limits: Limits, *, atr: float | None, invalidation: float | None) -> Decimal:
    """From entry to stop, in quote currency: the farthest of ATR, least distance and the idea's own end."""
    distance = price * exact(limits.min_stop_bp) * BP
    if atr is not None:
        distance = max(distance, exact(atr) * exact(limits.stop_atr))
    if invalidation is not None:
        distance = max(distance, abs(price - exact(invalidation)))
    return distance


def percent_of(amount: Decimal, pct: float) -> Decimal:
    return amount * _share(pct)


@cache
def _share(pct: float) -> Decimal:
    """Of the few percentages that limits are."""
    return exact(pct) * PERCENT


def entry_size(
    instrument: Instrument, price: Decimal, room: Room, limits: Limits, *, distance: Decimal, conviction: int
) -> Sized:
    """The size to open, in the venue's unit. A size of 0 comes with the rule that left no room."""
    budget = percent_of(room.equity, limits.risk_per_trade_pct) * conviction / 5
    caps = {
        "risk_per_trade": budget / distance * price if distance else Decimal(0),
        "max_order_pct": percent_of(room.free, limits.max_order_pct),
        "max_position_pct": percent_of(room.equity, limits.max_position_pct) - room.position,
        "max_exposure_pct": percent_of(room.equity, limits.max_exposure_pct) - room.exposure,
    }
    rule = min(caps, key=lambda name: caps[name])
    if caps[rule] <= 0 or price <= 0:
        return Sized(Decimal(0), rule)
    size = size_of(instrument, caps[rule] / price)
    return Sized(size, rule) if size >= instrument.minimum else Sized(Decimal(0), f"minimum size after {rule}")


def broken_limit(instrument: Instrument, size: Decimal, price: Decimal, room: Room, limits: Limits) -> str:
    """The limit that an entry of a given size would break; "" if none."""
    worth = notional(instrument, size, price)
    if worth > percent_of(room.free, limits.max_order_pct):
        return "max_order_pct"
    if room.position + worth > percent_of(room.equity, limits.max_position_pct):
        return "max_position_pct"
    if room.exposure + worth > percent_of(room.equity, limits.max_exposure_pct):
        return "max_exposure_pct"
    return ""


def half(instrument: Instrument, size: Decimal) -> Decimal:
    """Half a position, at least the smallest order, at most all of it."""
    return min(abs(size), max(floor_size(instrument, abs(size) / 2), instrument.minimum))


def opposite(side: Side) -> Side:
    return "sell" if side == "buy" else "buy"
