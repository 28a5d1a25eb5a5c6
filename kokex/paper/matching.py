"""When an order trades, and at which price: pure functions of an order and what the market shows it.

Every rule is written down in docs/paper.md. Prices are compared as floats, which is exact: a candle's price
is the float nearest to a written decimal, and so is `Working.level`. What is booked is `Decimal`.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Literal, cast

from msgspec import Struct

from kokex.market.instruments import exact, round_price
from kokex.market.money import multiply
from kokex.messages import Candle, Instrument, Order, OrderState, Side

ZERO = Decimal(0)
BASIS_POINT = Decimal("0.0001")
TRIGGERED = frozenset({"stop", "take_profit"})
RESTING = frozenset({"limit", "post_only"})


class Rules(Struct, frozen=True, kw_only=True):
    """What trading costs, and how much of the market one account may be."""

    maker_fee: Decimal = Decimal("0.0002")  # of the notional, in quote currency; a rebate is negative
    taker_fee: Decimal = Decimal("0.0005")
    slippage_bp: Decimal = ZERO  # a taker's price is worse than the market's by this, in basis points
    volume_share: Decimal = ZERO  # an account fills at most this share of a candle's volume; 0: unbounded
    leverage: Decimal = Decimal(1)  # of margin accounts: a swap position needs its notional divided by this


class Depth(Struct, frozen=True, kw_only=True, gc=False):
    """A book to trade with: (price, size), best first."""

    instrument: str
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]


class Working(Struct, eq=False):
    """An accepted order that is not settled."""

    order: Order
    arrived_ns: int
    level: float  # its trigger or limit price; 0 when it has neither
    filled: Decimal = ZERO
    opened_ns: int = -1  # the candle whose open it saw last; -1: none yet
    rests: bool = False  # a limit order that found nothing to take: from now on the market comes to it
    triggered: bool = False  # a stop or take-profit that has become a market order

    @property
    def state(self) -> OrderState:
        return "partial" if self.filled else "working"


class Match(Struct, frozen=True, gc=False):
    """It trades, at this price."""

    price: Decimal
    liquidity: Literal["maker", "taker"]


class End(Struct, frozen=True, gc=False):
    """It is cancelled, and why."""

    reason: str


WOULD_TAKE = End("would take")


def at_open(working: Working, price: float, instrument: Instrument, rules: Rules) -> Match | End | None:
    """What the open of a candle means to an order; None: nothing."""
    order = working.order
    match order.kind:
        case "market":
            return _taker(order, price, instrument, rules)
        case "stop" | "take_profit":
            if working.triggered or _touched(order, working.level, price):
                return _taker(order, price, instrument, rules)
            return None
        case "ioc" | "fok":
            if order.price is None or _reached(order.side, working.level, price):
                return _taker(order, price, instrument, rules)
            return End("not marketable")
        case "limit" | "post_only":
            if working.rests:
                return _maker(order) if _through(order.side, working.level, price) else None
            if not _reached(order.side, working.level, price):
                return None
            return WOULD_TAKE if order.kind == "post_only" else _taker(order, price, instrument, rules)


def inside(working: Working, candle: Candle, instrument: Instrument, rules: Rules) -> Match | None:
    """What the range of a candle means to an order that saw its open."""
    order = working.order
    if order.kind in TRIGGERED:
        if working.triggered or not _touched(order, working.level, candle.high if _rises(order) else candle.low):
            return None  # what was triggered earlier trades at opens, like a market order
        return _taker(order, working.level, instrument, rules)
    if order.kind in RESTING:
        extreme = candle.low if order.side == "buy" else candle.high
        return _maker(order) if _through(order.side, working.level, extreme) else None
    return None


def walk(working: Working, book: Depth) -> Iterator[tuple[int, Match]]:
    """The levels of the book that an order may take, best first, as (index, match)."""
    order = working.order
    for index, (price, _) in enumerate(book.asks if order.side == "buy" else book.bids):
        if order.price is not None and not _reached(order.side, working.level, float(price)):
            return
        if working.rests:
            if not _through(order.side, working.level, float(price)):
                return
            yield index, _maker(order)
        else:
            yield index, Match(price, "taker")


def triggered_by(working: Working, book: Depth) -> bool:
    """A stop or take-profit is triggered by the best price it would trade at."""
    levels = book.asks if working.order.side == "buy" else book.bids
    return bool(levels) and _touched(working.order, working.level, float(levels[0][0]))


def slipped(side: Side, price: float, instrument: Instrument, rules: Rules) -> Decimal:
    """A taker's price: the market's plus slippage, rounded to the tick away from the taker's advantage."""
    decimal = exact(price)
    if not rules.slippage_bp:
        return decimal
    share = multiply(rules.slippage_bp, BASIS_POINT)
    if side == "buy":
        return round_price(instrument, multiply(decimal, 1 + share), "up")
    return round_price(instrument, multiply(decimal, 1 - share), "down")


def _taker(order: Order, price: float, instrument: Instrument, rules: Rules) -> Match:
    worse = slipped(order.side, price, instrument, rules)
    if order.price is not None:
        worse = min(worse, order.price) if order.side == "buy" else max(worse, order.price)
    return Match(worse, "taker")


def _maker(order: Order) -> Match:
    return Match(cast("Decimal", order.price), "maker")  # the exchange accepts no limit order without a price


def _rises(order: Order) -> bool:
    """Whether it is a rising price that triggers: a stop that buys, a target that sells."""
    return (order.side == "buy") == (order.kind == "stop")


def _touched(order: Order, level: float, price: float) -> bool:
    return price >= level if _rises(order) else price <= level


def _reached(side: Side, limit: float, price: float) -> bool:
    return price <= limit if side == "buy" else price >= limit


def _through(side: Side, limit: float, price: float) -> bool:
    return price < limit if side == "buy" else price > limit
