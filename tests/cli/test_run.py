"""`kokex run`: real processes, real files, real signals."""

import re
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.reader import Reader
from tests.cli.daemons import LIVELY, daemon, kokex

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (DEBUG|INFO|WARNING|ERROR|CRITICAL) [a-z]+ \S.*")


def test_a_session_shows_every_kind_of_event_as_a_line_and_ends_by_itself(tmp_path: Path) -> None:
    ended = kokex(tmp_path, "run", "--for", "4s")
    assert ended.code == 0, ended.err
    assert ended.err == ""
    lines = ended.out.splitlines()
    assert all(LINE.fullmatch(line) for line in lines)
    kinds = {line.split()[2] for line in lines}
    assert kinds >= {"start", "price", "edge", "cycle", "decision", "verdict", "order", "fill", "alert", "next", "stop"}
    first_fill = next(line for line in lines if " fill " in line)
    order = first_fill.split()[3]
    assert f"explain {order}" in next(line for line in lines if "why this order" in line)
    why = kokex(tmp_path, "explain", order)
    assert why.code == 0
    assert "candle" in why.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_and_ends_within_five_seconds(tmp_path: Path, number: signal.Signals) -> None:
    with daemon(tmp_path) as running:
        running.wait_for("fill")
        began = time.monotonic()
        assert running.end(number) == 0
        assert time.monotonic() - began < 5
        assert running.lines[-1].split()[2] == "next"
    assert {file.name for file in (tmp_path / "data").iterdir()} == {"kokex.db", "kokex.db.lock"}


def test_a_second_instance_is_refused_naming_the_first(tmp_path: Path) -> None:
    with daemon(tmp_path) as running:
        running.wait_for("price")
        second = kokex(tmp_path, "run")
        assert second.code == 1
        assert f"already in use by process {running.pid}" in second.err
        assert second.err.count("\n") == 1
        assert running.end() == 0


def test_started_again_it_goes_on_where_it_was(tmp_path: Path) -> None:
    with daemon(tmp_path) as running:
        before = running.wait_for("fill")
        running.end()
    with daemon(tmp_path) as running:
        after = running.wait_for("price")
        running.end()
    assert after[:20] >= before[:20], "time never goes back"
    with Reader(tmp_path / "data" / "kokex.db") as reader:
        sessions = reader.ask(queries.sessions())
        (held,) = [each for each in reader.ask(queries.holdings()) if each.instrument == "BTC-USDT-SWAP"]
    assert [each.id for each in sessions] == [1, 2]
    assert held.count == (held.last_ns - held.first_ns) // held.span_ns + 1, "no candle is missing in between"


def test_a_pause_survives_kill_9(tmp_path: Path) -> None:
    with daemon(tmp_path) as running:
        running.wait_for("price")
        assert kokex(tmp_path, "pause").code == 0
        running.end(signal.SIGKILL)
    with daemon(tmp_path) as running:
        running.wait_for("price")
        assert kokex(tmp_path, "status", "--json").json()["paused"] is True
        assert "cycles run" in kokex(tmp_path, "resume").out
        running.wait_for("cycle")


def test_a_reader_who_leaves_ends_the_daemon_and_loses_nothing(tmp_path: Path) -> None:
    with daemon(tmp_path) as running:
        running.wait_for("fill")
        running.stop_reading()
        assert running.finish() in {0, 1}
    assert kokex(tmp_path, "run", "--for", "1s").code == 0


# ---- what cannot start ------------------------------------------------------------------------


def test_a_clock_set_back_is_refused_naming_both_times(tmp_path: Path) -> None:
    assert kokex(tmp_path, "run", "--for", "2s").code == 0  # two minutes of trading time
    ended = kokex(tmp_path, "run", settings={**LIVELY, "KOKEX__MARKET__SPEED": "1"})
    assert ended.code == 1
    record, clock = (datetime.fromisoformat(found) for found in re.findall(r"\d{4}-\S+Z", ended.err))
    assert record > clock > datetime.now(UTC) - timedelta(minutes=1)
    assert kokex(tmp_path, "run", "--for", "1s").code == 0, "nothing is lost"


@pytest.mark.parametrize(
    ("words", "settings", "code", "said"),
    [
        (["--db", "here/file/kokex.db"], {}, 1, "the data directory cannot be made or written"),
        (["--db", "broken.db"], {}, 1, "not a database"),
        (["--config", "none.toml"], {}, 2, "none.toml: no such file"),
        (["--config", "bad.toml"], {}, 2, "bad.toml:1: colour: unknown key"),
        (["--for", "soon"], {}, 2, "'soon' is not a span of time"),
        ([], {"KOKEX__MARKET__INSTRUMENTS": "FOO-USDT"}, 2, "unknown instrument 'FOO-USDT'"),
        ([], {"KOKEX__BRAIN__STRATEGIES": "trent"}, 2, "did you mean trend?"),
        ([], {"KOKEX__STRATEGIES__TREND__FAST": "1"}, 2, "fast = 1"),
        ([], {"KOKEX__MARKET__SOURCE": "replay", "KOKEX__MARKET__CANDLES": "none.csv"}, 2, "none.csv"),
    ],
)
def test_what_is_wrong_is_one_line(
    tmp_path: Path, words: list[str], settings: dict[str, str], code: int, said: str
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "file").write_text("in the way")
    (tmp_path / "broken.db").write_text("no database at all, but long enough to look like one" * 100)
    (tmp_path / "bad.toml").write_text("[colour]\n")
    ended = kokex(tmp_path, "run", *words, settings=settings)
    assert said in ended.err
    assert (ended.code, ended.err.count("\n"), ended.out) == (code, 1, "")


def test_files_are_replayed_live_to_their_end_and_once(tmp_path: Path) -> None:
    minutes = [f"{1_700_000_040_000 + 60_000 * i},{100 + i % 7},{108},{99},{101 + i % 5},{1000}\n" for i in range(300)]
    (tmp_path / "X-USDT.csv").write_text("timestamp_ms,open,high,low,close,volume\n" + "".join(minutes))
    settings = {
        **LIVELY,
        "KOKEX__MARKET__SOURCE": "replay",
        "KOKEX__MARKET__CANDLES": "X-USDT.csv",
        "KOKEX__MARKET__TIMEFRAME": "1m",
        "KOKEX__MARKET__SPEED": "10000",
    }
    ended = kokex(tmp_path, "run", settings=settings)
    assert ended.code == 0, ended.err
    assert ended.out.startswith("2023-11-14T22:"), "the files' time, ten thousand times as fast as ours"
    with Reader(tmp_path / "data" / "kokex.db") as reader:
        assert [(each.instrument, each.count) for each in reader.ask(queries.holdings())] == [("X-USDT", 300)]
    again = kokex(tmp_path, "run", settings=settings)
    assert (again.code, "replayed to their end" in again.err) == (1, True)
