"""brain: what to want.

Holds which signals each plan has traded on. Receives a Briefing, emits a Decision for each of its instruments, and
hears of each Fill what became of it. It proposes: it never sizes and never sends. This is the brain `rules`, where
the plan's strategies vote (kokex/brain/rules.py).
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from kokex.brain.rules import Wish, agreeing, is_stale, now_spent, vote
from kokex.config import Plan
from kokex.kernel.actor import Actor
from kokex.messages import Alert, Briefing, Decision, Fill, Instrument, Prompt, Readings
from kokex.ports import Saved, Store

ZERO = Decimal(0)

Key = tuple[str, str]  # plan, instrument


class Brain(Actor):
    emits = (Decision, Alert)
    asks = (Prompt,)
    state = list[tuple[Key, dict[str, int]]]

    def __init__(self, plans: Sequence[Plan], instruments: Mapping[str, Instrument], store: Store) -> None:
        self._plans = {plan.name: plan for plan in plans}
        self._instruments = instruments
        self._store = store
        self._spent: dict[Key, dict[str, int]] = {}  # strategy -> side, of signals traded on that still last
        self._asked: dict[Key, tuple[int, dict[str, int]]] = {}  # the last entry wanted: decision, strategy -> side

    async def load(self) -> list[tuple[Key, dict[str, int]]]:
        keys = [(plan.name, instrument) for plan in self._plans.values() for instrument in plan.instruments]
        kept = [(key, await self._store.saved(_name(key))) for key in keys]
        return [(key, msgspec.msgpack.decode(body, type=dict[str, int])) for key, body in kept if body]

    def start(self, state: list[tuple[Key, dict[str, int]]]) -> None:
        self._spent = dict(state)

    def on_briefing(self, briefing: Briefing) -> None:
        plan = self._plans[briefing.plan]
        if self.now > briefing.deadline_ns > 0:
            text = f"the briefing of plan {plan.name} came too late to decide on"
            self.emit(Alert(severity="warning", kind="brain", text=text, plan=plan.name))
            return
        for reading in briefing.readings:
            if is_stale(self.now, reading.close_ns, plan.timeframe_ns, plan.risk.stale_s):
                reason = f"the last candle of {reading.instrument} is too old to decide on"
                self._decide(plan, briefing, reading, Wish("hold", 1, None, (reason,)))
            else:
                self._consider(plan, briefing, reading)

    def _consider(self, plan: Plan, briefing: Briefing, reading: Readings) -> None:
        key, signals = (plan.name, reading.instrument), reading.signals
        held = briefing.held.get(reading.instrument, ZERO)
        before = self._spent.get(key, {})
        spent = now_spent(before, signals, held)
        if spent != before:
            self._spend(key, spent)
        may_short = self._instruments[reading.instrument].kind == "swap"
        wish = vote(signals, held, may_short=may_short, min_conviction=plan.brain.min_conviction, spent=spent)
        decision = self._decide(plan, briefing, reading, wish)
        if wish.act in {"open_long", "open_short"}:
            self._asked[key] = (decision, agreeing(signals, 1 if wish.act == "open_long" else -1))

    def _decide(self, plan: Plan, briefing: Briefing, reading: Readings, wish: Wish) -> int:
        return self.emit(
            Decision(
                plan=plan.name,
                account=plan.account,
                instrument=reading.instrument,
                act=wish.act,
                conviction=wish.conviction,
                horizon_s=plan.forecast.horizon * plan.timeframe_ns // 1_000_000_000,
                price=reading.price,
                invalidation=wish.invalidation,
                reasons=wish.reasons,
                cycle=briefing.cycle,
                deadline_ns=briefing.deadline_ns,
                atr=reading.values.get("atr"),
            )
        )

    # ---- what became of it

    def on_fill(self, fill: Fill) -> None:
        """An entry that filled, in part or whole, has spent its signals; one that was refused has not."""
        key = (fill.plan, fill.instrument)
        asked = self._asked.get(key)
        if asked and asked[0] == fill.decision:
            del self._asked[key]
            self._spend(key, asked[1])

    def _spend(self, key: Key, what: dict[str, int]) -> None:
        self._spent[key] = what
        self._store.append(Saved(key=_name(key), body=msgspec.msgpack.encode(what)))


def _name(key: Key) -> str:
    return f"spent[{key[0]}/{key[1]}]"
