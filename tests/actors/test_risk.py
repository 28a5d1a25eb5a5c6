"""risk watches what a day has cost."""

from decimal import Decimal

from actors.risk import RiskKeeper
from kokex.config import Risk
from kokex.messages import Alert, Portfolio
from tests.actors.desk import INSTRUMENTS, Desk, memory, plan


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
