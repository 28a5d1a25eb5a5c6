"""The daemon with a model on loopback: few requests, each on record, none too many whatever kills it."""

import json
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from decimal import Decimal
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from tests.cli.daemons import daemon, environment, kokex
from tests.loopback.models import Act, Models, models

TEN = ("BTC", "ETH", "SOL", "DOGE", "XRP", "ADA", "AVAX", "DOT", "POL", "LTC")
STILL = {
    # Candles of a minute and a cycle every second: nothing changes between most cycles.
    "KOKEX__MARKET__TIMEFRAME": "1m",
    "KOKEX__MARKET__HISTORY_S": "15000",
    "KOKEX__MARKET__INSTRUMENTS": ",".join(f"{base}-USDT-SWAP" for base in TEN),
    "KOKEX__MODE__KIND": "realtime",
    "KOKEX__MODE__REALTIME_S": "1",
    "KOKEX__BRAIN__KIND": "llm",
    "KOKEX__LLM__PROVIDER": "openai",
    "KOKEX__LLM__MODEL": "loopback",
    "KOKEX__LLM__API_KEY": "sk-loopback-0123456789",
}  # fmt: skip


def hold(asked: dict[str, Any]) -> Act:
    return Act(text=json.dumps({"decisions": [], "note": ""}), input_tokens=2500, output_tokens=40)


@pytest.fixture
def server() -> Generator[Models, None, None]:
    with models(hold) as made:
        yield made


def settings(server: Models, **more: str) -> dict[str, str]:
    return {**STILL, "KOKEX__LLM__BASE_URL": server.url, **more}


def ask(place: Path, how: Mapping[str, str], *words: str) -> Any:
    ended = kokex(place, *words, "--json", settings=how)
    assert ended.code == 0, ended.err
    return ended.json()


def wait_until(true: Any) -> None:
    end = monotonic() + 30
    while not true():
        assert monotonic() < end
        sleep(0.05)


def test_ten_instruments_are_one_question_and_an_unchanged_snapshot_is_none(tmp_path: Path, server: Models) -> None:
    how = settings(server)
    with daemon(tmp_path, settings=how) as running:
        for _ in range(4):
            running.wait_for("cycle")
        assert running.end() == 0
    asked = [request["messages"] for request in server.seen]
    assert 1 <= len(asked) <= 2, "a minute may have ended in between"
    assert len({json.dumps(each) for each in asked}) == len(asked)
    calls = ask(tmp_path, how, "brain", "calls")["calls"]
    answered = ("ok", "loopback-served", 2500)
    assert [(call["state"], call["served"], call["input_tokens"]) for call in calls] == [answered] * len(asked)
    of = ask(tmp_path, how, "brain", "prompt", "--last")
    text = of["request"]["turns"][0]["text"]
    assert all(f"## {base}-USDT-SWAP" in text for base in TEN)
    assert of["tokens_at_most"] < 6000
    days = ask(tmp_path, how, "brain", "cost")["days"]  # a row for each purpose: an edge may have woken it too
    assert sum(day["calls"] for day in days) == len(asked)
    assert sum(day["input_tokens"] for day in days) == 2500 * len(asked)
    assert ask(tmp_path, how, "replay")["same"]
    record = (tmp_path / "data" / "kokex.db").read_bytes()
    assert b"sk-loopback" not in record


def test_a_price_that_nobody_knows_is_told_with_the_keys_that_set_it_right(tmp_path: Path, server: Models) -> None:
    how = settings(server)
    told = "loopback is not in the list of prices: 10 dollars a million tokens in and 50 dollars a million tokens out"
    with daemon(tmp_path, settings=how) as running:
        assert told in running.wait_for("llm")
        running.wait_for("decision")
        running.end()
    cost = ask(tmp_path, how, "brain", "cost")
    (note,) = cost["assumed"]
    assert (told in note, "set usd_in and usd_out in [llm]" in note) == (True, True)
    assert note in kokex(tmp_path, "brain", "cost", settings=how).err
    found = {each["what"]: each for each in ask(tmp_path, how, "doctor")["findings"]}
    assert found["price of loopback"]["state"] == "warn"
    spent = sum((Decimal(day["usd"]) for day in cost["days"]), Decimal(0))
    assert spent == (2500 * 10 + 40 * 50) * len(server.seen) / Decimal(1_000_000)

    right, before = {**how, "KOKEX__LLM__USD_IN": "0.2", "KOKEX__LLM__USD_OUT": "1"}, len(server.seen)
    with daemon(tmp_path, "--db", "right.db", settings=right) as running:
        running.wait_for("decision")
        running.end()
    assert not [line for line in running.lines if "list of prices" in line]
    cost = ask(tmp_path, right, "brain", "cost", "--db", "right.db")
    assert cost["assumed"] == []
    spent = sum((Decimal(day["usd"]) for day in cost["days"]), Decimal(0))
    assert spent == Decimal("0.00054") * (len(server.seen) - before)


