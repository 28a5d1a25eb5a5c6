"""The commands that talk to a running daemon, and what they say when there is none."""

import time
from collections.abc import Generator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.reader import Reader
from kokex.market.instruments import exact
from tests.cli.daemons import LIVELY, Daemon, daemon, kokex

SLOWER = {**LIVELY, "KOKEX__MARKET__SPEED": "1"}  # faster, a busy machine would see stops hit before it gets to look
BTC = "BTC-USDT-SWAP"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("daemon")


@pytest.fixture(scope="module")
def running(place: Path) -> Generator[Daemon, None, None]:
    """One daemon for this module, paused: people trade, the brain does not."""
    with daemon(place, settings=SLOWER) as started:
        started.wait_for("price")
        assert kokex(place, "pause").out == "paused: no new cycle until `kokex resume`\n"
        _at_rest(place)
        yield started


def _at_rest(place: Path) -> None:
    """Nothing is held and nothing works: what was approved before the pause is filled, and closed again."""
    found: list[Any] = []
    for _ in range(100):
        orders = kokex(place, "orders", "--json").json()["orders"]
        found = [*kokex(place, "positions", "--json").json()["positions"], *orders]
        if not found:
            return
        for each in found:
            kokex(place, "close", each["instrument"], "--yes")
        time.sleep(0.1)
    raise AssertionError(found)


def the_stop(place: Path) -> Any:
    """The one open order, once the position's stop stands and what it replaces is gone."""
    found: list[Any] = []
    for _ in range(100):
        found = kokex(place, "orders", "--json").json()["orders"]
        if len(found) == 1:
            return found[0]
        time.sleep(0.1)
    raise AssertionError(found)


@pytest.mark.usefixtures("running")
def test_bought_and_closed_again(place: Path) -> None:
    bought = kokex(place, "buy", BTC, "0.5", "--yes")
    assert bought.code == 0, bought.err
    assert f"approved: buy 0.5 {BTC} market" in bought.out
    assert "filled 0.5 at" in bought.out
    (position,) = kokex(place, "positions", "--json").json()["positions"]
    assert (position["instrument"], Decimal(position["size"])) == (BTC, Decimal("0.5"))
    stop = the_stop(place)
    assert (stop["kind"], stop["side"], stop["reduce_only"]) == ("stop", "sell", True)
    assert Decimal(stop["size"]) == Decimal("0.5")

    closed = kokex(place, "close", BTC, "--yes", "--json")
    assert closed.code == 0, closed.err
    answer = closed.json()
    assert (answer["verdict"], answer["state"], Decimal(answer["filled"])) == ("approved", "filled", Decimal("0.5"))
    assert kokex(place, "positions").out == "Positions: none\n"
    trades = kokex(place, "trades", "--json").json()["trades"]
    assert [(each["side"], Decimal(each["size"])) for each in trades[-2:]] == [
        ("buy", Decimal("0.5")),
        ("sell", Decimal("0.5")),
    ]
    history = kokex(place, "orders", "--all").out
    assert "cancelled" in history, "the stop went with its position"


@pytest.mark.usefixtures("running")
def test_what_risk_refuses_says_by_which_rule_and_exits_1(place: Path) -> None:
    ended = kokex(place, "buy", BTC, "100000", "--yes")
    assert ended.code == 1
    assert ended.err.startswith("kokex: refused by max_order_pct: ")
    ended = kokex(place, "buy", BTC, "1", "--limit", "1", "--yes", "--json")
    assert (ended.code, ended.json()["rule"]) == (1, "fat_finger")
    assert kokex(place, "close", "ETH-USDT-SWAP", "--yes").err.startswith("kokex: refused by nothing_to_close: ")


@pytest.mark.usefixtures("running")
def test_what_moves_money_asks_first(place: Path) -> None:
    for words in (["buy", BTC, "1"], ["sell", BTC, "1"], ["close", BTC], ["reset"]):
        ended = kokex(place, *words)
        assert ended.code == 2
        assert "--yes says it" in ended.err


