"""indicator: what the candles say, and when it is worth saying."""

import math
import random
from itertools import pairwise
from typing import Any

import pytest

from actors.indicator import Indicator
from kokex.adapters.sqlite.direct import DirectStore
from kokex.config import Brain, Edges, Forecast, Plan
from kokex.kernel.actor import Actor
from kokex.market.candles import Resampler
from kokex.messages import Alarm, Candle, Candles, Cycle, Edge, Lifecycle, Mark, Readings, Sample, Standing
from kokex.ports import CandleRow
from strategies.sma_cross import SmaCross
from tests.actors.desk import BTC, EDGES, ETH, MINUTE, SPOT, START, Desk, candle, candles, memory, plan, series


class Asker(Actor):
    asks = (Sample,)


def desk_of(
    *plans: Plan, edges: Edges | None = None, store: DirectStore | None = None, history: int = 0, base_ns: int = MINUTE
) -> Desk:
    indicator = Indicator(plans or (plan(),), base_ns, edges, store, history)
    return Desk({"control": Asker(), "scheduler": Actor(), "indicator": indicator})


def feed(desk: Desk, rows: list[Candle], span_ns: int = MINUTE) -> None:
    desk.tell("indicator", *(candles(row, span_ns=span_ns) for row in rows))


def sample(desk: Desk, *instruments: str, of: str = "main") -> tuple[Readings, ...]:
    return desk.ask("control", "indicator", Sample(plan=of, instruments=instruments))


def standing(desk: Desk, *instruments: str) -> Standing:
    desk.tell("indicator", Cycle(plan="main", why="long", instruments=instruments))
    (told,) = desk.take(Standing)
    return told


def wander(count: int, *, of: str = BTC, seed: int = 1, span_ns: int = MINUTE) -> list[Candle]:
    chance, price, rows = random.Random(seed), 100.0, list[Candle]()
    for index in range(count):
        before, price = price, price * math.exp(chance.gauss(0, 0.002))
        high, low = max(before, price) * 1.0005, min(before, price) / 1.0005
        rows.append(Candle(of, START + index * span_ns, before, high, low, price, chance.uniform(5, 15)))
    return rows


def words(edges: list[Edge]) -> list[tuple[Any, ...]]:
    """Edges, but for their ids and times of emission."""
    return [(e.plan, e.instrument, e.source, e.kind, e.score, e.value, e.close_ns, e.candle, e.note) for e in edges]


# ---- signals -----------------------------------------------------------------------------------


def test_nothing_is_said_before_warm_up_and_then_once() -> None:
    desk = desk_of()
    feed(desk, series([10, 9]))
    assert desk.take(Readings) == []
    feed(desk, series([10, 9, 8])[2:])
    (told,) = desk.take(Readings)
    assert (told.instrument, told.close_ns, told.price) == (BTC, START + 3 * MINUTE, 8)
    feed(desk, series([10, 9, 8, 7])[3:])
    assert desk.take(Readings) == desk.take(Edge) == []


def test_a_signal_that_changes_is_one_edge_with_its_candle() -> None:
    desk = desk_of()
    rows = series([10, 9, 8, 12, 13, 14, 9, 5])
    feed(desk, rows)
    edges = desk.take(Edge)
    assert [(edge.source, edge.kind, edge.value) for edge in edges] == [
        ("sma_cross", "signal", 1.0),
        ("sma_cross", "signal", -1.0),
    ]
    assert [edge.candle for edge in edges] == [rows[3], rows[6]]
    assert edges[0].close_ns == rows[3].open_ns + MINUTE
    assert "crossed above" in edges[0].note


