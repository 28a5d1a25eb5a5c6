"""forecaster: what may come, and the briefing.

Holds each account's last Portfolio, and the news of late. Receives a cycle's Standing; makes a Forecast for each of
its instruments where the plan or one of its strategies asks for one, asks the memory what became of decisions in
situations like these where a model decides, and emits the Briefing for the brain.

Kronos answers from a process of its own, once for all instruments of a cycle and once for each candle. Where it
does not (no weights, a crash, too slow), the statistical baseline stands in: said once, and once when it is back.
"""

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from msgspec import Struct

from kokex.brain.memory import situation
from kokex.brain.news import notes
from kokex.config import Plan
from kokex.kernel.actor import Actor
from kokex.kernel.cell import Failure
from kokex.market.volatility import baseline
from kokex.messages import Alert, Briefing, Forecast, NewsItem, Outlook, Portfolio, Readings, Severity, Standing
from kokex.ports import Chance, ForecastQuestion, Memory, Recollection, Store
from kokex.ports import Forecaster as ForecastModel

MOST_NEWS = 200
RECALL_S = 5.0  # then a briefing does without
KEEP_UP_S = 600.0  # between two looks of the memory at what has happened
FIRST_KEEP_UP_S = 10.0
PATIENCE_S = 120.0  # for that look, which nobody waits for
FEWEST_CANDLES = 30  # a distribution from fewer is no distribution

Outlooks = dict[str, Outlook]  # by instrument


class Known(Struct, frozen=True):
    """What is on record for a start."""

    portfolios: dict[str, Portfolio]
    news: list[NewsItem] = []


