"""The worker process: started on demand, bounded, ended when idle, and no loss when it dies."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest

from kokex.adapters.host.kronos import KronosModel
from kokex.kronos.client import Distribution, Question, Series, Worker, WorkerFailed
from kokex.messages import Candle
from kokex.ports import ForecastFailed, ForecastQuestion

torch = pytest.importorskip("torch")

from kokex.kronos.config import PredictorConfig, TokenizerConfig
from kokex.kronos.loading import save
from kokex.kronos.predictor import Predictor
from kokex.kronos.tokenizer import Tokenizer

MINUTE = 60_000_000_000
NO_DROPOUT = {"ffn_dropout_p": 0.0, "attn_dropout_p": 0.0, "resid_dropout_p": 0.0}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with random weights, and its tokenizer beside it."""
    folder = tmp_path_factory.mktemp("tiny")
    save(
        Tokenizer(
            TokenizerConfig(
                d_in=6,
                d_model=32,
                n_heads=2,
                ff_dim=32,
                n_enc_layers=2,
                n_dec_layers=2,
                s1_bits=4,
                s2_bits=4,
                beta=0.05,
                gamma0=1.0,
                gamma=1.1,
                zeta=0.05,
                group_size=4,
                **NO_DROPOUT,
            )
        ),
        folder / "tokenizer",
    )
    save(
        Predictor(
            PredictorConfig(
                s1_bits=4,
                s2_bits=4,
                n_layers=1,
                d_model=32,
                n_heads=2,
                ff_dim=32,
                token_dropout_p=0.0,
                learn_te=True,
                max_context=None,
                **NO_DROPOUT,
            )
        ),
        folder / "predictor",
    )
    return folder / "predictor"


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.end()


def series(count: int = 40, first: float = 100.0, scale: float = 1.0) -> Series:
    closes = [scale * (first + (n * 7 % 11) / 10) for n in range(count)]
    highs, lows = [each + 0.5 * scale for each in closes], [each - 0.5 * scale for each in closes]
    return Series([n * MINUTE for n in range(count)], closes, highs, lows, closes, [5.0] * count)  # fmt: skip


def question(model: Path, *, samples: int = 8, first: float = 100.0, scale: float = 1.0) -> Question:
    return Question(
        model=str(model), tokenizer="", horizon=6, samples=samples, span_ns=MINUTE, seeds=[1, 2],
        series=[series(scale=scale), series(first=first, scale=scale)],
    )  # fmt: skip


def memory_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def test_it_answers_alike_and_keeps_torch_out_of_this_process(model: Path, worker: Worker) -> None:
    first = worker.ask(question(model))
    assert [len(each.quantiles) for each in first] == [6, 6]
    assert all(isinstance(each, Distribution) and each.range_low < each.range_high for each in first)
    pid = worker.pid
    assert pid
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"KOKEX" not in environment
    before = memory_mb(os.getpid())
    assert worker.ask(question(model)) == first
    assert worker.pid == pid
    assert memory_mb(os.getpid()) < before + 8


def test_prices_of_a_few_satoshi_are_forecast_like_others(model: Path, worker: Worker) -> None:
    large, small = worker.ask(question(model, first=1000.0)), worker.ask(question(model, first=1000.0, scale=1e-8))
    for one, other in zip(large, small, strict=True):
        assert other.p_up == one.p_up
        assert [tuple(each * 1e8 for each in step) for step in other.quantiles] == [
            pytest.approx(step, rel=1e-3) for step in one.quantiles
        ]


def test_what_it_cannot_do_it_says_and_goes_on(model: Path, worker: Worker) -> None:
    with pytest.raises(WorkerFailed, match="nowhere: neither a folder nor one of"):
        worker.ask(question(Path("nowhere")))
    pid = worker.pid
    with pytest.raises(WorkerFailed, match="is nan"):
        worker.ask(question(model, first=float("nan")))
    assert worker.ask(question(model))
    assert worker.pid == pid


