"""Event lines on a stream: `TIME LEVEL KIND text`, one event a line, flushed at once."""

from collections.abc import Callable
from typing import Literal, TextIO, final

from kokex.adapters.secrets.secret import redact
from kokex.present.words import clock

Level = Literal["debug", "info", "warning", "error"]

_RANKS = {"DEBUG": 0, "INFO": 1, "WARNING": 2, "ERROR": 3, "CRITICAL": 4}
_COLOURS = {
    "decision": 36, "verdict": 36, "order": 34, "fill": 32, "alert": 33, "next": 35,
    "WARNING": 33, "ERROR": 31, "CRITICAL": 31,
}  # fmt: skip


@final
class LineConsole:
    """`kokex.ports.Console`. In columns and colours on a terminal; `gone` is called once when the reader is."""

    def __init__(self, stream: TextIO, level: Level = "info", *, gone: Callable[[], None] = lambda: None) -> None:
        self._stream = stream
        self._least = _RANKS[level.upper()]
        self._gone = gone
        self._terminal = stream.isatty()
        self._silent = False

    def __call__(self, at: int, level: str, kind: str, text: str) -> None:
        if self._silent or _RANKS[level] < self._least:
            return
        line = f"{clock(at)} {self._paint(level)} {self._paint(kind)} {redact(text)}\n"
        try:
            self._stream.write(line)
            self._stream.flush()
        except (OSError, ValueError):  # closed: `kokex run | head`
            self._silent = True
            self._gone()

    def _paint(self, word: str) -> str:
        if not self._terminal:
            return word
        colour = _COLOURS.get(word)
        return f"\x1b[{colour}m{word:<8}\x1b[0m" if colour else f"{word:<8}"
