"""The far end of the pipe: the process in which Kronos forecasts for the daemon (client.py is the near end).

    python -m kokex.kronos.worker THREADS IDLE_S MEMORY_MB PRECISION

reads a Question from stdin, writes an Answer to stdout, and so on; it ends with 0 when nobody asked for IDLE_S, or
when the daemon has gone. What it cannot do it says in the Answer. It takes no more memory than MEMORY_MB: what does
not fit fails, is said, and ends it, so that the next question finds a fresh one.
"""

import os
import resource
import select
import sys
from contextlib import suppress
from typing import IO, Any

import msgspec

from kokex.kronos.client import Answer, Distribution, Question, Series, read, write
from kokex.kronos.config import CheckpointError
from kokex.kronos.distribution import distribution
from kokex.kronos.registry import Installed, resolve
from kokex.kronos.threads import settle

NICENESS = 10  # whoever has one core wants the daemon to have it first
MIB = 1 << 20
REMEDY = "torch is not installed: pip install 'kokex[kronos]'"

Asked = tuple[str, str]  # predictor and tokenizer, by name or folder


def main() -> int:
    threads, idle_s, memory_mb, precision = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    pipe_in, pipe_out = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get among the answers
    os.nice(NICENESS)
    settle(threads)  # before torch is imported
    models: dict[Asked, tuple[Installed, Any]] = {}
    while select.select([pipe_in], [], [], idle_s)[0]:
        body = read(pipe_in)
        if body is None:
            return 0
        question = msgspec.msgpack.decode(body, type=Question)
        try:
            answer = Answer(distributions=_forecast(question, models, memory_mb, precision))
        except ImportError as error:
            answer = Answer(error=f"{REMEDY} ({error})")
        except (CheckpointError, ValueError) as error:
            answer = Answer(error=str(error))
        except (MemoryError, RuntimeError) as error:  # torch says an allocation that failed as a RuntimeError
            why = (str(error).strip() or "out of memory").splitlines()[0]
            _say(pipe_out, Answer(error=f"{why} (kronos.memory_mb is {memory_mb})"))
            return 0
        _say(pipe_out, answer)
    return 0


def _say(pipe: IO[bytes], answer: Answer) -> None:
    with suppress(OSError):  # the daemon has gone; the next read tells
        write(pipe, answer)


def _forecast(
    question: Question, models: dict[Asked, tuple[Installed, Any]], memory_mb: int, precision: Any
) -> list[Distribution]:
    from kokex.kronos import forecast
    from kokex.kronos.sampling import Rule

    asked = question.model, question.tokenizer
    named = resolve(*asked)
    found = named._replace(tokenizer=named.tokenizer.resolve(), model=named.model.resolve())
    if asked not in models or models[asked][0] != found:  # the champion's link points to another, by and by
        models.pop(asked, None)
        _bound(memory_mb)
        models[asked] = (
            found,
            forecast.Forecaster(found.tokenizer, found.model, max_context=found.max_context, precision=precision),
        )
    past = [_past(series, seed, question) for series, seed in zip(question.series, question.seeds, strict=True)]
    # top_p 1: what a daemon decides from are honest probabilities
    made = models[asked][1].forecast(past, question.samples, rule=Rule(top_p=1.0))
    return [_said(each, before) for each, before in zip(made, past, strict=True)]


def _past(series: Series, seed: int, question: Question) -> Any:
    from kokex.kronos import forecast

    columns: dict[str, list[float]] = {
        name: getattr(series, name) for name in ("open", "high", "low", "close", "volume")
    }
    last = series.open_ns[-1]
    future = [last + question.span_ns * (step + 1) for step in range(question.horizon)]
    return forecast.Series(forecast.with_amount(columns), series.open_ns, future, seed)


def _said(made: Any, past: Any) -> Distribution:
    said = distribution(made.candles.tolist(), past.candles[:, 3].tolist())
    return Distribution(said.quantiles, said.p_up, said.volatility, said.range_low, said.range_high)


def _bound(memory_mb: int) -> None:
    """What this process may write to, libraries already loaded included; what is only mapped does not count."""
    limit = memory_mb * MIB
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


if __name__ == "__main__":
    os._exit(main())  # at once: torch takes its time to go, and somebody may wait for the next process
