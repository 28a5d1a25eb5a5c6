"""A model decides live, on loopback; what it said is played in backtests, and nobody is asked again."""

import json
import re
from math import sin
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner

from kokex.adapters.sqlite import llm_calls, queries
from kokex.adapters.sqlite.queries import Query
from kokex.adapters.sqlite.reader import Reader
from kokex.brain.answer import shape_for
from kokex.cli import main
from kokex.messages import Cycle, Fill, Prompt, Reply, Turn
from kokex.simulation.recorded import Recording, Recordings
from tests.cli.daemons import Ended, daemon, kokex
from tests.loopback.models import Act, models

MINUTE = 60_000
START = 1_700_000_000_000 - 1_700_000_000_000 % 86_400_000
NAMES = ("BTC-USDT", "ETH-USDT")
URL = "KOKEX__LLM__BASE_URL"
ON_FILES = {
    "KOKEX__MARKET__SOURCE": "replay",
    "KOKEX__MARKET__CANDLES": ",".join(f"{name}.csv" for name in NAMES),
    "KOKEX__MARKET__TIMEFRAME": "1m",
    "KOKEX__MARKET__SPEED": "3600",
    "KOKEX__MODE__KIND": "realtime",
    "KOKEX__MODE__REALTIME_S": "1800",
    "KOKEX__PAPER__ACCOUNT_KIND": "cash",
    "KOKEX__BRAIN__KIND": "llm",
    "KOKEX__LLM__PROVIDER": "openai",
    "KOKEX__LLM__MODEL": "loopback",
    "KOKEX__LLM__API_KEY": "sk-loopback-0123456789",
}


def candles(path: Path) -> None:
    lines = ["timestamp_ms,open,high,low,close,volume"]
    for minute in range(1500):
        opened, close = (1000 + 20 * sin(each / 200) for each in (minute, minute + 1))
        high, low = max(opened, close) + 1, min(opened, close) - 1
        lines.append(f"{START + minute * MINUTE},{opened:.2f},{high:.2f},{low:.2f},{close:.2f},5000")
    path.write_text("\n".join(lines) + "\n")


