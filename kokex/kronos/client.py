"""The near end of the pipe to the worker process in which Kronos forecasts (worker.py is the far end).

Nothing of torch is imported here: its import alone takes some 200 MiB, which the daemon's own process never pays.
A message is four bytes of length, big-endian, and so many of msgpack: a Question down the pipe, an Answer back.
"""

import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from threading import Lock
from typing import IO, NamedTuple, final

import msgspec
from msgspec import Struct

# All of the environment that the worker gets: no secret is among it.
_PASSED_ON = ("PATH", "PYTHONPATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "HF_HOME", "HF_HUB_CACHE", "LD_LIBRARY_PATH")
_LENGTH = 4
_PATIENCE_S = 5.0  # of a process that closed its pipe, to end


class WorkerFailed(Exception):
    """The worker cannot be started, died, or could not do it. One line."""


class Series(Struct, frozen=True, array_like=True):
    """The candles of one instrument, oldest first; the lists are of one length."""

    open_ns: list[int]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[float]  # base currency


class Question(Struct, frozen=True, kw_only=True):
    model: str  # a folder, or the name of a model that is installed
    tokenizer: str  # the same; empty: the one that belongs to the model
    horizon: int  # candles ahead
    samples: int  # paths of each series
    span_ns: int  # of a candle
    seeds: list[int]  # one for each series
    series: list[Series]


class Distribution(Struct, frozen=True, array_like=True):
    """What may come of one series."""

    quantiles: list[tuple[float, float, float, float, float]]  # of the close, at 5, 25, 50, 75, 95 %, for each step
    p_up: float  # of the close at the horizon; an unchanged path counts half
    volatility: float  # per step, of log returns
    range_low: float  # mean of the paths' lowest low, now included
    range_high: float


class Answer(Struct, frozen=True, kw_only=True):
    distributions: list[Distribution] = []
    error: str = ""  # why there are none


def write(pipe: IO[bytes], message: Struct) -> None:
    """Raises OSError when nobody reads."""
    body = msgspec.msgpack.encode(message)
    pipe.write(len(body).to_bytes(_LENGTH, "big") + body)
    pipe.flush()


def read(pipe: IO[bytes]) -> bytes | None:
    """The body of the next message; None when the pipe ended."""
    head = pipe.read(_LENGTH)
    if len(head) < _LENGTH:
        return None
    length = int.from_bytes(head, "big")
    body = pipe.read(length)
    return body if len(body) == length else None


class Running(NamedTuple):
    process: subprocess.Popen[bytes]
    said: IO[bytes]  # its stderr


@final
class Worker:
    """One worker process: started by the first question, ended by itself when idle, started again by the next.

    Calls block, one at a time; `end` may come from another thread, and then the call under way fails.
    """

    def __init__(
        self, *, threads: int = 1, idle_s: float = 300.0, memory_mb: int = 700, precision: str = "fp32"
    ) -> None:
        self._settings = (str(threads), str(idle_s), str(memory_mb), precision)
        self._running: Running | None = None
        self._turn = Lock()

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        running = self._running
        return running.process.pid if running and running.process.poll() is None else None

    def ask(self, question: Question) -> list[Distribution]:
        """One Distribution for each series. Raises WorkerFailed."""
        with self._turn:
            body = self._answer(question)
        answer = msgspec.msgpack.decode(body, type=Answer)
        if answer.error:
            raise WorkerFailed(answer.error)
        return answer.distributions

    def end(self) -> None:
        """Ends the process, whatever it is doing."""
        running = self._running
        if running is not None:
            running.process.kill()
            with self._turn:  # who waits for an answer learns of it, and tidies up
                if self._running is running:
                    self._running = None
                    _fate(running)

    def _answer(self, question: Question) -> bytes:
        while True:
            running = self._running = self._running or self._started()
            body = _asked(running.process, question)
            if body is not None:
                return body
            self._running = None
            if fate := _fate(running):
                raise WorkerFailed(f"its process {fate}")
            # else it had ended by itself, idle: the next one answers

    def _started(self) -> Running:
        command = [sys.executable, "-P", "-m", "kokex.kronos.worker", *self._settings]
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        said = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the process
        try:
            process = subprocess.Popen(  # noqa: S603  our own module, by the interpreter that runs this one
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=environment
            )
            return Running(process, said)
        except OSError as error:
            raise WorkerFailed(f"its process cannot be started: {error}") from None


def _asked(process: subprocess.Popen[bytes], question: Question) -> bytes | None:
    """The answer; None when the process is no more."""
    assert process.stdin
    assert process.stdout
    try:
        write(process.stdin, question)
        return read(process.stdout)
    except OSError:
        return None


def _fate(running: Running) -> str:
    """How it ended, and its last words; empty when it did so of its own will."""
    process, said = running
    try:
        code = process.wait(timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe
        with suppress(OSError):  # what was not written yet cannot be any more
            pipe.close()
    with said:
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
    if code == 0:
        return ""
    return (f"was killed by signal {-code}" if code < 0 else f"ended with {code}") + (f": {lines[-1]}" if lines else "")
