"""Training as the daemon has it done: a process of its own, of low priority, that ends with whoever gives it up.

It reads the database beside the daemon, leaves its model in a folder and its report on stdout. Killed, it goes on
where it was when it is started again.
"""

import os
import subprocess
import sys
from typing import final

import anyio
import msgspec

from kokex.config import Config
from kokex.messages import ModelVersion
from kokex.ports import TrainingFailed

# All of the environment that it gets: no secret is among it.
_PASSED_ON = ("PATH", "PYTHONPATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
_LAST_WORDS = 4096  # bytes of its stderr


@final
class TrainingProcess:
    """`ports.Training`."""

    def __init__(self, config: Config) -> None:
        settings = config.training
        self._command: tuple[str, ...] = (
            sys.executable, "-P", "-m", "kokex", "retrain", "--db", config.store.path, "--timeframe",
            config.market.timeframe,
            "--folder", settings.folder, "--size", settings.size, "--threads", str(settings.threads),
            "--niceness", str(settings.niceness), "--horizon", str(config.forecast.horizon), "--json",
        )  # fmt: skip

    async def train(self) -> ModelVersion:
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        try:
            done = await anyio.run_process(
                self._command, stdin=subprocess.DEVNULL, check=False, env=environment
            )  # fmt: skip
        except OSError as error:
            raise TrainingFailed(f"its process cannot be started: {error}") from None
        if done.returncode:
            lines = done.stderr[-_LAST_WORDS:].decode(errors="replace").strip().splitlines()
            said = lines[-1].removeprefix("kokex: ") if lines else "it said nothing"
            raise TrainingFailed(f"its process ended with {done.returncode}: {said}")
        try:
            return msgspec.json.decode(done.stdout, type=ModelVersion)
        except msgspec.MsgspecError as error:
            raise TrainingFailed(f"its report cannot be read: {error}") from None
