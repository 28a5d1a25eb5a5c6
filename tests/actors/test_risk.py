"""risk watches what a day has cost."""

from decimal import Decimal

import msgspec
from msgspec.structs import replace

from actors.pausing import Kept
from actors.pausing import keep as keep_said
from actors.reloading import keep
from actors.risk import RiskKeeper
from kokex.config import Config, Risk
from kokex.config.live import live
from kokex.kernel.actor import Actor
from kokex.messages import Act, Alert, Approved, Decision, Paused, Portfolio, Position, Preview, Refused, Reloaded
from tests.actors.desk import BTC, INSTRUMENTS, Desk, memory, plan


def worth(equity: str, day: int = 1) -> Portfolio:
    return Portfolio(
        account="main", cash=Decimal(equity), equity=Decimal(equity), positions=(), day=day,
        day_start_equity=Decimal(1000), peak_equity=Decimal(1000),
    )  # fmt: skip


def test_a_loss_of_four_fifths_of_what_a_day_may_cost_is_warned_of_once_a_day_and_the_whole_trips() -> None:
    keeper = RiskKeeper(
        "main", Risk(max_daily_loss_pct=2.0), {"main": plan()}, INSTRUMENTS, memory(), leverage=Decimal(1)
    )
    desk = Desk({"risk": keeper})

    def told(*portfolios: Portfolio) -> list[tuple[str, str]]:
        desk.tell("risk[main]", *portfolios)
        return [(each.severity, each.text) for each in desk.take(Alert)]

    assert told(worth("984.01")) == [], "1.6 % is four fifths of 2 %"
    warned = "lost 16.00 today, 1.60% of the day's 1000.00; the breaker trips at 2 %"
    assert told(worth("984.00")) == [("warning", warned)]
    assert told(worth("983"), worth("981"), worth("995"), worth("982")) == [], "once a day"
    assert told(worth("984.00", day=2)) == [("warning", warned)], "and the next day again"
    ((severity, text),) = told(worth("980", day=2))
    assert (severity, text.startswith("circuit breaker tripped: lost 20.00 today")) == ("critical", True)
    assert told(worth("970", day=2)) == []


def test_a_limit_that_was_read_again_outlives_a_crash_and_not_the_session() -> None:
    store = memory()
    keep(store, msgspec.to_builtins(live(Config(risk=Risk(max_daily_loss_pct=1.0)))))

    def trips() -> bool:
        keeper = RiskKeeper("main", Risk(), {"main": plan()}, INSTRUMENTS, store, leverage=Decimal(1))
        desk = Desk({"risk": keeper})
        desk.tell("risk[main]", worth("989"))
        return any(each.severity == "critical" for each in desk.take(Alert))

    store.session += 1
    assert not trips(), "the next session has read the file by itself"
    store.session -= 1
    assert trips()


def test_a_limit_that_is_read_again_holds_from_the_next_price_on() -> None:
    keeper = RiskKeeper("main", Risk(), {"main": plan()}, INSTRUMENTS, memory(), leverage=Decimal(1))
    desk = Desk({"risk": keeper})
    desk.tell("risk[main]", worth("989"))
    assert desk.take(Alert) == []
    settings = msgspec.to_builtins(live(Config(risk=Risk(max_daily_loss_pct=1.0))))
    desk.tell("risk[main]", Reloaded(account="main", settings=settings), worth("989"))
    assert [each.severity for each in desk.take(Alert)] == ["critical"]


def wants(act: Act, *, cycle: int = 1) -> Decision:
    """What a cycle decided, or a person did (0)."""
    return Decision(
        plan="main",
        account="main",
        instrument=BTC,
        act=act,
        conviction=3,
        horizon_s=60,
        price=100.0,
        atr=1.0,
        cycle=cycle,
    )


class Mind(Actor):
    """A brain that decides what it is shown."""

    emits = (Decision,)

    def on_preview(self, preview: Preview) -> None:
        self.emit(preview.decision)


def verdict(desk: Desk, decision: Decision) -> str:
    """The rule it is refused by, or "approved"."""
    desk.tell("brain", Preview(decision=decision))
    (said,) = [*(each.rule for each in desk.take(Refused)), *("approved" for _ in desk.take(Approved))]
    return said


def test_what_a_cycle_decided_enters_nothing_once_its_plan_is_paused() -> None:
    """A model may think for a minute: the pause came while it did."""
    store = memory()

    def keeper() -> Desk:
        risk = RiskKeeper("main", Risk(), {"main": plan()}, INSTRUMENTS, store, leverage=Decimal(1))
        desk = Desk({"brain": Mind(), "risk": risk})
        held = Position(instrument=BTC, size=Decimal("0.5"), cost=Decimal(50), mark=Decimal(100))
        desk.tell("risk[main]", replace(worth("1000"), positions=(held,), held={"main": {BTC: Decimal("0.5")}}))
        return desk

    desk = keeper()
    desk.tell("risk[main]", Paused(account="main", plans=("main",)))
    assert verdict(desk, wants("open_long")) == "paused"
    assert verdict(desk, wants("open_long", cycle=0)) == "approved", "a person may"
    assert verdict(desk, wants("close")) == "approved", "exits always pass"
    desk.tell("risk[main]", Paused(account="main", plans=("another",)))
    assert verdict(desk, wants("open_short")) != "paused"

    keep_said(store, Kept(paused=True))
    assert verdict(keeper(), wants("open_long")) == "paused", "a crash forgets no pause"
    keep_said(store, Kept(plans={"main": False}))
    assert verdict(keeper(), wants("open_long")) == "paused", "a stopped plan is no different"
    keep_said(store, Kept())
    assert verdict(keeper(), wants("open_long")) == "approved"
