import gzip
import json
import sqlite3
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kokex.adapters.host.chance import Random
from kokex.cli import main
from tests.cli.naive import calculate

SHARED = Path(__file__).parents[3] / "shared/data/candles"
MINUTE = 60_000
START = 1_700_000_000_000 - 1_700_000_000_000 % 86_400_000
MONEY = ("gross", "fees", "net", "final_equity", "max_drawdown")
Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory without a config.toml."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(closes: Sequence[float], name: str = "BTC-USDT.csv", volume: float = 1.0) -> Path:
        return candles(tmp_path / name, closes, volume)

    return to_file


def candles(path: Path, closes: Sequence[float], volume: float = 1.0) -> Path:
    """Each candle opens half a unit above the close before it."""
    lines = ["timestamp_ms,open,high,low,close,volume"]
    before = closes[0]
    for minute, close in enumerate(closes):
        opened = before + 0.5
        high, low = max(opened, close), min(opened, close)
        lines.append(f"{START + minute * MINUTE},{opened},{high},{low},{close},{volume}")
        before = close
    path.write_text("\n".join(lines) + "\n")
    return path


def kokex(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["backtest", *map(str, arguments)])


def report(*arguments: object) -> dict[str, Any]:
    result = kokex(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout, parse_float=Decimal)


def cross(path: Path, fast: int = 2, slow: int = 4, *more: object) -> dict[str, Any]:
    return report(
        "--candles", path, "--strategy", "sma_cross", "--param", f"fast={fast}", "--param", f"slow={slow}",
        "--size", "0.02", "--fee", "0.001", "--cash", "1000000", *more,
    )  # fmt: skip


def agree(said: dict[str, Any], right: dict[str, Any]) -> None:
    """Money to the last digit; ratios as floats go."""
    for key in ("candles", "round_trips", "wins"):
        assert said[key] == right[key], key
    for key in MONEY:
        assert said[key] == pytest.approx(right[key], abs=Decimal("1e-15"), rel=0), key
    for key in ("profit_factor", "sharpe_daily"):
        assert (said[key] is None) == (right[key] is None), key
        if right[key] is not None:
            assert float(said[key]) == pytest.approx(right[key], rel=1e-9), key
    held = said["open_position"]
    assert (held["size"] if held else 0) == right["held"]
    if held:
        assert held["average_price"] == pytest.approx(right["entry"], abs=Decimal("1e-15"), rel=0)


# ---- the numbers are those of a naive calculation -------------------------------------------


@pytest.mark.parametrize("stem", ["ETH-BTC-5m", "LTC-BTC-5m", "ADA-BTC-5m", "TRX-BTC-5m", "X-BTC-1m"])
@pytest.mark.parametrize("kind", ["spot", "swap"])
def test_real_candles_give_the_money_of_an_independent_calculation(stem: str, kind: str) -> None:
    path = SHARED / f"{stem}.csv.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    said = cross(path, 10, 30, f"--{kind}")
    agree(said, calculate(path, 10, 30, "0.02", "0.001", "1000000", short=kind == "swap"))
    assert said["refused"] == said["unfilled"] == {}


