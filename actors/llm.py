"""llm: the one who speaks to language models, and keeps the ledger.

Holds the ledger and who waits. Answers Prompt (from brain, chat and whoever else thinks with a model): reserves a
request in the ledger and brings that to disk, sends it once, puts on record what came, and goes on to the next
provider when it failed. One request at a time. Emits an LlmCall before and after each request, and an Allowance for
the scheduler whenever the ledger has changed its mind.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from kokex.brain.fingerprint import fingerprint
from kokex.brain.ledger import (
    FORGOTTEN_NS,
    MINUTE,
    PURPOSES,
    Budget,
    Ledger,
    Wait,
    until_reset_s,
)
from kokex.brain.models import Endpoint, endpoint, tokens
from kokex.brain.pauses import UNTIL_RESET_S, pause_s
from kokex.brain.rates import Rate
from kokex.config import Llm as LlmConfig
from kokex.kernel.actor import DEFERRED, Actor
from kokex.kernel.cell import Failure
from kokex.messages import Alert, Allowance, Answered, Fault, LlmCall, Moment, Prompt, Purpose, Reply, Sent
from kokex.ports import Llm, Saved, Store
from kokex.present.words import apart

CLOCK = "llm.clock"
COMMIT_S = 5.0
CLOCK_S = 5.0
SPARE_S = 10.0  # for the import of an SDK before the first request
LEAST_S = 1.0  # of a deadline that is worth a request
NONE_TO_SPARE = Wait(MINUTE, "no request to spare for another part of a question")
ALLOWED: tuple[Purpose, ...] = ("scheduled", "event")
# Who comes first when several wait.
ORDER: Mapping[Purpose, int] = {"event": 0, "scheduled": 1, "chat": 2, "news": 3, "research": 4}


class Kept(Struct, frozen=True):
    """What is on record."""

    calls: list[LlmCall]
    first: Moment | None  # of this boot


@final
class Job:
    """A prompt under way."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self.tried: set[str] = set()
        self.faults: list[Fault] = []


