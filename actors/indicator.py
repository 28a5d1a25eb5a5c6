"""indicator: what the candles say.

Holds, per plan and instrument, the plan's strategies and the threshold watchers. Receives Candles; emits an Edge
when a threshold is crossed or a signal changes, Readings once when an instrument is warm, a Mark when a price
leaves the band somebody asked to be told of. Answers Sample. Most candles end here.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import final

from msgspec import Struct

from kokex.config import Edges, Plan
from kokex.kernel.actor import Actor
from kokex.market.candles import Resampler
from kokex.market.watch import Crossing, Watch
from kokex.messages import Alarm, Candle, Candles, Edge, Lifecycle, Mark, Readings, Sample, Signal
from kokex.ports import Store
from strategies.spec import build, find


class Sampled(Struct, frozen=True):
    """The answer to Sample. Readings of an instrument that is not warm have a price, but no values or signals."""

    readings: tuple[Readings, ...]
    candles: dict[str, tuple[Candle, ...]]  # oldest first, of the plan's timeframe; for a plan that wants forecasts


def wants_forecast(plan: Plan) -> bool:
    """The plan asks for a forecast, or one of its strategies does."""
    return plan.forecast.kind != "none" or any(find(name).forecast for name in plan.brain.strategies)


@final
class Unit:
    """One plan's view of one instrument."""

    __slots__ = (
        "alight", "candles", "edges", "instrument", "last", "plan", "resampler", "signals", "strategies", "warm",
        "watch",
    )  # fmt: skip

    def __init__(self, plan: Plan, instrument: str, edges: Edges | None, base_ns: int) -> None:
        self.plan = plan
        self.instrument = instrument
        self.strategies = [(name, build(name, plan.parameters.get(name, {}))) for name in plan.brain.strategies]
        self.signals: list[Signal | None] = [None] * len(self.strategies)
        self.edges = edges
        self.alight: set[str] = set()  # thresholds crossed and not yet released
        self.watch = Watch(edges) if edges else None
        self.resampler = Resampler(plan.timeframe_ns, base_ns) if plan.timeframe_ns != base_ns else None
        self.candles: deque[Candle] = deque(maxlen=plan.forecast.lookback if wants_forecast(plan) else 1)
        self.last: Candle | None = None
        self.warm = False

    def readings(self) -> Readings | None:
        """Where it stands; None before its first candle."""
        if self.last is None:
            return None
        signals = {name: s for (name, _), s in zip(self.strategies, self.signals, strict=True) if s is not None}
        return Readings(
            plan=self.plan.name,
            instrument=self.instrument,
            close_ns=self.last.open_ns + self.plan.timeframe_ns,
            price=self.last.close,
            values=self.watch.values() if self.watch and self.warm else {},
            signals=signals if self.warm else {},
        )