@given(steps=st.lists(st.integers(-2, 2), min_size=1, max_size=120), swap=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ties_flats_and_short_files_give_the_money_of_an_independent_calculation(
    tmp_path: Path, steps: list[int], swap: bool
) -> None:
    closes = [100.0]
    for step in steps[1:]:
        closes.append(closes[-1] + step / 2)
    path = candles(tmp_path / "BTC-USDT.csv", closes, volume=0.0)
    agree(
        cross(path, 2, 4, "--swap" if swap else "--spot"), calculate(path, 2, 4, "0.02", "0.001", "1000000", short=swap)
    )


def test_a_long_random_walk_gives_the_money_of_an_independent_calculation(write: Write) -> None:
    chance, closes = Random(7), [30_000.0]
    for _ in range(6_000):
        closes.append(round(closes[-1] * (1 + chance.gauss(0, 1e-3)), 2))
    path = write(closes)
    said = cross(path, 5, 20)
    agree(said, calculate(path, 5, 20, "0.02", "0.001", "1000000"))
    assert said["round_trips"] > 100


# Averages of 2 and 4 closes: they cross upwards on the fifth close, downwards on the eighth.
UP_AND_DOWN: Sequence[float] = [12, 11, 10, 9, 14, 15, 15, 8, 7, 7]


def test_a_decision_on_a_close_is_filled_at_the_next_open(write: Write) -> None:
    said = cross(write(UP_AND_DOWN))
    bought, sold = 14 + 0.5, 8 + 0.5
    assert (said["round_trips"], said["gross"]) == (1, Decimal("0.02") * Decimal(sold - bought))


def test_a_position_left_open_is_reported_apart(write: Write) -> None:
    said = cross(write(UP_AND_DOWN[:7]))
    assert (said["round_trips"], said["net"], said["open_position"]["average_price"]) == (0, 0, Decimal("14.5"))
    assert said["final_equity"] == 1_000_000 + Decimal("0.02") * (15 - Decimal("14.5") * Decimal("1.001"))


def test_a_signal_on_the_very_last_candle_is_never_filled(write: Write) -> None:
    said = cross(write(UP_AND_DOWN[:5]))
    assert (said["round_trips"], said["open_position"], said["final_equity"]) == (0, None, 1_000_000)
    assert sum(said["unfilled"].values()) == 1


@pytest.mark.parametrize("closes", [UP_AND_DOWN[:1], UP_AND_DOWN[:2], [100.0] * 50])
def test_too_few_candles_or_a_flat_market_trade_nothing(write: Write, closes: Sequence[float]) -> None:
    said = cross(write(closes))
    assert (said["candles"], said["round_trips"], said["final_equity"]) == (len(closes), 0, 1_000_000)
    assert said["sharpe_daily"] is None
    assert said["profit_factor"] is None


# ---- what is asked for ----------------------------------------------------------------------


def test_from_and_to_give_what_a_file_cut_there_gives(tmp_path: Path, write: Write) -> None:
    chance = Random(3)
    closes = [100 + round(chance.gauss(0, 5), 1) for _ in range(300)]
    whole, cut = write(closes), tmp_path / "cut" / "BTC-USDT.csv"
    header, *rows = whole.read_text().splitlines()
    cut.parent.mkdir()
    cut.write_text("\n".join([header, *rows[100:200]]) + "\n")
    limits = ("--from", "2023-11-14T01:40:00Z", "--to", "2023-11-14T03:20:00Z")
    untimed = [
        {key: value for key, value in said.items() if key not in ("load_s", "wall_s", "cpu_s")}
        for said in (cross(whole, 2, 4, *limits), cross(cut))
    ]
    assert untimed[0] == untimed[1]
    assert untimed[0]["candles"] == 100


def test_several_files_are_several_instruments_of_one_account(write: Write) -> None:
    one, two = write(UP_AND_DOWN, "BTC-USDT.csv"), write([2 * close for close in UP_AND_DOWN], "ETH-USDT.csv")
    said = cross(one, 2, 4, "--candles", two)
    assert (said["candles"], said["round_trips"], said["instruments"]) == (20, 2, ["BTC-USDT", "ETH-USDT"])
    assert said["net"] == cross(one)["net"] + cross(two)["net"]


def test_a_refused_order_is_counted_by_the_rule_that_refused_it(write: Write) -> None:
    said = report("--candles", write(UP_AND_DOWN), "--strategy", "sma_cross", "--param", "fast=2", "--param", "slow=4",
                  "--size", "30", "--cash", "1000")  # fmt: skip
    assert (said["refused"], said["round_trips"]) == ({"max_order_pct": 1}, 0)
    assert any("risk refused 1 decision" in note for note in said["notes"])


def test_a_fixed_size_says_that_sizing_and_stops_are_off(write: Write) -> None:
    notes = " ".join(cross(write(UP_AND_DOWN))["notes"])
    assert "sizing, stops and protections are off" in notes
    assert "slippage off; volume unbounded" in notes
    assert "slippage 5 bp" in " ".join(cross(write(UP_AND_DOWN), 2, 4, "--slippage-bp", "5")["notes"])


def test_without_a_size_risk_sizes_and_every_entry_has_its_stop(tmp_path: Path, write: Write) -> None:
    chance, closes = Random(11), [30_000.0]
    for _ in range(1_500):
        closes.append(round(closes[-1] * (1 + chance.gauss(0, 1e-3)), 2))
    path = write(closes, volume=1000.0)
    said = report("--candles", path, "--strategy", "sma_cross", "--db", tmp_path / "bt.db")
    assert said["round_trips"] > 5
    with sqlite3.connect(tmp_path / "bt.db") as database:
        entries = "SELECT count(*) FROM orders WHERE NOT reduce_only"
        guarded = """SELECT count(DISTINCT decision) FROM orders WHERE kind = 'stop'"""
        assert database.execute(entries).fetchone() == database.execute(guarded).fetchone()
    database.close()


# ---- the journal ----------------------------------------------------------------------------


def test_the_same_inputs_twice_give_the_same_bytes(tmp_path: Path, write: Write) -> None:
    path, journals = write([*UP_AND_DOWN] * 5), [tmp_path / "one.db", tmp_path / "two.db"]
    for journal in journals:
        cross(path, 2, 4, "--db", journal, "--seed", "5")
    assert dump(journals[0]) == dump(journals[1])
    assert journals[0].read_bytes() == journals[1].read_bytes()
    cross(path, 2, 4, "--db", journals[0], "--seed", "6")  # a run again replaces the journal
    assert dump(journals[0]) != dump(journals[1])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["BTC-USDT.csv", "one.db", "two.db"]


def dump(journal: Path) -> list[str]:
    connection = sqlite3.connect(journal)
    lines = list(connection.iterdump())
    connection.close()
    return lines


def test_a_database_that_is_no_backtest_is_not_replaced(tmp_path: Path, write: Write) -> None:
    for name in ("daemon.db", "notes.db"):
        (tmp_path / name).write_text("precious")
        result = kokex("--candles", write(UP_AND_DOWN), "--strategy", "sma_cross", "--db", tmp_path / name)
        assert result.exit_code == 2
        assert "is not the journal of a backtest" in result.stderr
        assert (tmp_path / name).read_text() == "precious"


# ---- what people see, and what is wrong -----------------------------------------------------


def test_people_get_a_table_and_the_curve_on_request(tmp_path: Path, write: Write) -> None:
    result = kokex("--candles", write(UP_AND_DOWN), "--strategy", "sma_cross", "--plot", tmp_path / "curve.html")
    assert result.exit_code == 0, result.stderr
    assert "round trips" in result.stdout
    assert "<svg" in (tmp_path / "curve.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strategy", "smacross"], "did you mean sma_cross?): there are mean_reversion, sma_cross, trend"),
        (["--param", "fats=3"], "sma_cross has no parameter 'fats': there are fast, slow"),
        (["--param", "fast=0"], "fast = 0 must be a whole number from 1 to 10000"),
        (["--param", "fast=2.5"], "fast = 2.5 must be a whole number"),
        (["--param", "fast=nan"], "fast = nan must be a whole number"),
        (["--param", "fast=40"], "fast must be below slow"),
        (["--param", "fast"], "'fast' has no value; write name=number"),
        (["--size", "0"], "0 must be above 0"),
        (["--size", "0.000000001"], "must be a multiple of the lot, 0.00000001"),
        (["--fee", "1"], "1 must be at least -0.01 and at most 0.05"),
        (["--cash", "much"], "'much' is not a number"),
        (["--from", "yesterday"], "'yesterday' is no time in ISO 8601"),
        (["--from", "2024-01-02", "--to", "2024-01-01"], "must be before --to"),
        (["--from", "2030-01-01"], "no candle between --from and --to; it holds 2023-11-14T00:00:00Z to"),
        (["--plot", "curve.jpg"], "name a file that ends in .png or .html"),
        (["--plot", "no/where.html"], "no such directory as no"),
        (["--candles", "missing.csv"], "missing.csv: no such file"),
        (["--candles", "other/BTC-USDT.csv"], "2 files are named BTC-USDT"),
        (["--candles", "bad.csv"], "bad.csv: line 3: high 1.0 is below low 2.0"),
        (["--candles", "crowded.csv"], "crowded.csv: line 5: opens before the candle before it has closed"),
        (["--candles", "hours.csv"], "hours.csv: candles of 3600 s and not of 60 s as in"),
    ],
)  # fmt: skip
def test_bad_input_is_answered_with_what_would_be_right(
    tmp_path: Path, write: Write, arguments: list[str], message: str
) -> None:
    path = write(UP_AND_DOWN)
    header = path.read_text().splitlines()[0]
    (tmp_path / "bad.csv").write_text(f"{header}\n0,1,1,1,1,1\n60000,2,1,2,2,1\n")
    (tmp_path / "crowded.csv").write_text(header + "".join(f"\n{s}000,1,1,1,1,1" for s in (0, 60, 120, 150, 210)))
    (tmp_path / "hours.csv").write_text(header + "".join(f"\n{h * 3_600_000},1,1,1,1,1" for h in range(4)))
    before = {each.name for each in tmp_path.iterdir()}
    result = kokex("--candles", path, "--strategy", "sma_cross", "--db", tmp_path / "bt.db", *arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert {each.name for each in tmp_path.iterdir()} == before


def test_a_cut_off_archive_is_refused_and_leaves_nothing(tmp_path: Path, write: Write) -> None:
    whole = gzip.compress(write([*UP_AND_DOWN] * 50).read_bytes())
    (tmp_path / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    result = kokex("--candles", tmp_path / "cut.csv.gz", "--strategy", "sma_cross", "--db", tmp_path / "bt.db")
    assert (result.exit_code, (tmp_path / "bt.db").exists()) == (2, False)
    assert "cut.csv.gz: cannot be read" in result.stderr


def test_a_database_that_cannot_be_written_is_said_so(tmp_path: Path, write: Write) -> None:
    (tmp_path / "file").write_text("")
    result = kokex("--candles", write(UP_AND_DOWN), "--strategy", "sma_cross", "--db", tmp_path / "file" / "bt.db")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
