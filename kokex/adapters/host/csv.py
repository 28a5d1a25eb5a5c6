"""Candle files: `timestamp_ms,open,high,low,close,volume[,amount]`, UTC, oldest first, plain or `.gz`.

A year of minutes is half a million lines, so nothing is done line by line: the text is split at once,
columns are converted and checked whole, and only when a check fails is the line to blame looked for.
`timestamp` in ISO 8601 may stand in place of `timestamp_ms`; without a zone it is UTC.
"""

import codecs
import gzip
import math
import zlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import compress, count
from operator import ge, gt, le, lt, sub
from pathlib import Path
from typing import IO, cast

from kokex.messages import Candle

_PRICES = ("open", "high", "low", "close")
_COLUMNS = (*_PRICES, "volume")
_EXPECTED = "timestamp_ms,open,high,low,close,volume[,amount] (or timestamp, in ISO 8601)"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MS = (2**63 - 1) // 1_000_000  # in the year 2262
_CHUNK = 1 << 20

Progress = Callable[[float], None]
"""Told from time to time what part of the work is done, 0..1."""


class CsvError(Exception):
    """A candle file cannot be used: the file, the line, what is wrong, what would be right."""


@dataclass(frozen=True, slots=True)
class CandleColumns:
    """An instrument's candles, oldest first; all lists have the same length."""

    instrument: str
    span_ns: int  # the most common spacing, the smallest of them in a tie; a minute for a single candle
    open_ns: list[int]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[float]  # base currency

    def __len__(self) -> int:
        return len(self.open_ns)

    def between(self, from_ns: int, to_ns: int) -> "CandleColumns":
        """Those that open at or after `from_ns` and before `to_ns`."""
        cut = slice(bisect_left(self.open_ns, from_ns), bisect_left(self.open_ns, to_ns))
        columns = (self.open, self.high, self.low, self.close, self.volume)
        return CandleColumns(self.instrument, self.span_ns, self.open_ns[cut], *(column[cut] for column in columns))

    def candles(self) -> Iterator[Candle]:
        """The same as Candles, made one by one."""
        name = self.instrument
        rows = zip(self.open_ns, self.open, self.high, self.low, self.close, self.volume, strict=True)
        return (Candle(name, *row) for row in rows)


def read_candles(path: Path | str, progress: Progress | None = None) -> CandleColumns:
    """The candles of a file; the instrument is its stem, `X-BTC-1m` for `X-BTC-1m.csv.gz`. Raises CsvError."""
    return _Reading(Path(path), progress or (lambda _: None)).run()


def write_candles(path: Path | str, candles: Iterable[Candle]) -> int:
    """Writes a file that `read_candles` gives back exactly; how many candles. Raises OSError.

    The file appears whole or not at all, and the same candles give the same bytes, compressed too.
    """
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    written = 0
    with partial.open("wb") as file, _maybe_compressed(file, path) as out:
        out.write(b"timestamp_ms,open,high,low,close,volume\n")
        for written, c in enumerate(candles, 1):  # noqa: B007 - read after the loop
            out.write(f"{c.open_ns // 1_000_000},{c.open!r},{c.high!r},{c.low!r},{c.close!r},{c.volume!r}\n".encode())
    partial.replace(path)
    return written


def _maybe_compressed(file: IO[bytes], path: Path) -> IO[bytes]:
    if path.suffix != ".gz":
        return file
    return cast(IO[bytes], gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0))


