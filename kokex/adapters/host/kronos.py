"""Kronos as the daemon asks it: a process of its own, spoken to from a thread, so that the loop never waits."""

from typing import final

import anyio
import anyio.to_thread

from kokex.kronos.client import Question, Series, Worker, WorkerFailed
from kokex.messages import Candle, ForecastStep, Outlook
from kokex.ports import ForecastFailed, ForecastQuestion


@final
class KronosModel:
    """`ports.Forecaster`. One question at a time; the process ends with whoever gives up waiting for its answer."""

    latency_ns = 0

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._turn = anyio.Lock()

    async def forecast(self, question: ForecastQuestion) -> tuple[Outlook, ...]:
        async with self._turn:
            try:
                return await anyio.to_thread.run_sync(self._ask, question, abandon_on_cancel=True)
            except anyio.get_cancelled_exc_class():
                self._worker.end()  # it hangs, or is too slow for the cycle: the next question gets a fresh one
                raise

    def _ask(self, question: ForecastQuestion) -> tuple[Outlook, ...]:
        return asked(self._worker, question)


def asked(worker: Worker, question: ForecastQuestion) -> tuple[Outlook, ...]:
    """The answer, waited for. Raises ForecastFailed."""
    try:
        distributions = worker.ask(
            Question(
                model=question.model,
                tokenizer=question.tokenizer,
                horizon=question.horizon,
                samples=question.samples,
                span_ns=question.span_ns,
                seeds=list(question.seeds),
                series=[_series(candles) for candles in question.series],
            )
        )
    except WorkerFailed as error:
        raise ForecastFailed(str(error)) from None
    return tuple(
        Outlook(tuple(ForecastStep(*each) for each in d.quantiles), d.p_up, d.volatility, d.range_low, d.range_high)
        for d in distributions
    )


def _series(candles: tuple[Candle, ...]) -> Series:
    return Series(
        [each.open_ns for each in candles],
        [each.open for each in candles],
        [each.high for each in candles],
        [each.low for each in candles],
        [each.close for each in candles],
        [each.volume for each in candles],
    )
