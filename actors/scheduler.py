"""scheduler: when to think, and about what.

Holds each plan's rhythm. Receives Edge and Readings (an instrument is warm) from the indicator, Link (the market
is silent or back) from the feed, Trained (a model is new) from the trainer, Commands from control; emits Cycle, and
Paused to risk, so that no cycle from before a pause enters after it.

adaptive  a cycle every `long_s`, every `short_s` once an edge came, back after `calm_s` without one. Edges wait
          `grace_s` for company: one cycle for all, the most significant first, the same edge once in `cooldown_s`.
          A strategy's signal under `rules` does not wait: a decision on a close can then fill at the next open.
realtime  a cycle every `realtime_s` for all instruments (or one each), edges or not.
daily     a cycle per market at each session.

In every mode the first cycle follows `FIRST_CYCLE_S` after the first instrument is warm.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, final

from msgspec.structs import replace

from actors import pausing
from actors.pausing import Kept
from actors.thinking import purpose_of
from kokex.config import Plan
from kokex.kernel.actor import DEFERRED, Actor
from kokex.kernel.cell import Failure, Timer
from kokex.market.calendars import next_session, session_times
from kokex.messages import Alert, Allowance, Command, Cycle, Edge, Link, Paused, Readings, Trained
from kokex.ports import Store

RECORDING = "recording"  # who commands the cycles of recorded answers
MODES = ("adaptive", "realtime", "daily")
FIRST_CYCLE_S = 2.0  # so that the other instruments can be warm too
DEADLINE_S = 60.0  # an answer to a cycle that comes later is stale
MARKET_GAP_S = 2.0  # between the markets of a session: each has a question to the model of its own
COMMIT_S = 5.0  # what a person said is confirmed once it is on disk
MIDNIGHT_NS = 0
MINUTE_NS = 60_000_000_000
LONG_AGO_NS = -(1 << 62)


@final
class Rhythm:
    """One plan's state."""

    def __init__(self, plan: Plan, markets: Mapping[str, Sequence[str]]) -> None:
        self.plan = plan
        self.markets = markets  # market -> instruments
        self.enabled = plan.enabled
        self.warm = False
        self.pending: dict[tuple[str, str, str], Edge] = {}  # wait for company, the newest of a key
        self.accepted: dict[tuple[str, str, str], int] = {}  # key of an edge -> when it last woke somebody
        self.grace: Timer | None = None
        self.next: Timer | None = None
        self.last_edge_ns = LONG_AGO_NS

    def set_mode(self, kind: str) -> None:
        self.plan = replace(self.plan, mode=replace(self.plan.mode, kind=kind))

    def cadence_s(self, now: int) -> float:
        mode = self.plan.mode
        return mode.short_s if now - self.last_edge_ns < mode.calm_s * 1e9 else mode.long_s


