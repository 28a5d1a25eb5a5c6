"""scheduler: when to think, and about what, in each of the three modes."""

from typing import Any

import pytest
from msgspec.structs import replace

from actors.scheduler import Scheduler
from kokex.adapters.sqlite.direct import DirectStore
from kokex.config import Mode, Plan
from kokex.kernel.actor import Actor
from kokex.messages import Alert, Command, Cycle, Link, ModelVersion, Paused, Trained
from kokex.ports import StoreError
from tests.actors.desk import BTC, ETH, HOUR, SECOND, START, Desk, edge, memory, plan, readings


class Person(Actor):
    asks = (Command,)


def desk_of(*plans: Plan, store: DirectStore | None = None, start_ns: int = START) -> Desk:
    def market(symbol: str) -> str:
        return "crypto" if symbol == BTC else "KRX"

    scheduler = Scheduler(plans or (plan(instruments=(BTC, ETH)),), market, store or memory())
    return Desk({"control": Person(), "scheduler": scheduler}, start_ns=start_ns)


def warm(desk: Desk, *plans: str) -> None:
    """The instruments are warm, and the first cycles have been."""
    desk.tell("scheduler", *(readings(plan=name) for name in plans or ("main",)))
    desk.wait(3)
    desk.take(Cycle)


def cycles(desk: Desk) -> list[tuple[float, str]]:
    """When, in seconds since the start, and why."""
    return [((cycle.at - START) / SECOND, cycle.why) for cycle in desk.take(Cycle)]


def command(desk: Desk, verb: str, **args: str) -> Any:
    return desk.ask("control", "scheduler", Command(verb=verb, args=args))


ADAPTIVE, REALTIME, DAILY = Mode(), Mode(kind="realtime"), Mode(kind="daily")


@pytest.mark.parametrize("mode", [ADAPTIVE, REALTIME, DAILY], ids=lambda mode: mode.kind)
def test_the_first_cycle_comes_within_five_seconds_of_warm_up(mode: Mode) -> None:
    desk = desk_of(plan(mode=mode), start_ns=START + 7 * SECOND)
    desk.wait(100)
    assert cycles(desk) == []
    desk.tell("scheduler", readings())
    desk.wait(5)
    assert [why for _, why in cycles(desk)] == ["first"]


# ---- adaptive ----------------------------------------------------------------------------------


def test_while_calm_a_cycle_every_twelve_minutes() -> None:
    desk = desk_of()
    desk.tell("scheduler", readings())
    desk.wait(HOUR / SECOND)
    assert cycles(desk) == [(2, "first"), (722, "long"), (1442, "long"), (2162, "long"), (2882, "long")]


def test_an_edge_quickens_the_rhythm_and_calm_slows_it_again() -> None:
    desk = desk_of(plan(instruments=(BTC, ETH), mode=Mode(calm_s=900)))
    warm(desk)  # the next one would be at 722
    desk.wait(97)
    desk.tell("scheduler", edge(close_ns=desk.now))
    desk.wait(3000)
    assert cycles(desk) == [
        (120, "edge"), (400, "short"), (700, "short"), (1000, "short"), (1720, "long"), (2440, "long"),
    ]  # fmt: skip


def test_an_edge_before_the_first_cycle_does_not_put_it_off() -> None:
    desk = desk_of()
    desk.tell("scheduler", readings(), edge())
    desk.wait(21)
    assert cycles(desk) == [(2, "first"), (20, "edge")]


def test_edges_within_the_grace_window_are_one_cycle_the_most_significant_first() -> None:
    desk = desk_of()
    warm(desk)
    desk.tell("scheduler", edge("rsi_high", score=0.4, note="small", close_ns=desk.now))
    desk.wait(10)
    desk.tell("scheduler", edge("spike", "spike", score=0.9, of=ETH, note="large", close_ns=desk.now))
    desk.tell("scheduler", edge("volume_z", score=0.6, close_ns=desk.now))
    desk.wait(9)
    assert desk.take(Cycle) == []
    desk.wait(1)
    (cycle,) = desk.take(Cycle)
    assert (cycle.why, cycle.instruments, cycle.note, len(cycle.edges)) == ("edge", (ETH, BTC), "large", 3)


