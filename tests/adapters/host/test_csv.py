"""Candle files: read fast, refused clearly."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokex.adapters.host.csv import CsvError, read_candles, write_candles
from kokex.messages import Candle

MINUTE = 60_000_000_000
HEADER = "timestamp_ms,open,high,low,close,volume\n"
GOOD = "0,1.5,2,1,1.75,10\n"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str | bytes, name: str = "BTC-USDT.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return to_file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "empty; it must begin with timestamp_ms,open", id="empty"),
        pytest.param("\ufeff", "line 1: the header is", id="only-a-mark"),
        pytest.param("a,b\n1,2\n", "line 1: the header is 'a,b'; it must be timestamp_ms,open", id="header"),
        pytest.param(GOOD * 3, "line 1: the header is '0,1.5", id="no-header"),
        pytest.param(HEADER, "no candle; it must hold at least one line below timestamp_ms,open", id="no-candles"),
        pytest.param(HEADER + GOOD + "60000,1,2\n", "line 3: 3 fields where the header has 6", id="fields"),
        pytest.param(HEADER + GOOD + "\n60000,1,2,1,2,3\n", "line 3: 1 fields where", id="blank-line"),
        pytest.param(
            # the total is right, the lines are not
            HEADER + "0,1,1,1,1\n1,1,1,1,1,1,1\n",
            "line 2: 5 fields where",
            id="fields-that-even-out",
        ),
        pytest.param(HEADER + GOOD + "6e4,1,2,1,2,3\n", "line 3: timestamp '6e4' is not a whole number", id="time"),
        pytest.param(HEADER + GOOD + "-1,1,2,1,2,3\n", "line 3: timestamp '-1' is not", id="before-1970"),
        pytest.param(HEADER + GOOD + f"{10**13},1,2,1,2,3\n", "line 3: timestamp .*1970 to 2262", id="after-2262"),
        pytest.param(HEADER + GOOD + GOOD, "line 3: timestamp 0 is there twice", id="duplicate"),
        pytest.param(HEADER + "60000,1,1,1,1,1\n0,1,1,1,1,1\n", "line 3: timestamp 0 is earlier than", id="descending"),
        pytest.param(HEADER + GOOD + "60000,1,x,1,2,3\n", "line 3: high 'x' is not a number", id="word"),
        pytest.param(HEADER + GOOD + "60000,,2,1,2,3\n", "line 3: open '' is not a number", id="nothing"),
        pytest.param(HEADER + GOOD + "60000,1_0,2,1,2,3\n", "line 3: not plain text", id="underscore"),
        pytest.param(HEADER + GOOD + "60000,\u0661,2,1,2,3\n", "line 3: not plain text", id="foreign-digits"),
        pytest.param(HEADER + GOOD + "60000,1,2,1,nan,3\n", "line 3: close nan is not a finite number", id="nan"),
        pytest.param(HEADER + GOOD + "60000,1,inf,1,2,3\n", "line 3: high inf is not a finite number", id="infinite"),
        pytest.param(HEADER + GOOD + "60000,1,2,-1,2,3\n", "line 3: low -1 is not above 0", id="negative"),
        pytest.param(HEADER + GOOD + "60000,1,2,1,2,-3\n", "line 3: volume -3 is not 0 or more", id="negative-volume"),
        pytest.param(HEADER + GOOD + "60000,1,2,3,2,3\n", "line 3: high 2.0 is below low 3.0", id="upside-down"),
        pytest.param(HEADER + GOOD + "60000,3,2,1,2,3\n", "line 3: high 2.0 is below open 3.0", id="open-outside"),
        pytest.param(HEADER + GOOD + "60000,2,2,1.5,1,3\n", "line 3: low 1.5 is above close 1.0", id="close-outside"),
        pytest.param(
            HEADER + GOOD + "60000,1.234567890123456789,2,1,2,3\n",
            "line 3: open 1.23.* more digits than a float",
            id="too-exact",
        ),
    ],
)
def test_a_bad_file_is_refused_with_its_line_and_what_is_wrong(write: Write, text: str, message: str) -> None:
    path = write(text)
    with pytest.raises(CsvError, match=message) as caught:
        read_candles(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_missing_or_damaged_file_is_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(CsvError, match="no such file"):
        read_candles(tmp_path / "none.csv")
    with pytest.raises(CsvError, match="cannot be read: "):
        read_candles(tmp_path)
    with pytest.raises(CsvError, match=r"cannot be read: .*gzip"):
        read_candles(write(HEADER + GOOD, "X.csv.gz"))
    with pytest.raises(CsvError, match="cannot be read: "):
        read_candles(write(gzip.compress((HEADER + GOOD * 999).encode())[:-20], "X.csv.gz"))


def test_iso_times_are_utc_unless_they_say_otherwise(write: Write) -> None:
    lines = ("1970-01-01 00:00:00", "1970-01-01T00:01:00Z", "1970-01-01T01:02:00+01:00", "1970-01-01T00:03:00.000001")
    text = HEADER.replace("_ms", "") + "".join(f"{line},1,1,1,1,0\n" for line in lines)
    assert read_candles(write(text)).open_ns == [0, MINUTE, 2 * MINUTE, 3 * MINUTE + 1000]
    with pytest.raises(CsvError, match="line 3: timestamp 'noon' is not a time in ISO 8601"):
        read_candles(write(text.replace("1970-01-01T00:01:00Z", "noon")))


def test_the_span_is_the_most_common_spacing_gaps_notwithstanding(write: Write) -> None:
    columns = read_candles(write(HEADER + "".join(f"{m * 60_000},1,1,1,1,0\n" for m in (0, 1, 2, 7, 8, 20))))
    assert (columns.instrument, columns.span_ns, len(columns)) == ("BTC-USDT", MINUTE, 6)


def test_a_single_candle_is_taken_for_a_minute(write: Write) -> None:
    assert read_candles(write(HEADER + GOOD)).span_ns == MINUTE


def test_candles_are_cut_by_their_opening_the_end_excluded(write: Write) -> None:
    columns = read_candles(write(HEADER + "".join(f"{m * 60_000},1,1,1,1,{m}\n" for m in range(5))))
    cut = columns.between(MINUTE, 3 * MINUTE)
    assert (cut.open_ns, cut.volume, cut.span_ns) == ([MINUTE, 2 * MINUTE], [1.0, 2.0], MINUTE)
    assert len(columns.between(5 * MINUTE, 9 * MINUTE)) == 0


def test_windows_line_ends_a_byte_order_mark_and_an_amount_column_are_fine(write: Write) -> None:
    text = "\ufeffTimestamp_ms,Open,High,Low,Close,Volume,Amount\r\n0,1.5,2,1,1.75,10,17\r\n60000,2,2,2,2,0,0\r\n"
    columns = read_candles(write(text))
    assert list(columns.candles()) == [
        Candle("BTC-USDT", 0, 1.5, 2.0, 1.0, 1.75, 10.0),
        Candle("BTC-USDT", MINUTE, 2.0, 2.0, 2.0, 2.0, 0.0),
    ]


def test_the_work_done_is_told_and_ends_at_one(write: Write) -> None:
    told: list[float] = []
    read_candles(write(HEADER + GOOD + "60000,1,1,1,1,1\n"), told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


_prices = st.floats(min_value=1e-12, max_value=1e12)
_rows = st.lists(st.tuples(st.lists(_prices, min_size=4, max_size=4), st.floats(0, 1e15)), min_size=2, max_size=20)


@given(rows=_rows, gaps=st.lists(st.integers(1, 10**9), min_size=20, max_size=20), suffix=st.sampled_from(["", ".gz"]))
def test_what_is_written_is_read_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[list[float], float]], gaps: list[int], suffix: str
) -> None:
    candles: list[Candle] = []
    at = 0
    for (prices, volume), gap in zip(rows, gaps, strict=False):
        at += gap * 1_000_000
        candles.append(Candle("X", at, prices[0], max(prices), min(prices), prices[1], volume))
    path = tmp_path_factory.mktemp("csv") / f"X.csv{suffix}"
    assert write_candles(path, candles) == len(candles)
    first = path.read_bytes()
    assert list(read_candles(path).candles()) == candles
    write_candles(path, candles)
    assert path.read_bytes() == first
