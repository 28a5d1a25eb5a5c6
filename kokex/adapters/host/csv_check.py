"""Candle files looked at leniently: all that is wrong with one, line by line, where `read_candles` stops at the first.

A row is one of four things: a candle; one that is there twice; one that came too late; or impossible, when it does not
read as a candle. What is missing is counted between the candles that are there, on the grid of the most common spacing:
a candle that came too late is out of order, but not missing, and neither is an impossible one whose time can be read.
"""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import IO, cast

from msgspec import Struct

from kokex.adapters.host.csv import CsvError, Progress
from kokex.market import candles
from kokex.messages import Candle

_TIMES = ("timestamp_ms", "timestamp")
_NUMBERS = ("open", "high", "low", "close", "volume")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LATEST_NS = 2**63 - 1  # in the year 2262
_EVERY = 50_000  # lines between two reports of progress


class Gap(Struct, frozen=True):
    """Candles that are not there."""

    first_missing: str  # ISO 8601
    first_missing_ms: int
    missing: int


class Flaw(Struct, frozen=True):
    """A line that should not be, or not be there; line 1 is the header."""

    line: int
    text: str  # the line, shortened
    why: str


class Findings(Struct, frozen=True, kw_only=True):
    """All there is to say of a file; each list in the order of the file."""

    file: str
    instrument: str
    rows: int  # without the header
    span_s: float  # the most common spacing; 0 when there are not two candles
    first: str  # the oldest opening, ISO 8601; "" without a candle
    last: str
    missing: int
    gaps: tuple[Gap, ...]
    duplicates: tuple[Flaw, ...]
    out_of_order: tuple[Flaw, ...]
    impossible: tuple[Flaw, ...]

    @property
    def clean(self) -> bool:
        return not (self.gaps or self.duplicates or self.out_of_order or self.impossible)


def examine(path: Path, progress: Progress | None = None) -> Findings:
    """Reads a whole file. Raises CsvError when it cannot be read at all."""
    return _Examination(path).run(progress or (lambda _: None))


class _Examination:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.instrument = path.name.removesuffix(".gz").removesuffix(".csv")
        self.rows = 0
        self.lines: dict[int, int] = {}  # opening -> line of its first row
        self.newest_ns = -1
        self.duplicates: list[Flaw] = []
        self.out_of_order: list[Flaw] = []
        self.impossible: list[Flaw] = []

    def run(self, progress: Progress) -> Findings:
        for number, text in self._lines(progress):
            if number == 1 and not self._is_header(text):
                why = f"the header must be timestamp_ms,{','.join(_NUMBERS)}[,amount] (or timestamp, in ISO 8601)"
                self.impossible.append(Flaw(1, _short(text), why))
            if number > 1 or not text[:1].isalpha():
                self._row(number, text)
        opened = sorted(self.lines)
        span_ns = _span(opened)
        on_grid = self._on_grid(opened, span_ns)
        gaps = tuple(
            Gap(iso(gap.first_ns), gap.first_ns // 1_000_000, gap.missing) for gap in candles.gaps(on_grid, span_ns)
        )
        progress(1.0)
        return Findings(
            file=str(self.path),
            instrument=self.instrument,
            rows=self.rows,
            span_s=span_ns / 1e9,
            first=iso(opened[0]) if opened else "",
            last=iso(opened[-1]) if opened else "",
            missing=sum(gap.missing for gap in gaps),
            gaps=gaps,
            duplicates=tuple(self.duplicates),
            out_of_order=tuple(self.out_of_order),
            impossible=tuple(sorted(self.impossible, key=lambda flaw: flaw.line)),
        )

    # ---- lines

    def _lines(self, progress: Progress) -> Iterator[tuple[int, str]]:
        try:
            size = self.path.stat().st_size or 1
            with self.path.open("rb") as file:
                source = cast(IO[bytes], gzip.GzipFile(fileobj=file)) if self.path.suffix == ".gz" else file
                number = 0
                for number, line in enumerate(source, 1):
                    if number % _EVERY == 0:
                        progress(min(file.tell() / size, 1.0))
                    yield number, line.decode("utf-8-sig" if number == 1 else "utf-8", "replace").rstrip("\r\n")
        except FileNotFoundError:
            raise CsvError(f"{self.path}: no such file") from None
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise CsvError(f"{self.path}: cannot be read: {reason}") from None
        if not number:
            raise CsvError(f"{self.path}: empty")

    def _is_header(self, text: str) -> bool:
        names = text.replace(" ", "").lower().split(",")
        return names[0] in _TIMES and names[1:6] == [*_NUMBERS] and names[6:] in ([], ["amount"])

    def _row(self, number: int, text: str) -> None:
        self.rows += 1
        fields = text.split(",")
        open_ns = _time(fields[0])
        if open_ns is None:
            why = "an empty line" if not text.strip() else f"{fields[0][:40]!r} is no time from 1970 to 2262"
            self.impossible.append(Flaw(number, _short(text), why))
            return
        if why := self._wrong(fields, open_ns):
            self.impossible.append(Flaw(number, _short(text), why))
        first = self.lines.setdefault(open_ns, number)
        if first != number:
            self.duplicates.append(Flaw(number, _short(text), f"{iso(open_ns)} is on line {first} already"))
        elif open_ns < self.newest_ns:
            why = f"{iso(open_ns)} comes after {iso(self.newest_ns)}"
            self.out_of_order.append(Flaw(number, _short(text), why))
        self.newest_ns = max(self.newest_ns, open_ns)

    def _wrong(self, fields: list[str], open_ns: int) -> str:
        """Why these fields are no candle; "" when they are one."""
        if len(fields) not in (6, 7):
            return f"{len(fields)} fields, not {1 + len(_NUMBERS)} (or one more with the amount)"
        values: list[float] = []
        for name, text in zip(_NUMBERS, fields[1:6], strict=True):
            value = _number(text)
            if value is None:
                return f"{name} {text.strip()[:40]!r} is not a number"
            values.append(value)
        return candles.flaw(Candle(self.instrument, open_ns, *values))

    def _on_grid(self, opened: list[int], span_ns: int) -> list[int]:
        """Those that stand where most do; one that opens between two of them is impossible."""
        if not span_ns:
            return opened
        ((phase, _),) = Counter(open_ns % span_ns for open_ns in opened).most_common(1)
        for open_ns in opened:
            if open_ns % span_ns != phase:
                why = f"opens at {iso(open_ns)}, between two candles of {span_ns / 1e9:g} s"
                self.impossible.append(Flaw(self.lines[open_ns], "", why))
        return [open_ns for open_ns in opened if open_ns % span_ns == phase]


# ---- values ---------------------------------------------------------------------------------


def _time(text: str) -> int | None:
    """Milliseconds or ISO 8601, UTC; whichever it reads as."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        open_ns = int(text) * 1_000_000
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        open_ns = (moment - _EPOCH) // _MICROSECOND * 1000
    return open_ns if 0 <= open_ns <= _LATEST_NS else None


def _number(text: str) -> float | None:
    try:
        return float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        return None


def iso(at_ns: int) -> str:
    """`2018-01-11T00:05:00Z`, with a fraction where there is one."""
    moment = _EPOCH + timedelta(microseconds=at_ns // 1000)
    return moment.isoformat().replace("+00:00", "Z")


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def _span(opened: list[int]) -> int:
    """The most common spacing, the smallest of them in a tie; 0 when there is none."""
    spacings = Counter(after - before for before, after in pairwise(opened))
    most = max(spacings.values(), default=0)
    return min((spacing for spacing, often in spacings.items() if often == most), default=0)
