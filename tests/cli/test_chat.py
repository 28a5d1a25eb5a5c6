"""`kokex chat` as a person has it: a real terminal, a real daemon, a real SDK, and a model on loopback."""

import json
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.cli.daemons import daemon, kokex
from tests.cli.terminals import END, Terminal, terminal
from tests.loopback.models import Act, Models, models

CALM = {  # all that is traded here, a person wants
    "KOKEX__MARKET__HISTORY_S": "1200",
    "KOKEX__STRATEGIES__TREND__BAND": "10",
    "KOKEX__BRAIN__MIN_CONVICTION": "5",
    "KOKEX__EDGES__MIN_SCORE": "1",
    "KOKEX__LLM__PROVIDER": "openai",
    "KOKEX__LLM__MODEL": "loopback",
    "KOKEX__LLM__API_KEY": "sk-loopback-0123456789",
    "KOKEX__LLM__USD_IN": "1",
    "KOKEX__LLM__USD_OUT": "5",
}
SIZES = {"buy": "0.5", "all in": "5000"}


class Assistant:
    """A model that looks nothing up for "hello", and prepares an order for what it has a size for."""

    def __init__(self) -> None:
        self.hold = threading.Event()

    def __call__(self, asked: dict[str, Any]) -> Act:
        last = asked["messages"][-1]
        if last["role"] == "tool":
            return Act(text=f"The tool says: {last['content'][:120]}")
        for word, size in SIZES.items():
            if last["content"].endswith(word):
                order = {"act": "buy", "instrument": "BTC-USDT-SWAP", "size": size}
                return Act(calls=(("c1", "place_order", json.dumps(order)),))
        return Act(text="Good morning. \x1b[31mThis is the end.", hold=self.hold)


def asks(screen: Terminal, text: str, until: str) -> str:
    screen.types(text + "\n")
    return screen.shows(until)


def held(place: Path, how: dict[str, str]) -> list[tuple[str, str]]:
    found = kokex(place, "positions", "--json", settings=how).json()["positions"]
    return [(each["instrument"], each["size"]) for each in found]


def test_a_conversation_in_a_terminal(tmp_path: Path) -> None:
    """Words appear as they come; risk refuses what is over a limit; an order goes after a yes, and not after a no."""
    assistant = Assistant()
    with models(assistant) as server:
        how = {**CALM, "KOKEX__LLM__BASE_URL": server.url}
        with daemon(tmp_path, settings=how) as running:
            running.wait_for("price")
            with terminal(tmp_path, "chat", settings=how) as screen:
                screen.shows("loopback answers; Ctrl-D ends\n> ")
                asks(screen, "hello", "Good mo")
                assert "end" not in screen.shown_so_far(), "the rest is not even sent yet"
                assistant.hold.set()
                rest = screen.shows("> ")
                assert rest.startswith("rning. [31mThis is the end.\n"), "and what moves cursors or colours is left out"

                said = asks(screen, "all in", "> ")
                assert '"rule":"max_order_pct"' in said
                assert "[y/N]" not in said
                asks(screen, "buy", "Buy 0.5 BTC-USDT-SWAP at the market? [y/N]: ")
                asks(screen, "n", "nothing was done\n> ")
                assert held(tmp_path, how) == []
                asks(screen, "buy", "Buy 0.5 BTC-USDT-SWAP at the market? [y/N]: ")
                done = asks(screen, "y", "> ")
                assert "approved: buy 0.5 BTC-USDT-SWAP market" in done
                assert "filled 0.5 at " in done
                assert held(tmp_path, how) == [("BTC-USDT-SWAP", "0.5")]
                screen.types(END)
                screen.shows("chat --resume 1` goes on from here")
                assert screen.ends() == 0
            _on_record(tmp_path, how, server)
            running.end()
        again = kokex(tmp_path, "replay", "--json", settings=how)
        assert again.code == 0, again.err + again.out

    assert b"sk-loopback" not in (tmp_path / "data" / "kokex.db").read_bytes()


@pytest.mark.parametrize("how_it_ends", [signal.SIGTERM, signal.SIGKILL])
def test_a_question_that_stands_while_the_daemon_restarts_can_still_be_answered(
    tmp_path: Path, how_it_ends: signal.Signals
) -> None:
    with models(Assistant()) as server:
        how = {**CALM, "KOKEX__LLM__BASE_URL": server.url}
        with daemon(tmp_path, settings=how) as running:
            running.wait_for("price")
            with terminal(tmp_path, "chat", settings=how) as screen:
                screen.shows("> ")
                asks(screen, "buy", "Buy 0.5 BTC-USDT-SWAP at the market? [y/N]: ")
                running.end(how_it_ends)
                with daemon(tmp_path, settings=how) as again:
                    again.wait_for("price")
                    assert "approved: buy 0.5 BTC-USDT-SWAP market" in asks(screen, "y", "> ")
                    assert held(tmp_path, how) == [("BTC-USDT-SWAP", "0.5")]


def _on_record(place: Path, how: dict[str, str], server: Models) -> None:
    """What was said can be had again, found and gone on with; without a terminal nobody is taken to have said yes."""
    again = kokex(place, "chat", "--resume", "1", "buy", settings=how)
    assert (again.code, "Nobody is there to say yes: nothing was done" in again.err) == (0, True)
    told = server.seen[-2]["messages"][-1]["content"]
    assert "[the person confirmed: buy instrument=BTC-USDT-SWAP size=0.5; approved and sent]" in told
    bought = kokex(place, "trades", "--json", settings=how).json()["trades"][0]["client_id"]
    why = kokex(place, "explain", bought, settings=how).out
    assert "local said: buy instrument=BTC-USDT-SWAP size=0.5" in why
    assert "local asked for it in conversation 1: buy" in why
    answer = kokex(place, "chat", "hello", "--json", settings=how).json()
    assert (answer["conversation"], answer["text"][:12], answer["tools"]) == (2, "Good morning", [])
    listed = kokex(place, "chat", "--search", "place_order max_order_pct", "--json", settings=how)
    assert [each["id"] for each in listed.json()["conversations"]] == []
    listed = kokex(place, "chat", "--search", "max_order_pct", "--json", settings=how).json()["conversations"]
    assert [(each["id"], each["type"], each["opening"]) for each in listed] == [(1, "manual_chat", "hello")]
    calls = kokex(place, "brain", "calls", "--purpose", "chat", "--json", settings=how).json()["calls"]
    assert len(calls) == len(server.seen), "the ledger knows every request that the server saw"


def test_what_is_missing_is_said_in_a_line(tmp_path: Path) -> None:
    ended = kokex(tmp_path, "chat", "hello", settings=CALM)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("kokex: no daemon is running on data/kokex.db; start one with `")
    with daemon(tmp_path, settings={**CALM, "KOKEX__LLM__PROVIDER": ""}) as running:
        running.wait_for("price")
        for words in (("chat",), ("chat", "hello"), ("chat", "hello", "--json")):
            ended = kokex(tmp_path, *words, settings=CALM)
            assert (ended.code, ended.out) == (1, "")
            assert "no language model is configured: name one in [llm] of config.toml" in ended.err
        assert running.end() == 0
    ended = kokex(tmp_path, "chat", "--list", "hello", settings=CALM)
    assert (ended.code, "take neither a question nor --resume" in ended.err) == (2, True)
