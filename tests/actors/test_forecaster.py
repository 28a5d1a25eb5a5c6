"""forecaster: what may come, and the briefing."""

import random
from decimal import Decimal

from actors.forecaster import Forecaster
from kokex.adapters.sqlite.direct import DirectStore
from kokex.config import Forecast, Plan
from kokex.messages import Alert, Briefing, Cycle, ForecastStep, Outlook, Portfolio
from kokex.messages import Forecast as Told
from kokex.ports import ForecastFailed, ForecastQuestion
from tests.actors.desk import BTC, ETH, MINUTE, SECOND, START, Desk, Still, memory, plan, readings, series

FORECAST = plan(instruments=(BTC, ETH), forecast=Forecast(kind="baseline", lookback=50, horizon=6, samples=40))


def walk(seed: int, count: int = 50) -> tuple[float, ...]:
    chance = random.Random(seed)
    return tuple(100 * (1 + 0.001 * chance.gauss(0, 1)) for _ in range(count))


def standing(**closes: tuple[float, ...]) -> Still:
    """Both instruments, with the candles of these."""
    of = {"btc": BTC, "eth": ETH}
    named = {of[name]: series(prices, of=of[name]) for name, prices in closes.items()}
    return Still((readings(of=BTC), readings(of=ETH)), named)


def portfolio(held: dict[str, dict[str, Decimal]] | None = None, *, number: int = 0) -> Portfolio:
    return Portfolio(
        id=number, account="main", cash=Decimal(900), equity=Decimal(1000), positions=(), held=held or {},
        day_start_equity=Decimal(1000), peak_equity=Decimal(1000),
    )  # fmt: skip


def desk_of(indicator: Still, *plans: Plan, store: DirectStore | None = None) -> Desk:
    forecaster = Forecaster(plans or (FORECAST,), random.Random, store or memory())
    return Desk({"forecaster": forecaster, "indicator": indicator})


def cycle(*instruments: str) -> Cycle:
    return Cycle(plan="main", why="long", instruments=instruments, deadline_ns=START + 60 * SECOND)


def run(indicator: Still, *plans: Plan) -> Desk:
    """A cycle of both instruments."""
    desk = desk_of(indicator, *plans)
    desk.tell("forecaster", portfolio())
    desk.tell("indicator", cycle(BTC, ETH))
    return desk


def test_a_briefing_holds_all_that_a_brain_may_know() -> None:
    desk = desk_of(standing(btc=walk(1), eth=walk(2)))
    desk.tell("forecaster", portfolio({"main": {BTC: Decimal(3)}, "other": {ETH: Decimal(1)}}))
    desk.tell("indicator", cycle(BTC, ETH))
    (briefing,) = desk.take(Briefing)
    assert briefing.instruments == (BTC, ETH)
    assert [reading.instrument for reading in briefing.readings] == [BTC, ETH]
    assert briefing.held == {BTC: Decimal(3)}  # of this plan
    assert (briefing.account, briefing.equity) == ("main", Decimal(1000))
    assert briefing.deadline_ns == START + 60 * SECOND
    assert list(briefing.forecasts) == desk.take(Told)


def test_a_forecast_says_where_the_price_may_be_and_from_what() -> None:
    desk = run(standing(btc=walk(1), eth=walk(2)))
    told = desk.take(Told)[0]
    assert (told.instrument, told.close_ns, told.span_ns, told.model) == (BTC, START, MINUTE, "baseline")
    assert len(told.steps) == 6
    assert told.range_low < told.price < told.range_high
    assert all(step.q05 <= step.q50 <= step.q95 for step in told.steps)


def test_the_same_candles_give_the_same_forecast_and_others_another() -> None:
    first, again, other = (run(standing(btc=walk(seed), eth=walk(2))).take(Told) for seed in (1, 1, 3))
    assert [each.steps for each in first] == [each.steps for each in again]
    assert first[0].steps != other[0].steps
    assert first[1].steps == other[1].steps


def test_two_instruments_do_not_share_their_luck() -> None:
    desk = run(standing(btc=walk(1), eth=walk(1)))
    first, second = desk.take(Told)
    assert first.steps != second.steps


