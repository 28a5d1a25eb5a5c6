"""What every actor is.

An actor is a class that handles one message at a time: a method `on_<message>` per type it receives. A handler
is a plain function, so it cannot wait: it emits, sets a timer (`later`), starts a call of a port (`call`) or
asks another actor (`ask`); what comes of these is delivered as a message to the same actor, and dies with it.
So a slow exchange never stands before an exit or a pause, and the same class runs live, in virtual time and
inline without a change.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from msgspec.structs import force_setattr

from kokex.kernel.cell import Cell, Failure, Timer
from kokex.messages import Message

if TYPE_CHECKING:
    from kokex.kernel.system import System

T = TypeVar("T")

DEFERRED = object()  # a handler of a question returns this when it will `reply` later


class Unwired(Exception):
    """An actor emitted a message that no wire carries."""


class Actor:
    """Base of all actors. `emits` and `asks` are checked against the wires before anything starts."""

    emits: ClassVar[tuple[type[Message], ...]] = ()
    asks: ClassVar[tuple[type[Message], ...]] = ()
    state: ClassVar[Any] = None  # the type of what `load` returns, so that a replay can decode it

    _cell: Cell
    _system: "System"

    # ---- what an actor may override

    async def load(self) -> Any:
        """Reads what the actor needs to go on (store, venue). Runs at each start, before `start`."""
        return None

    def start(self, state: Any) -> None:
        """Takes up work from what `load` returned. A restart builds a new instance and comes here again."""

    def drain(self) -> None:
        """The system is about to stop: begin nothing new."""

    def stop(self) -> None:
        """The last word of an instance that did not crash."""

    # ---- what an actor may do

    @property
    def now(self) -> int:
        """Trading time in UTC nanoseconds; stands still while what one input led to is handled."""
        return self._system.now

    @property
    def cause(self) -> int:
        """Id of the message in hand."""
        return self._system.cause

    def because(self, message: int) -> None:
        """What follows in this handler is caused by that message: of work taken up again at a start, or handed on."""
        self._system.cause = message

    @property
    def draining(self) -> bool:
        return self._system.draining

    def emit(self, message: Message) -> int:
        """Sends a message along its wires; returns the id it got."""
        system = self._system
        system.emitted = number = system.emitted + 1
        force_setattr(message, "id", number)
        force_setattr(message, "cause", system.cause)
        force_setattr(message, "at", system.now)
        try:
            outlet = self._cell.outlets[type(message)]
        except KeyError:
            raise Unwired(f"{self._cell.name} has no wire for {type(message).__name__}") from None
        if tap := outlet.tap:
            tap(message)
        for lane in outlet.lanes:
            if lane.pending < lane.limit:
                lane.pending += 1
                system.queue.append((lane, message))
            else:
                system.offer(self._cell, lane, message)
        for by, target, lanes in outlet.keyed:
            lane = lanes.get(getattr(message, by))
            if lane is not None and lane.pending < lane.limit:
                lane.pending += 1
                system.queue.append((lane, message))
            else:
                system.offer_keyed(self._cell, lane, message, by, target)
        return number

    def later(self, delay_s: float, then: Callable[..., object], *args: Any) -> Timer:
        """Calls `then(*args)` as a message of its own after `delay_s` of trading time."""
        return self._system.set_timer(self._cell, self._system.now + round(delay_s * 1e9), then, args)

    def soon(self, then: Callable[..., object], *args: Any) -> Timer:
        """Calls `then(*args)` as a message of its own, after all that waits now."""
        system, cell = self._system, self._cell
        inner = cell.inner
        timer = Timer(0, cell, cell.generation, system.now, then, args, system.cause)
        inner.pending += 1
        system.queue.append((inner, timer))
        return timer

    def at(self, due_ns: int, then: Callable[..., object], *args: Any) -> Timer:
        """Like `later`, at a point in time."""
        return self._system.set_timer(self._cell, max(due_ns, self._system.now), then, args)

    def call(
        self,
        function: Callable[..., Awaitable[T]],
        *args: Any,
        returns: Any,
        then: Callable[[T | Failure], object],
        timeout_s: float,
        latency_ns: int = 0,
    ) -> None:
        """Starts a port coroutine; its result (of type `returns`) or its Failure comes back to `then`.

        `latency_ns` is what the port says it takes; it is added where the port itself does not wait.
        """
        self._system.start_call(self._cell, function, args, returns, then, timeout_s, latency_ns)

    def ask(self, target: str, message: Message, *, then: Callable[[Any], object], timeout_s: float = 10.0) -> None:
        """Asks another actor; its handler's return value, or a Failure (Crash, Absent, Timeout), comes to `then`."""
        self._system.questions.ask(self._cell, target, message, then, timeout_s)

    def reply(self, question: int, answer: Any) -> None:
        """Answers a question (by its message's id) whose handler returned DEFERRED."""
        self._system.questions.reply(question, answer)

    def finish(self) -> None:
        """The work is done, for good when `transient` or `temporary`: `stop` runs and nothing more is delivered."""
        self._system.starter.finished(self._cell)

    def watch(self, name: str) -> None:
        """From now on `on_lifecycle` hears when that actor starts, crashes or stops. KeyError when there is none."""
        self._system.watch(self._cell, name)
