"""The driver on an event loop: live on asyncio, and in virtual time on trio or a virtual asyncio loop.

One task handles messages; each call is a task of its own. Live, the loop sleeps until the next event is due or
something comes from outside. In virtual time nothing sleeps: when all calls under way wait for a time, the
clock jumps to it (see kokex/simulation/virtual_time.py); and while no call is under way, which is nearly
always, the driver moves the clock itself, at no cost to the loop.
"""

from collections.abc import Callable
from typing import Protocol, final

import anyio

from kokex.kernel.cell import Call, Cell, Failure
from kokex.kernel.starter import Escalated
from kokex.kernel.system import System

BATCH = 64  # deliveries before the loop gets a turn


class TaskClock(Protocol):
    """Trading time on an event loop."""

    def now(self) -> int: ...
    def delay_s(self, at: int) -> float:
        """How many seconds of the loop's time from now until `at`."""
        ...


class Virtual(Protocol):
    """What a virtual clock can do that a real one cannot."""

    def jump(self, at: int) -> bool:
        """Moves time on to `at`; false, and nothing moved, when something on the loop is due before."""
        ...

    async def settle(self) -> None:
        """Returns when every other task of the loop waits for a time or for ever."""
        ...


@final
class Tasks:
    """Drives `system` on the running loop until `stop` is called or the tree gives up."""

    def __init__(self, system: System, clock: TaskClock, *, virtual: Virtual | None = None) -> None:
        self._system = system
        self._clock = clock
        self._virtual = virtual
        self._wake = anyio.Event()
        self._stopping = False
        self._group: anyio.abc.TaskGroup | None = None
        self._under_way = 0
        self._turns = 0
        self._yielded = True  # so that other tasks may be about to run at this very moment
        system.driver = self

    # ---- what the system asks

    def begin(self, call: Call) -> None:
        assert self._group
        self._under_way += 1
        self._group.start_soon(self._perform, call, name=f"{call.cell.name}.{call.function.__name__}")

    async def _perform(self, call: Call) -> None:
        outcome: object = call.too_late
        if call.wanted:
            with anyio.move_on_after(call.timeout_s) as scope:
                call.cancel = scope.cancel
                try:
                    outcome = await call.function(*call.args)
                except Exception as error:
                    outcome = Failure(type(error).__name__, str(error))
        self._under_way -= 1
        if call.wanted:
            self._system.finish(call, outcome, max(self._clock.now(), self._system.now))
        self._wake.set()

    def wake(self) -> None:
        self._system.now = max(self._system.now, self._clock.now())
        self._wake.set()

    # ---- the loop

    def stop(self) -> None:
        """Asks for a bounded drain and the end of `run`."""
        self._stopping = True
        self.wake()

    async def run(self, started: Callable[[], object] | None = None) -> None:
        """Starts the tree and handles what comes. Raises Escalated when the tree gives up."""
        async with anyio.create_task_group() as self._group:
            self._system.now = max(self._system.now, self._clock.now())
            self._system.starter.start()
            if started:
                started()
            while not self._stopping and not self._system.failure:
                await self._turn(None)
            if not self._system.failure:
                await self._wind_down()
            while not self._system.drain(BATCH):  # to the dead letters
                await anyio.lowlevel.checkpoint()
            self._group.cancel_scope.cancel()
        if self._system.failure:
            raise Escalated(self._system.failure)

    async def _wind_down(self) -> None:
        for cell in self._system.starter.drain():
            await self._last_words(cell)
            self._system.starter.stop(cell)

    async def _last_words(self, cell: Cell) -> None:
        end = self._clock.now() + round(cell.child.shutdown_s * 1e9)
        while self._clock.now() < end:
            if not self._system.drain(BATCH):
                await anyio.lowlevel.checkpoint()
            elif self._system.starter.idle(cell):
                return
            else:
                await self._turn(end)

    async def _turn(self, until: int | None) -> None:
        """Handles what is ready, then one event, then waits for the next (not past `until`)."""
        system, virtual = self._system, self._virtual
        self._turns += 1
        if not system.drain(BATCH) or not self._turns % BATCH:
            self._yielded = True
            await anyio.lowlevel.checkpoint()
            return
        if virtual and (self._under_way or self._yielded):
            self._yielded = False
            await virtual.settle()
            if system.queue:
                return
        at = system.next_at()
        now = self._clock.now()
        if at is not None and at <= now:
            system.happen(at if virtual else now)
            return
        if until is not None:
            at = until if at is None else min(at, until)
        if not (virtual and at is not None and virtual.jump(at)):
            await self._sleep(at)

    async def _sleep(self, until: int | None) -> None:
        """Waits for `wake`, a result, or a time."""
        self._yielded = True
        if not self._wake.is_set():
            with anyio.move_on_after(None if until is None else self._clock.delay_s(until)) as scope:
                await self._wake.wait()
            if self._virtual and until is not None and scope.cancelled_caught:
                self._virtual.jump(until)  # exactly, whatever the loop's floats made of it
        self._wake = anyio.Event()
