"""brain: what to want.

Holds which signals each plan has traded on, and what models last said. Receives a Briefing, emits a Decision for each
of its instruments, and hears of each Fill what became of it. It proposes: it never sizes and never sends.

rules  the plan's strategies vote (kokex/brain/rules.py).
llm    one question to a model for all instruments of the briefing; its answer is held against what it was shown
       (kokex/brain/answer.py). No answer: the last one while it is fresh, else the strategies. One that cannot be read:
       nothing is opened and nothing is closed.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial

import msgspec
from msgspec import Struct

from actors.thinking import Answer, Thinking, same_as
from kokex.brain.answer import Judged, Unreadable
from kokex.brain.prompt import Composed
from kokex.brain.rules import Wish, agreeing, is_stale, now_spent, vote
from kokex.brain.wording import CORE
from kokex.config import Plan
from kokex.kernel.actor import Actor
from kokex.kernel.cell import Failure
from kokex.messages import Alert, Answered, Briefing, Decision, Fill, Instrument, Prompt, Readings, Severity
from kokex.ports import Saved, Store

ZERO = Decimal(0)

ENTRIES = frozenset({"open_long", "open_short"})
LEFT_OUT = "left out: the prompt would have been too long"
TEXTS = "texts of prompts"
ANSWER_S = 60.0  # for an answer to a briefing without a deadline

Key = tuple[str, str]  # plan, instrument


class Question(Struct, frozen=True):
    """A briefing that a model is asked about."""

    plan: Plan
    briefing: Briefing
    readings: Mapping[str, Readings]  # by instrument
    composed: Composed
    thinking: Thinking

    @property
    def key(self) -> tuple[str, str]:
        return self.plan.name, same_as(self.composed)


class Kept(Struct, frozen=True):
    """What a restart must not forget."""

    spent: list[tuple[Key, dict[str, int]]] = []
    texts: dict[str, str] | None = None  # versions of the prompts' texts; None: no model was asked before


class Brain(Actor):
    emits = (Decision, Alert)
    asks = (Prompt,)
    state = Kept

    def __init__(
        self,
        plans: Sequence[Plan],
        instruments: Mapping[str, Instrument],
        store: Store,
        thinking: Thinking | None = None,
    ) -> None:
        """`thinking` None: a plan that wants a model is decided by its strategies."""
        self._plans = {plan.name: plan for plan in plans}
        self._instruments = instruments
        self._store = store
        self._spent: dict[Key, dict[str, int]] = {}  # strategy -> side, of signals traded on that still last
        self._thinking = thinking
        self._entries: dict[Key, tuple[int, Answer]] = {}  # the last entry wanted on a model's word
        self._open: dict[tuple[str, str], list[Question]] = {}  # under way, with those that came since and are the same
        self._asked: dict[Key, tuple[int, dict[str, int]]] = {}  # the last entry wanted: decision, strategy -> side

    async def load(self) -> Kept:
        keys = [(plan.name, instrument) for plan in self._plans.values() for instrument in plan.instruments]
        kept = [(key, await self._store.saved(_name(key))) for key in keys]
        spent = [(key, msgspec.msgpack.decode(body, type=dict[str, int])) for key, body in kept if body]
        texts = await self._store.saved(TEXTS) if self._thinking else None
        return Kept(spent, msgspec.msgpack.decode(texts, type=dict[str, str]) if texts else None)

    def start(self, state: Kept) -> None:
        self._spent = dict(state.spent)
        if self._thinking and (now := self._thinking.texts) != state.texts:
            self._store.append(Saved(key=TEXTS, body=msgspec.msgpack.encode(now)))
            before = state.texts or now
            for name in sorted(now):
                if (was := before.get(name, "none")) != now[name]:
                    text = f"the text {name} was changed by hand: version {was} before, {now[name]} from now on"
                    self.emit(Alert(severity="warning" if name in CORE else "info", kind="brain", text=text))

    def on_briefing(self, briefing: Briefing) -> None:
        plan, now = self._plans[briefing.plan], self.now
        if now > briefing.deadline_ns > 0:
            self._say(plan, f"the briefing of plan {plan.name} came too late to decide on")
            return
        fresh: list[Readings] = []
        for reading in briefing.readings:
            if is_stale(now, reading.close_ns, plan.timeframe_ns, plan.risk.stale_s):
                self._hold(plan, briefing, reading, f"the last candle of {reading.instrument} is too old to decide on")
            else:
                fresh.append(reading)
        if plan.brain.kind == "llm" and self._thinking and fresh:
            self._think(plan, briefing, fresh, self._thinking)
        else:
            for reading in fresh:
                self._consider(plan, briefing, reading)

    # ---- a model

    def _think(self, plan: Plan, briefing: Briefing, readings: Sequence[Readings], thinking: Thinking) -> None:
        parts, left_out = thinking.compose(plan, briefing, readings)
        self._tell(plan, [thinking.split(plan, parts, left_out)], "info")
        of = {each.instrument: each for each in readings}
        for symbol in left_out:
            self._hold(plan, briefing, of[symbol], LEFT_OUT)
        for number, composed in enumerate(parts, 1):
            if same := thinking.unchanged(plan, composed):
                self._follow(plan, briefing, of, thinking.judge(plan, same, composed), same)
            else:
                question = Question(plan, briefing, of, composed, thinking)
                others = self._open.setdefault(question.key, [])
                others.append(question)
                if len(others) == 1:  # else the answer to the first is the answer to all
                    self._ask(question, thinking.prompt(plan, briefing, composed, number, len(parts)))

    def _ask(self, question: Question, prompt: Prompt) -> None:
        left_s = max(0.0, (prompt.deadline_ns - self.now) / 1e9) if prompt.deadline_ns else ANSWER_S
        self.ask("llm", prompt, then=partial(self._answered, question, prompt), timeout_s=left_s)

    def _answered(self, question: Question, prompt: Prompt, answered: Answered | Failure) -> None:
        plan, briefing, thinking = question.plan, question.briefing, question.thinking
        if self.now >= briefing.deadline_ns > 0:
            self._abstain(question, "the model's answer came too late")
            return
        if isinstance(answered, Failure) or answered.reply is None:
            why = answered.text if isinstance(answered, Failure) else answered.why
            repairing = len(prompt.turns) > len(question.composed.turns)
            if prompt.part > 1 and not repairing and isinstance(answered, Answered) and answered.refused:
                self._abstain(question, f"{LEFT_OUT}, and {why}")
            else:
                self._fall_back(question, why, repairing=repairing)
            return
        try:
            answer = thinking.heard(plan, question.composed, answered, self.now)
        except Unreadable as error:
            self._tell(plan, thinking.count(None))
            if again := thinking.once_more(prompt, answered.reply, str(error)):
                self._ask(question, again)
            else:
                self._abstain(question, f"the model's answer could not be read: {error}", answered.call)
            return
        for each in self._open.pop(question.key):
            judged = thinking.judge(plan, answer, each.composed)
            if each is question:
                self._tell(plan, thinking.count(judged))
                self._tell(plan, [thinking.decided_by(plan, "model")], "info")
            self._follow(plan, each.briefing, each.readings, judged, answer)

    def _abstain(self, question: Question, reason: str, call: int = 0) -> None:
        """Nothing is opened, nothing is closed."""
        for each in self._open.pop(question.key):
            for symbol in each.composed.shown:
                self._hold(each.plan, each.briefing, each.readings[symbol], reason, by="llm", call=call)

    def _fall_back(self, question: Question, why: str, *, repairing: bool) -> None:
        plan, thinking = question.plan, question.thinking
        if repairing:
            self._abstain(question, "the model's answer could not be read, nor asked for again")
            return
        last = thinking.lasting(plan, question.composed, self.now)
        self._tell(plan, [thinking.decided_by(plan, "last answer" if last else "rules", why)])
        for each in self._open.pop(question.key):
            if last:
                self._follow(plan, each.briefing, each.readings, thinking.judge(plan, last, each.composed), last)
                continue
            for symbol in each.composed.shown:
                self._consider(plan, each.briefing, each.readings[symbol])

    def _follow(
        self, plan: Plan, briefing: Briefing, readings: Mapping[str, Readings], judged: Sequence[Judged], answer: Answer
    ) -> None:
        for each in judged:
            wish = Wish(each.act, each.conviction, each.invalidation, each.reasons)
            reading = readings[each.symbol]
            decision = self._decide(plan, briefing, reading, wish, horizon_s=each.horizon_s, by="llm", call=answer.call)
            if each.act in ENTRIES:
                self._entries[plan.name, each.symbol] = (decision, answer)

    # ---- the strategies

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
        if wish.act in ENTRIES:
            self._asked[key] = (decision, agreeing(signals, 1 if wish.act == "open_long" else -1))

    def _hold(
        self, plan: Plan, briefing: Briefing, reading: Readings, reason: str, *, by: str = "rules", call: int = 0
    ) -> None:
        self._decide(plan, briefing, reading, Wish("hold", 1, None, (reason,)), by=by, call=call)

    def _decide(
        self, plan: Plan, briefing: Briefing, reading: Readings, wish: Wish, *,
        horizon_s: int = 0, by: str = "rules", call: int = 0,
    ) -> int:  # fmt: skip
        return self.emit(
            Decision(
                plan=plan.name,
                account=plan.account,
                instrument=reading.instrument,
                act=wish.act,
                conviction=wish.conviction,
                horizon_s=horizon_s or plan.forecast.horizon * plan.timeframe_ns // 1_000_000_000,
                price=reading.price,
                invalidation=wish.invalidation,
                reasons=wish.reasons,
                cycle=briefing.cycle,
                deadline_ns=briefing.deadline_ns,
                atr=reading.values.get("atr"),
                by=by,
                call=call,
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
        entry = self._entries.get(key)
        if entry and entry[0] == fill.decision:
            del self._entries[key]
            entry[1].spent.add(fill.instrument)

    def _spend(self, key: Key, what: dict[str, int]) -> None:
        self._spent[key] = what
        self._store.append(Saved(key=_name(key), body=msgspec.msgpack.encode(what)))

    # ---- people

    def _tell(self, plan: Plan, texts: Sequence[str], severity: Severity = "warning") -> None:
        for text in texts:
            if text:
                self._say(plan, text, severity)

    def _say(self, plan: Plan, text: str, severity: Severity = "warning") -> None:
        self.emit(Alert(severity=severity, kind="brain", text=text, plan=plan.name))


def _name(key: Key) -> str:
    return f"spent[{key[0]}/{key[1]}]"
