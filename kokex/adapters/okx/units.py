"""OKX's units, in one place: everything that depends on what is traded and on how the account is set.

| | spot | USDT swap |
|---|---|---|
| size | base currency; a market buy too: tgtCcy is always sent | contracts of ctVal x ctMult base currency |
| tdMode | cash; cross in a multi-currency or portfolio margin account | cross |
| posSide | none | none in net mode; long or short in long/short mode |
| reduceOnly | none | in net mode; in long/short mode the closing side says it |
| fee | of what is received: a buy's in base currency, a sell's in quote | quote currency |

Sizes go down to the lot and prices to the safer tick, so nothing is ever rounded up into more risk.
"""

from decimal import Decimal
from typing import Literal, NamedTuple

from msgspec import Struct

from kokex.adapters.okx.wire import number
from kokex.adapters.okx.wire.market import Instrument as Listed
from kokex.market.instruments import floor_size, round_price
from kokex.market.money import EXACT
from kokex.messages import Instrument, Order, Side
from kokex.ports import Rejected

ZERO = Decimal(0)

Level = Literal["1", "2", "3", "4"]  # acctLv: spot, futures, multi-currency margin, portfolio margin


class AccountMode(Struct, frozen=True):
    """How the account is set at OKX."""

    level: Level = "2"
    hedged: bool = False  # posMode long_short_mode


class Charged(NamedTuple):
    """A fee as the books want it: see `messages.Fill`."""

    fee: Decimal  # quote currency, positive when paid
    base_fee: Decimal  # of that, what was taken from the coins bought


def text(value: Decimal) -> str:
    """As OKX writes numbers: no exponent, no trailing zeros."""
    return f"{value.normalize(EXACT) if value else ZERO:f}"


def trade_mode(instrument: Instrument, mode: AccountMode) -> Literal["cash", "cross"]:
    """tdMode. Raises Rejected for a swap in a spot account."""
    if instrument.kind == "spot":
        return "cross" if mode.level in ("3", "4") else "cash"
    if mode.level == "1":
        raise Rejected("51010", "the account is in spot mode, which has no swaps; set it to futures mode at OKX")
    return "cross"


def position_side(instrument: Instrument, mode: AccountMode, side: Side, *, reduce_only: bool) -> str:
    """posSide; "" where there is none."""
    if instrument.kind == "spot" or not mode.hedged:
        return ""
    return "long" if (side == "buy") != reduce_only else "short"


def order_size(instrument: Instrument, size: Decimal) -> str:
    """sz, in whole lots. Raises Rejected for one below the minimum."""
    floored = floor_size(instrument, size)
    if floored < instrument.minimum or floored <= 0:
        raise Rejected("51020", f"{size} {instrument.symbol} is below the smallest size, {instrument.minimum}")
    return text(floored)


def limit_price(instrument: Instrument, side: Side, price: Decimal) -> str:
    """px on the tick grid: a buy pays no more, a sell gets no less."""
    return text(round_price(instrument, price, "down" if side == "buy" else "up"))


def trigger_price(instrument: Instrument, order: Order, price: Decimal) -> str:
    """slTriggerPx, tpTriggerPx on the tick grid: the stop of a long position goes up, that of a short one down."""
    nearer = "up" if (order.side == "sell") == (order.kind != "take_profit") else "down"
    return text(round_price(instrument, price, nearer))


def signed_size(row_size: Decimal, side: str) -> Decimal:
    """A position's `pos`, signed in net mode; in long/short mode `posSide` says what it is."""
    return -abs(row_size) if side == "short" else row_size


def charged(instrument: Instrument, side: Side, fee: Decimal, currency: str, price: Decimal) -> Charged:
    """OKX's fee (negative when charged) of one trade. Raises ValueError for a currency the books do not have."""
    paid = -fee
    if currency == instrument.quote or not fee:
        return Charged(paid, ZERO)
    if currency == instrument.base and side == "buy" and instrument.kind == "spot":
        return Charged(EXACT.multiply(paid, price), paid)
    raise ValueError(f"a fee in {currency} for a {side} of {instrument.symbol}")


def instrument_of(row: Listed) -> Instrument | None:
    """An instrument as OKX lists it; None for what KOKEX does not trade (inverse, another settlement, not live)."""
    if row.state != "live":
        return None
    if row.inst_type == "SPOT":
        return _instrument(row, "spot", row.base_ccy or "", row.quote_ccy or "", Decimal(1))
    if row.inst_type != "SWAP" or row.ct_type != "linear" or row.settle_ccy != "USDT":
        return None
    value = EXACT.multiply(number(row.ct_val, ZERO), number(row.ct_mult, Decimal(1)))
    return _instrument(row, "swap", row.ct_val_ccy or row.inst_id.partition("-")[0], "USDT", value)


def _instrument(row: Listed, kind: Literal["spot", "swap"], base: str, quote: str, value: Decimal) -> Instrument:
    """Raises ValueError for one without a tick, a lot or a value."""
    tick, lot = number(row.tick_sz, ZERO), number(row.lot_sz, ZERO)
    if tick <= 0 or lot <= 0 or value <= 0:
        raise ValueError(f"{row.inst_id}: tick {tick}, lot {lot}, contract value {value}")
    return Instrument(
        symbol=row.inst_id, kind=kind, base=base, quote=quote, tick=tick, lot=lot,
        minimum=number(row.min_sz, lot), contract_value=value,
    )  # fmt: skip
