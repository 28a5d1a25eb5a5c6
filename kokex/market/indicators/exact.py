"""Sums of prices that neither drift nor round.

A rolling sum of floats drifts, and then two equal averages differ in the last bit and look like a crossing.
A price, though, is a short decimal: the float only stands for it (`repr` gives it back). So prices are held as
whole numbers of a common unit, 10**-places, in Python's integers. Sums of those are exact, and integer
division rounds once, correctly: equal averages give identical floats.

The quick way to the whole number is one multiplication and one check. With w = nearest integer to x * 10**f,
and f <= 22 so that 10**f is a float without error, w / 10**f is the float nearest to the decimal w * 10**-f. If
that is x, and w < 2**52, no other decimal of so few digits reads as x: the decimals are further apart than the
floats. So w * 10**-f is what `repr(x)` says. All prices of up to 15 digits pass. The rest, mostly artefacts such
as 5.2900000000000005e-05, go through Decimal, which is slow and just as exact.
"""

import math
from collections import deque
from math import floor

UNAMBIGUOUS = 2.0**52
_MOST_PLACES = 22  # 10**22 is the largest power of ten that a float holds without error


class DecimalScale:
    """Floats as whole numbers of one decimal unit, which grows finer when a value needs it."""

    __slots__ = ("_places", "fast", "lift", "unit")

    def __init__(self) -> None:
        # Two places suit most prices, and keep their numbers below 2**30, where Python's integers are quickest.
        self.unit = 10**2  # whole numbers in 1.0; a new object when it has changed
        self.fast = 1e2  # the unit of the quick way
        self.lift = 1  # unit / fast
        self._places = 2

    def whole(self, x: float) -> int:
        """x in units. Look at `unit` afterwards: when it changed, earlier numbers must be scaled up.

        Raises ValueError for NaN and infinity.
        """
        fast = self.fast
        scaled = x * fast
        if 0.0 <= scaled < UNAMBIGUOUS and (whole := floor(scaled + 0.5)) / fast == x:
            return whole * self.lift
        return self.written(x)

    def written(self, x: float) -> int:
        """The slow way: x as `repr` writes it. Only here does the unit change."""
        if not math.isfinite(x):
            raise ValueError(f"{x} is no price")
        mantissa, _, exponent = repr(x).partition("e")
        integer, _, fraction = mantissa.partition(".")
        digits = integer + fraction
        written_places = len(fraction) - int(exponent or 0)
        # Places that make this value 15 digits long, so that the next ones like it take the quick way.
        quick = min(max(15 + written_places - len(digits.lstrip("-0")), 0), _MOST_PLACES)
        places = max(self._places, quick, written_places)
        if places != self._places:
            self._places = places
            self.unit = 10**places
        self.fast = 10.0**quick
        self.lift = 10 ** (places - quick)
        return int(digits) * 10 ** (places - written_places)


class Window:
    """The last `length` values with their exact mean and population standard deviation."""

    __slots__ = ("_length", "_missing", "_ring", "_scale", "_squares", "_total", "_unit")

    def __init__(self, length: int) -> None:
        """Raises ValueError for an empty window."""
        self._length = at_least(1, length)
        self._scale = DecimalScale()
        self._unit = self._scale.unit
        self._ring = deque([0] * length, maxlen=length)
        self._total = 0
        self._squares = 0
        self._missing = length

    def push(self, x: float) -> bool:
        """Takes one value; says whether the window is full."""
        new = self._scale.whole(x)
        if self._scale.unit is not self._unit:
            self._rescale()
        old = self._ring[0]
        self._ring.append(new)
        self._total += new - old
        self._squares += new * new - old * old
        if self._missing:
            self._missing -= 1
        return not self._missing

    def mean(self) -> float:
        return self._total / (self._length * self._unit)

    def deviation(self) -> float:
        """Exactly 0 when all values are equal."""
        spread = self._length * self._squares - self._total * self._total
        return math.sqrt(spread / (self._length * self._unit) ** 2)

    def excess(self) -> float:
        """The newest value less the mean, rounded once."""
        return (self._length * self._ring[-1] - self._total) / (self._length * self._unit)

    def _rescale(self) -> None:
        factor = self._scale.unit // self._unit
        self._unit = self._scale.unit
        self._ring = rescaled(self._ring, factor)
        self._total *= factor
        self._squares *= factor * factor


def rescaled(ring: deque[int], factor: int) -> deque[int]:
    """The ring in a finer unit."""
    return deque((value * factor for value in ring), maxlen=ring.maxlen)


def at_least(least: int, length: int) -> int:
    """The length, if an indicator can have it; raises ValueError else."""
    if length < least:
        raise ValueError(f"a length of {length}: at least {least} is needed")
    return length
