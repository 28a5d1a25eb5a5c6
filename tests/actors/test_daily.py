"""The daily mode with a model: a question for each market and session, and no more."""

from collections import Counter
from decimal import Decimal
from itertools import pairwise

from msgspec.structs import replace

from actors.brain import Brain
from actors.forecaster import Forecaster
from actors.llm import Caller
from actors.scheduler import Scheduler
from actors.thinking import Settings, Thinking
from kokex.adapters.host.chance import Random
from kokex.adapters.sqlite import llm_calls
from kokex.brain.wording import Wording, builtin
from kokex.config import Brain as BrainTable
from kokex.config import Config, Llm, Market, Mode
from kokex.kernel.actor import Actor
from kokex.messages import Alert, Allowance, Cycle, Decision, Portfolio, Standing
from tests.actors.desk import BTC, ETH, HOUR, INSTRUMENTS, MINUTE, SECOND, SPOT, START, Desk, memory, plan, readings
from tests.actors.test_llm import Model, ok

DAY = 24 * HOUR


class Moving(Actor):
    """An indicator whose prices are never the same twice."""

    emits = (Standing,)

    def on_cycle(self, cycle: Cycle) -> None:
        close_ns, price = self.now - self.now % MINUTE, 100.0 + (self.now - START) // (10 * SECOND) / 10
        values = {"atr": 2.0, "rsi": 55.4}
        told = [readings(of=each, close_ns=close_ns, price=price, values=values) for each in cycle.instruments]
        self.emit(Standing(cycle=cycle, readings=tuple(told), candles={}))


def desk_of(config: Llm, markets: dict[str, str], mode: Mode) -> tuple[Desk, Model]:
    plans = (plan(instruments=tuple(markets), brain=BrainTable(kind="llm", strategies=("sma_cross",)), mode=mode),)
    store = memory()
    store.append(
        Portfolio(
            id=-1, account="main", cash=Decimal(1000), equity=Decimal(1000), positions=(), peak_equity=Decimal(1000),
            day_start_equity=Decimal(1000),
        )
    )  # fmt: skip
    model = Model(lambda *_: replace(ok(), text='{"decisions": [], "note": ""}'))
    model.store = store
    thinking = Thinking(Settings(config, Wording(builtin()), {"main": 12.0}), INSTRUMENTS)
    desk = Desk(
        {
            "llm": Caller(config, model, store),
            "brain": Brain(plans, INSTRUMENTS, store, thinking),
            "forecaster": Forecaster(plans, Random, store),
            "scheduler": Scheduler(plans, lambda symbol: markets[symbol], store),
            "indicator": Moving(),
        },
        store=store,
    )
    model.now = lambda: desk.now
    return desk, model


MARKETS = {BTC: "KRX", ETH: "NASDAQ", SPOT: "NASDAQ"}
DAILY = Mode(kind="daily", sessions=4, spacing_h=6.0)


def test_four_sessions_over_two_markets_are_eight_scheduled_calls_a_day() -> None:
    desk, model = desk_of(Llm(provider="openai", model="m", rpd=20), MARKETS, DAILY)
    desk.wait(HOUR / SECOND)
    desk.tell("scheduler", readings())  # warm: the first cycle comes by itself, and is no scheduled one
    desk.wait(3 * DAY / SECOND)
    assert model.store
    calls = model.store.ask(llm_calls.newest(1000))
    assert len(calls) == len(model.sent), "every attempt that was made is on record"
    days = Counter((each.begun.wall_ns - START) // DAY for each in calls if each.purpose == "scheduled")
    assert (days[0], days[1], days[2]) == (6, 8, 8)  # the first day began after its first session
    assert {each.purpose for each in calls if each.begun.wall_ns < START + 2 * HOUR} == {"event"}
    sessions = [cycle for cycle in desk.take(Cycle) if cycle.why == "session"]
    assert {(cycle.market, cycle.instruments) for cycle in sessions} == {("KRX", (BTC,)), ("NASDAQ", (ETH, SPOT))}


def test_markets_wait_for_each_other_where_a_provider_takes_one_a_minute() -> None:
    desk, model = desk_of(Llm(provider="openai", model="m", rpd=20, rpm=1), MARKETS, DAILY)
    desk.tell("scheduler", readings())
    desk.wait(DAY / SECOND)
    assert {decision.by for decision in desk.take(Decision)} == {"llm"}, "nobody had to stand in"
    assert model.store
    begun = [each.begun.wall_ns for each in model.store.ask(llm_calls.newest(1000))]
    assert min(later - sooner for sooner, later in pairwise(begun)) >= MINUTE


def test_a_cycle_that_the_ledger_would_refuse_is_put_off_and_not_made_in_vain() -> None:
    mode = Mode(kind="realtime", realtime_s=20)
    desk, model = desk_of(Llm(provider="openai", model="m", rpd=0, rpm=1), {BTC: "crypto"}, mode)
    desk.tell("scheduler", readings())
    desk.wait(600)
    assert 9 <= len(model.sent) <= 10
    assert len(desk.take(Cycle)) == len(model.sent)
    assert {decision.by for decision in desk.take(Decision)} == {"llm"}


def test_once_the_day_is_spent_the_strategies_decide() -> None:
    mode = Mode(kind="realtime", realtime_s=600)
    desk, model = desk_of(Llm(provider="openai", model="m", rpd=2), {BTC: "crypto"}, mode)
    desk.tell("scheduler", readings())
    desk.wait(2 * 3600)
    by = Counter(decision.by for decision in desk.take(Decision))
    assert (len(model.sent), by["llm"] >= 2, by["rules"] >= 9) == (2, True, True)
    assert desk.take(Allowance)


def test_a_simulated_instrument_keeps_the_calendar_it_is_given() -> None:
    market = Market(instruments=(BTC, ETH), calendars={BTC: "KRX"})
    assert [each.calendar for each in Config(market=market).resolved_instruments()] == ["KRX", "crypto"]


def test_that_a_market_opens_and_closes_its_session_is_told() -> None:
    desk, _ = desk_of(
        Llm(provider="openai", model="m", rpd=20), {BTC: "KRX", ETH: "NASDAQ"}, Mode(kind="daily", sessions=4)
    )
    desk.tell("scheduler", readings())
    desk.wait(4 * 60)
    told = [alert.text for alert in desk.take(Alert) if alert.kind == "session"]
    assert told == [
        "the market KRX opens its session: 1 instrument of plan main to decide on",
        "the market NASDAQ opens its session: 1 instrument of plan main to decide on",
        "the market KRX closes its session for plan main; the next one in 359 min",
        "the market NASDAQ closes its session for plan main; the next one in 359 min",
    ]
