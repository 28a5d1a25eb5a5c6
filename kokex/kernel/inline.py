"""The inline driver: backtests and replay. No tasks, no event loop, no supervisor.

A call is stepped at once and must not wait; its result comes after the latency its port states. An exception
of a handler ends the run.
"""

from collections.abc import Callable
from typing import final

from kokex.kernel.cell import Call, Cell, Failure
from kokex.kernel.system import Source, System

Skim = Callable[[int], tuple[int, int]]
"""Lets pass what is next of the source, up to a time, as far as it would lead to nothing.

Gives the number of messages that it would have been, and when the last would have been (0, 0: none)."""


class InlineError(Exception):
    """A port waited where it must not."""


@final
class Inline:
    """Drives `system` through all that its source and its agenda hold."""

    def __init__(self, system: System, skim: Skim | None = None) -> None:
        """`skim` spares the messages that would lead to nothing; numbers and times are as if they had been sent."""
        self._system = system
        self._skim = skim
        system.driver = self
        system.parks = False
        system.starter.supervises = False

    def begin(self, call: Call) -> None:
        system = self._system
        coroutine = call.function(*call.args)
        try:
            coroutine.send(None)
        except StopIteration as done:
            outcome = done.value
        except Exception as error:
            outcome = Failure(type(error).__name__, str(error))
        else:
            coroutine.close()
            raise InlineError(f"{call.function.__qualname__} waited; a port used inline must not")
        system.finish(call, outcome, system.now)

    def wake(self) -> None:
        """The loop below never sleeps, and time is the system's own."""

    def start(self) -> None:
        """Starts the tree, and lets the calls under way come back."""
        self._system.starter.start()
        self._system.drain()
        while self._system.calls and self._step(None):
            pass

    def run(self, until_ns: int | None = None) -> None:
        """Lets everything happen up to `until_ns`, or until nothing is left to happen."""
        system = self._system
        system.drain()
        if system.source is not None and not system.draining:
            self._run_market(system.source, 1 << 63 if until_ns is None else until_ns)
        while self._step(until_ns):
            pass

    def _run_market(self, source: Source, until_ns: int) -> None:
        """The same as `_step` again and again, while the market is what mostly happens: a backtest's inner loop."""
        system, agenda, skim = self._system, self._system.agenda, self._skim
        while True:
            due = system.due_at() if agenda else None
            if skim and (due is None or due > system.now):
                messages, at = skim(until_ns if due is None or due > until_ns else due)
                if messages:
                    system.now = at
                    system.turn += messages
                    system.emitted += messages
            if (at := source.next_at()) is None or at > until_ns:
                return
            system.cause = 0
            if due is not None and due < at:
                system.now = due
                system.come_due()
            else:
                system.now = at
                source.take()
            system.drain()

    def stop(self) -> None:
        """Drains and stops all actors."""
        for cell in self._system.starter.drain():
            self._last_words(cell)
            self._system.starter.stop(cell)
        self._system.drain()

    def _last_words(self, cell: Cell) -> None:
        system = self._system
        end = system.now + round(cell.child.shutdown_s * 1e9)
        system.drain()
        while not system.starter.idle(cell) and self._step(end):
            pass

    def _step(self, until_ns: int | None) -> bool:
        """Lets the next event happen, and all it leads to; false when there is none by `until_ns`."""
        system = self._system
        at = system.next_at()
        if at is None or (until_ns is not None and at > until_ns):
            return False
        system.happen(at)
        system.drain()
        return True
