import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kokex.adapters.host.csv import read_candles
from kokex.cli import main

SHARED = Path(__file__).parents[3] / "shared/data/candles"
HEADER = "timestamp_ms,open,high,low,close,volume\n"


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory without a config.toml."""
    monkeypatch.chdir(tmp_path)


def data(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["data", *map(str, arguments)])


def minutes(*which: int) -> str:
    return HEADER + "".join(f"{minute * 60_000},1.0,2.0,0.5,1.5,{minute}.0\n" for minute in which)


# ---- check ----------------------------------------------------------------------------------


def test_a_whole_file_is_clean() -> None:
    Path("BTC-USDT.csv").write_text(minutes(*range(10)))
    result = data("check", "BTC-USDT.csv")
    assert result.exit_code == 0
    assert "10 rows of 1m, 1970-01-01T00:00:00Z to 1970-01-01T00:09:00Z: nothing wrong" in result.stdout


def test_each_gap_is_listed_with_its_first_missing_time_and_size() -> None:
    Path("BTC-USDT.csv").write_text(minutes(0, 1, 2, 4, 5, 9))
    result = data("check", "BTC-USDT.csv", "--json")
    assert result.exit_code == 1
    (found,) = json.loads(result.stdout)["files"]
    assert found["gaps"] == [
        {"first_missing": "1970-01-01T00:03:00Z", "first_missing_ms": 180_000, "missing": 1},
        {"first_missing": "1970-01-01T00:06:00Z", "first_missing_ms": 360_000, "missing": 3},
    ]
    assert found["missing"] == 4
    assert "4 candles missing in 2 gaps" in data("check", "BTC-USDT.csv").stdout


def test_every_flaw_of_a_file_is_listed_with_its_line() -> None:
    lines = {
        3: "60000,1,2,1,1,1",
        4: "60000,1,2,1,1,1",  # twice
        5: "240000,1,0.5,1,1,1",  # high below low
        6: "180000,1,1,1,1,1",  # late
        7: "",
        8: "noon,1,1,1,1,1",
        9: "300000,1,nan,1,1,1",
        10: "330000,1,1,1,1,1",  # between two minutes
        11: "360000,x,1,1,1,1",
        12: "420000,1,1,1,1",
        13: "480000,1,1,1,1,-1",
    }
    Path("bad.csv").write_text(HEADER + "0,1,1,1,1,1\n" + "\n".join(lines.values()) + "\n")
    result = data("check", "bad.csv", "--json")
    assert result.exit_code == 1
    (found,) = json.loads(result.stdout)["files"]
    assert [flaw["line"] for flaw in found["duplicates"]] == [4]
    assert [flaw["line"] for flaw in found["out_of_order"]] == [6]
    assert [(flaw["line"], flaw["why"].split(",")[0]) for flaw in found["impossible"]] == [
        (5, "high below low"),
        (7, "an empty line"),
        (8, "'noon' is no time from 1970 to 2262"),
        (9, "not a finite number"),
        (10, "opens at 1970-01-01T00:05:30Z"),
        (11, "open 'x' is not a number"),
        (12, "5 fields"),
        (13, "negative volume"),
    ]
    # What is there, late or impossible, is not missing.
    assert found["gaps"] == [{"first_missing": "1970-01-01T00:02:00Z", "first_missing_ms": 120_000, "missing": 1}]


def test_a_file_without_a_header_is_looked_into_all_the_same() -> None:
    Path("bad.csv").write_text(minutes(0, 1, 2, 4).removeprefix(HEADER))
    (found,) = json.loads(data("check", "bad.csv", "--json").stdout)["files"]
    assert (found["rows"], found["missing"], found["impossible"][0]["line"]) == (4, 1, 1)


@pytest.mark.parametrize(
    ("stem", "missing", "gaps", "first"),
    [
        ("ETH-BTC-5m", 0, 0, None),
        ("ADA-BTC-5m", 40, 5, "2018-01-15T10:10:00Z"),
        ("TRX-BTC-5m", 6, 6, "2018-01-22T17:20:00Z"),
        ("X-BTC-1m", 717, 538, "2017-11-04T23:08:00Z"),
    ],
)
def test_the_gaps_of_real_candles_are_listed_exactly(stem: str, missing: int, gaps: int, first: str | None) -> None:
    path = SHARED / f"{stem}.csv.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    result = data("check", path, "--json")
    (found,) = json.loads(result.stdout)["files"]
    assert (found["missing"], len(found["gaps"]), result.exit_code) == (missing, gaps, int(bool(gaps)))
    if first:
        assert found["gaps"][0]["first_missing"] == first
    times = [int(line.split(b",")[0]) for line in gzip.decompress(path.read_bytes()).splitlines()[1:]]
    step = round(found["span_s"] * 1000)
    absent = sorted(set(range(times[0], times[-1], step)) - set(times))
    listed = [gap["first_missing_ms"] + n * step for gap in found["gaps"] for n in range(gap["missing"])]
    assert listed == absent


def test_a_file_that_is_not_there_is_a_mistake_and_not_a_flaw() -> None:
    result = data("check", "nowhere.csv")
    assert (result.exit_code, result.stderr) == (2, "kokex: nowhere.csv: no such file\n")


# ---- fill, import, export -------------------------------------------------------------------


def test_gaps_are_filled_with_the_close_before_and_no_volume() -> None:
    Path("BTC-USDT.csv").write_text(minutes(0, 1, 3))
    result = data("fill", "BTC-USDT.csv", "--out", "whole/BTC-USDT.csv.gz")
    assert result.exit_code == 0, result.stderr
    assert "4 candles, 1 of them filled in" in result.stdout
    whole = read_candles(Path("whole/BTC-USDT.csv.gz"))
    assert [each.open_ns // 60_000_000_000 for each in whole.candles()] == [0, 1, 2, 3]
    assert (whole.open[2], whole.high[2], whole.close[2], whole.volume[2]) == (1.5, 1.5, 1.5, 0.0)
    assert data("check", "whole/BTC-USDT.csv.gz").exit_code == 0


def test_what_is_imported_comes_out_as_it_was() -> None:
    Path("BTC-USDT.csv").write_text(minutes(0, 1, 2, 5))
    for _ in range(2):  # the second time changes nothing
        assert data("import", "BTC-USDT.csv", "--db", "k.db").exit_code == 0
    result = data("export", "BTC-USDT", "--timeframe", "1m", "--out", "out.csv", "--db", "k.db")
    assert result.exit_code == 0, result.stderr
    assert Path("out.csv").read_text() == Path("BTC-USDT.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "ETH-USDT", "--out", "o.csv", "--db", "k.db"], "k.db: no candles of ETH-USDT; there are BTC-USDT"),
        (["export", "BTC-USDT", "--out", "o.csv", "--db", "k.db", "--timeframe", "5m"], "none of 5m; there are 1m"),
        (["export", "BTC-USDT", "--out", "o.txt", "--db", "k.db"], "name a file that ends in .csv or .csv.gz"),
        (["export", "BTC-USDT", "--out", "o.csv", "--db", "none.db"], "none.db: no such database"),
        (["import", "bad.csv", "BTC-USDT.csv", "--db", "new.db"], "bad.csv: line 3: timestamp 0 is there twice"),
        (["fill", "bad.csv", "--out", "o.csv"], "`kokex data check` lists all that is wrong"),
    ],
)
def test_bad_input_is_answered_with_what_would_be_right(arguments: list[str], message: str) -> None:
    Path("BTC-USDT.csv").write_text(minutes(0, 1, 2))
    Path("bad.csv").write_text(minutes(0, 0))
    data("import", "BTC-USDT.csv", "--db", "k.db")
    result = data(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert not any(Path(name).exists() for name in ("o.csv", "o.txt", "new.db", "none.db"))