def test_what_is_recorded_in_other_words_is_not_replayed(tmp_path: Path, server: Models) -> None:
    how = settings(server)
    with daemon(tmp_path, settings=how) as running:
        running.wait_for("decision")
        running.end()
    words = tmp_path / "words"
    words.mkdir()
    (words / "mandate.md").write_text("Trade as you like.")
    # The session's own configuration is on record; the texts it names are read anew.
    ended = kokex(tmp_path, "replay", settings=how)
    assert ended.code == 0
    other = _with_words(tmp_path, words)
    assert other.returncode == 1
    assert "asked a model in the words of prompts" in other.stderr


def _with_words(place: Path, words: Path) -> subprocess.CompletedProcess[str]:
    """A program whose built-in texts are others."""
    code = (
        "import sys, kokex.brain.wording as w; from pathlib import Path; before = w.builtin;"
        f"w.builtin = lambda: before() | {{'mandate': Path({str(words)!r}, 'mandate.md').read_text()}};"
        "import kokex.adapters.host.prompts as p; p.builtin = w.builtin;"
        "from kokex.cli import main; main(['replay'])"
    )
    return subprocess.run(
        [sys.executable, "-c", code], cwd=place, env=environment({}), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


# ---- kill -9 ------------------------------------------------------------------------------------

DIES_BEFORE_SENDING = """
import os, signal, sys
from kokex.adapters.llm.client import Providers
async def send(*_): os.kill(os.getpid(), signal.SIGKILL)
Providers.send = send
from kokex.cli import main
main(["run", "--for", "30s"])
"""


def test_killed_between_reserve_and_send_the_request_counts_as_spent(tmp_path: Path, server: Models) -> None:
    how = settings(server, KOKEX__LLM__PER_24H="1")
    words = [sys.executable, "-c", DIES_BEFORE_SENDING]
    died = subprocess.run(words, cwd=tmp_path, env=environment(how), capture_output=True, timeout=60, check=False)
    assert died.returncode == -9
    assert [call["state"] for call in ask(tmp_path, how, "brain", "calls")["calls"]] == ["reserved"]
    with daemon(tmp_path, settings=how) as running:
        running.wait_for("decision")  # by the strategies
        running.end()
    assert server.seen == []


def test_killed_between_send_and_record_no_second_request_is_sent(tmp_path: Path, server: Models) -> None:
    server.script = lambda asked: Act(text=hold(asked).text, slow_s=20.0)
    how = settings(server, KOKEX__LLM__PER_24H="2", KOKEX__LLM__RPD="0")
    for lives in (1, 2):
        with daemon(tmp_path, settings=how) as running:
            wait_until(lambda lives=lives: len(server.seen) == lives)
            running.end(signal.SIGKILL)
    with daemon(tmp_path, settings=how) as running:
        running.wait_for("decision")
        running.end()
    assert len(server.seen) == 2
    calls = ask(tmp_path, how, "brain", "calls")["calls"]
    assert [call["state"] for call in calls] == ["reserved"] * 2, "exactly what the server saw"


# ---- what it weighs -----------------------------------------------------------------------------

WEIGHED = """
import sys
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
{before}
before = rss()
from kokex.cli import main
try:
    main(["run", "--for", "3s"])
except SystemExit:
    pass
print("WEIGHT", rss() - before, sorted({{"anthropic", "openai", "httpx2"}} & set(sys.modules)))
"""


def weigh(place: Path, how: Mapping[str, str], before: str = "") -> tuple[float, str]:
    place.mkdir()
    code = WEIGHED.format(before=before)
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=place, env=environment(how), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    _, weight, loaded = ended.stdout.splitlines()[-1].split(maxsplit=2)
    return float(weight), loaded


def test_without_a_provider_no_sdk_is_loaded_and_with_one_that_one_alone(tmp_path: Path, server: Models) -> None:
    how = settings(server)
    without, loaded = weigh(tmp_path / "a", {**how, "KOKEX__LLM__PROVIDER": "", "KOKEX__BRAIN__KIND": "rules"})
    assert loaded == "[]"
    _, loaded = weigh(tmp_path / "b", how)
    assert loaded == "['httpx2', 'openai']"
    beyond, _ = weigh(tmp_path / "c", how, "import openai; openai.AsyncOpenAI(api_key='x')")
    assert beyond - without < 12, "megabytes beyond what the SDK itself costs"


def test_doctor_asks_each_provider_once_and_for_nothing_that_costs(tmp_path: Path, server: Models) -> None:
    ended = kokex(tmp_path, "doctor", "--json", settings=settings(server))
    found = {each["what"]: each for each in ended.json()["findings"]}
    assert (found["model loopback"]["state"], found["price of loopback"]["state"]) == ("ok", "warn")
    assert (server.seen, server.paths) == ([], ["/models/loopback"])


def test_a_model_is_not_asked_about_its_past(tmp_path: Path) -> None:
    how = {"KOKEX__LLM__PROVIDER": "anthropic", "KOKEX__LLM__MODEL": "claude-sonnet-5"}
    words = ("backtest", "--candles", "X.csv", "--strategy", "trend", "--brain", "llm")
    ended = kokex(tmp_path, *words, settings=how)
    assert ended.code == 2
    assert "was trained on texts up to 2026-01" in ended.err
