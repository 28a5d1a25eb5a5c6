"""Candles: in sequence or not, whole or not, small ones into larger ones."""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Literal, NamedTuple

from kokex.messages import Candle

SequenceKind = Literal["new", "duplicate", "out_of_order", "gap"]


class Place(NamedTuple):
    """How a candle follows the ones before it. For a gap: which candles are missing before this one."""

    kind: SequenceKind
    missing: int = 0
    first_missing_ns: int = 0
    last_missing_ns: int = 0


_NEW = Place("new")
_DUPLICATE = Place("duplicate")
_OUT_OF_ORDER = Place("out_of_order")


class Sequence:
    """Watches the candles of one instrument as they arrive.

    The grid is the first candle's: a candle opening between two of its lines is out of order.
    """

    __slots__ = ("_last_ns", "_span_ns")

    def __init__(self, span_ns: int, last_ns: int | None = None) -> None:
        self._span_ns = span_ns
        self._last_ns = last_ns

    def place(self, open_ns: int) -> Place:
        """Only a `new` candle, or one after a `gap`, becomes the last one."""
        last_ns, span_ns = self._last_ns, self._span_ns
        if last_ns is None or open_ns == last_ns + span_ns:
            self._last_ns = open_ns
            return _NEW
        if open_ns == last_ns:
            return _DUPLICATE
        steps, rest = divmod(open_ns - last_ns, span_ns)
        if steps < 0 or rest:
            return _OUT_OF_ORDER
        self._last_ns = open_ns
        return Place("gap", steps - 1, last_ns + span_ns, open_ns - span_ns)


class Resampler:
    """Makes larger candles, aligned to UTC multiples of `span_ns`, of one instrument's base candles.

    A larger candle is emitted when its last base candle closes, or, if that one never came, when a
    candle of a later bucket arrives: never before it is over. Base candles missing inside a bucket
    leave no trace, and a bucket without any is not made: `Sequence` and `fill` deal with gaps.
    """

    __slots__ = ("_base_ns", "_last_ns", "_open", "_span_ns")

    def __init__(self, span_ns: int, base_ns: int) -> None:
        """Raises ValueError when the larger span is no multiple of the base."""
        if base_ns <= 0 or span_ns <= 0 or span_ns % base_ns:
            raise ValueError(f"candles of {base_ns} ns do not add up to candles of {span_ns} ns")
        self._span_ns = span_ns
        self._base_ns = base_ns
        self._open: Candle | None = None  # the bucket being filled
        self._last_ns = -1  # opening of the last base candle

    def push(self, candle: Candle) -> tuple[Candle, ...]:
        """The larger candles this one closes: mostly none, sometimes one, two after a gap.

        Raises ValueError when the candle does not come after the one before it.
        """
        if candle.open_ns <= self._last_ns:
            raise ValueError(f"candle at {candle.open_ns} came after the one at {self._last_ns}")
        self._last_ns = candle.open_ns
        start_ns = candle.open_ns - candle.open_ns % self._span_ns
        bucket = self._open
        closed: tuple[Candle, ...] = ()
        if bucket is not None and bucket.open_ns != start_ns:
            closed = (bucket,)
            bucket = None
        bucket = _joined(start_ns, bucket, candle)
        if candle.open_ns + self._base_ns >= start_ns + self._span_ns:
            self._open = None
            return (*closed, bucket)
        self._open = bucket
        return closed


def _joined(start_ns: int, bucket: Candle | None, candle: Candle) -> Candle:
    if bucket is None:
        return Candle(candle.instrument, start_ns, candle.open, candle.high, candle.low, candle.close, candle.volume)
    return Candle(
        bucket.instrument,
        start_ns,
        bucket.open,
        max(bucket.high, candle.high),
        min(bucket.low, candle.low),
        candle.close,
        bucket.volume + candle.volume,
    )


class Gap(NamedTuple):
    """Candles that are not there."""

    first_ns: int  # opening of the first missing one
    missing: int  # how many


class Flaw(NamedTuple):
    """A candle that cannot be."""

    open_ns: int
    why: str


class Report(NamedTuple):
    """What `check` found in a series, each list in the order of the series (gaps: of time)."""

    rows: int
    gaps: tuple[Gap, ...]
    duplicates: tuple[int, ...]  # openings seen before, once for each repetition
    out_of_order: tuple[int, ...]  # openings that came after a later one
    impossible: tuple[Flaw, ...]

    @property
    def missing(self) -> int:
        return sum(gap.missing for gap in self.gaps)

    @property
    def clean(self) -> bool:
        return not (self.gaps or self.duplicates or self.out_of_order or self.impossible)


def check(candles: Iterable[Candle], span_ns: int) -> Report:
    """Everything wrong with a series that should hold one candle each `span_ns`.

    A candle that came too late is out of order, but not missing.
    """
    seen: set[int] = set()
    duplicates: list[int] = []
    out_of_order: list[int] = []
    impossible: list[Flaw] = []
    rows = 0
    grid_ns = newest_ns = None
    for candle in candles:
        rows += 1
        open_ns = candle.open_ns
        if grid_ns is None or newest_ns is None:
            grid_ns = newest_ns = open_ns
        why = flaw(candle)
        if (open_ns - grid_ns) % span_ns:
            why = why or "opens off the grid"
        if why:
            impossible.append(Flaw(open_ns, why))
        if open_ns in seen:
            duplicates.append(open_ns)
        elif open_ns < newest_ns:
            out_of_order.append(open_ns)
        else:
            newest_ns = open_ns
        seen.add(open_ns)
    return Report(rows, gaps(sorted(seen), span_ns), tuple(duplicates), tuple(out_of_order), tuple(impossible))


def gaps(openings: Iterable[int], span_ns: int) -> tuple[Gap, ...]:
    """What is missing between rising openings."""
    found: list[Gap] = []
    for before, after in pairwise(openings):
        missing = (after - before - 1) // span_ns
        if missing:
            found.append(Gap(before + span_ns, missing))
    return tuple(found)


def flaw(candle: Candle) -> str:
    """Why this candle cannot be, or nothing."""
    low, high = candle.low, candle.high
    if not all(math.isfinite(x) for x in (candle.open, high, low, candle.close, candle.volume)):
        return "not a finite number"
    if min(candle.open, high, low, candle.close) <= 0:
        return "price not above zero"
    if candle.volume < 0:
        return "negative volume"
    if high < low:
        return "high below low"
    if not (low <= candle.open <= high and low <= candle.close <= high):
        return "open or close outside low to high"
    return ""


def fill(candles: Iterable[Candle], span_ns: int) -> list[Candle]:
    """The series without gaps: a missing candle stands at the previous close, with zero volume.

    Raises ValueError for a series with duplicates, out of order or off the grid: nothing to guess there.
    """
    whole: list[Candle] = []
    sequence = Sequence(span_ns)
    for candle in candles:
        place = sequence.place(candle.open_ns)
        if place.kind in {"duplicate", "out_of_order"}:
            raise ValueError(f"candle at {candle.open_ns} is {place.kind.replace('_', ' ')}")
        for step in range(place.missing):
            close = whole[-1].close
            open_ns = place.first_missing_ns + step * span_ns
            whole.append(Candle(candle.instrument, open_ns, close, close, close, close, 0.0))
        whole.append(candle)
    return whole