class _Reading:
    """One reading of one file. Field columns stay text until converted; line 1 is the header, line 2 row 0."""

    def __init__(self, path: Path, progress: Progress) -> None:
        self.path = path
        self.progress = progress

    def run(self) -> CandleColumns:
        header, lines = self._lines()
        width = header.count(",") + 1
        commas = [line.count(",") for line in lines]
        if set(commas) != {width - 1}:
            row = next(i for i, n in enumerate(commas) if n != width - 1)
            raise self._error(row, f"{commas[row] + 1} fields where the header has {width}", header)
        self.progress(0.4)
        fields = ",".join(lines).split(",")
        open_ns = self._times(header, fields[0::width])
        self.progress(0.6)
        columns: list[list[float]] = []
        for place, name in enumerate(_COLUMNS, 1):
            columns.append(self._numbers(name, fields[place::width]))
            self.progress(0.6 + 0.06 * place)
        self._check_shape(*columns)
        name = self.path.name.removesuffix(".gz").removesuffix(".csv")
        self.progress(1.0)
        return CandleColumns(name, _span(open_ns), open_ns, *columns)

    # ---- text -------------------------------------------------------------------------------

    def _lines(self) -> tuple[str, list[str]]:
        text = self._text()
        header, *lines = text.splitlines() or [""]
        if lines and not lines[-1]:
            lines.pop()
        names = header.replace(" ", "").lower()
        accepted = (f"{time},{','.join(_COLUMNS)}{amount}" for time in _TIMES for amount in ("", ",amount"))
        if names not in accepted:
            raise CsvError(f"{self.path}: line 1: the header is {header[:100]!r}; it must be {_EXPECTED}")
        if not lines:
            raise CsvError(f"{self.path}: no candle; it must hold at least one line below {_EXPECTED}")
        return names, lines

    def _text(self) -> str:
        try:
            raw = b"".join(self._chunks())
        except FileNotFoundError:
            raise CsvError(f"{self.path}: no such file") from None
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise CsvError(f"{self.path}: cannot be read: {reason}") from None
        if not raw.strip():
            raise CsvError(f"{self.path}: empty; it must begin with {_EXPECTED}")
        raw = raw.removeprefix(codecs.BOM_UTF8)
        # float() would take "1_000" and Arabic digits for numbers; a candle file has neither.
        if not raw.isascii() or b"_" in raw.partition(b"\n")[2]:
            lines = enumerate(raw.splitlines(), 1)
            at = next(number for number, line in lines if not line.isascii() or (number > 1 and b"_" in line))
            raise CsvError(f"{self.path}: line {at}: not plain text; digits, points and commas are expected")
        return raw.decode("ascii")

    def _chunks(self) -> Iterator[bytes]:
        size = self.path.stat().st_size or 1
        with self.path.open("rb") as file:
            source = cast(IO[bytes], gzip.GzipFile(fileobj=file)) if self.path.suffix == ".gz" else file
            while chunk := source.read(_CHUNK):
                yield chunk
                self.progress(0.3 * min(file.tell() / size, 1.0))

    # ---- columns ----------------------------------------------------------------------------

    def _times(self, header: str, texts: list[str]) -> list[int]:
        convert, wanted = _TIMES[header.partition(",")[0]]
        try:
            times = convert(texts)
        except (ValueError, OverflowError):
            row = next(i for i, text in enumerate(texts) if not _takes(convert, text))
            raise self._error(row, f"timestamp {texts[row]!r} is not {wanted} (1970 to 2262)") from None
        if not all(map(lt, times, times[1:])):
            row = next(i for i in range(1, len(times)) if times[i] <= times[i - 1])
            wrong = "is there twice" if times[row] == times[row - 1] else "is earlier than the one before"
            raise self._error(row, f"timestamp {texts[row]} {wrong}; oldest first, each once")
        return times

    def _numbers(self, name: str, texts: list[str]) -> list[float]:
        try:
            numbers = _floats(texts)
        except ValueError:
            row = next(i for i, text in enumerate(texts) if not _takes(_floats, text))
            raise self._error(row, f"{name} {texts[row]!r} is not a number") from None
        if not all(map(math.isfinite, numbers)):
            row = next(i for i, number in enumerate(numbers) if not math.isfinite(number))
            raise self._error(row, f"{name} {texts[row]} is not a finite number")
        low = min(numbers)
        if low < 0 or (low == 0 and name != "volume"):
            row = next(i for i, number in enumerate(numbers) if number < 0 or (number == 0 and name != "volume"))
            raise self._error(row, f"{name} {texts[row]} is not {'0 or more' if name == 'volume' else 'above 0'}")
        # 15 digits always survive the way into a float and back (sys.float_info.dig): only longer texts are tried.
        if name != "volume" and max(map(len, texts)) > 15:
            for row, text in enumerate(texts):
                if len(text) > 15 and not _exact(text, numbers[row]):
                    raise self._error(row, f"{name} {text} has more digits than a float keeps; 15 are always safe")
        return numbers

    def _check_shape(
        self, opens: list[float], highs: list[float], lows: list[float], closes: list[float], _: list[float]
    ) -> None:
        for what, check, one, other in (
            ("high {} is below low {}", ge, highs, lows),
            ("high {} is below open {}", ge, highs, opens),
            ("high {} is below close {}", ge, highs, closes),
            ("low {} is above open {}", le, lows, opens),
            ("low {} is above close {}", le, lows, closes),
        ):
            if not all(map(check, one, other)):
                broken = gt if check is le else lt
                row = next(compress(count(), map(broken, one, other)))
                raise self._error(row, what.format(one[row], other[row]) + "; low <= open, close <= high must hold")

    def _error(self, row: int, wrong: str, right: str = "") -> CsvError:
        return CsvError(f"{self.path}: line {row + 2}: {wrong}{': ' + right if right else ''}")


# ---- values ---------------------------------------------------------------------------------


def _from_ms(texts: list[str]) -> list[int]:
    times = list(map(int, texts))
    if min(times) < 0 or max(times) > _LATEST_MS:
        raise OverflowError
    return [milliseconds * 1_000_000 for milliseconds in times]


def _from_iso(texts: list[str]) -> list[int]:
    moments = [datetime.fromisoformat(text.strip()) for text in texts]
    microsecond = timedelta(microseconds=1)
    times = [(m if m.tzinfo else m.replace(tzinfo=UTC)) - _EPOCH for m in moments]
    if min(times) < timedelta(0) or max(times) > timedelta(milliseconds=_LATEST_MS):
        raise OverflowError
    return [time // microsecond * 1000 for time in times]


def _floats(texts: list[str]) -> list[float]:
    return list(map(float, texts))


_TIMES = {
    "timestamp_ms": (_from_ms, "a whole number of milliseconds since 1970"),
    "timestamp": (_from_iso, "a time in ISO 8601"),
}


def _takes(convert: Callable[[list[str]], object], text: str) -> bool:
    try:
        convert([text])
    except (ValueError, OverflowError):
        return False
    return True


def _exact(text: str, number: float) -> bool:
    shortest = repr(number)
    return shortest == text or Decimal(shortest) == Decimal(text)


def _span(times: list[int]) -> int:
    if len(times) == 1:
        return 60_000_000_000
    spacings = Counter(map(sub, times[1:], times))
    most = max(spacings.values())
    return min(spacing for spacing, often in spacings.items() if often == most)
