"""indicator: what the candles say.

Holds, per plan and instrument, the plan's strategies and the threshold watchers. Receives Candles; emits an Edge
when a threshold is crossed or a signal changes, Readings once when an instrument is warm, a Mark when a price
leaves the band somebody asked to be told of. Adds to each Cycle where its instruments stand, and answers Sample.
Most candles end here.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import final

from kokex.config import Edges, Plan
from kokex.kernel.actor import Actor
from kokex.market.candles import Resampler
from kokex.market.watch import Crossing, Watch
from kokex.messages import Alarm, Candle, Candles, Cycle, Edge, Lifecycle, Mark, Readings, Sample, Signal, Standing
from kokex.ports import Store
from strategies.spec import build, find


def wants_forecast(plan: Plan) -> bool:
    """The plan asks for a forecast, or one of its strategies does."""
    return plan.forecast.kind != "none" or any(find(name).forecast for name in plan.brain.strategies)


@final
class Unit:
    """One plan's view of one instrument: takes candles in, and keeps what there is to tell."""

    __slots__ = (
        "_learn", "_looks", "alight", "candles", "edges", "forecasts", "instrument", "last", "names", "news", "plan",
        "resampler", "see", "seen", "signals", "warm", "watch",
    )  # fmt: skip

    def __init__(self, plan: Plan, instrument: str, edges: Edges | None, base_ns: int) -> None:
        self.plan = plan
        self.instrument = instrument
        self.names = plan.brain.strategies
        self._looks = [(i, build(name, plan.parameters.get(name, {})).update) for i, name in enumerate(self.names)]
        self.signals: list[Signal | None] = [None] * len(self.names)
        self.edges = edges
        self.alight: set[str] = set()  # thresholds crossed and not yet released
        self.watch = Watch(edges) if edges else None
        self.resampler = Resampler(plan.timeframe_ns, base_ns) if plan.timeframe_ns != base_ns else None
        self.forecasts = wants_forecast(plan)
        self._learn = self._take_all if edges or self.forecasts else self._take
        self.see = self._learn if self.resampler is None else self._join  # takes in a candle of the market
        self.candles: deque[Candle] = deque(maxlen=plan.forecast.lookback)  # for those alone
        self.last: Candle | None = None
        self.news: list[tuple[Candle, Crossing]] = []
        self.seen: Candle | None = None  # the market's last candle, where the plan looks at longer ones
        self.warm = False

    def _take(self, candle: Candle) -> object:
        """Takes a closed candle in. Nothing, or False, when there is nothing to tell of it."""
        self.last = candle
        signals = self.signals
        for index, update in self._looks:
            if (signal := update(candle)) is not signals[index]:
                self._change(candle, index, signal)
        return self.news or not self.warm

    def _take_all(self, candle: Candle) -> object:
        """The same where more than the strategies look at it."""
        if self.forecasts:
            self.candles.append(candle)
        if self.watch is not None:
            for crossing in self.watch.update(candle):
                self._cross(candle, crossing)
        return self._take(candle)

    def _join(self, row: Candle) -> object:
        """The same with a candle of the market, where the plan looks at longer ones."""
        assert self.resampler
        for candle in self.resampler.push(row):
            self._learn(candle)
        self.seen = row
        return self.news or not self.warm

    def _change(self, candle: Candle, index: int, signal: Signal | None) -> None:
        """A strategy thinks otherwise now; another side is news."""
        before, self.signals[index] = self.signals[index], signal
        if signal is not None and before is not None and before.side != signal.side and self.warm:
            told = Crossing(self.names[index], "signal", signal.strength, float(signal.side), signal.reason)
            self.news.append((candle, told))

    def _cross(self, candle: Candle, crossing: Crossing) -> None:
        """What is significant enough is news, and the release of what was."""
        assert self.edges
        worth = crossing.source in self.alight if crossing.kind == "calm" else crossing.score >= self.edges.min_score
        if crossing.kind == "calm":
            self.alight.discard(crossing.source)
        elif worth:
            self.alight.add(crossing.source)
        if worth and self.warm:
            self.news.append((candle, crossing))

    def readings(self) -> Readings | None:
        """Where it stands; None before its first candle."""
        last = self.last
        if last is None:
            return None
        signals = {name: s for name, s in zip(self.names, self.signals, strict=True) if s is not None}
        return Readings(
            plan=self.plan.name,
            instrument=self.instrument,
            close_ns=last.open_ns + self.plan.timeframe_ns,
            price=last.close,
            values=self.watch.values() if self.watch and self.warm else {},
            signals=signals if self.warm else {},
        )


