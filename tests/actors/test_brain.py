"""brain: what to want, and not to want the same again."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from actors.brain import Brain
from kokex.adapters.sqlite.direct import DirectStore
from kokex.messages import Alert, Briefing, Decision, Fill, Signal
from tests.actors.desk import (
    BTC,
    DOWN,
    ETH,
    FLAT,
    INSTRUMENTS,
    SECOND,
    SPOT,
    START,
    UP,
    Desk,
    Nobody,
    memory,
    plan,
    readings,
)

STOPPED = "already traded on: waiting for a new signal"


def desk_of(store: DirectStore | None = None) -> Desk:
    plans = (plan(instruments=(BTC, ETH, SPOT)), plan("other"))
    return Desk({"llm": Nobody(), "brain": Brain(plans, INSTRUMENTS, store or memory())})


def briefing(
    signal: Signal | None, *, held: int = 0, of: str = BTC, at: int = START, deadline_s: int = 60, name: str = "main"
) -> Briefing:
    told = readings({"sma_cross": signal} if signal else {}, of=of, close_ns=at, plan=name, values={"atr": 2.0})
    return Briefing(
        plan=name, account="main", cycle=7, instruments=(of,), readings=(told,), forecasts=(),
        held={of: Decimal(held)} if held else {}, equity=Decimal(1000), deadline_ns=at + deadline_s * SECOND,
    )  # fmt: skip


def decide(desk: Desk, signal: Signal | None, **how: Any) -> Decision:
    """What it decides on a briefing of now."""
    desk.tell("brain", briefing(signal, at=desk.now, **how))
    (decision,) = desk.take(Decision)
    return decision


def fill(decision: Decision, *, number: int = 0) -> Fill:
    """A part of its order, or of the protective stop that followed it."""
    return Fill(
        account="main", plan=decision.plan, instrument=decision.instrument, client_id="k", trade_id=str(number),
        side="buy", size=Decimal(1), price=Decimal(100), fee=Decimal(0), liquidity="taker", filled_ns=START,
        decision=decision.id,
    )  # fmt: skip


def test_a_decision_says_what_for_how_long_from_where_and_why_but_never_how_much() -> None:
    decision = decide(desk_of(), Signal(1, 0.8, 95.0, "up"))
    assert (decision.plan, decision.account, decision.instrument, decision.act) == ("main", "main", BTC, "open_long")
    assert (decision.conviction, decision.price, decision.invalidation, decision.atr) == (4, 100.0, 95.0, 2.0)
    assert (decision.horizon_s, decision.reasons, decision.by) == (24 * 60, ("sma_cross: up",), "rules")
    assert (decision.cycle, decision.deadline_ns, decision.size) == (7, START + 60 * SECOND, None)


def test_every_instrument_with_readings_gets_exactly_one_decision() -> None:
    desk = desk_of()
    both = (readings({"sma_cross": UP}), readings({"sma_cross": DOWN}, of=ETH))
    desk.tell("brain", replace(briefing(UP), instruments=(BTC, ETH, SPOT), readings=both))
    assert [(each.instrument, each.act) for each in desk.take(Decision)] == [(BTC, "open_long"), (ETH, "open_short")]


def test_spot_is_never_short() -> None:
    assert decide(desk_of(), DOWN, of=SPOT).act == "hold"
    assert decide(desk_of(), DOWN, of=SPOT, held=2).act == "close"


@pytest.mark.parametrize(("age_s", "act"), [(120, "open_long"), (121, "hold")])
def test_on_stale_data_it_holds(age_s: int, act: str) -> None:
    """The next candle, a minute after the last, is overdue by `stale_s`, a minute."""
    desk = desk_of()
    desk.wait(age_s)
    desk.tell("brain", briefing(UP, deadline_s=1000))
    (decision,) = desk.take(Decision)
    assert decision.act == act


def test_a_late_briefing_is_told_and_not_decided_on() -> None:
    desk = desk_of()
    desk.wait(61)
    desk.tell("brain", briefing(UP))
    assert desk.take(Decision) == []
    assert [alert.text for alert in desk.take(Alert)] == ["the briefing of plan main came too late to decide on"]


def test_an_instrument_without_opinions_is_held() -> None:
    assert decide(desk_of(), None, held=2).act == "hold"


# ---- after a stop ------------------------------------------------------------------------------


def test_after_a_stop_the_same_signal_does_not_open_again() -> None:
    desk = desk_of()
    entry = decide(desk, UP)
    desk.tell("brain", fill(entry), fill(entry, number=1))  # in, and out by its stop, between two cycles
    for _ in range(3):
        decision = decide(desk, UP)
        assert (decision.act, decision.reasons[-1]) == ("hold", STOPPED)


def test_a_new_signal_after_the_stop_opens_again() -> None:
    desk = desk_of()
    desk.tell("brain", fill(decide(desk, UP)))
    assert decide(desk, UP).act == "hold"
    assert decide(desk, FLAT).act == "hold"
    assert decide(desk, UP).act == "open_long"


def test_a_turn_after_the_stop_is_followed() -> None:
    desk = desk_of()
    desk.tell("brain", fill(decide(desk, UP)))
    assert decide(desk, DOWN).act == "open_short"


def test_an_entry_that_never_filled_is_tried_again() -> None:
    desk = desk_of()
    assert [decide(desk, UP).act for _ in range(3)] == ["open_long"] * 3


def test_a_position_that_a_person_closed_stays_closed() -> None:
    """The brain saw it held; no fill of its own is needed to know that the signal is in use."""
    desk = desk_of()
    assert decide(desk, UP, held=2).act == "hold"
    assert decide(desk, UP).reasons[-1] == STOPPED


def test_each_plan_and_instrument_has_signals_of_its_own() -> None:
    desk = desk_of()
    desk.tell("brain", fill(decide(desk, UP)))
    assert decide(desk, UP, of=ETH).act == "open_long"
    assert decide(desk, UP, name="other").act == "open_long"


def test_a_restart_does_not_forget_what_was_traded_on() -> None:
    store = memory()
    desk = desk_of(store)
    desk.tell("brain", fill(decide(desk, UP)))
    again = desk_of(store)
    assert decide(again, None).act == "hold"  # warming up
    assert decide(again, UP).reasons[-1] == STOPPED
    assert decide(again, DOWN).act == "open_short"
    third = desk_of(store)
    assert decide(third, UP).act == "open_long"
