"""From the socket to the decision: the real SDKs, the ledger and the brain, against every kind of answer."""

import json
from functools import partial
from typing import Any

import anyio
import pytest

from actors.brain import Brain
from actors.llm import Caller
from actors.thinking import Settings, Thinking
from kokex.adapters.host.clock import moment
from kokex.adapters.llm.client import Providers
from kokex.adapters.sqlite import llm_calls
from kokex.brain.models import endpoint
from kokex.brain.wording import Wording, builtin
from kokex.config import Brain as BrainTable
from kokex.config import Llm
from kokex.messages import Decision, Moment, Prompt, Sent
from tests.actors.desk import BTC, ETH, INSTRUMENTS, Desk, memory, plan
from tests.actors.test_thinking import briefing, item
from tests.loopback.models import Act, models

live = partial(anyio.run, backend="asyncio")


class Bridge:
    """The real port, for a test without an event loop: each request runs on one of its own."""

    def __init__(self, config: Llm) -> None:
        self._endpoints = [endpoint(each) for each in config.chain]

    async def moment(self) -> Moment:
        return moment()

    async def send(self, provider: str, prompt: Prompt, timeout_s: float) -> Sent:
        async def one() -> Sent:
            port = Providers(self._endpoints, {})
            try:
                return await port.send(provider, prompt, timeout_s)
            finally:
                await port.close()

        return live(one)


def whole(*items: Any) -> str:
    return json.dumps({"decisions": items, "note": ""})


GOOD = whole(item(), item(ETH, "close", why=""))
BAD_ITEM = {**item(), "act": "BUY"}
RULES = ("hold", "close")  # the strategies are flat: they want no position
# what is answered -> (what is decided of BTC and ETH, who decides, requests in all)
CASES: dict[str, tuple[Act, tuple[str, str], str, int]] = {
    "a good answer": (Act(text=GOOD), ("open_long", "close"), "llm", 1),
    "429 with retry-after": (Act(status=429, headers={"retry-after": "9"}), RULES, "rules", 1),
    "429 without": (Act(status=429), RULES, "rules", 1),
    "500": (Act(status=500), RULES, "rules", 1),
    "529": (Act(status=529), RULES, "rules", 1),
    "slow": (Act(text=GOOD, slow_s=3.0), RULES, "rules", 1),
    "cut off": (Act(text=GOOD, cut=True), RULES, "rules", 1),
    "10 MB": (Act(text=GOOD + " " * 10_000_000), RULES, "rules", 1),
    "not of this wire": (Act(raw=b"<html>"), RULES, "rules", 1),
    "empty": (Act(text=""), ("hold", "hold"), "llm", 2),
    "fenced": (Act(text=f"```json\n{GOOD}\n```"), ("hold", "hold"), "llm", 2),
    "prose around it": (Act(text=f"Sure! {GOOD} Good luck."), ("hold", "hold"), "llm", 2),
    "NaN": (Act(text=GOOD.replace("96.0", "NaN")), ("hold", "hold"), "llm", 2),
    "cut by length": (Act(text=GOOD, stop="length"), ("hold", "hold"), "llm", 2),
    "a wrong enum": (Act(text=whole(BAD_ITEM, item(ETH, "close", why=""))), ("hold", "close"), "llm", 1),
    "a wrong symbol": (Act(text=whole(item("ABCD"), item(ETH, "close", why=""))), ("hold", "close"), "llm", 1),
    "a duplicate": (Act(text=whole(item(), item(), item(ETH, "close", why=""))), ("hold", "close"), "llm", 1),
    "an invented number": (Act(text=whole(item(why="rsi 83"))), ("hold", "hold"), "llm", 1),
    "a size": (Act(text=whole({**item(), "size": 1e9})), ("hold", "hold"), "llm", 1),
}  # fmt: skip


@pytest.mark.parametrize("api", ["anthropic", "openai"])
@pytest.mark.parametrize("case", CASES)
def test_every_answer_is_decided_on_safely_and_counted_exactly(case: str, api: Any) -> None:
    act, acts, by, requests = CASES[case]
    with models(lambda _: act) as server:
        config = Llm(provider=api, model="m", base_url=server.url, rpd=0, timeout_s=0.5 if act.slow_s else 20)
        store = memory()
        plans = (plan(instruments=(BTC, ETH), brain=BrainTable(kind="llm", strategies=("sma_cross",))),)
        thinking = Thinking(Settings(config, Wording(builtin()), {"main": 12.0}), INSTRUMENTS)
        brain = Brain(plans, INSTRUMENTS, store, thinking)
        desk = Desk({"llm": Caller(config, Bridge(config), store), "brain": brain}, store=store)
        desk.tell("brain", briefing(ETH, BTC, held=3, at=desk.now))
        got = {each.instrument: each for each in desk.take(Decision)}
        assert ((got[BTC].act, got[ETH].act), got[BTC].by) == (acts, by)
        assert len(server.seen) == requests
        rows = store.ask(llm_calls.newest(100))
        assert len(rows) == requests, "the ledger has exactly what the server saw"
        assert all(row.state in {"ok", "failed"} for row in rows)