def test_the_same_edge_wakes_nobody_again_within_its_cooldown() -> None:
    desk = desk_of()
    warm(desk)
    for _ in range(10):
        desk.tell("scheduler", edge(close_ns=desk.now))
        desk.wait(12)
    woken = [at for at, why in cycles(desk) if why == "edge"]
    assert woken == [23, 83]  # the sixth, a cooldown after the first, wakes again


def test_another_edge_is_not_held_back_by_the_cooldown_of_the_first() -> None:
    desk = desk_of()
    warm(desk)
    desk.tell("scheduler", edge("rsi_high", close_ns=desk.now))
    desk.wait(30)
    desk.tell("scheduler", edge("rsi_high", of=ETH, close_ns=desk.now), edge("rsi_low", "down", close_ns=desk.now))
    desk.wait(30)
    assert [(cycle.why, cycle.instruments) for cycle in desk.take(Cycle)] == [("edge", (BTC,)), ("edge", (ETH, BTC))]


def test_what_is_remembered_of_edges_stays_bounded() -> None:
    """One time for each key there is, however many edges come."""
    desk = desk_of()
    warm(desk)
    for _ in range(500):
        for source in ("rsi_high", "spike"):
            desk.tell("scheduler", *(edge(source, of=of, close_ns=desk.now) for of in (BTC, ETH)))
        desk.wait(61)
    scheduler = desk.actors["scheduler"]
    assert isinstance(scheduler, Scheduler)
    rhythm = scheduler._rhythms["main"]
    assert (len(rhythm.accepted), len(rhythm.pending)) == (4, 0)


def test_a_released_threshold_wakes_nobody_and_takes_nothing_back() -> None:
    desk = desk_of()
    warm(desk)
    desk.tell("scheduler", edge("spike", "spike", score=0.9, note="the spike", close_ns=desk.now))
    desk.tell("scheduler", edge("spike", "calm", score=0.0, close_ns=desk.now))
    desk.wait(21)
    assert [cycle.note for cycle in desk.take(Cycle)] == ["the spike"]
    desk.tell("scheduler", edge("rsi_high", "calm", close_ns=desk.now))
    desk.wait(60)
    assert desk.take(Cycle) == []


def test_a_signal_under_rules_has_its_cycle_at_the_same_instant() -> None:
    desk = desk_of()
    warm(desk)
    desk.tell("scheduler", edge("rsi_high", close_ns=desk.now))
    desk.wait(5)
    for of in (BTC, ETH):
        desk.tell("scheduler", edge("sma_cross", "signal", of=of, score=1.0, close_ns=desk.now))
    first, second = desk.take(Cycle)
    assert (first.why, first.at, first.instruments, len(first.edges)) == ("signal", desk.now, (BTC,), 2)
    assert (second.why, second.at, second.instruments) == ("signal", desk.now, (ETH,))
    desk.wait(30)
    assert desk.take(Cycle) == []  # the grace of the first edge ended with them


def test_signals_of_one_candle_share_a_cycle() -> None:
    desk = desk_of()
    warm(desk)
    for of in (BTC, ETH):
        desk.system.post("scheduler", edge("sma_cross", "signal", of=of, close_ns=desk.now))
    desk.wait(0)
    assert [cycle.instruments for cycle in desk.take(Cycle)] == [(BTC, ETH)]


def test_a_signal_for_a_brain_that_costs_money_waits_for_company() -> None:
    signals = plan()
    signals = replace(signals, brain=replace(signals.brain, kind="llm"))  # type: ignore[arg-type]
    desk = desk_of(signals)
    warm(desk)
    desk.tell("scheduler", edge("sma_cross", "signal", close_ns=desk.now))
    assert desk.take(Cycle) == []
    desk.wait(20)
    assert len(desk.take(Cycle)) == 1