def test_it_ends_when_idle_and_the_next_question_starts_another(model: Path) -> None:
    worker = Worker(idle_s=0.2)
    assert worker.pid is None
    try:
        first = worker.ask(question(model))
        pid = worker.pid
        assert pid
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert worker.pid is None
        assert worker.ask(question(model)) == first
    finally:
        worker.end()


def test_its_precision_is_what_was_asked_for_or_it_says_that_it_cannot(model: Path, worker: Worker) -> None:
    half = Worker(precision="bf16")
    able = torch.cpu.get_capabilities()
    try:
        if able.get("avx512_bf16") or able.get("amx_bf16"):
            many = question(
                model, samples=1000
            )  # few draws are so close that half the digits make another token of them
            assert half.ask(many) != worker.ask(many)
        else:
            with pytest.raises(WorkerFailed, match="no bf16 arithmetic"):
                half.ask(question(model))
    finally:
        half.end()


def test_more_memory_than_it_may_take_is_a_failure_and_no_more(model: Path) -> None:
    worker = Worker(memory_mb=60)
    try:
        with pytest.raises(WorkerFailed):
            worker.ask(question(model))
    finally:
        worker.end()


class Beat(NamedTuple):
    """Of a loop that has nothing to do but wake up every 10 ms. Seconds."""

    late: float
    busy: float  # what the loop's thread worked meanwhile, which no neighbour on this machine adds to


def test_the_loop_goes_on_while_it_forecasts_and_after_a_kill_or_whoever_gives_up_it_forecasts_again(
    model: Path,
) -> None:
    async def run() -> tuple[list[Beat], float]:
        worker = Worker()
        port = KronosModel(worker)
        candles = tuple(Candle("BTC-USDT", n * MINUTE, 100.0, 101.0, 99.0, 100.0 + n % 3, 1.0) for n in range(200))
        asked = ForecastQuestion(
            model=str(model), tokenizer="", horizon=24, samples=1000, span_ns=MINUTE, seeds=(1,), series=(candles,)
        )
        few = ForecastQuestion(**{f: getattr(asked, f) for f in FIELDS if f != "samples"}, samples=4, model=str(model))
        beats: list[Beat] = []
        took, heard = 0.0, 0
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_measure, beats)
                began = anyio.current_time()
                with anyio.fail_after(180):
                    await port.forecast(asked)
                took, heard = anyio.current_time() - began, len(beats)
                assert await port.forecast(few)
                async with anyio.create_task_group() as killing:
                    killing.start_soon(_kill, worker)
                    with pytest.raises(ForecastFailed, match="killed by signal 9"):
                        await port.forecast(asked)
                assert await port.forecast(few)
                with anyio.move_on_after(0.05) as scope:
                    await port.forecast(asked)
                assert scope.cancelled_caught
                assert worker.pid is None
                with pytest.raises(ForecastFailed):
                    await port.forecast(ForecastQuestion(**{f: getattr(asked, f) for f in FIELDS}, model="nowhere"))
                tasks.cancel_scope.cancel()
        finally:
            worker.end()
        return beats[:heard], took

    beats, took = anyio.run(run)
    late = sorted(each.late for each in beats)
    assert len(beats) > 20
    assert late[len(late) // 2] < 0.02
    assert late[-1] < took / 2  # never was the loop waiting for the forecast
    assert max(each.busy for each in beats) < 0.02


async def _kill(worker: Worker) -> None:
    await anyio.sleep(0.05)  # it is at work: a thousand paths take longer
    assert worker.pid
    os.kill(worker.pid, signal.SIGKILL)


FIELDS = ("tokenizer", "horizon", "samples", "span_ns", "seeds", "series")


async def _measure(beats: list[Beat]) -> None:
    while True:
        before, worked = anyio.current_time(), time.thread_time()
        await anyio.sleep(0.01)
        beats.append(Beat(anyio.current_time() - before - 0.01, time.thread_time() - worked))


def test_the_client_imports_no_torch() -> None:
    import subprocess

    code = "import sys, kokex.adapters.host.kronos; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