class Indicator(Actor):
    emits = (Edge, Readings, Mark, Standing)
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
        # What takes a candle in ahead of its message, so that a backtest can spare itself the messages of most.
        self.scouts: dict[str, list[Callable[[Candle], object]]] = {}
        self._learning = False  # warming up with history: nobody is told
        self._learned: dict[str, int] = {}  # instrument -> opening of its newest candle in the history
        for plan in plans:
            for instrument in plan.instruments:
                unit = Unit(plan, instrument, edges, base_ns)
                self._units.setdefault(instrument, []).append(unit)
                self._by_plan.setdefault(plan.name, {})[instrument] = unit
                self.scouts.setdefault(instrument, []).append(unit.see)

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
                if unit.last is row or unit.seen is row or unit.see(row):
                    self._tell(unit)
            if self._alarms and instrument in self._alarms:
                self._sound(row)

    def _tell(self, unit: Unit) -> None:
        for candle, crossing in unit.news:
            self._edge(unit, candle, crossing)
        unit.news.clear()
        if not unit.warm and not self._learning:
            self._tell_when_warm(unit)

    def _tell_when_warm(self, unit: Unit) -> None:
        if None not in unit.signals and (unit.watch is None or unit.watch.warm):
            unit.warm = True
            if readings := unit.readings():
                self.emit(readings)

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
        of_instrument = self._alarms.get(alarm.instrument)
        if of_instrument is None:
            of_instrument = self._alarms[alarm.instrument] = {}
            self.scouts.setdefault(alarm.instrument, []).insert(0, self._alarming)
        if alarm.low < alarm.high:
            of_instrument[alarm.account, alarm.owner] = alarm
        else:  # an empty band takes the alarm away
            of_instrument.pop((alarm.account, alarm.owner), None)
        self._tidy(alarm.instrument)

    def _tidy(self, instrument: str) -> None:
        """Where there is no alarm any longer, nobody looks for one."""
        if not self._alarms[instrument]:
            del self._alarms[instrument]
            self.scouts[instrument].remove(self._alarming)

    def _alarming(self, row: Candle) -> list[Alarm]:
        """The alarms whose band its close has left."""
        return [each for each in self._alarms[row.instrument].values() if not each.low <= row.close <= each.high]

    def _sound(self, row: Candle) -> None:
        of_instrument = self._alarms[row.instrument]
        for alarm in self._alarming(row):
            del of_instrument[alarm.account, alarm.owner]
            self.emit(
                Mark(
                    account=alarm.account,
                    owner=alarm.owner,
                    instrument=row.instrument,
                    price=row.close,
                    close_ns=row.open_ns + self._base_ns,
                )
            )
        self._tidy(row.instrument)

    def on_cycle(self, cycle: Cycle) -> None:
        units = self._by_plan[cycle.plan]
        candles = {each: tuple(units[each].candles) for each in cycle.instruments if units[each].forecasts}
        self.emit(Standing(cycle=cycle, readings=self._readings(cycle.plan, cycle.instruments), candles=candles))

    def on_sample(self, sample: Sample) -> tuple[Readings, ...]:
        """Readings of an instrument that is not warm have a price, but no values or signals."""
        return self._readings(sample.plan, sample.instruments)

    def _readings(self, plan: str, instruments: Iterable[str]) -> tuple[Readings, ...]:
        units = self._by_plan.get(plan, {})
        return tuple([told for each in instruments if each in units and (told := units[each].readings()) is not None])
