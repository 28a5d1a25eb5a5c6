"""forecaster: what may come, and the briefing.

Holds each account's last Portfolio. Receives Cycle; asks the indicator where the instruments stand, makes a
Forecast for each where the plan or one of its strategies asks for one, and emits the Briefing for the brain.
"""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from actors.indicator import Sampled, wants_forecast
from kokex.config import Plan
from kokex.kernel.actor import Actor
from kokex.kernel.cell import Failure
from kokex.market.volatility import baseline
from kokex.messages import Alert, Briefing, Cycle, Forecast, Portfolio, Readings, Sample
from kokex.ports import Chance, Store

FEWEST_CLOSES = 30  # a distribution from fewer returns is no distribution


class Forecaster(Actor):
    emits = (Forecast, Briefing, Alert)
    asks = (Sample,)
    state = dict[str, Portfolio]

    def __init__(self, plans: Sequence[Plan], chance: Callable[[int], Chance], store: Store) -> None:
        """`chance(seed)` makes a generator: a forecast is the same whenever it is made of the same candles."""
        self._plans = {plan.name: plan for plan in plans}
        self._lookback = {plan.name: plan.forecast.lookback if wants_forecast(plan) else 0 for plan in plans}
        self._chance = chance
        self._store = store
        self._portfolios: dict[str, Portfolio] = {}

    async def load(self) -> dict[str, Portfolio]:
        return await newest_portfolios(self._store, self._plans.values())

    def start(self, state: Mapping[str, Portfolio]) -> None:
        self._portfolios = dict(state)

    def on_portfolio(self, portfolio: Portfolio) -> None:
        self._portfolios[portfolio.account] = portfolio

    def on_cycle(self, cycle: Cycle) -> None:
        question = Sample(plan=cycle.plan, instruments=cycle.instruments, lookback=self._lookback[cycle.plan])
        self.ask("indicator", question, then=partial(self._brief, self._plans[cycle.plan], cycle))

    def _brief(self, plan: Plan, cycle: Cycle, sampled: Sampled | Failure) -> None:
        portfolio = self._portfolios.get(plan.account)
        if isinstance(sampled, Failure):
            self._give_up(plan, sampled.text)
        elif portfolio is None:  # who does not know what is held would buy it again
            self._give_up(plan, f"nothing is known of account {plan.account}")
        else:
            forecasts = [self._forecast(plan, reading, sampled.closes) for reading in sampled.readings]
            self.emit(
                Briefing(
                    plan=plan.name,
                    account=plan.account,
                    cycle=cycle.id,
                    instruments=cycle.instruments,
                    readings=sampled.readings,
                    forecasts=tuple(forecast for forecast in forecasts if forecast),
                    held=portfolio.held.get(plan.name, {}),
                    equity=portfolio.equity,
                    deadline_ns=cycle.deadline_ns,
                )
            )

    def _give_up(self, plan: Plan, why: str) -> None:
        text = f"no briefing for the cycle of plan {plan.name}: {why}"
        self.emit(Alert(severity="warning", kind="forecaster", text=text, plan=plan.name))

    def _forecast(self, plan: Plan, reading: Readings, closes: Mapping[str, Sequence[float]]) -> Forecast | None:
        """None where nobody asks for one, or the past is too short."""
        past = closes.get(reading.instrument, ())
        if len(past) < FEWEST_CLOSES:
            return None
        seed = reading.close_ns ^ zlib.crc32(reading.instrument.encode())
        made = baseline(past, plan.forecast.horizon, plan.forecast.samples, self._chance(seed))
        forecast = Forecast(
            plan=plan.name,
            instrument=reading.instrument,
            close_ns=reading.close_ns,
            span_ns=plan.timeframe_ns,
            model="baseline",
            price=reading.price,
            steps=tuple(made.steps),
            p_up=made.p_up,
            volatility=made.volatility,
            range_low=made.range_low,
            range_high=made.range_high,
        )
        self.emit(forecast)
        return forecast


async def newest_portfolios(store: Store, plans: Iterable[Plan]) -> dict[str, Portfolio]:
    """Of each account of these plans, what is on record: an actor that starts anew missed the last one told."""
    accounts = dict.fromkeys(plan.account for plan in plans)
    return {account: last for account in accounts if (last := await store.portfolio(account))}