def test_of_too_short_a_past_there_is_no_forecast_but_a_briefing() -> None:
    desk = run(standing(btc=walk(1, 29), eth=walk(1, 30)))
    assert [forecast.instrument for forecast in desk.take(Told)] == [ETH]
    assert [len(briefing.forecasts) for briefing in desk.take(Briefing)] == [1]


def test_nobody_asks_for_a_forecast_so_none_is_made() -> None:
    desk = run(standing(), plan(instruments=(BTC, ETH), forecast=Forecast(kind="none")))
    assert desk.take(Told) == []
    assert len(desk.take(Briefing)) == 1


def test_whoever_does_not_know_what_is_held_is_not_briefed() -> None:
    desk = desk_of(standing())
    desk.tell("indicator", cycle(BTC))
    assert desk.take(Briefing) == []
    assert "nothing is known of account main" in desk.take(Alert)[0].text


def test_after_a_restart_it_knows_what_is_held_from_the_record() -> None:
    store = memory()
    store.append(portfolio({"main": {BTC: Decimal(3)}}, number=1))
    desk = desk_of(standing(), store=store)
    desk.tell("indicator", cycle(BTC))
    assert desk.take(Briefing)[0].held == {BTC: Decimal(3)}


# ---- Kronos ------------------------------------------------------------------------------------

KRONOS = plan(instruments=(BTC, ETH), forecast=Forecast(kind="kronos", lookback=50, horizon=6))


class Oracle:
    """A model that answers at once, or not at all."""

    latency_ns = 0

    def __init__(self) -> None:
        self.asked: list[ForecastQuestion] = []
        self.broken = ""

    async def forecast(self, question: ForecastQuestion) -> tuple[Outlook, ...]:
        self.asked.append(question)
        if self.broken:
            raise ForecastFailed(self.broken)
        step = ForecastStep(98, 99, 100, 101, 102)
        return tuple(Outlook((step,) * question.horizon, 0.6, 0.01, 98, 102) for _ in question.series)


def kronos(indicator: Still) -> tuple[Desk, Oracle]:
    oracle = Oracle()
    forecaster = Forecaster((KRONOS,), random.Random, memory(), oracle)
    desk = Desk({"forecaster": forecaster, "indicator": indicator})
    desk.tell("forecaster", portfolio())
    return desk, oracle


def test_kronos_is_asked_once_for_all_instruments_of_a_cycle_and_once_for_a_candle() -> None:
    desk, oracle = kronos(standing(btc=walk(1), eth=walk(2)))
    desk.tell("indicator", cycle(BTC, ETH))
    desk.tell("indicator", cycle(BTC, ETH))
    (question,) = oracle.asked
    assert [candles[0].instrument for candles in question.series] == [BTC, ETH]
    assert len(set(question.seeds)) == 2
    assert (question.horizon, question.samples, question.span_ns) == (6, 30, MINUTE)
    assert [told.model for told in desk.take(Told)] == ["kronos"] * 4
    assert [len(briefing.forecasts) for briefing in desk.take(Briefing)] == [2, 2]


def test_without_an_answer_of_kronos_the_baseline_stands_in_and_says_so_once() -> None:
    desk, oracle = kronos(standing(btc=walk(1), eth=walk(2)))
    oracle.broken = "no torch"
    desk.tell("indicator", cycle(BTC, ETH), cycle(BTC, ETH))
    assert [told.model for told in desk.take(Told)] == ["baseline"] * 4
    assert len(desk.take(Briefing)) == 2
    (alert,) = desk.take(Alert)
    assert alert.text == "Kronos does not answer (no torch): the baseline forecasts in its place"
    oracle.broken = ""
    desk.tell("indicator", cycle(BTC, ETH), cycle(BTC, ETH))
    assert [told.model for told in desk.take(Told)] == ["kronos"] * 4
    assert [alert.text for alert in desk.take(Alert)] == ["Kronos forecasts again"]


def test_what_kronos_answers_too_late_does_not_hold_the_briefing_up() -> None:
    desk, oracle = kronos(standing(btc=walk(1), eth=walk(2)))
    oracle.latency_ns = 30 * SECOND
    desk.tell("indicator", cycle(BTC, ETH))
    assert not desk.take(Briefing)
    desk.wait(KRONOS.forecast.timeout_s)
    assert [told.model for told in desk.take(Told)] == ["baseline"] * 2
    assert len(desk.take(Briefing)) == 1