class Forecaster(Actor):
    emits = (Forecast, Briefing, Alert)
    state = Known

    def __init__(
        self,
        plans: Sequence[Plan],
        chance: Callable[[int], Chance],
        store: Store,
        model: ForecastModel | None = None,
        *,
        memory: Memory | None = None,
        news_age_ns: int = 0,
    ) -> None:
        """`chance(seed)` makes a generator: a forecast is the same whenever it is made of the same candles.

        `news_age_ns`: older news is no news; 0: there is none.
        """
        self._plans = {plan.name: plan for plan in plans}
        self._chance = chance
        self._store = store
        self._model = model
        self._memory = memory
        self._troubles: dict[str, str] = {}  # what the memory does -> what was wrong with it last time
        self._news_age_ns = news_age_ns
        self._degraded = False
        # plan, instrument -> the close that the model last looked ahead from, and its answer
        self._known: dict[tuple[str, str], tuple[int, Outlook]] = {}
        self._portfolios: dict[str, Portfolio] = {}
        self._news: deque[NewsItem] = deque(maxlen=MOST_NEWS)

    async def load(self) -> Known:
        portfolios = await newest_portfolios(self._store, self._plans.values())
        news = await self._store.news(self.now - self._news_age_ns) if self._news_age_ns else []
        return Known(portfolios, news[-MOST_NEWS:])

    def start(self, state: Known) -> None:
        self._portfolios = dict(state.portfolios)
        self._news.extend(state.news)
        if self._memory:
            self.later(FIRST_KEEP_UP_S, self._keep_up)

    def on_portfolio(self, portfolio: Portfolio) -> None:
        self._portfolios[portfolio.account] = portfolio

    def on_news_item(self, item: NewsItem) -> None:
        self._news.append(item)

    # ---- a cycle

    def on_standing(self, standing: Standing) -> None:
        self.because(standing.cycle.id)  # the cycle is on record, its standing is not
        plan = self._plans[standing.cycle.plan]
        if not standing.candles:  # nobody wants a forecast
            self._brief(plan, standing, {}, "")
            return
        readings = [
            each for each in standing.readings if len(standing.candles.get(each.instrument, ())) >= FEWEST_CANDLES
        ]
        if plan.forecast.kind == "kronos" and self._model:
            self._ask_model(plan, standing, readings)
        else:
            self._brief(plan, standing, self._baselines(plan, standing, readings), "baseline")

    def _baselines(self, plan: Plan, standing: Standing, readings: Iterable[Readings]) -> Outlooks:
        return {
            each.instrument: baseline(
                [candle.close for candle in standing.candles[each.instrument]],
                plan.forecast.horizon,
                plan.forecast.paths,
                self._chance(_seed(each)),
            )
            for each in readings
        }

    def _brief(self, plan: Plan, standing: Standing, outlooks: Outlooks, model: str) -> None:
        forecasts: tuple[Forecast, ...] = ()
        if outlooks:
            told = [each for each in standing.readings if each.instrument in outlooks]
            forecasts = tuple([self._forecast(plan, each, outlooks[each.instrument], model) for each in told])
        if self._memory is None or plan.brain.kind != "llm":
            self._tell(plan, standing, forecasts, ())
            return
        by_name = {each.instrument: each for each in forecasts}
        here = tuple(situation(each, by_name.get(each.instrument)) for each in standing.readings if each.values)
        self.call(
            self._memory.recall, plan.name, self.now, here,
            returns=Recollection, then=partial(self._recalled, plan, standing, forecasts), timeout_s=RECALL_S,
        )  # fmt: skip

    def _recalled(
        self, plan: Plan, standing: Standing, forecasts: tuple[Forecast, ...],
        said: Recollection | Failure,
    ) -> None:  # fmt: skip
        if isinstance(said, Failure):
            self._note_trouble("answer", f"{said.text or said.kind}: no lessons")
            self._tell(plan, standing, forecasts, ())
        else:
            self._note_trouble("answer", f"{said.trouble}; the database answers" if said.trouble else "")
            self._tell(plan, standing, forecasts, said.lines)

    def _keep_up(self) -> None:
        assert self._memory

        def done(trouble: str | Failure) -> None:
            self._note_trouble("keep up", (trouble.text or trouble.kind) if isinstance(trouble, Failure) else trouble)
            self.later(KEEP_UP_S, self._keep_up)

        self.call(self._memory.keep_up, returns=str, then=done, timeout_s=PATIENCE_S)

    def _note_trouble(self, what: str, trouble: str) -> None:
        """Told when it begins and when it is over."""
        before, self._troubles[what] = self._troubles.get(what, ""), trouble
        if bool(trouble) != bool(before):
            severity, text = ("warning", f"does not {what}: {trouble}") if trouble else ("info", f"does {what} again")
            self.emit(Alert(severity=severity, kind="memory", text=f"the memory {text}"))

    def _tell(self, plan: Plan, standing: Standing, forecasts: tuple[Forecast, ...], lessons: tuple[str, ...]) -> None:
        portfolio = self._portfolios.get(plan.account)
        if portfolio is None:  # who does not know what is held would buy it again
            self._give_up(plan, f"nothing is known of account {plan.account}")
            return
        cycle = standing.cycle
        self.emit(
            Briefing(
                plan=plan.name,
                account=plan.account,
                cycle=cycle.id,
                instruments=cycle.instruments,
                readings=standing.readings,
                forecasts=forecasts,
                held=portfolio.held.get(plan.name, {}),
                equity=portfolio.equity,
                deadline_ns=cycle.deadline_ns,
                why=cycle.why,
                lessons=lessons,
                news=notes(self._news, cycle.instruments, self.now, self._news_age_ns) if self._news else (),
            )
        )

    def _forecast(self, plan: Plan, reading: Readings, outlook: Outlook, model: str) -> Forecast:
        forecast = Forecast(
            plan=plan.name,
            instrument=reading.instrument,
            close_ns=reading.close_ns,
            span_ns=plan.timeframe_ns,
            model=model,
            price=reading.price,
            steps=outlook.steps,
            p_up=outlook.p_up,
            volatility=outlook.volatility,
            range_low=outlook.range_low,
            range_high=outlook.range_high,
        )
        self.emit(forecast)
        return forecast

    def _give_up(self, plan: Plan, why: str) -> None:
        self._say("warning", f"no briefing for the cycle of plan {plan.name}: {why}", plan)

    # ---- Kronos

    def _ask_model(self, plan: Plan, standing: Standing, readings: Sequence[Readings]) -> None:
        assert self._model
        new = [each for each in readings if self._known.get(_key(each), (0,))[0] != each.close_ns]
        then = partial(self._answered, plan, standing, readings, new)
        if not new:
            then(())
            return
        settings = plan.forecast
        question = ForecastQuestion(
            model=settings.model, tokenizer=settings.tokenizer, horizon=settings.horizon, samples=settings.paths,
            span_ns=plan.timeframe_ns, seeds=tuple(_seed(each) for each in new),
            series=tuple(standing.candles[each.instrument] for each in new),
        )  # fmt: skip
        self.call(
            self._model.forecast, question,
            returns=tuple[Outlook, ...], then=then, timeout_s=settings.timeout_s, latency_ns=self._model.latency_ns,
        )  # fmt: skip

    def _answered(
        self, plan: Plan, standing: Standing, readings: Sequence[Readings], new: Sequence[Readings],
        answer: tuple[Outlook, ...] | Failure,
    ) -> None:  # fmt: skip
        if isinstance(answer, Failure):
            if not self._degraded:
                self._degraded = True
                text = f"Kronos does not answer ({answer.text or answer.kind}): the baseline forecasts in its place"
                self._say("warning", text, plan)
            self._brief(plan, standing, self._baselines(plan, standing, readings), "baseline")
            return
        if self._degraded and new:
            self._degraded = False
            self._say("info", "Kronos forecasts again", plan)
        for reading, outlook in zip(new, answer, strict=True):
            self._known[_key(reading)] = (reading.close_ns, outlook)
        outlooks = {each.instrument: self._known[_key(each)][1] for each in readings}
        self._brief(plan, standing, outlooks, "kronos")

    def _say(self, severity: Severity, text: str, plan: Plan) -> None:
        self.emit(Alert(severity=severity, kind="forecaster", text=text, plan=plan.name))


def _key(reading: Readings) -> tuple[str, str]:
    return reading.plan, reading.instrument


def _seed(reading: Readings) -> int:
    """The same for the same candles, another for each instrument."""
    return reading.close_ns ^ zlib.crc32(reading.instrument.encode())


async def newest_portfolios(store: Store, plans: Iterable[Plan]) -> dict[str, Portfolio]:
    """Of each account of these plans, what is on record: an actor that starts anew missed the last one told."""
    accounts = dict.fromkeys(plan.account for plan in plans)
    return {account: last for account in accounts if (last := await store.portfolio(account))}