def test_several_plans_look_at_one_instrument_each_in_its_own_way() -> None:
    quick = plan("quick")
    slow = plan("slow", parameters={"sma_cross": {"fast": 3, "slow": 5}}, instruments=(BTC, ETH))
    desk = desk_of(quick, slow)
    feed(desk, series([10, 9, 8, 7, 6, 12, 13, 14]))
    assert [(edge.plan, edge.close_ns // MINUTE - START // MINUTE) for edge in desk.take(Edge)] == [
        ("quick", 6),
        ("slow", 7),
    ]
    assert [told.plan for told in desk.take(Readings)] == ["quick", "slow"]


def test_an_instrument_of_the_market_that_no_plan_trades_is_let_pass() -> None:
    desk = desk_of()
    desk.tell("indicator", candles(candle(START, 1.0, of=SPOT), candle(START, 10.0)))
    assert sample(desk, BTC)[0].price == 10.0


@pytest.mark.parametrize("times", [5, 15])
def test_a_longer_timeframe_says_the_same_as_larger_candles(times: int) -> None:
    rows, span_ns = wander(3000), times * MINUTE
    resampler = Resampler(span_ns, MINUTE)
    larger = [made for row in rows for made in resampler.push(row)]
    small, large = (desk_of(plan(timeframe_ns=span_ns), edges=EDGES, base_ns=base_ns) for base_ns in (MINUTE, span_ns))
    feed(small, rows)
    feed(large, larger, span_ns)
    said = words(small.take(Edge))
    assert said == words(large.take(Edge))
    assert len(said) > 20
    assert sample(small, BTC)[0].values == sample(large, BTC)[0].values


# ---- thresholds --------------------------------------------------------------------------------


def test_noise_around_a_threshold_fires_once() -> None:
    """The RSI goes to and fro through 70 and never back to 65."""
    desk = desk_of(edges=EDGES)
    calm = [100 + (0.1 if index % 2 else -0.1) for index in range(130)]
    feed(desk, series(calm))
    desk.take(Edge)
    climb, crossings = calm, 0
    for index in range(40):
        climb = [*climb, climb[-1] + (0.12 if index < 10 or index % 2 else -0.04)]
        feed(desk, series(climb)[-1:])
        crossings += sample(desk, BTC)[0].values["rsi"] >= 70
    assert crossings > 5
    assert [edge.kind for edge in desk.take(Edge) if edge.source == "rsi_high"] == ["up"]


def test_a_threshold_may_fire_again_after_its_release() -> None:
    desk = desk_of(edges=EDGES)
    feed(desk, wander(4000))
    kinds = [edge.kind for edge in desk.take(Edge) if edge.source == "rsi_high"]
    assert len(kinds) > 4
    assert set(pairwise(kinds)) == {("up", "calm"), ("calm", "up")}


def test_an_edge_of_little_significance_is_kept_back_and_so_is_its_release() -> None:
    rows = wander(4000)
    loud, quiet = desk_of(edges=EDGES), desk_of(edges=Edges(min_score=0.6))
    feed(loud, rows)
    feed(quiet, rows)
    every, few = loud.take(Edge), quiet.take(Edge)
    assert all(edge.score >= 0.6 for edge in few if edge.kind in {"up", "down", "spike"})
    kinds = [edge.kind for edge in few if edge.source == "rsi_high"]
    assert 0 < len(kinds) < len([edge for edge in every if edge.source == "rsi_high"])
    assert set(pairwise(kinds)) == {("up", "calm"), ("calm", "up")}


def test_a_price_that_never_moves_is_warm_all_the_same() -> None:
    desk = desk_of(edges=EDGES)
    feed(desk, series([100] * 121))
    assert len(desk.take(Readings)) == 1


# ---- warming up --------------------------------------------------------------------------------


@pytest.mark.parametrize("span", [1, 5])
def test_warm_up_from_the_store_is_the_same_as_live(span: int) -> None:
    rows, cut = wander(1500), 1000
    how = plan(timeframe_ns=span * MINUTE, forecast=Forecast(lookback=50))
    store = memory()
    for row in rows[:cut]:
        store.append(CandleRow(span_ns=MINUTE, candle=row))
    stored = desk_of(how, edges=EDGES, store=store, history=cut)
    live = desk_of(how, edges=EDGES)
    feed(live, rows[:cut])
    assert len(stored.take(Readings)) == len(live.take(Readings)) == 1
    assert stored.take(Edge) == []  # what the past had to say is past
    live.take(Edge)
    assert sample(stored, BTC) == sample(live, BTC)
    assert standing(stored, BTC).candles == standing(live, BTC).candles
    for desk in (stored, live):
        feed(desk, rows[cut:])
    said = words(stored.take(Edge))
    assert said == words(live.take(Edge))
    assert said


def test_a_candle_that_was_read_from_the_store_is_not_counted_again() -> None:
    """It waited in the mailbox while a new instance loaded it."""
    store, rows = memory(), series([10, 9, 8, 12])
    for row in rows:
        store.append(CandleRow(span_ns=MINUTE, candle=row))
    desk = desk_of(plan(timeframe_ns=MINUTE), store=store, history=10)
    feed(desk, rows[2:])
    assert desk.take(Edge) == []
    feed(desk, series([10, 9, 8, 12, 1])[4:])
    assert len(desk.take(Edge)) == 1


def test_a_new_scheduler_is_told_again_who_is_warm() -> None:
    desk = desk_of(plan(instruments=(BTC, ETH)))
    feed(desk, series([10, 9, 8, 7]))
    desk.take(Readings)
    desk.tell("indicator", Lifecycle(actor="scheduler", event="started", restarts=1))
    assert [(told.instrument, told.price) for told in desk.take(Readings)] == [(BTC, 7)]


# ---- alarms ------------------------------------------------------------------------------------


def alarm(low: float, high: float, *, owner: Any = "portfolio", account: str = "main") -> Alarm:
    return Alarm(account=account, owner=owner, instrument=BTC, low=low, high=high)


def test_an_alarm_sounds_once_and_only_outside_its_band() -> None:
    desk = desk_of()
    desk.tell("indicator", alarm(9, 11))
    feed(desk, series([10, 9, 11, 11.5, 12, 8]))
    (mark,) = desk.take(Mark)
    assert (mark.account, mark.owner, mark.price, mark.close_ns) == ("main", "portfolio", 11.5, START + 4 * MINUTE)


def test_the_newest_alarm_of_an_owner_counts_and_an_empty_band_takes_it_away() -> None:
    desk = desk_of()
    desk.tell("indicator", alarm(9, 11), alarm(0, 100), alarm(9, 11, owner="executor"), alarm(9, 11, account="b"))
    desk.tell("indicator", alarm(0, 0, account="b"))
    feed(desk, series([20]))
    assert [(mark.account, mark.owner) for mark in desk.take(Mark)] == [("main", "executor")]


def test_alarms_ring_on_the_markets_candles_whatever_a_plans_timeframe() -> None:
    desk = desk_of(plan(timeframe_ns=5 * MINUTE))
    desk.tell("indicator", alarm(9, 11))
    feed(desk, series([10, 12]))
    assert len(desk.take(Mark)) == 1


# ---- questions ---------------------------------------------------------------------------------


def test_a_cycle_learns_price_values_signals_and_the_candles_that_its_plan_forecasts_from() -> None:
    desk = desk_of(plan(forecast=Forecast(lookback=3)))
    feed(desk, series([10, 9, 8, 12, 13]))
    answer = standing(desk, BTC)
    (told,) = answer.readings
    assert (told.price, told.close_ns, told.signals["sma_cross"].side) == (13, START + 5 * MINUTE, 1)
    assert [candle.close for candle in answer.candles[BTC]] == [8, 12, 13]


def test_where_nobody_forecasts_no_candles_are_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = plan(forecast=Forecast(kind="none"))
    desk = desk_of(silent)
    feed(desk, series([10, 9]))
    assert standing(desk, BTC).candles == {}
    monkeypatch.setattr(SmaCross, "forecast", True)  # a strategy may ask for one where its plan does not
    desk = desk_of(silent)
    feed(desk, series([10, 9]))
    assert [candle.close for candle in standing(desk, BTC).candles[BTC]] == [10, 9]


def test_an_instrument_that_is_not_warm_has_a_price_but_no_opinion() -> None:
    desk = desk_of(plan(instruments=(BTC, ETH), brain=Brain(strategies=("sma_cross", "trend"))), edges=EDGES)
    feed(desk, series([10, 9, 8, 12]))
    (told,) = sample(desk, BTC, ETH)
    assert (told.price, told.signals, told.values) == (12, {}, {})


def test_an_unknown_plan_or_instrument_has_no_readings() -> None:
    desk = desk_of()
    assert sample(desk, ETH) == sample(desk, BTC, of="another") == ()
    assert desk.take(Candles) == []