def test_with_no_long_rhythm_only_edges_wake() -> None:
    desk = desk_of(plan(mode=Mode(long_s=0)))
    warm(desk)
    desk.wait(3600)
    assert desk.take(Cycle) == []
    desk.tell("scheduler", edge("sma_cross", "signal", close_ns=desk.now))
    assert len(desk.take(Cycle)) == 1


# ---- realtime and daily ------------------------------------------------------------------------


def test_realtime_is_one_cycle_for_all_instruments_on_the_grid_of_the_clock() -> None:
    desk = desk_of(plan(instruments=(BTC, ETH), mode=REALTIME), start_ns=START + 7 * SECOND)
    desk.tell("scheduler", readings(), edge())
    desk.wait(180)
    made = desk.take(Cycle)
    assert [((c.at - START) / SECOND, c.why) for c in made] == [
        (9, "first"), (60, "realtime"), (120, "realtime"), (180, "realtime"),
    ]  # fmt: skip
    assert {cycle.instruments for cycle in made} == {(BTC, ETH)}


def test_realtime_per_instrument_is_one_cycle_each() -> None:
    mode = Mode(kind="realtime", per_instrument=True, realtime_s=30)
    desk = desk_of(plan(instruments=(BTC, ETH), mode=mode))
    warm(desk)
    desk.wait(57)
    assert [(cycle.at, cycle.instruments) for cycle in desk.take(Cycle)] == [
        (START + at * SECOND, (of,)) for at in (30, 60) for of in (BTC, ETH)
    ]


def test_daily_is_so_many_sessions_at_a_fixed_spacing_with_one_cycle_per_market() -> None:
    mode = Mode(kind="daily", sessions=3, spacing_h=2)
    desk = desk_of(plan(instruments=(BTC, ETH), mode=mode))
    warm(desk)
    desk.wait(2 * 24 * 3600)
    made = desk.take(Cycle)
    assert [(cycle.at - START) / HOUR for cycle in made if cycle.market == "crypto"] == [2, 4, 24, 26, 28, 48]
    assert [(c.why, c.market, c.instruments) for c in made[:2]] == [
        ("session", "crypto", (BTC,)),
        ("session", "KRX", (ETH,)),
    ]


# ---- when there is no cycle --------------------------------------------------------------------


def test_there_is_no_cycle_without_market_data() -> None:
    desk = desk_of()
    warm(desk)
    desk.tell("scheduler", Link(account="", edge="market", up=False))
    desk.tell("scheduler", edge(close_ns=desk.now))
    desk.wait(800)
    assert desk.take(Cycle) == []
    desk.tell("scheduler", Link(account="", edge="market", up=True))
    desk.wait(720)
    assert [why for _, why in cycles(desk)] == ["long"]


def test_there_is_no_cycle_while_draining() -> None:
    desk = desk_of()
    warm(desk)
    desk.tell("scheduler", edge(close_ns=desk.now))
    desk.system.draining = True
    desk.wait(2000)
    assert desk.take(Cycle) == []


def test_a_pause_outlasts_a_restart_until_a_person_resumes() -> None:
    store = memory()
    desk = desk_of(store=store)
    warm(desk)
    desk.tell("scheduler", edge(close_ns=desk.now))
    assert command(desk, "pause")["paused"]
    desk.wait(2000)
    assert desk.take(Cycle) == []
    assert [alert.text for alert in desk.take(Alert)] == ["paused: no new cycle"]
    again = desk_of(store=store)
    warm(again)
    again.wait(2000)
    assert again.take(Cycle) == []
    assert not command(again, "resume")["paused"]
    again.wait(720)
    assert len(again.take(Cycle)) == 1