@pytest.mark.usefixtures("running")
def test_a_limit_order_works_until_it_is_cancelled(place: Path) -> None:
    price = _last_price(place)
    limit = str((price * Decimal("0.985")).quantize(Decimal("0.1")))
    placed = kokex(place, "buy", BTC, "0.1", "--limit", limit, "--yes", "--json").json()
    order = placed["order"]["client_id"]
    assert placed["state"] == "working"
    assert order in kokex(place, "orders").out
    ended = kokex(place, "cancel", order, "--yes")
    assert (ended.code, ended.out) == (0, f"order {order}: cancelled, 0 filled\n")
    assert "there is no order 'nonsense'" in kokex(place, "cancel", "nonsense", "--yes").err


@pytest.mark.usefixtures("running")
def test_plans_start_and_stop(place: Path) -> None:
    assert "stopped: main" in kokex(place, "plans", "stop", "main").out
    assert "stopped" in kokex(place, "plans", "list").out
    assert kokex(place, "cycle").code == 1
    assert "stopped" not in kokex(place, "plans", "start", "main").out
    for words in (("plans", "list", "--json"), ("plans", "--json")):
        assert kokex(place, *words).json()["plans"][0]["enabled"] is True
    misplaced = kokex(place, "plans", "--json", "stop", "main")
    assert (misplaced.code, "kokex plans stop ..." in misplaced.err) == (2, True)
    assert "there is no plan 'x'" in kokex(place, "plans", "stop", "x").err


@pytest.mark.usefixtures("running")
def test_mistakes_are_named(place: Path) -> None:
    assert f"unknown instrument 'X'; traded here: {BTC}" in kokex(place, "buy", "X", "1", "--yes").err
    assert "size 'much' is not a number" in kokex(place, "buy", BTC, "much", "--yes").err
    assert "there is no account 'x'; there are: main" in kokex(place, "balance", "--account", "x").err
    assert "the breaker was not tripped" in kokex(place, "reset", "--yes").out


def test_status_tells_of_everything(place: Path, running: Daemon) -> None:
    status = kokex(place, "status", "--json").json()
    assert {each["name"] for each in status["actors"]} >= {"feed", "brain", "risk[main]", "executor[main]", "control"}
    assert {each["state"] for each in status["actors"]} == {"running"}
    assert status["limits"][0]["breaker"] == "closed"
    assert (status["paused"], status["market_up"], status["database"]) == (True, True, "data/kokex.db")
    shown = kokex(place, "status").out
    assert all(title in shown for title in ("KOKEX", "Balance", "Plans", "Actors"))
    assert running.pid > 0


def test_without_a_daemon_the_record_answers_and_says_so(place: Path, running: Daemon) -> None:
    assert running.end() == 0
    for command in ("status", "pause", "resume", "cycle"):
        ended = kokex(place, command)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == "kokex: no daemon is running on data/kokex.db; start one with `python -m kokex run`\n"
    balance = kokex(place, "balance", "--json")
    assert balance.json()["source"] == "database"
    assert "no daemon is running: main as on record at" in balance.err
    assert kokex(place, "positions").code == 0
    assert len(kokex(place, "trades", "--json").json()["trades"]) >= 2
    assert kokex(place, "orders", "--all", "--last", "1", "--json").json()["orders"][0]["state"] in {
        "filled",
        "cancelled",
    }


def test_without_a_database_there_is_nothing_to_tell(tmp_path: Path) -> None:
    for command in ("balance", "positions", "orders", "trades"):
        ended = kokex(tmp_path, command)
        assert (ended.code, ended.err.count("\n")) == (1, 1)
        assert "no such database" in ended.err


def _last_price(place: Path) -> Decimal:
    with Reader(place / "data" / "kokex.db") as reader:
        (candle,) = reader.ask(queries.candles(BTC, 1_000_000_000, 1))
    return exact(candle.close)