def in_and_out(asked: dict[str, Any]) -> Act:
    """Opens what is not held, closes what is. It cannot be read at first, and makes up what it says of ETH."""
    if (
        len(asked["messages"]) == 2
        and "position none; may hold, open_long\nreadings"
        in (asked["messages"][1]["content"].split(f"## {NAMES[0]}")[1])
    ):
        return Act(text="I would buy.")
    items: list[dict[str, Any]] = []
    for block in asked["messages"][1]["content"].split("## ")[1:]:
        symbol = block.split("\n", 1)[0]
        price, atr, rsi = (re.search(rf"{name} ([\d.]+)", block)[1] for name in ("price", "atr", "rsi"))  # type: ignore[index]
        items.append(
            {
                "symbol": symbol, "act": "open_long" if "position none" in block else "close", "conviction": 4,
                "horizon_h": 1, "target": None, "refs": [], "invalidation": round(float(price) - 7 * float(atr), 2),
                "why": f"rsi {rsi}" if symbol == NAMES[0] else "support at 123456.7",
            }
        )  # fmt: skip
    return Act(text=json.dumps({"decisions": items, "note": ""}))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with candles and the record of a session on them."""
    folder = tmp_path_factory.mktemp("recorded")
    for name in NAMES:
        candles(folder / f"{name}.csv")
    with models(in_and_out) as server, daemon(folder, settings={**ON_FILES, URL: server.url}) as running:
        for _ in range(3):  # in, out and in again; the entry's stop is no fill
            running.wait_for("fill")
        assert running.end() == 0
    return folder


def backtest(place: Path, *words: str, **settings: str) -> Ended:
    files = [f"{name}.csv" for name in NAMES]
    how = {**ON_FILES, URL: "http://127.0.0.1:9", **settings}
    return kokex(place, "backtest", "--candles", *files, *words, settings=how)


def test_what_a_model_said_decides_again_and_is_checked_sized_and_filled_anew(place: Path) -> None:
    ended = backtest(place, "--brain", "recorded", "--recordings", "data", "--db", "bt.db", "--json")
    assert ended.code == 0, ended.err
    found = ended.json()
    with Reader(place / "data" / "kokex.db") as reader:
        record = reader.ask(llm_calls.decided())
    with Reader(place / "bt.db") as reader:
        again = reader.ask(llm_calls.decided())
        decisions = reader.ask(Query("SELECT instrument, act, reasons FROM decisions ORDER BY id", (), list))
        woken = {each.why for each in reader.ask(queries.journal(kinds=("Cycle",))) if isinstance(each, Cycle)}
        fills = [each for each in reader.ask(queries.fills_after("main", 0)) if isinstance(each, Fill)]
    counts = {"recordings": len(record), "played": len(record), "unanswered": 0, "about_the_past": len(record)}
    assert found["recordings"].items() >= counts.items()
    assert any("may have remembered" in note for note in found["notes"])
    said = [each.call.answer for each in record]
    assert [each.call.answer for each in again] == said
    assert "I would buy." in said[0], "a second answer follows on one that could not be read"
    assert {act for name, act, _ in decisions if name == NAMES[0]} == {"open_long", "close"}
    assert {act for name, act, _ in decisions if name == NAMES[1]} == {"hold"}
    assert all("123456.7, which it was not shown" in why for name, _, why in decisions if name == NAMES[1])
    assert woken == {"recorded"}
    answered = record[0].answered_ns
    assert answered < fills[0].filled_ns <= answered + 60_000_000_000, "not before it had come"


def test_a_recording_made_in_other_words_is_refused_by_name(place: Path) -> None:
    (place / "words").mkdir()
    (place / "words" / "mandate.md").write_text("Trade as you like.")
    ended = backtest(place, "--brain", "recorded", "--recordings", "data/kokex.db", KOKEX__LLM__PROMPTS="words")
    assert ended.code == 2
    assert re.search(r"data/kokex.db: call \d+ was asked in the words of prompts \w+, form", ended.err)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--brain", "llm"], "--brain recorded --recordings DB"),
        (["--brain", "recorded"], "--recordings DB"),
        (["--brain", "recorded", "--recordings", "data", "--strategy", "trend"], "has no say"),
        (["--brain", "recorded", "--recordings", "none.db"], "none.db: no such database"),
        (["--brain", "recorded", "--recordings", "data", "--plan", "other"], "there are: main"),
        (["--brain", "recorded", "--recordings", "data", "--to", "2023-11-14T00:10"], "do not meet"),
        (["--strategy", "trend", "--recordings", "data"], "belong to --brain recorded"),
        ([], "--strategy NAME"),
    ],
)
def test_who_decides_is_said_clearly_or_not_at_all(
    place: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(place)
    ended = CliRunner().invoke(main, ["backtest", "--candles", *(f"{name}.csv" for name in NAMES), *words])
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert said in ended.stderr


def test_where_no_recording_fits_nothing_is_wanted() -> None:
    """A second question, after an answer that cannot be read any more; or the same one, much later."""
    reply = Reply(text="{}", stop="end", model="m")
    made = [
        Recording(at=10, plan="p", symbols=("A",), prompt="", turns=1, shown="", reply=reply, old=False),
        Recording(at=10**12, plan="p", symbols=("B",), prompt="", turns=1, shown="", reply=reply, old=False),
    ]
    of = Recordings(made, ["A", "B"], 0, 10**12)
    system = Clock()
    of.beside(cast(Any, None), cast(Any, system), "main")
    of.take("main")
    system.now = 20

    def ask(symbol: str, turns: int) -> str:
        turn = Turn(role="user", text="?")
        prompt = Prompt(purpose="event", system="", turns=(turn,) * turns, shape=shape_for((symbol,)))
        with pytest.raises(StopIteration) as done:
            of.send("recorded", prompt, 1.0).send(None)
        return done.value.value.outcome.model

    assert [ask("A", 1), ask("A", 3), ask("B", 1)] == ["m", "no recording", "no recording"]
    system.now = 10**11
    assert ask("A", 1) == "no recording"
    assert of.counts()["unanswered"] == 3


class Clock:
    def __init__(self) -> None:
        self.now = 10

    def post(self, actor: str, message: Any) -> None:
        assert (actor, message.args) == ("control", {"plan": "main", "instruments": "A"})
