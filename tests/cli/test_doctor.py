import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from actors.risk import Breaker
from kokex.adapters.host.lock import FileLock
from kokex.adapters.sqlite.direct import open_direct
from kokex.cli import main
from kokex.ports import Saved

PRESENT_NS = 1_750_000_000_000_000_000
FUTURE_NS = 9_000_000_000_000_000_000


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory without a config.toml."""
    monkeypatch.chdir(tmp_path)


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *arguments])


def findings(*arguments: str, code: int) -> dict[str, dict[str, Any]]:
    result = doctor(*arguments, "--json")
    assert result.exit_code == code, result.output
    said = json.loads(result.stdout)
    assert said["healthy"] is (code == 0)
    assert all(each["remedy"] for each in said["findings"] if each["state"] != "ok")
    return {each["what"]: each for each in said["findings"]}


def make_database(path: str, now_ns: int, *rows: Saved) -> None:
    store = open_direct(path, now_ns=now_ns, mode="live", version="0", config_json="{}", tag_factory=lambda: "abcdef")
    for row in rows:
        store.append(row)
    store.flush()
    store.close()


def test_a_fresh_installation_is_healthy_and_nothing_is_made() -> None:
    result = doctor()
    assert result.exit_code == 0
    assert "simulated: BTC-USDT-SWAP" in result.stdout
    assert list(Path().iterdir()) == []


def test_a_wrong_key_is_found() -> None:
    Path("config.toml").write_text("[risk]\nmax_daily_loss_pct = 50\n")
    found = findings(code=1)["configuration"]
    assert (found["state"], "max_daily_loss_pct" in found["found"]) == ("fail", True)


@pytest.mark.parametrize(
    ("config", "what", "says"),
    [
        ('[brain]\nstrategies = ["sma"]', "strategies of main", "unknown strategy 'sma'"),
        (
            '[brain]\nstrategies = ["sma_cross"]\n[strategies.sma_cross]\nfast = 0',
            "strategies of main",
            "fast = 0 must be",
        ),
        ('[market]\nsource = "replay"\ncandles = ["no.csv"]', "market", "no.csv: no such file"),
        ('[market]\ninstruments = ["FOO-USDT"]', "market", "unknown instrument 'FOO-USDT'"),
    ],
)
def test_what_is_configured_but_cannot_be_is_found(config: str, what: str, says: str) -> None:
    Path("config.toml").write_text(config)
    found = findings(code=1)[what]
    assert (found["state"], says in found["found"]) == ("fail", True)


def test_a_directory_that_cannot_be_written_is_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = findings("--db", "file/k.db", code=1)["data directory"]
    assert (found["state"], "cannot be written" in found["found"]) == ("fail", True)


def test_a_file_that_is_no_database_is_found() -> None:
    Path("k.db").write_text("not a database, but long enough to look like one" * 50)
    assert findings("--db", "k.db", code=1)["database"]["state"] == "fail"


def test_a_damaged_database_is_found() -> None:
    make_database("k.db", PRESENT_NS)
    whole = Path("k.db").read_bytes()
    Path("k.db").write_bytes(whole[:4096] + b"\xff" * 4096 + whole[8192:])
    assert findings("--db", "k.db", code=1)["database"]["state"] == "fail"


def test_a_clock_behind_the_record_is_a_warning() -> None:
    make_database("k.db", FUTURE_NS)
    found = findings("--db", "k.db", code=0)
    assert (found["database"]["state"], found["clock"]["state"]) == ("ok", "warn")


def test_a_tripped_breaker_is_a_warning() -> None:
    tripped = msgspec.msgpack.encode(Breaker(PRESENT_NS, "lost too much"))
    make_database("k.db", PRESENT_NS, Saved(key="breaker[main]", body=tripped))
    found = findings("--db", "k.db", code=0)["breaker of main"]
    assert (found["state"], "lost too much" in found["found"]) == ("warn", True)


def test_a_running_daemon_is_seen_by_its_lock() -> None:
    make_database("k.db", PRESENT_NS)
    held = FileLock(Path("k.db.lock"))
    found = findings("--db", "k.db", code=0)
    held.release()
    assert "running as process" in found["daemon"]["found"]
    assert found["control"]["state"] == "warn"  # it holds the lock and does not listen
