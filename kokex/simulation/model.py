"""A language model outside the process: it counts what it is sent, and answers well, badly, late or not at all.

The clocks of the machine are here too. People set the system clock; the one that only runs cannot be set.
"""

import json
import re
from random import Random
from typing import Any, Protocol, final

import anyio

from kokex.brain.answer import ACTS, HORIZONS
from kokex.messages import Fault, Moment, Prompt, Reply, Sent
from kokex.simulation.faults import SECOND, Faults

HOUR_NS = 3600 * SECOND
STEPS_NS = (-20 * HOUR_NS, -HOUR_NS, HOUR_NS, 9 * HOUR_NS, 40 * HOUR_NS)
GARBAGE = ("", "I would buy.", "{}", '{"decisions": [{"symbol": "ABCD"}], "note": ""}', "[" * 5000)
REFUSALS = (
    Fault(kind="rate_limited", status=429, text="requests per minute"),
    Fault(kind="rate_limited", status=429, text="slow down", retry_after_s=20.0),
    Fault(kind="server_error", status=500, text="oops"),
    Fault(kind="overloaded", status=529, text="overloaded"),
)


class Outside(Protocol):
    """What the model needs of the world."""

    faults: Faults

    def now(self) -> int: ...
    def danger(self) -> None: ...
    def asked(self, at: int) -> None:
        """A request has arrived."""
        ...


@final
class SimulatedModel:
    """`kokex.ports.Llm`. It outlives processes."""

    def __init__(self, world: Outside, chance: Random, began_ns: int) -> None:
        self._world = world
        self._chance = chance
        self._began_ns = began_ns
        self._stepped_ns = 0
        self._looked = False

    async def moment(self) -> Moment:
        """A clock that was wrong before anybody looked, and stays so, nobody can tell from one that is right."""
        if self._looked and self._world.faults.strikes("clock_step"):
            self._stepped_ns = self._chance.choice(STEPS_NS)
        self._looked = True
        return self._moment()

    def _moment(self) -> Moment:
        now = self._world.now()
        return Moment(now + self._stepped_ns, now - self._began_ns, "machine")

    async def send(self, provider: str, prompt: Prompt, timeout_s: float) -> Sent:
        world, faults = self._world, self._world.faults
        world.danger()  # reserved, and not sent
        await anyio.sleep(faults.between(0.01, 0.2) / SECOND)
        world.asked(world.now())
        outcome: Reply | Fault = Reply(text=self._answer(prompt), stop="end", model=provider, input_tokens=900)
        match faults.first_of("model_fault", "model_garbage", "model_silence"):
            case "model_fault":
                outcome = self._chance.choice(REFUSALS)
            case "model_garbage":
                outcome = Reply(text=self._chance.choice(GARBAGE), stop="end", model=provider)
            case "model_silence":
                await anyio.sleep(timeout_s + 1)
                outcome = Fault(kind="timeout")
            case _:
                await anyio.sleep(faults.between(0.5, 15.0) / SECOND)
        world.danger()  # sent, and not recorded
        return Sent(outcome, self._moment(), 1000)

    def _answer(self, prompt: Prompt) -> str:
        """Something of everything, mostly sound."""
        chance, text = self._chance, prompt.turns[0].text
        items: list[dict[str, Any]] = []
        for block in text.split("## ")[1:]:
            price, atr = _number(r"price ([\d.]+)", block), _number(r"atr ([\d.]+)", block)
            act = chance.choice(ACTS)
            away = 2 * atr if chance.random() < 0.9 else 50 * atr
            items.append(
                {
                    "symbol": block.split("\n", 1)[0], "act": act, "conviction": chance.randrange(1, 6),
                    "horizon_h": chance.choice(HORIZONS), "target": None, "refs": [],
                    "invalidation": price - away if act == "open_long" else price + away,
                    "why": "" if chance.random() < 0.9 else "support at 123456.7",
                }
            )  # fmt: skip
        return json.dumps({"decisions": items, "note": ""})


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    return float(found[1]) if found else 1.0
