"""From a candle to a decision: the rooms of the market group and of thought, together."""

import random
from decimal import Decimal

from actors.brain import Brain
from actors.feed import Feed
from actors.forecaster import Forecaster
from actors.indicator import Indicator
from actors.scheduler import Scheduler
from kokex.adapters.sqlite.direct import DirectStore
from kokex.config import Forecast, Mode, Plan
from kokex.messages import Briefing, Cycle, Decision, Edge, Fill, Portfolio
from tests.actors.desk import BTC, ETH, INSTRUMENTS, MINUTE, START, Desk, Nobody, candle, candles, memory, plan

CROSSING = [10.0, 9, 8, 7, 12, 13]  # sma_cross 2 over 3 turns up with the fifth candle


def desk_of(*plans: Plan, store: DirectStore | None = None) -> Desk:
    kept = store or memory()
    desk = Desk(
        {
            "llm": Nobody(),
            "brain": Brain(plans, INSTRUMENTS, kept),
            "forecaster": Forecaster(plans, random.Random, kept),
            "scheduler": Scheduler(plans, lambda _: "crypto", kept),
            "indicator": Indicator(plans, MINUTE, None, kept, 100),
            "feed": Feed(list(INSTRUMENTS.values()), MINUTE, store=kept),
        }
    )
    thousand = Decimal(1000)
    desk.tell(
        "forecaster",
        Portfolio(
            account="main",
            cash=thousand,
            equity=thousand,
            positions=(),
            day_start_equity=thousand,
            peak_equity=thousand,
        ),
    )
    return desk


def play(desk: Desk, closes: list[float], first: int = 0) -> None:
    """A candle of each instrument a minute, each handed in at its close."""
    for index, close in enumerate(closes, first):
        desk.wait(60)
        open_ns = START + index * MINUTE
        desk.tell("feed", candles(candle(open_ns, close), candle(open_ns, 2 * close, of=ETH)))


def test_a_crossing_is_decided_on_at_the_close_of_its_candle_with_its_causes_on_record() -> None:
    desk = desk_of(plan(mode=Mode(long_s=0)))
    play(desk, CROSSING)
    (edge,), (cycle,) = desk.take(Edge), desk.take(Cycle)
    (briefing,), (decision,) = desk.take(Briefing), desk.take(Decision)
    assert (decision.act, decision.price, decision.at) == ("open_long", 12, START + 5 * MINUTE)
    assert (cycle.edges, briefing.cycle, decision.cycle) == ((edge.id,), cycle.id, cycle.id)
    assert (cycle.cause, briefing.cause, decision.cause) == (edge.id, cycle.id, briefing.id)


def test_plans_side_by_side_think_in_their_own_rhythm_of_their_own_instruments() -> None:
    quick = plan("quick", mode=Mode(kind="realtime", realtime_s=120))
    slow = plan("slow", instruments=(ETH,), timeframe_ns=2 * MINUTE, mode=Mode(kind="daily"))
    signals = plan("signals", instruments=(BTC, ETH), mode=Mode(long_s=0), forecast=Forecast(lookback=3))
    desk = desk_of(quick, slow, signals)
    play(desk, [*CROSSING, 14, 15, 16])
    seen = {(each.plan, each.why, each.instruments) for each in desk.take(Cycle)}
    assert seen == {
        ("quick", "first", (BTC,)),
        ("quick", "realtime", (BTC,)),
        ("slow", "first", (ETH,)),
        ("signals", "signal", (BTC, ETH)),
    }


def test_after_a_stop_and_a_restart_the_trend_that_goes_on_is_left_alone() -> None:
    store = memory()
    trend = plan(mode=Mode(kind="realtime"))
    desk = desk_of(trend, store=store)
    play(desk, CROSSING)
    entry = next(each for each in desk.take(Decision) if each.act == "open_long")
    desk.tell(
        "brain",
        Fill(
            account="main", plan="main", instrument=BTC, client_id="k", trade_id="1", side="buy", size=Decimal(1),
            price=Decimal(12), fee=Decimal(0), liquidity="taker", filled_ns=desk.now, decision=entry.id,
        ),
    )  # fmt: skip
    again = desk_of(trend, store=store)
    again.wait(6 * 60)
    play(again, [14.0, 15, 16], first=len(CROSSING))
    later = again.take(Decision)
    assert len(later) > 2
    assert {each.act for each in later} == {"hold"}
    play(again, [9.0, 5, 16, 17], first=len(CROSSING) + 3)
    assert [each.act for each in again.take(Decision) if each.act != "hold"][:1] == ["open_short"]
