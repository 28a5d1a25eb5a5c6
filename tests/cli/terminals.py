"""A command in a terminal of its own, as a person has it: what is typed, and what is on the screen."""

import os
import pty
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from select import select
from time import monotonic

from tests.cli.daemons import PATIENCE_S, environment

END = "\x04"  # Ctrl-D


class Terminal:
    def __init__(self, place: Path, words: tuple[str, ...], settings: Mapping[str, str]) -> None:
        self._screen, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kokex", *words], cwd=place, env={**environment(settings), "TERM": "dumb"},
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self._unread = ""

    def shows(self, text: str) -> str:
        """Waits until the text is shown; all that came since the last time, up to it."""
        end = monotonic() + PATIENCE_S
        while text not in self._unread:
            assert monotonic() < end, f"no {text!r} in {self._unread!r}"
            if select([self._screen], [], [], 0.2)[0]:
                with suppress(OSError):  # it has ended: what is there is all
                    self._unread += os.read(self._screen, 65_536).decode(errors="replace").replace("\r\n", "\n")
        before, _, self._unread = self._unread.partition(text)
        return before + text

    def shown_so_far(self) -> str:
        return self._unread

    def types(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def ends(self) -> int:
        """Its exit code."""
        return self._process.wait(PATIENCE_S)

    def reap(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._screen)


@contextmanager
def terminal(place: Path, *words: str, settings: Mapping[str, str]) -> Generator[Terminal, None, None]:
    opened = Terminal(place, words, settings)
    try:
        yield opened
    finally:
        opened.reap()
