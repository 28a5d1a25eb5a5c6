"""Exact decimals: written prices as scaled integers, and reported money without noise.

A price is the decimal that was written in the candle file. A float carries it well enough (its `repr` gives
the digits back), but sums of products of floats do not stay exact. Integers do, are several times as quick as
`Decimal`, and need only one common power of ten.
"""

from collections.abc import Sequence
from decimal import Decimal

from kokex.market.instruments import exact
from kokex.market.money import CENT, EXACT

_FEW = 12  # decimals tried by float arithmetic, the quick way
_UNIQUE = 1e15  # up to 15 digits a decimal and its nearest float determine each other


def decimals(amount: Decimal) -> int:
    """How many digits after the point `amount` is written with."""
    return max(0, -int(amount.as_tuple().exponent))


def scaled(amount: Decimal, places: int) -> int:
    """`amount * 10**places`, which must be whole."""
    return int(amount.scaleb(places, EXACT))


def scaled_prices(prices: Sequence[float]) -> tuple[list[int], int]:
    """(integers, places) such that `integers[i] / 10**places` is exactly the decimal that `repr(prices[i])` writes.

    Prices are finite and not negative.
    """
    top = max(prices, default=0.0)
    for places in range(_FEW + 1):
        scale = 10**places
        if top * scale >= _UNIQUE:
            break
        # True division of integers rounds correctly: equality says that the integer is the written decimal.
        if all(round(price * scale) / scale == price for price in prices):
            return [round(price * scale) for price in prices], places
    written = list(map(exact, prices))
    places = max(map(decimals, written))
    return [scaled(price, places) for price in written], places


def plain(amount: Decimal) -> Decimal:
    """The same amount in its shortest writing (no trailing zeros, no exponent for whole numbers, no -0).

    Rounded to 18 decimals: only quotients, and prices of very many digits, have more to say.
    """
    rounded = amount.quantize(CENT, context=EXACT).normalize(EXACT)
    if not rounded:
        return Decimal(0)
    return rounded.quantize(Decimal(1), context=EXACT) if int(rounded.as_tuple().exponent) > 0 else rounded
