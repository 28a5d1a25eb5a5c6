"""Arithmetic that does not round money.

Decimal's default context keeps 28 digits. A price with 17 digits times a size with 12 has 29, and the
books would leak. This context keeps what products and sums of such numbers need; only a division can round.
"""

from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow

EXACT = Context(prec=80, traps=[InvalidOperation, DivisionByZero, Overflow])

# By name, because looking a method up on a context takes as long as the sum.
add, subtract, multiply, divide, remainder = (
    EXACT.add, EXACT.subtract, EXACT.multiply, EXACT.divide, EXACT.remainder,
)  # fmt: skip

# A cost that does not divide evenly is rounded here, far below what any venue counts.
CENT = Decimal("1E-18")
