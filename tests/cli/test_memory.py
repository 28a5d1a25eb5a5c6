"""The memory of a real daemon: its decisions are kept, a lesson is in its next prompt, and a replay knows it too."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.cli.daemons import daemon, kokex
from tests.cli.test_brain import STILL
from tests.loopback.models import Act, models

BTC = "BTC-USDT-SWAP"
YEAR_NS = 31_536_000_000_000_000


def buy(asked: dict[str, Any]) -> Act:
    """Long, with an invalidation a little below."""
    text = asked["messages"][-1]["content"]
    found = re.search(rf"## {BTC}.*?price ([\d.]+).*?atr ([\d.]+)", text, re.DOTALL)
    assert found, text
    price, atr = map(float, found.groups())
    decision = {
        "symbol": BTC, "act": "open_long", "conviction": 4, "horizon_h": 1, "invalidation": price - 2 * atr,
        "target": None, "refs": [], "why": "up",
    }  # fmt: skip
    return Act(text=json.dumps({"decisions": [decision], "note": ""}), input_tokens=2500, output_tokens=40)


def test_a_lesson_is_in_the_next_prompt_one_of_the_future_is_not_and_a_replay_agrees(tmp_path: Path) -> None:
    with models(buy) as server:
        how = {**STILL, "KOKEX__MARKET__INSTRUMENTS": BTC, "KOKEX__LLM__BASE_URL": server.url}
        with daemon(tmp_path, settings=how) as running:
            running.wait_for("decision")
            assert running.end() == 0
        reflected = kokex(tmp_path, "memory", "reflect", settings=how)
        assert reflected.code == 0, reflected.err
        assert "no lessons" in reflected.out
        listed = kokex(tmp_path, "memory", "episodes", "--json", settings=how).json()["episodes"]
        assert [(each["instrument"], each["act"], each["by"], each["settled"]) for each in listed[:1]] == [
            (BTC, "open_long", "llm", False)
        ]
        assert listed[0]["features"]["rsi"] > 0
        with closing(sqlite3.connect(tmp_path / "data" / "kokex.db")) as record, record:
            (now_ns,) = record.execute("SELECT max(at) FROM journal").fetchone()
            for text, written_ns in (("open_long: lost 9 bp", now_ns), ("open_long: won 77 bp", now_ns + YEAR_NS)):
                row = ("main", "", text, 20, 1, -9.0, -4.0, written_ns, written_ns + YEAR_NS)
                record.execute("INSERT INTO lessons VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        assert "open_long: lost 9 bp" in kokex(tmp_path, "memory", "lessons", settings=how).out
        before = len(server.seen)
        with daemon(tmp_path, settings=how) as running:
            running.wait_for("decision")
            assert running.end() == 0
        asked = [request["messages"][-1]["content"] for request in server.seen[before:]]
    assert asked
    assert all("- open_long: lost 9 bp" in text for text in asked)
    assert not any("77 bp" in text for text in asked)
    replayed = kokex(tmp_path, "replay", "--json", settings=how)
    assert replayed.json()["same"], replayed.out


def test_without_a_database_it_is_one_line(tmp_path: Path) -> None:
    for words in (("reflect",), ("episodes",), ("lessons",)):
        ended = kokex(tmp_path, "memory", *words, settings={})
        assert ended.code == 1
        assert "no such database" in ended.err
        assert len(ended.err.splitlines()) == 1
