"""Real daemons in real processes, for tests: started on a database of their own, read line by line, ended."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from select import select
from time import monotonic
from types import MappingProxyType
from typing import IO, Any, NamedTuple

import msgspec

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0
LIVELY = MappingProxyType(
    {
        "KOKEX__MARKET__SPEED": "60",
        "KOKEX__MARKET__HISTORY_S": "1200",
        "KOKEX__STRATEGIES__TREND__FAST": "5",
        "KOKEX__STRATEGIES__TREND__SLOW": "15",
        "KOKEX__STRATEGIES__TREND__BAND": "0.3",
        "KOKEX__PAPER__TAKER_FEE": "0",  # so that so much trading does not trip the breaker
        "KOKEX__PAPER__SLIPPAGE_BP": "0",
    }
)


class Ended(NamedTuple):
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return msgspec.json.decode(self.out)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("KOKEX__")}
    return {**kept, "PYTHONPATH": str(ROOT), **settings}


def kokex(place: Path, *words: str, settings: Mapping[str, str] = LIVELY, stdin: str = "") -> Ended:
    """One command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "kokex", *words],
        cwd=place, env=environment(settings), input=stdin, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout, done.stderr)


class Daemon:
    """`kokex run` in the directory `place`."""

    def __init__(self, place: Path, settings: Mapping[str, str], words: tuple[str, ...]) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kokex", "run", *words],
            cwd=place, env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
        )  # fmt: skip
        self.pid = self._process.pid

    def wait_for(self, kind: str) -> str:
        """The next event line of that kind."""
        end = monotonic() + PATIENCE_S
        out: IO[bytes] | None = self._process.stdout
        assert out
        while monotonic() < end:
            if not select([out], [], [], 1.0)[0]:
                continue
            line = out.readline().decode().rstrip()
            if not line:
                raise AssertionError(f"ended before {kind}: {self.lines[-5:]} {self._errors()}")
            self.lines.append(line)
            if line.split()[2] == kind:
                return line
        raise AssertionError(f"no {kind} in {PATIENCE_S} s: {self.lines[-5:]}")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends the signal, reads what is left; the exit code."""
        self._process.send_signal(number)
        return self.finish()

    def finish(self) -> int:
        out, _ = self._process.communicate(timeout=PATIENCE_S)
        self.lines += (out or b"").decode().splitlines()
        return self._process.returncode

    def stop_reading(self) -> None:
        assert self._process.stdout
        self._process.stdout.close()
        self._process.stdout = None

    def _errors(self) -> str:
        assert self._process.stderr
        return self._process.stderr.read().decode()

    def reap(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


@contextmanager
def daemon(place: Path, *words: str, settings: Mapping[str, str] = LIVELY) -> Generator[Daemon, None, None]:
    """Killed, if nothing ended it before."""
    running = Daemon(place, settings, words)
    try:
        yield running
    finally:
        running.reap()
