"""config.toml read again by a running daemon: what may change does, a mistake changes nothing, a replay knows."""

import signal
from pathlib import Path

import pytest

from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.reader import Reader
from kokex.config import ConfigError, load
from kokex.config.live import live, merge
from kokex.messages import Alert, Command
from tests.cli.daemons import daemon, kokex

FILE = """
[risk]
max_order_pct = 20.0
[telegram]
quiet = "23:00-07:00"
[[plans]]
name = "main"
strategies.trend = { band = 10.0 }
"""
BIG = ("buy", "BTC-USDT-SWAP", "25", "--yes")  # some 15 % of the cash
AS_BIG = ("buy", "ETH-USDT-SWAP", "40", "--yes")


def test_a_tighter_limit_holds_at_once_and_is_on_record(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(FILE)
    with daemon(tmp_path, settings={"KOKEX__MARKET__HISTORY_S": "1200", "KOKEX__EDGES__MIN_SCORE": "1"}) as running:
        running.wait_for("price")
        assert kokex(tmp_path, "pause", settings={}).code == 0
        assert kokex(tmp_path, *BIG, settings={}).code == 0

        assert kokex(tmp_path, "reload", "--yes", settings={}).out == "nothing differs from what is in force\n"
        file.write_text(FILE.replace("20.0", "40.0"))
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        wrong = kokex(elsewhere, "reload", "--yes", "--db", str(tmp_path / "data" / "kokex.db"), settings={})
        assert wrong.code == 1
        assert "nothing has changed: config.toml:3: risk.max_order_pct" in wrong.err

        file.write_text(FILE.replace("20.0", "5.0").replace("23:00", "22:00") + "[log]\nlevel = 'debug'\n")
        told = kokex(tmp_path, "reload", "--yes", settings={})
        assert told.out.splitlines() == [
            "risk.max_order_pct: 5.0 from now on, 20.0 before",
            "telegram.quiet: 22:00-07:00 from now on, 23:00-07:00 before",
            "a restart is needed for log.level",
        ]
        refused = kokex(tmp_path, *AS_BIG, settings={})
        assert (refused.code, "max_order_pct" in refused.err) == (1, True)
        assert kokex(tmp_path, "reload", "--yes", settings={}).out == "a restart is needed for log.level\n"
        asked = kokex(tmp_path, "reload", settings={})
        assert (asked.code, "--yes says it" in asked.err) == (2, True)
        assert running.end(signal.SIGTERM) == 0
    with Reader(tmp_path / "data" / "kokex.db") as reader:
        found = reader.ask(queries.journal(kinds=("Command", "Alert")))
    assert sum(isinstance(each, Command) and each.verb == "reload" for each in found) == 4
    (said,) = [each.text for each in found if isinstance(each, Alert) and each.kind == "settings"]
    assert said.startswith("read anew by local: risk.max_order_pct is 5.0 (was 20.0)")
    assert kokex(tmp_path, "replay", "--json", settings={}).json()["same"]


@pytest.mark.parametrize(
    ("edited", "changed", "restart"),
    [
        ("[risk]\nstale_s = 30", [], ["risk.stale_s"]),
        ('[telegram.alerts]\nfill = "off"', ["telegram.alerts.fill"], []),
        ("[telegram]\nowners = [7]", [], ["telegram.owners"]),
        ("[risk]\nmax_daily_loss_pct = 1", ["risk.max_daily_loss_pct"], []),
        ('[market]\ntimeframe = "1m"\n[risk]\nstop_atr = 3', ["risk.stop_atr"], ["market.timeframe"]),
        ('[[plans]]\nname = "other"', [], ["plans"]),
    ],
)
def test_limits_and_alerts_may_change_and_nothing_else(
    tmp_path: Path, edited: str, changed: list[str], restart: list[str]
) -> None:
    file = tmp_path / "edited.toml"
    file.write_text(edited)
    running = load(None, {"KOKEX__STORE__PATH": "elsewhere.db"})
    merged = merge(running, load(file, {"KOKEX__STORE__PATH": "elsewhere.db"}))
    assert [each.key for each in merged.changed] == changed
    assert list(merged.restart) == restart
    assert merge(merged.config, load(file, {"KOKEX__STORE__PATH": "elsewhere.db"})).changed == ()
    if not changed:
        assert merged.config == running
    else:
        assert live(merged.config) != live(running)


def test_a_limit_beyond_the_built_in_ones_is_refused_like_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "edited.toml"
    file.write_text("[risk]\nmax_daily_loss_pct = 9")
    with pytest.raises(ConfigError, match="max_daily_loss_pct"):
        load(file, {})