class Indicator(Actor):
    emits = (Edge, Readings, Mark)
    state = dict[str, list[Candle]]

    def __init__(
        self, plans: Sequence[Plan], base_ns: int, edges: Edges | None, store: Store | None, history: int
    ) -> None:
        """`edges` None: only strategies watch. `history`: candles to warm up with, from the store."""
        self._base_ns = base_ns
        self._store = store
        self._history = history
        self._units: dict[str, list[Unit]] = {}
        self._by_plan: dict[str, dict[str, Unit]] = {}
        self._alarms: dict[str, dict[tuple[str, str], Alarm]] = {}
        self._learning = False  # warming up with history: nobody is told
        self._learned: dict[str, int] = {}  # instrument -> opening of its newest candle in the history
        for plan in plans:
            for instrument in plan.instruments:
                unit = Unit(plan, instrument, edges, base_ns)
                self._units.setdefault(instrument, []).append(unit)
                self._by_plan.setdefault(plan.name, {})[instrument] = unit

    async def load(self) -> dict[str, list[Candle]]:
        if not self._store or not self._history:
            return {}
        return {each: await self._store.candles(each, self._base_ns, self._history) for each in self._units}

    def start(self, state: Mapping[str, list[Candle]]) -> None:
        self._learning = True
        for candles in state.values():
            self.on_candles(Candles(close_ns=0, span_ns=self._base_ns, rows=tuple(candles)))
        self._learning = False
        self._learned = {instrument: candles[-1].open_ns for instrument, candles in state.items() if candles}
        for units in self._units.values():
            for unit in units:
                self._tell_when_warm(unit)
        self.watch("scheduler")

    def on_lifecycle(self, lifecycle: Lifecycle) -> None:
        """A new scheduler does not know who is warm."""
        if lifecycle.event == "started" and lifecycle.restarts:
            for units in self._units.values():
                for unit in units:
                    if unit.warm and (readings := unit.readings()):
                        self.emit(readings)

    # ---- candles

    def on_candles(self, candles: Candles) -> None:
        for row in candles.rows:
            instrument = row.instrument
            if self._learned and row.open_ns <= self._learned.get(instrument, -1):
                continue  # it waited in the mailbox while this instance read it from the store
            for unit in self._units.get(instrument, ()):
                if unit.resampler is None:
                    self._see(unit, row)
                else:
                    for larger in unit.resampler.push(row):
                        self._see(unit, larger)
            if self._alarms and instrument in self._alarms:
                self._sound(row)

    def _see(self, unit: Unit, candle: Candle) -> None:
        """One closed candle of the plan's timeframe."""
        unit.last = candle
        unit.candles.append(candle)
        if unit.watch is not None:
            for crossing in unit.watch.update(candle):
                self._cross(unit, candle, crossing)
        signals = unit.signals
        for index, (name, strategy) in enumerate(unit.strategies):
            signal = strategy.update(candle)
            if signal is not signals[index]:
                before, signals[index] = signals[index], signal
                if signal is not None and before is not None and before.side != signal.side and unit.warm:
                    self._signal(unit, candle, name, signal)
        if not unit.warm and not self._learning:
            self._tell_when_warm(unit)

    def _tell_when_warm(self, unit: Unit) -> None:
        if None not in unit.signals and (unit.watch is None or unit.watch.warm):
            unit.warm = True
            if readings := unit.readings():
                self.emit(readings)

    def _cross(self, unit: Unit, candle: Candle, crossing: Crossing) -> None:
        """Tells what is significant enough, and the release of what was."""
        assert unit.edges
        worth = crossing.source in unit.alight if crossing.kind == "calm" else crossing.score >= unit.edges.min_score
        if crossing.kind == "calm":
            unit.alight.discard(crossing.source)
        elif worth:
            unit.alight.add(crossing.source)
        if worth and unit.warm:
            self._edge(unit, candle, crossing)

    def _signal(self, unit: Unit, candle: Candle, name: str, signal: Signal) -> None:
        self._edge(unit, candle, Crossing(name, "signal", signal.strength, float(signal.side), signal.reason))

    def _edge(self, unit: Unit, candle: Candle, crossing: Crossing) -> None:
        self.emit(
            Edge(
                plan=unit.plan.name,
                instrument=unit.instrument,
                source=crossing.source,
                kind=crossing.kind,
                score=crossing.score,
                value=crossing.value,
                close_ns=candle.open_ns + unit.plan.timeframe_ns,
                candle=candle,
                note=crossing.note,
            )
        )

    # ---- alarms and questions

    def on_alarm(self, alarm: Alarm) -> None:
        of_instrument = self._alarms.setdefault(alarm.instrument, {})
        if alarm.low < alarm.high:
            of_instrument[alarm.account, alarm.owner] = alarm
        else:  # an empty band takes the alarm away
            of_instrument.pop((alarm.account, alarm.owner), None)
        if not of_instrument:
            del self._alarms[alarm.instrument]

    def _sound(self, row: Candle) -> None:
        of_instrument = self._alarms[row.instrument]
        for key, alarm in list(of_instrument.items()):
            if not alarm.low <= row.close <= alarm.high:
                del of_instrument[key]
                self.emit(
                    Mark(
                        account=alarm.account,
                        owner=alarm.owner,
                        instrument=row.instrument,
                        price=row.close,
                        close_ns=row.open_ns + self._base_ns,
                    )
                )
        if not of_instrument:
            del self._alarms[row.instrument]

    def on_sample(self, sample: Sample) -> Sampled:
        units = self._by_plan.get(sample.plan, {})
        chosen = [units[each] for each in sample.instruments if each in units]
        readings = tuple(r for unit in chosen if (r := unit.readings()) is not None)
        wanted = sample.lookback
        return Sampled(readings, {unit.instrument: tuple(unit.candles)[-wanted:] for unit in chosen if wanted})