class Caller(Actor):
    emits = (LlmCall, Allowance, Alert)
    state = Kept

    def __init__(
        self, config: LlmConfig, llm: Llm | None, store: Store, speed: float = 1.0, *, forgetful: bool = False
    ) -> None:
        """No `llm`: every prompt is refused. `speed` is that of trading time: a model does not think faster for it."""
        made = [endpoint(each) for each in config.chain] if llm else []
        self._endpoints = {each.name: each for each in made}
        self._ledger = Ledger({each.name: each.quota for each in made}, budget_of(config))
        self._llm = llm
        self._store = store
        self._speed = speed
        self._forgetful = forgetful  # a planted bug: the ledger is not read at a start
        self._waiting: list[Job] = []
        self._job: Job | None = None
        self._allowed: dict[Purpose, int] = {}
        self._silent: set[str] = set()  # providers whose failure was told
        self._clock_told = False  # that it is wrong
        self._limited = Rate("answered with 429, slow down", worst=0.3)

    async def load(self) -> Kept:
        if self._llm is None:
            return Kept([], None)
        now = await self._llm.moment()
        body = await self._store.saved(CLOCK)
        first = msgspec.msgpack.decode(body, type=Moment) if body else None
        if first is None or first.boot != now.boot:
            first = now
            self._store.append(Saved(key=CLOCK, body=msgspec.msgpack.encode(now)))
            await self._store.commit()
        return Kept(await self._store.llm_calls(FORGOTTEN_NS), first)

    def start(self, state: Kept) -> None:
        if not self._forgetful:
            self._ledger.load(state.calls, state.first)
        if self._llm:
            self._allow_soon()

    # ---- one at a time

    def on_prompt(self, prompt: Prompt) -> Any:
        if not self._endpoints:
            return Answered(why="no provider is configured", refused=True)
        if self.draining:
            return Answered(why="the daemon is stopping", refused=True)
        self._waiting.append(Job(prompt))
        self._next()
        return DEFERRED

    def _next(self) -> None:
        if self._job is None and self._waiting:
            self._job = min(self._waiting, key=lambda job: ORDER[job.prompt.purpose])
            self._waiting.remove(self._job)
            self._weigh_soon(self._job)

    def _done(self, job: Job, answer: Answered) -> None:
        self._job = None
        self.reply(job.prompt.id, replace(answer, faults=tuple(job.faults)))
        self._next()

    # ---- may it be asked, and whom

    def _weigh(self, job: Job, now: Moment) -> None:
        prompt, left_s = job.prompt, self._left_s(job.prompt)
        if left_s < LEAST_S:
            self._done(job, Answered(why="the time for an answer had passed before it could be asked"))
            return
        waits: list[tuple[Wait, str]] = []
        for each in self._endpoints.values():
            if each.name in job.tried:
                continue
            usd = each.at_most(_size(prompt), prompt.max_tokens)
            wait = self._ledger.wait(each.name, prompt.purpose, usd, now)
            if not wait.ns and prompt.part > 1 and not self._ledger.can_spare(each.name, prompt.purpose, usd, now):
                wait = NONE_TO_SPARE
            if not wait.ns:
                self._reserve(job, each, now, min(each.timeout_s, left_s))
                return
            waits.append((wait, each.name))
        if not waits:
            last = job.faults[-1]
            self._done(job, Answered(why=f"no provider answered: {last.kind}: {last.text[:120]}"))
            return
        (wait, name) = min(waits, key=lambda each: each[0].ns)
        why = f"the ledger lets no request go for {_span(wait.ns)}: {name}: {wait.why}"
        next_ns = self.now + round(wait.ns * self._speed)
        self._done(job, Answered(why=why, refused=not job.faults, next_ns=next_ns))

    def _left_s(self, prompt: Prompt) -> float:
        """Seconds of the machine's time until the deadline."""
        if not prompt.deadline_ns:
            return max(each.timeout_s for each in self._endpoints.values())
        return (prompt.deadline_ns - self.now) / 1e9 / self._speed

    # ---- reserve, then send

    def _reserve(self, job: Job, to: Endpoint, now: Moment, timeout_s: float) -> None:
        prompt = job.prompt
        job.tried.add(to.name)
        call = LlmCall(
            state="reserved",
            purpose=prompt.purpose,
            plan=prompt.plan,
            provider=to.name,
            model=to.model,
            begun=now,
            within_s=COMMIT_S + SPARE_S + timeout_s,
            usd=to.at_most(_size(prompt), prompt.max_tokens),
            wording=prompt.wording,
            shape=prompt.shape.version if prompt.shape else "",
            prompt=fingerprint(prompt),
            part=prompt.part,
            parts=prompt.parts,
            request=msgspec.json.encode(_asked(prompt)).decode(),
        )
        self.emit(call)
        self._ledger.note(call)
        then = partial(self._send, job, call, to, timeout_s)
        self.call(self._store.commit, returns=None, then=then, timeout_s=COMMIT_S)

    def _send(self, job: Job, call: LlmCall, to: Endpoint, timeout_s: float, outcome: Failure | None) -> None:
        if outcome is not None:  # on disk or not: it is not sent
            self._resolve(_after(call, state="unsent"))
            self._done(job, Answered(why=f"the ledger cannot be written: {outcome.text}"))
            return
        assert self._llm
        self.call(
            self._llm.send, to.name, job.prompt, timeout_s,
            returns=Sent, then=partial(self._sent, job, call, to), timeout_s=timeout_s + SPARE_S,
        )  # fmt: skip

    def _sent(self, job: Job, call: LlmCall, to: Endpoint, sent: Sent | Failure) -> None:
        if not isinstance(sent, Failure) and not self._clock_told and (told := apart(sent.ahead_s, to.name)):
            self._clock_told = True
            self.emit(Alert(severity="warning", kind="clock", text=f"{told}; budgets of a day are counted by it"))
        if isinstance(sent, Failure):  # it may still be under way: it counts for as long as it can arrive
            fault = Fault(kind="timeout", text=sent.text)
            self._failed(job, call, to, fault, None, 0)
        elif isinstance(sent.outcome, Fault):
            self._failed(job, call, to, sent.outcome, sent.ended, sent.took_ms)
        else:
            self._answered(job, call, to, sent.outcome, sent)

    def _answered(self, job: Job, call: LlmCall, to: Endpoint, reply: Reply, sent: Sent) -> None:
        self._resolve(
            _after(
                call, state="ok", ended=sent.ended, took_ms=sent.took_ms, served=reply.model,
                usd=to.cost(reply) if reply.input_tokens else call.usd,
                input_tokens=reply.input_tokens, cached_tokens=reply.cached_tokens,
                output_tokens=reply.output_tokens, answer=msgspec.json.encode(reply).decode(),
            )
        )  # fmt: skip
        self._limited.count(False)
        if to.name in self._silent:
            self._silent.remove(to.name)
            self._say("info", f"{to.name} answers again")
        self._done(job, Answered(reply=reply, call=call.id, provider=to.name, shown=sent.shown))

    def _failed(self, job: Job, call: LlmCall, to: Endpoint, fault: Fault, ended: Moment | None, took_ms: int) -> None:
        blocked_s = pause_s(fault, self._ledger.failures(to.name))
        if blocked_s == UNTIL_RESET_S:
            blocked_s = until_reset_s(to.quota.reset_zone, ended or call.begun)
        self._resolve(
            _after(
                call, state="failed", ended=ended, took_ms=took_ms, fault=fault.kind, status=fault.status,
                blocked_s=blocked_s, answer=msgspec.json.encode(fault).decode(),
            )
        )  # fmt: skip
        job.faults.append(fault)
        if to.name not in self._silent:
            self._silent.add(to.name)
            what = f"{fault.kind.replace('_', ' ')}{f' ({fault.status})' if fault.status else ''}: {fault.text[:200]}"
            text = f"{to.name} did not answer: {what}; it is left alone for {_span(round(blocked_s * 1e9))}"
            self._say("warning", text)
        if told := self._limited.count(fault.kind == "rate_limited"):
            self._say("warning", told)
        self._weigh_soon(job)

    def _resolve(self, call: LlmCall) -> None:
        self.emit(call)
        self._ledger.note(call)
        self._allow_soon()

    # ---- what the scheduler is told

    def _allow(self, now: Moment) -> None:
        """Tells from when on a cycle of each kind can be thought about by a model, when that has changed."""
        for purpose in ALLOWED:
            waits = [
                self._ledger.wait(each.name, purpose, each.at_most(0, 0), now) for each in self._endpoints.values()
            ]
            wait = min(waits, key=lambda each: each.ns)
            not_before_ns = self.now + round(wait.ns * self._speed) if wait.ns else 0
            if not_before_ns != self._allowed.get(purpose, 0):
                self._allowed[purpose] = not_before_ns
                self.emit(Allowance(purpose=purpose, not_before_ns=not_before_ns, why=wait.why))

    # ---- the clock of the machine, which has to be asked for

    def _weigh_soon(self, job: Job) -> None:
        def read(now: Moment | Failure) -> None:
            if isinstance(now, Failure):  # a clock that cannot be read lets nothing go
                self._done(job, Answered(why=f"the clock cannot be read: {now.text}"))
            else:
                self._weigh(job, now)

        self._read_clock(read)

    def _allow_soon(self) -> None:
        def read(now: Moment | Failure) -> None:
            if not isinstance(now, Failure):
                self._allow(now)

        self._read_clock(read)

    def _read_clock(self, then: Callable[[Moment | Failure], object]) -> None:
        assert self._llm
        self.call(self._llm.moment, returns=Moment, then=then, timeout_s=CLOCK_S)

    def _say(self, severity: Any, text: str) -> None:
        self.emit(Alert(severity=severity, kind="llm", text=text))


def budget_of(config: LlmConfig) -> Budget:
    """What [llm] says of money and shares."""
    return Budget(
        usd_per_day=config.usd_per_day,
        usd_per_month=config.usd_per_month,
        shares={each: getattr(config.shares, each) for each in PURPOSES},
    )


def _after(call: LlmCall, **changes: Any) -> LlmCall:
    """The second record of a request."""
    return replace(call, id=0, call=call.id, request="", **changes)


def _asked(prompt: Prompt) -> dict[str, Any]:
    return {
        "system": prompt.system, "turns": prompt.turns, "shape": prompt.shape, "tools": prompt.tools,
        "max_tokens": prompt.max_tokens,
    }  # fmt: skip


def _size(prompt: Prompt) -> int:
    """At most so many tokens go in."""
    return tokens(msgspec.json.encode(_asked(prompt)).decode()) + 200


def _span(ns: int) -> str:
    seconds = ns / 1e9
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
