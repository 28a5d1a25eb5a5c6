import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kokex.adapters.host.chance import Random
from kokex.cli import main
from tests.cli.test_backtest import UP_AND_DOWN, candles


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory without a config.toml."""
    monkeypatch.chdir(tmp_path)


def explain(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["explain", *map(str, arguments), "--db", "bt.db"])


def told(order: object) -> dict[str, Any]:
    result = explain(order, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def backtest(closes: Sequence[float], *more: str) -> None:
    candles(Path("BTC-USDT.csv"), closes, volume=1000.0)
    arguments = ["--candles", "BTC-USDT.csv", "--strategy", "sma_cross", "--param", "fast=2", "--param", "slow=4"]
    result = CliRunner().invoke(main, ["backtest", *arguments, "--db", "bt.db", *more])
    assert result.exit_code == 0, result.stderr


def column(sql: str) -> list[Any]:
    database = sqlite3.connect("bt.db")
    values = [value for (value,) in database.execute(sql)]
    database.close()
    return values


def test_an_order_is_told_from_its_fill_back_to_the_candle() -> None:
    backtest(UP_AND_DOWN, "--size", "0.02")
    buy, sell = column("SELECT client_id FROM orders ORDER BY id")
    for order, made, close in ((buy, "bought", "close 14"), (sell, "sold", "close 8")):
        said = told(order)
        steps = [step["step"] for step in said["steps"]]
        assert list(dict.fromkeys(step for step in steps if step != "limits")) == [
            "order", "fill", "verdict", "decision", "briefing", "cycle", "edge", "candle",
        ]  # fmt: skip
        words = {step["step"]: step["what"] for step in said["steps"]}
        assert f"{made} 0.02 BTC-USDT" in words["fill"]
        assert "2-candle average crossed" in words["decision"]
        assert close in words["candle"]
        assert said["order"]["state"] == "filled"
        assert [message["type"] for message in said["messages"]][:4] == ["Edge", "Cycle", "Briefing", "Decision"]


def test_people_read_it_in_words() -> None:
    backtest(UP_AND_DOWN, "--size", "0.02")
    (buy, _) = column("SELECT client_id FROM orders ORDER BY id")
    result = explain(buy)
    assert result.exit_code == 0, result.stderr
    assert f"Order {buy} of plan main: buy 0.02 BTC-USDT market: filled." in result.stdout
    assert "one order at most 30 % of the free cash" in result.stdout
    assert "the strategies wanted to go long in BTC-USDT at 14, conviction 5 of 5" in result.stdout


def test_a_protective_stop_is_explained_with_the_entry_it_protects() -> None:
    chance, closes = Random(11), [30_000.0]
    for _ in range(600):
        closes.append(round(closes[-1] * (1 + chance.gauss(0, 1e-3)), 2))
    backtest(closes)
    stop = column("SELECT client_id FROM orders WHERE kind = 'stop' AND state = 'filled' ORDER BY id LIMIT 1")[0]
    words = [step["what"] for step in told(stop)["steps"]]
    assert any(what.startswith("sold") for what in words)
    assert any(what.startswith("bought") for what in words)
    assert any("protective stop at" in what for what in words)


def test_a_refused_decision_can_be_explained_by_its_number() -> None:
    backtest(UP_AND_DOWN, "--size", "30", "--cash", "1000")
    (decision,) = column("SELECT decision FROM verdicts WHERE NOT approved")
    said = told(decision)
    assert said["order"] is None
    assert said["steps"][0]["what"].startswith("refused by max_order_pct")
    assert said["steps"][-1]["step"] == "candle"
    assert f"Decision {decision}: no order came of it." in explain(decision).stdout


def test_a_unique_beginning_or_the_decision_will_do_for_an_id() -> None:
    backtest(UP_AND_DOWN, "--size", "0.02")
    buy, sell = column("SELECT client_id FROM orders ORDER BY id")
    (decision, _) = column("SELECT decision FROM orders ORDER BY id")
    shortest = next(buy[:length] for length in range(1, 33) if not sell.startswith(buy[:length]))
    assert told(buy) == told(decision) == told(shortest)
    result = explain("k")
    assert result.exit_code == 2
    assert f"'k' begins more than one order id: {sell}, {buy}" in result.stderr


def test_an_unknown_id_is_answered_with_the_latest_ones() -> None:
    backtest(UP_AND_DOWN, "--size", "0.02")
    buy, sell = column("SELECT client_id FROM orders ORDER BY id")
    for unknown in ("nobody", "12345"):
        result = explain(unknown)
        assert (result.exit_code, result.stdout) == (2, "")
        assert (
            result.stderr
            == f"kokex: bt.db: no order and no decision '{unknown}'; the latest orders are {sell}, {buy}\n"
        )


def test_without_a_database_it_says_so() -> None:
    result = explain("anything")
    assert (result.exit_code, "bt.db: no such database" in result.stderr) == (2, True)
