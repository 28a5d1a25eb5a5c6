"""Instruments: the steps in which they trade, and the one place where units are converted.

An order's size is in the venue's unit: base currency for spot, contracts for a linear swap. Prices and
amounts of money are in the quote currency.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from typing import Literal

from kokex.market.money import EXACT, divide, multiply, remainder
from kokex.messages import Instrument, Side

Rounding = Literal["down", "up", "nearest"]
ZERO = Decimal(0)
_ROUNDING = {"down": ROUND_FLOOR, "up": ROUND_CEILING, "nearest": ROUND_HALF_EVEN}


class UnknownInstrument(ValueError):
    """No instrument has this symbol."""


@lru_cache(maxsize=1024)  # one price is asked for by risk, exchange and portfolio in turn
def exact(price: float) -> Decimal:
    """The decimal as it was written: the shortest that reads as this float. 20 is 20.0."""
    return Decimal(repr(float(price)))


def floor_size(instrument: Instrument, size: Decimal) -> Decimal:
    """The size in whole lots, towards zero: never more than asked."""
    return -_stepped(-size, instrument.lot, ROUND_FLOOR) if size < ZERO else _stepped(size, instrument.lot, ROUND_FLOOR)


def is_tradable(instrument: Instrument, size: Decimal) -> bool:
    """Whether the venue takes an order of this size: whole lots, not below the minimum."""
    return size >= instrument.minimum and not (instrument.lot and remainder(size, instrument.lot))


def closable(instrument: Instrument, held: Decimal) -> Decimal:
    """What of a position an order can close, signed like it.

    Fees in coins leave less than a lot, or than the venue trades: of those, none. A swap's orders only reduce, so a
    remainder is closed by the smallest there is.
    """
    if instrument.kind == "swap" or not held:
        return held
    size = floor_size(instrument, held)
    return size if abs(size) >= instrument.minimum else ZERO


def round_price(instrument: Instrument, price: Decimal, rounding: Rounding) -> Decimal:
    """The price on the tick grid. A tick of 0 means prices as written."""
    return _stepped(price, instrument.tick, _ROUNDING[rounding])


def safe_price(instrument: Instrument, side: Side, price: Decimal) -> Decimal:
    """The price on the tick grid, rounded so that an order of this side never risks more than asked.

    A buy goes down and a sell goes up: a limit pays no worse, and the protective stop of a long position (a
    sell below the market) moves nearer to the market, as that of a short position (a buy above it) does.
    """
    return round_price(instrument, price, "down" if side == "buy" else "up")


def quantity(instrument: Instrument, size: Decimal) -> Decimal:
    """Base currency in a size."""
    return multiply(size, instrument.contract_value)


def size_of(instrument: Instrument, base: Decimal) -> Decimal:
    """The size, in whole lots towards zero, that holds no more than this much base currency."""
    return floor_size(instrument, divide(base, instrument.contract_value))


def notional(instrument: Instrument, size: Decimal, price: Decimal) -> Decimal:
    """What a size is worth at a price, in quote currency, exact; signed like size."""
    if instrument.kind == "spot":
        return multiply(size, price)
    return multiply(multiply(size, instrument.contract_value), price)


def _stepped(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    if not step or not remainder(value, step):
        return value
    steps = divide(value, step).quantize(Decimal(1), rounding, EXACT)
    return multiply(steps, step)


# ---- what is known without asking a venue ---------------------------------------------------

# Plausible OKX steps and round prices, for paper money; a live venue tells its own.
# base: price, tick; spot lot, spot minimum; swap contract value, swap lot (also its minimum)
_TABLE: dict[str, tuple[float, str, str, str, str, str]] = {
    "BTC": (60_000.0, "0.1", "0.00000001", "0.00001", "0.01", "0.01"),
    "ETH": (3_000.0, "0.01", "0.000001", "0.0001", "0.1", "0.01"),
    "SOL": (150.0, "0.01", "0.000001", "0.001", "1", "0.01"),
    "DOGE": (0.12, "0.00001", "0.000001", "1", "1000", "0.01"),
    "XRP": (0.55, "0.0001", "0.000001", "1", "100", "0.01"),
    "ADA": (0.4, "0.0001", "0.000001", "1", "100", "0.1"),
    "AVAX": (27.0, "0.001", "0.000001", "0.01", "1", "0.1"),
    "DOT": (5.0, "0.001", "0.000001", "0.1", "1", "0.1"),
    "POL": (0.4, "0.0001", "0.000001", "1", "10", "0.1"),
    "LTC": (70.0, "0.01", "0.000001", "0.01", "1", "0.1"),
}


def known_symbols() -> list[str]:
    """Symbols that `parse_symbol` knows."""
    return [f"{base}-USDT{end}" for base in _TABLE for end in ("", "-SWAP")]


def parse_symbol(symbol: str) -> Instrument:
    """The instrument "BTC-USDT" (spot) or "BTC-USDT-SWAP". Raises UnknownInstrument, saying what is known."""
    base, _, rest = symbol.partition("-")
    if base not in _TABLE or rest not in {"USDT", "USDT-SWAP"}:
        known = ", ".join(_TABLE)
        raise UnknownInstrument(f"unknown instrument {symbol!r}: known are BASE-USDT and BASE-USDT-SWAP of {known}")
    _, tick, spot_lot, spot_minimum, contract_value, swap_lot = _TABLE[base]
    swap = rest == "USDT-SWAP"
    return Instrument(
        symbol=symbol,
        kind="swap" if swap else "spot",
        base=base,
        quote="USDT",
        tick=Decimal(tick),
        lot=Decimal(swap_lot if swap else spot_lot),
        minimum=Decimal(swap_lot if swap else spot_minimum),
        contract_value=Decimal(contract_value if swap else 1),
    )


def usual_price(symbol: str) -> float:
    """About what one unit of base costs: where a simulated market starts. Raises UnknownInstrument."""
    return _TABLE[parse_symbol(symbol).base][0]


def from_csv(stem: str, kind: Literal["spot", "swap"] = "spot") -> Instrument:
    """The instrument of a candle file, named by the file's stem: lot 1e-8, prices as written."""
    base, _, rest = stem.partition("-")
    lot = Decimal("0.00000001")
    return Instrument(
        symbol=stem,
        kind=kind,
        base=base,
        quote=rest.partition("-")[0] or "quote",
        tick=Decimal(0),
        lot=lot,
        minimum=lot,
    )
