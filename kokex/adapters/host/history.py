"""The end of a candle file, for a forecast: more is forgiven than where money is at stake.

`volume` and `amount` may be missing, times may be naive (then UTC), and between two candles there may be any gap.
"""

import csv
import gzip
import math
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from kokex.adapters.host.csv import CsvError

PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume", "amount")
_TIMES = ("timestamp_ms", "timestamp", "timestamps")
_EXPECTED = "timestamp_ms (or timestamp, in ISO 8601),open,high,low,close[,volume[,amount]]"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_NS = 7_258_118_400_000_000_000  # the year 2200: what is later was not in milliseconds
_CALENDAR = 20_000  # rows whose times tell when a market is open


class History(NamedTuple):
    instrument: str
    open_ns: list[int]
    columns: dict[str, list[float]]  # those of NUMBERS that the file has
    known_ns: list[int]  # when these and older ones opened


def read_history(path: Path, last: int, fewest: int) -> History:
    """The newest `last` candles, or as many as there are. Raises CsvError: also for fewer than `fewest`, no number, a
    price not above zero.
    """
    header, known = _rows(path, max(last, _CALENDAR))
    rows = known[-last:]
    time = _time_column(path, header)
    missing = [name for name in PRICES if name not in header]
    if missing:
        raise CsvError(f"{path}: line 1: no column {missing[0]!r}; expected is {_EXPECTED}")
    if len(rows) < fewest:
        raise CsvError(f"{path}: {len(rows)} candles, but {fewest} are to be looked at; ask for a shorter lookback")
    known_ns = _times(path, known, header.index(time), time)
    names = [name for name in NUMBERS if name in header]
    columns = {name: [_number(path, name, *row, header.index(name)) for row in rows] for name in names}
    return History(path.name.removesuffix(".gz").removesuffix(".csv"), known_ns[-last:], columns, known_ns)


def read_times(path: Path) -> list[int]:
    """All times of a file that has a column of them. Raises CsvError."""
    header, rows = _rows(path, None)
    time = _time_column(path, header)
    if not rows:
        raise CsvError(f"{path}: no time; it must hold at least one line below its header")
    return _times(path, rows, header.index(time), time)


Row = tuple[int, list[str]]  # the number of its line, its fields


def _rows(path: Path, last: int | None) -> tuple[list[str], list[Row]]:
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            first = next(reader, None)
            header = [name.strip().lower() for name in first or ()]
            lines: Iterable[Row] = ((number, fields) for number, fields in enumerate(reader, 2) if fields)
            rows = list(deque(lines, last))
    except FileNotFoundError:
        raise CsvError(f"{path}: no such file") from None
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise CsvError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    twice = next((name for place, name in enumerate(header) if name in header[:place]), None)
    if twice is not None:
        raise CsvError(f"{path}: line 1: two columns {twice!r}; expected is {_EXPECTED}")
    for number, fields in rows:
        if len(fields) != len(header):
            raise CsvError(f"{path}: line {number}: {len(fields)} fields where the header has {len(header)}")
    return header, rows


def _time_column(path: Path, header: list[str]) -> str:
    found = next((name for name in _TIMES if name in header), None)
    if found is None:
        raise CsvError(f"{path}: line 1: no column of times; expected is {_EXPECTED}")
    return found


def _times(path: Path, rows: list[Row], place: int, name: str) -> list[int]:
    times: list[int] = []
    for number, fields in rows:
        try:
            at_ns = _moment_ns(fields[place].strip(), name)
        except (ValueError, OverflowError):
            wanted = "a whole number of milliseconds" if name == "timestamp_ms" else "a time in ISO 8601"
            raise CsvError(f"{path}: line {number}: {name} {fields[place]!r} is not {wanted}") from None
        if at_ns >= _LATEST_NS:
            raise CsvError(f"{path}: line {number}: {name} {fields[place]} is after the year 2199; is it milliseconds?")
        if times and at_ns <= times[-1]:
            raise CsvError(
                f"{path}: line {number}: {name} {fields[place]} does not follow the one before; oldest first"
            )
        times.append(at_ns)
    return times


def _moment_ns(text: str, name: str) -> int:
    if name == "timestamp_ms":
        return int(text) * 1_000_000
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _number(path: Path, name: str, line: int, fields: list[str], place: int) -> float:
    try:
        number = float(fields[place])
    except ValueError:
        raise CsvError(f"{path}: line {line}: {name} {fields[place]!r} is not a number") from None
    if not math.isfinite(number):
        raise CsvError(f"{path}: line {line}: {name} {fields[place]} is not a finite number")
    if number < 0 or (number == 0 and name in PRICES):
        raise CsvError(
            f"{path}: line {line}: {name} {fields[place]} is not {'above 0' if name in PRICES else '0 or more'}"
        )
    return number