def test_a_plan_is_stopped_alone_and_stays_so_over_a_restart() -> None:
    store, plans = memory(), (plan("one"), plan("two"))
    desk = desk_of(*plans, store=store)
    warm(desk, "one", "two")
    command(desk, "plans_stop", plan="one")
    desk.wait(720)
    assert {cycle.plan for cycle in desk.take(Cycle)} == {"two"}
    again = desk_of(*plans, store=store)
    again.tell("scheduler", readings(plan="one"), readings(plan="two"))
    again.wait(5)
    assert {cycle.plan for cycle in again.take(Cycle)} == {"two"}
    assert [each["enabled"] for each in command(again, "plans_start", plan="one")["plans"]] == [True, True]


def test_risk_is_told_which_plans_stand_still() -> None:
    desk = desk_of(plan("one"), plan("two"), plan("three", enabled=False))

    def told() -> list[tuple[str, tuple[str, ...]]]:
        return [(each.account, tuple(sorted(each.plans))) for each in desk.take(Paused)]

    command(desk, "pause", plan="one")
    assert told() == [("main", ("one", "three"))]
    command(desk, "pause")
    assert told() == [("main", ("one", "three", "two"))]
    command(desk, "plans_start", plan="three")
    command(desk, "resume")
    assert told()[-1] == ("main", ("one",))


def test_what_a_person_said_of_a_plan_holds_whatever_the_configuration_says_but_no_other_plan_is_touched() -> None:
    store = memory()
    desk = desk_of(plan("one", enabled=False), plan("two", enabled=False), store=store)
    command(desk, "plans_start", plan="one")
    again = desk_of(plan("one", enabled=False), plan("two", enabled=True), store=store)
    assert [each["enabled"] for each in command(again, "schedule")["plans"]] == [True, True]


def test_a_pause_that_cannot_be_written_holds_and_is_told() -> None:
    store = memory()

    async def full() -> None:
        raise StoreError("disk full")

    store.commit = full  # type: ignore[method-assign]
    desk = desk_of(store=store)
    warm(desk)
    assert "disk full" in command(desk, "pause")["error"]
    assert command(desk, "schedule")["paused"]


# ---- people ------------------------------------------------------------------------------------


def test_a_cycle_on_command_comes_at_once_or_says_why_not() -> None:
    desk = desk_of(plan("one", instruments=(BTC, ETH)), plan("two"))
    assert "warming up" in command(desk, "cycle")["error"]
    warm(desk, "one")
    assert command(desk, "cycle") == {"cycles": ["one"]}
    (cycle,) = desk.take(Cycle)
    assert (cycle.why, cycle.instruments, cycle.deadline_ns > desk.now) == ("command", (BTC, ETH), True)
    assert command(desk, "cycle", plan="two") == {"error": "no cycle: two: its indicators are still warming up"}
    command(desk, "pause")
    assert command(desk, "cycle", plan="one") == {"error": "no cycle: one: paused"}


def test_an_unknown_plan_is_an_error_that_names_those_there_are() -> None:
    desk = desk_of(plan("one"), plan("two"))
    assert command(desk, "pause", plan="x") == {"error": "there is no plan 'x'; there are: one, two"}
    assert command(desk, "plans_stop") == {"error": "which plan? there are: one, two"}


def test_the_schedule_tells_each_plans_mode_and_next_cycle() -> None:
    desk = desk_of(plan("one"), plan("two", mode=DAILY))
    warm(desk, "one")
    one, two = command(desk, "schedule")["plans"]
    assert (one["mode"], one["warm"], one["next_cycle_ns"]) == ("adaptive", True, START + 722 * SECOND)
    assert (two["mode"], two["warm"], two["next_cycle_ns"]) == ("daily", False, None)


def test_a_model_that_was_trained_makes_every_plan_think_again() -> None:
    desk = desk_of(plan("one"), plan("other"), plan("stopped", enabled=False))
    warm(desk, "one", "other", "stopped")
    version = ModelVersion(name="v1", folder="", champion=False, against="baseline", verdict="")
    desk.tell("scheduler", Trained(version=version))
    assert [(cycle.plan, cycle.why) for cycle in desk.take(Cycle)] == [("one", "trained"), ("other", "trained")]
