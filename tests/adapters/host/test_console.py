"""Event lines: one an event, flushed at once, and no harm when nobody reads."""

import io

from kokex.adapters.host.console import LineConsole

AT = 1_735_689_600_000_000_000


class Pipe(io.StringIO):
    """Breaks when told to; `flushed` is what a reader has by now."""

    broken = False
    flushed = ""

    def write(self, text: str) -> int:
        if self.broken:
            raise BrokenPipeError
        return super().write(text)

    def flush(self) -> None:
        self.flushed = self.getvalue()


def test_an_event_is_a_line_and_there_at_once() -> None:
    pipe = Pipe()
    LineConsole(pipe)(AT, "INFO", "price", "BTC-USDT 60000")
    assert pipe.flushed == "2025-01-01T00:00:00Z INFO price BTC-USDT 60000\n"


def test_what_is_below_the_level_is_no_line() -> None:
    pipe = Pipe()
    console = LineConsole(pipe, "warning")
    for level in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        console(AT, level, "alert", level.lower())
    assert [line.split()[3] for line in pipe.getvalue().splitlines()] == ["warning", "error", "critical"]


def test_a_reader_who_has_gone_is_told_of_once_and_written_to_no_more() -> None:
    pipe, gone = Pipe(), list[int]()
    console = LineConsole(pipe, gone=lambda: gone.append(1))
    pipe.broken = True
    for _ in range(3):
        console(AT, "INFO", "price", "")
    assert gone == [1]
    pipe.broken = False
    console(AT, "INFO", "price", "")
    assert pipe.getvalue() == ""


def test_a_terminal_gets_columns_and_colours() -> None:
    class Terminal(Pipe):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    console = LineConsole(terminal)
    console(AT, "INFO", "price", "1")
    console(AT, "ERROR", "fill", "2")
    assert terminal.getvalue() == (
        "2025-01-01T00:00:00Z INFO     price    1\n"
        "2025-01-01T00:00:00Z \x1b[31mERROR   \x1b[0m \x1b[32mfill    \x1b[0m 2\n"
    )
