"""Virtual time: event loops on which nothing sleeps.

trio: a `Clock` of our own (a public seam) that jumps to the next deadline as soon as every task waits, and
raises `Deadlock` when they all wait for ever, where trio's MockClock would spin. To be the same on each run,
trio must also be told not to draw the order of its tasks from an unseeded generator; that takes its two
private names, used in `seeded` and nowhere else, and held by a contract test and an exact pin.

asyncio: a selector that moves the loop's clock by the timeout it was asked to wait. A slice of the seeds runs on it,
because asyncio's cancellation is what production uses.

Times are nanoseconds of trading time, counted in whole ones: each loop's own float clock counts seconds from zero
and would be off by some after weeks.
"""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from math import inf
from random import Random
from typing import Any, final

import anyio
import trio
import trio.lowlevel
import trio.testing


class Deadlock(Exception):
    """Every task waits for something that can never come."""


@final
class TrioTime(trio.abc.Clock):
    """trio's clock and the driver's, in one."""

    def __init__(self, start_ns: int = 0) -> None:
        self._start_ns = start_ns
        self._passed_ns = 0
        self._passed_s = 0.0  # the same for trio: never less than the last deadline it asked for
        self._settling = False
        self._idle_rounds = 0
        self.scope: trio.CancelScope | None = None  # of the main task; cancelled on deadlock
        self.deadlocked = False

    # ---- what trio asks

    def start_clock(self) -> None:
        """Time begins with the run."""

    def current_time(self) -> float:
        return self._passed_s

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """trio asks this only when no task can run: the moment to jump."""
        if self._settling:
            return 1.0  # somebody waits for exactly this stillness; trio wakes it instead of sleeping
        if deadline == inf:
            return self._nothing_left()
        self._idle_rounds = 0
        self._passed_s = max(self._passed_s, deadline)
        self._passed_ns = max(self._passed_ns, round(deadline * 1e9))
        return 0.0

    def _nothing_left(self) -> float:
        """Nobody waits for a time. For a moment that is so at the end of a run too; for ever it is a deadlock."""
        if self.scope is not None and not self.deadlocked:
            self.deadlocked = True
            self.scope.cancel()
            return 0.0
        self._idle_rounds += 1
        if self._idle_rounds > 100:
            raise Deadlock("every task waits for ever")
        return 0.05

    # ---- what the driver asks

    def now(self) -> int:
        return self._start_ns + self._passed_ns

    def delay_s(self, at: int) -> float:
        return max(0.0, (at - self.now()) / 1e9)

    def jump(self, at: int) -> bool:
        passed_s = (at - self._start_ns) / 1e9
        if trio.lowlevel.current_statistics().seconds_to_next_deadline <= passed_s - self._passed_s:
            return False
        self._passed_ns = max(self._passed_ns, at - self._start_ns)
        self._passed_s = max(self._passed_s, passed_s)
        return True

    async def settle(self) -> None:
        self._settling = True
        try:
            await trio.testing.wait_all_tasks_blocked()
        finally:
            self._settling = False


@final
class _InOrder(Random):
    """Leaves tasks in the order in which they were made."""

    def shuffle(self, x: Any) -> None:
        """trio takes from the end."""
        x.reverse()


def seeded(seed: int | None) -> None:
    """Makes trio schedule the same way in each run with this seed; None: the calm way, in order of creation.

    The only use of trio's private names.
    """
    run: Any = getattr(trio, "_core")._run  # noqa: B009
    run._ALLOW_DETERMINISTIC_SCHEDULING = True
    run._r = _InOrder() if seed is None else Random(seed)


def run_trio(main: Callable[[TrioTime], Awaitable[Any]], *, seed: int | None = None, start_ns: int = 0) -> Any:
    """Runs `main(clock)` on trio in virtual time."""
    clock = TrioTime(start_ns)
    seeded(seed)

    async def start() -> Any:
        with trio.CancelScope() as scope:
            clock.scope = scope
            result = await main(clock)
            clock.scope = None
            return result
        raise Deadlock("every task waits for ever")

    return trio.run(start, clock=clock)


# ---- asyncio ----------------------------------------------------------------------------------


@final
class _JumpingSelector(selectors.SelectSelector):
    """Waits no time: asked to wait, it moves the clock by the timeout."""

    passed_ns = 0
    still: "asyncio.Future[None] | None" = None  # somebody waits for the moment when nothing is ready

    def select(self, timeout: float | None = None) -> list[Any]:
        events = super().select(0)
        if events or timeout == 0:
            return events
        if self.still is not None and not self.still.done():
            self.still.set_result(None)
        elif timeout is None:
            raise Deadlock("every task waits for ever")
        else:
            self.passed_ns += max(1, round(timeout * 1e9))
        return events


@final
class AsyncioTime(asyncio.SelectorEventLoop):
    """An asyncio event loop in virtual time, which is also the driver's clock."""

    _scheduled: list[asyncio.TimerHandle]  # the loop's own heap of deadlines
    _clock_resolution: float

    def __init__(self, seed: int | None = None, start_ns: int = 0) -> None:
        self._jumper = _JumpingSelector()
        self._start_ns = start_ns
        self._order = None if seed is None else Random(seed)
        super().__init__(self._jumper)
        self._clock_resolution = 1e-7  # a float of seconds is no finer after years, and asyncio would spin

    def time(self) -> float:
        return self._jumper.passed_ns / 1e9

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        """Now and then, as the seed has it, lets others go first, as a busy production loop would."""
        if self._order and args and self._order.random() < 0.1:
            return self.call_later(0, callback, *args, context=context)
        return super().call_soon(callback, *args, context=context)

    def now(self) -> int:
        return self._start_ns + self._jumper.passed_ns

    def delay_s(self, at: int) -> float:
        return max(0.0, (at - self.now()) / 1e9)

    def jump(self, at: int) -> bool:
        passed_ns = at - self._start_ns
        if self._scheduled and self._scheduled[0].when() <= passed_ns / 1e9:
            return False
        self._jumper.passed_ns = max(self._jumper.passed_ns, passed_ns)
        return True

    async def settle(self) -> None:
        self._jumper.still = self.create_future()
        await self._jumper.still
        self._jumper.still = None


def run_asyncio(main: Callable[[AsyncioTime], Awaitable[Any]], *, seed: int | None = None, start_ns: int = 0) -> Any:
    """Runs `main(clock)` on the virtual asyncio loop."""
    loop: AsyncioTime

    def factory() -> AsyncioTime:
        nonlocal loop
        loop = AsyncioTime(seed, start_ns)
        return loop

    async def start() -> Any:
        return await main(loop)

    return anyio.run(start, backend="asyncio", backend_options={"loop_factory": factory})
