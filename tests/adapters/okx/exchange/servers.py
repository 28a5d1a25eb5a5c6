"""A running exchange for tests: a process of its own, as a user starts it."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple


class Running(NamedTuple):
    port: int
    line: str  # what it said
    process: "subprocess.Popen[str]"

    @property
    def rest(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/v5"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def exchange(*options: str, port: int = 0) -> Generator[Running, None, None]:
    """`kokex exchange`, on a free port unless told otherwise, ended with the block unless the test killed it."""
    command = [sys.executable, "-m", "kokex", "exchange", "--port", str(port), "--key", "k", "--secret", "s"]
    process = subprocess.Popen(
        [*command, "--passphrase", "p", *options],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        assert line.startswith("exchange: http"), line + process.stderr.read()
        yield Running(int(line.split("127.0.0.1:")[1].split("/")[0]), line, process)
        if process.poll() == -signal.SIGKILL:
            return
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0, process.stderr.read()
        said = process.stderr.read()
        assert not said, said
    finally:
        if process.poll() is None:
            process.kill()
        process.stderr.close()
        process.wait()