class Scheduler(Actor):
    emits = (Cycle, Paused, Alert)
    state = Kept

    def __init__(self, plans: Sequence[Plan], markets: Callable[[str], str], store: Store, speed: float = 1.0) -> None:
        """`markets` names the trading calendar of an instrument. `speed` of trading time: no model thinks faster."""
        self._speed = max(1.0, speed)
        self._store = store
        self._paused = False
        self._said: dict[str, bool] = {}  # plan -> started or stopped by a person
        self._modes: dict[str, str] = {}  # plan -> kind set by a person
        self._market_up = True
        self._allowed: dict[str, int] = {}  # purpose -> from when on a model may be asked
        self._rhythms: dict[str, Rhythm] = {}
        for plan in plans:
            by_market: dict[str, list[str]] = {}
            for instrument in plan.instruments:
                by_market.setdefault(markets(instrument), []).append(instrument)
            self._rhythms[plan.name] = Rhythm(plan, by_market)

    async def load(self) -> Kept:
        return await pausing.kept(self._store)

    def start(self, state: Kept) -> None:
        self._paused, self._said, self._modes = state.paused, dict(state.plans), dict(state.modes)
        for name, rhythm in self._rhythms.items():
            rhythm.enabled = self._said.get(name, rhythm.enabled)
            if name in self._modes:
                rhythm.set_mode(self._modes[name])

    # ---- what wakes

    def on_readings(self, readings: Readings) -> None:
        """An instrument is warm; the first of its plan starts the clock."""
        rhythm = self._rhythms[readings.plan]
        if rhythm.warm:
            return
        rhythm.warm = True
        if rhythm.plan.mode.long_s > 0:  # else only edges wake it (a backtest)
            rhythm.next = self.later(FIRST_CYCLE_S, self._timed, rhythm, "first")

    def on_edge(self, edge: Edge) -> None:
        """Only where it may wake somebody; that a threshold was released does not."""
        rhythm = self._rhythms[edge.plan]
        if edge.kind == "calm" or rhythm.plan.mode.kind != "adaptive" or self._obstacle(rhythm):
            return
        signal = edge.kind == "signal"
        if not signal and not self._fresh(rhythm, edge):
            return
        self._liven(rhythm)
        rhythm.pending[edge.key] = edge
        if signal and rhythm.plan.brain.kind == "rules":
            if rhythm.grace:
                rhythm.grace.cancel()
            rhythm.grace = self.soon(self._woken, rhythm, "signal")  # with all the signals of this instant
        elif rhythm.grace is None:
            rhythm.grace = self.later(rhythm.plan.mode.grace_s, self._woken, rhythm, "edge")

    def _fresh(self, rhythm: Rhythm, edge: Edge) -> bool:
        """Not the same edge again within the cooldown."""
        before = rhythm.accepted.get(edge.key, LONG_AGO_NS)
        if edge.close_ns - before < rhythm.plan.mode.cooldown_s * 1e9:
            return False
        rhythm.accepted[edge.key] = edge.close_ns
        return True

    def _liven(self, rhythm: Rhythm) -> None:
        """From the long rhythm to the short one."""
        rhythm.last_edge_ns = self.now
        if rhythm.next and rhythm.next.due_ns - self.now > rhythm.plan.mode.short_s * 1e9:
            self._arm(rhythm)

    def on_link(self, link: Link) -> None:
        self._market_up = link.up

    def on_allowance(self, allowance: Allowance) -> None:
        self._allowed[allowance.purpose] = allowance.not_before_ns

    def on_trained(self, trained: Trained) -> None:
        """Who forecasts may have changed: think again."""
        for rhythm in self._rhythms.values():
            self._cycle(rhythm, "trained", rhythm.plan.instruments, note=trained.version.name)

    # ---- cycles

    def _woken(self, rhythm: Rhythm, why: Any) -> None:
        if (not_before_ns := self._not_before(rhythm, why)) > self.now:
            rhythm.grace = self.at(not_before_ns, self._woken, rhythm, why)
            return
        edges = list(rhythm.pending.values())
        if len(edges) > 1:
            edges.sort(key=lambda edge: (-edge.score, edge.id))
        rhythm.pending.clear()
        rhythm.grace = None
        instruments = tuple(dict.fromkeys([edge.instrument for edge in edges]))
        self._cycle(rhythm, why, instruments, edges=tuple([edge.id for edge in edges]), note=edges[0].note)

    def _timed(self, rhythm: Rhythm, why: Any) -> None:
        mode = rhythm.plan.mode
        if mode.kind == "daily":
            gap_s = MARKET_GAP_S * self._speed if rhythm.plan.brain.kind == "llm" else 0.0
            for number, market in enumerate(rhythm.markets):
                if number and gap_s:
                    self.later(number * gap_s, self._session, rhythm, why, market)
                else:
                    self._session(rhythm, why, market)
        elif (not_before_ns := self._not_before(rhythm, why)) > self.now:
            if rhythm.next:
                rhythm.next.cancel()
            rhythm.next = self.at(not_before_ns, self._timed, rhythm, why)
            return
        elif mode.kind == "realtime" and mode.per_instrument:
            for instrument in rhythm.plan.instruments:
                self._cycle(rhythm, why, (instrument,))
        else:
            self._cycle(rhythm, why, rhythm.plan.instruments)
        self._arm(rhythm)

    def _session(self, rhythm: Rhythm, why: Any, market: str) -> None:
        """A market's cycle of a daily session."""
        if (not_before_ns := self._not_before(rhythm, why)) > self.now:
            self.at(not_before_ns, self._session, rhythm, why, market)
        elif self._cycle(rhythm, why, tuple(rhythm.markets[market]), market=market):
            plan = rhythm.plan
            count = len(rhythm.markets[market])
            what = f"{count} instrument{'' if count == 1 else 's'} of plan {plan.name}"
            self._say_session(plan, f"the market {market} opens its session: {what} to decide on")
            self.later(self._deadline_s(plan), self._session_over, plan, market)

    def _session_over(self, plan: Plan, market: str) -> None:
        """What was not decided by now is stale: the market is closed to the plan until the next session."""
        next_ns = next_session(self.now, session_times(MIDNIGHT_NS, plan.mode.sessions, plan.mode.spacing_h))
        wait = f"{round((next_ns - self.now) / MINUTE_NS)} min"
        self._say_session(plan, f"the market {market} closes its session for plan {plan.name}; the next one in {wait}")

    def _say_session(self, plan: Plan, text: str) -> None:
        self.emit(Alert(severity="info", kind="session", text=text, plan=plan.name))

    def _deadline_s(self, plan: Plan) -> float:
        return DEADLINE_S * (self._speed if plan.brain.kind == "llm" else 1.0)

    def _not_before(self, rhythm: Rhythm, why: str) -> int:
        """From when on a model can be asked; 0 where none is, or the wait is so long that others should decide."""
        if rhythm.plan.brain.kind != "llm":
            return 0
        not_before_ns = self._allowed.get(purpose_of(why), 0)
        return not_before_ns if not_before_ns - self.now <= rhythm.plan.mode.long_s * 1e9 * self._speed else 0

    def _arm(self, rhythm: Rhythm) -> None:
        """Sets the next timed cycle."""
        mode, now = rhythm.plan.mode, self.now
        if rhythm.next:
            rhythm.next.cancel()
        if mode.kind == "daily":
            due, why = next_session(now, session_times(MIDNIGHT_NS, mode.sessions, mode.spacing_h)), "session"
        elif mode.kind == "realtime":
            step = round(mode.realtime_s * 1e9)
            due, why = now - now % step + step, "realtime"
        else:
            cadence_s = rhythm.cadence_s(now)
            due, why = now + round(cadence_s * 1e9), "long" if cadence_s == mode.long_s else "short"
        rhythm.next = self.at(due, self._timed, rhythm, why)

    def _obstacle(self, rhythm: Rhythm) -> str:
        """Why there can be no cycle now, or nothing."""
        if self.draining:
            return "the daemon is stopping"
        if self._paused:
            return "paused"
        if not rhythm.enabled:
            return "the plan is stopped"
        if not rhythm.warm:
            return "its indicators are still warming up"
        return "" if self._market_up else "there is no market data"

    def _cycle(
        self,
        rhythm: Rhythm,
        why: Any,
        instruments: tuple[str, ...],
        *,
        edges: tuple[int, ...] = (),
        market: str = "",
        note: str = "",
    ) -> bool:
        """Whether there is one now."""
        if self._obstacle(rhythm):
            return False
        deadline_ns = self.now + round(self._deadline_s(rhythm.plan) * 1e9)
        self.emit(
            Cycle(
                plan=rhythm.plan.name, why=why, instruments=instruments, edges=edges, deadline_ns=deadline_ns,
                market=market, note=note,
            )
        )  # fmt: skip
        return True

    # ---- people

    def on_command(self, command: Command) -> Any:
        """schedule; cycle; pause and resume, a plan or all; plans_start, plans_stop; mode. Answers what is so then."""
        verb, name = command.verb, command.args.get("plan", "")
        there_are = f"there are: {', '.join(self._rhythms)}"
        if name and name not in self._rhythms:
            return {"error": f"there is no plan {name!r}; {there_are}"}
        kind = command.args.get("mode", "")
        if verb == "schedule" or (verb == "mode" and not kind):
            return self._schedule()
        if verb == "cycle":
            only = command.args.get("instruments", "")
            why = "recorded" if command.by == RECORDING else "command"
            chosen = [self._rhythms[name]] if name else list(self._rhythms.values())
            return self._cycle_now(chosen, only.split(","), why)
        if verb == "mode":
            if kind not in MODES:
                return {"error": f"there is no mode {kind!r}; there are: {', '.join(MODES)}"}
            self._set_mode([self._rhythms[name]] if name else list(self._rhythms.values()), kind)
        elif name:
            self._said[name] = self._rhythms[name].enabled = verb in {"resume", "plans_start"}
        elif verb in {"pause", "resume"}:
            self._paused = verb == "pause"
        else:
            return {"error": f"which plan? {there_are}"}
        said = Kept(self._paused, self._said, self._modes)
        pausing.keep(self._store, said)
        still = tuple(said.still([rhythm.plan for rhythm in self._rhythms.values()]))
        for account in dict.fromkeys(rhythm.plan.account for rhythm in self._rhythms.values()):
            self.emit(Paused(account=account, plans=still))
        self._tell()
        self.call(self._store.commit, returns=None, then=partial(self._kept, command.id), timeout_s=COMMIT_S)
        return DEFERRED

    def _set_mode(self, rhythms: Sequence[Rhythm], kind: str) -> None:
        for rhythm in rhythms:
            rhythm.set_mode(kind)
            self._modes[rhythm.plan.name] = kind
            if rhythm.next:
                self._arm(rhythm)

    def _kept(self, question: int, outcome: Failure | None) -> None:
        if outcome is None:
            self.reply(question, self._schedule())
        else:
            self.reply(question, {"error": f"it is so now, but a restart may not know it: {outcome.text}"})

    def _cycle_now(self, rhythms: Sequence[Rhythm], only: Sequence[str], why: Any) -> dict[str, Any]:
        obstacles = {rhythm.plan.name: self._obstacle(rhythm) for rhythm in rhythms}
        made = [rhythm for rhythm in rhythms if not obstacles[rhythm.plan.name]]
        if not made:
            return {"error": "no cycle: " + "; ".join(f"{name}: {why}" for name, why in obstacles.items())}
        for rhythm in made:
            chosen = tuple(each for each in rhythm.plan.instruments if each in only)
            self._cycle(rhythm, why, chosen or rhythm.plan.instruments)
        return {"cycles": [rhythm.plan.name for rhythm in made]}

    def _tell(self) -> None:
        text = "paused: no new cycle" if self._paused else "cycles run"
        if self._modes:
            text += f"; mode by hand: {', '.join(f'{plan} {kind}' for plan, kind in self._modes.items())}"
        stopped = ", ".join(name for name, rhythm in self._rhythms.items() if not rhythm.enabled)
        self.emit(Alert(severity="info", kind="schedule", text=f"{text}; stopped: {stopped}" if stopped else text))

    def _schedule(self) -> dict[str, Any]:
        plans = [
            {
                "plan": name,
                "account": rhythm.plan.account,
                "mode": rhythm.plan.mode.kind,
                "enabled": rhythm.enabled,
                "warm": rhythm.warm,
                "instruments": list(rhythm.plan.instruments),
                "strategies": list(rhythm.plan.brain.strategies),
                "next_cycle_ns": rhythm.next.due_ns if rhythm.next else None,
            }
            for name, rhythm in self._rhythms.items()
        ]
        return {"paused": self._paused, "market_up": self._market_up, "plans": plans}
