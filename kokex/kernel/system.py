"""The system: actors, wires and the queue between them. It makes no time pass; a driver does.

What may happen next stands in three places: the run queue (deliveries, handled now), the agenda (timers and
results, each due at a time) and the market (a source that knows its next event). A driver drains the queue,
then lets the earliest of the others happen; at equal times the market first, then timers, then results, each
in the order set. The three drivers (`inline`, `tasks` live, `tasks` in virtual time) differ in nothing else,
so that given the same inputs they handle the same messages in the same order.

Everything from outside enters through `post`, `happen` or a finished call, and is shown to the recorder with
the number of messages handled before it (its `turn`): all that a replay needs.
"""

import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import repeat
from operator import methodcaller
from typing import Any, Literal, Protocol, final

from msgspec import Struct
from msgspec.structs import force_setattr

from kokex.kernel.actor import Actor
from kokex.kernel.cell import ActorStatus, Call, Callback, Cell, Failure, Outlet, Timer
from kokex.kernel.mailbox import RESUME, Entry, Lane, Queue
from kokex.kernel.questions import Questions
from kokex.kernel.starter import Starter
from kokex.kernel.supervision import Group, Node
from kokex.kernel.wires import ANYONE, KERNEL, OUTSIDE, Policy, Wire, WiringError, check, ends_of, fail, handler_name
from kokex.messages import Lifecycle, Message

LifecycleEvent = Literal["started", "crashed", "restarting", "stopped", "escalated", "dead_letter"]

TIMER, RESULT = 1, 2  # classes of the agenda; the market comes before both


class Source(Protocol):
    """A market that knows its next event (see kokex.ports.Market)."""

    def next_at(self) -> int | None: ...
    def take(self) -> None: ...


class Driver(Protocol):
    def begin(self, call: Call) -> None:
        """Runs a call; its outcome goes to `System.finish`."""
        ...

    def wake(self) -> None:
        """Something comes from outside: `System.now` must be up to date, and the queue be looked at."""
        ...


class Hooks(Struct, frozen=True):
    """What looks on. Each may be absent."""

    tap: Callable[[Message], None] | None = None  # each journaled message, as it is emitted
    journaled: frozenset[type[Message]] = frozenset()  # of what actors emit
    journaled_posts: frozenset[type[Message]] = frozenset()  # of what comes from outside
    record: Callable[[int, int, str, str, int, Any], None] | None = None  # turn, at, actor, kind, ref, value
    before: Callable[[Cell, Any], None] | None = None  # before each handler; may raise (faults)
    trace: Callable[[str, int, int, str], None] | None = None  # actor, message id, at, type
    choose: Callable[[int], int] | None = None  # which of n waiting deliveries comes next; None: the lowest number
    jitter: Callable[[], float] = lambda: 0.5  # 0..1, for back-off


class DeadLetter(Struct, frozen=True):
    actor: str
    reason: str
    message: Any


@final
class System:
    """Actors at work. Build, give it to a driver, and let the driver run it."""

    def __init__(
        self,
        tree: Group,
        wires: Sequence[Wire],
        *,
        first_id: int = 0,
        start_ns: int = 0,
        hooks: Hooks | None = None,
        source: Source | None = None,
    ) -> None:
        self.now = start_ns
        self.cause = 0
        self.turn = 0
        self.emitted = first_id
        self.draining = False
        self.failure = ""  # why the whole tree gave up
        self.parks = True  # a full blocking lane parks its sender; inline only records the depth
        self.hooks = hooks or Hooks()
        self.tap: Callable[[Message], None] = self.hooks.tap or _ignore
        self._onlookers = self.hooks.choose, self.hooks.trace, self.hooks.before
        self.source = source
        self.queue: Queue = deque()
        self.agenda: list[tuple[int, int, int, Any]] = []
        self.dead: deque[DeadLetter] = deque(maxlen=1000)
        self.dead_count = 0
        self.root = Node(tree, "", None)
        self.cells: dict[str, Cell] = {cell.name: cell for cell in self.root.cells()}
        self.calls: dict[int, Call] = {}
        self.timers: dict[int, Timer] = {}
        self._numbers = 0
        self.questions = Questions(self)
        self._inlets: dict[tuple[str, type[Message]], Lane] = {}
        self._hearing: dict[str, Lane] = {}  # of who watches somebody, by his name
        self._watchers: dict[str, list[Lane]] = {}  # by the name of the watched
        self._notified: list[Lane] = []  # who hears of everybody
        self.driver: Driver
        self.starter = Starter(self)
        self._wire(wires)

    # ---- wiring

    def _wire(self, wires: Sequence[Wire]) -> None:
        names = [cell.name for cell in self.root.cells()]
        if twice := {name for name in names if names.count(name) > 1}:
            raise WiringError("\n".join(f"two actors are called {name!r}" for name in sorted(twice)))
        check(wires, {cell.child.name: ends_of(cell.child.kind) for cell in self.cells.values()})
        for cell in self.cells.values():
            cell.inner = Lane(cell, "self", Policy("fail"))
            cell.inner.handler = methodcaller("run")
        for wire in wires:
            targets = {c.key: self._lane(c, wire) for c in self.cells.values() if c.child.name == wire.target}
            if wire.source == OUTSIDE:
                for lane in targets.values():
                    lane.journaled = wire.message in self.hooks.journaled_posts
                self._inlets.update({(lane.cell.name, wire.message): lane for lane in targets.values()})
            elif wire.source == KERNEL:
                self._notified.extend(targets.values())
            else:
                for cell in self.cells.values():
                    if cell.child.name == wire.source or (
                        wire.source == ANYONE and wire.message in cell.child.kind.emits
                    ):
                        self._connect(cell, wire, targets)

    def _lane(self, cell: Cell, wire: Wire) -> Lane:
        lane = Lane(cell, f"{wire.source}.{wire.message.__name__}", wire.policy, wire.message)
        cell.lanes.append(lane)
        return lane

    def _connect(self, cell: Cell, wire: Wire, targets: Mapping[str, Lane]) -> None:
        if wire.policy.kind == "ask":
            self.questions.lanes.update({(cell.name, wire.message, lane.cell.name): lane for lane in targets.values()})
            return
        outlet = cell.outlets.setdefault(wire.message, Outlet())
        if wire.message in self.hooks.journaled:
            outlet.tap = self.tap
        if wire.by:
            outlet.keyed.append((wire.by, wire.target, dict(targets)))
        else:
            outlet.lanes.extend(targets.values())

    def bind(self, cell: Cell, actor: Actor) -> None:
        """Puts a new instance in its place."""
        actor._cell, actor._system = cell, self  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        cell.actor = actor
        cell.generation += 1
        for lane in cell.lanes:
            handler = getattr(actor, handler_name(lane.message))
            lane.handler = self.questions.answering(handler) if lane.kind == "ask" else handler

    # ---- deliveries

    def post(self, actor: str, message: Message) -> None:
        """Hands in a message from outside. Raises KeyError when no wire from outside leads there."""
        lane = self._inlets[actor, type(message)]
        self.driver.wake()
        self.emitted = number = self.emitted + 1
        force_setattr(message, "id", number)
        force_setattr(message, "at", self.now)
        if self.hooks.record:
            self.hooks.record(self.turn, self.now, actor, "post", number, message)
        if lane.journaled:
            self.tap(message)
        if lane.pending < lane.limit:
            lane.pending += 1
            self.queue.append((lane, message))
            return
        cause, self.cause = self.cause, 0  # what overflow leads to is not the doing of the message in hand
        self.offer(None, lane, message)
        self.cause = cause

    def offer(self, sender: Cell | None, lane: Lane, item: Any) -> None:
        """Delivers where the short way of `Actor.emit` does not do."""
        if lane.cell.state == "stopped":
            self.dead_letter(lane.cell.name, "stopped", item)
        elif lane.offer(self.queue, item):
            pass
        elif lane.kind != "block":
            self.starter.overflowed(lane, item)
        elif self.parks and sender:
            lane.wait(sender, item)
            if sender.open:
                sender.set_state("parked")
                self.questions.kept_waiting(sender)
        else:
            lane.put(self.queue, item)

    def offer_keyed(self, sender: Cell, lane: Lane | None, message: Message, by: str, target: str) -> None:
        """The same for a wire with a key; no lane: nobody has the key that the message carries."""
        if lane is not None:
            self.offer(sender, lane, message)
            return
        whom = f"{target}[{getattr(message, by)}]"
        self.dead_letter(whom, f"no such {by}", message)
        self.lifecycle(sender, "dead_letter", f"{type(message).__name__} for {whom}: no such {by}")

    def drain(self, most: int = 1 << 62) -> bool:
        """Handles up to `most` deliveries; false when some are left."""
        queue = self.queue
        choose, trace, before = self._onlookers
        for _ in repeat(None, most):
            if not queue:
                return True
            lane, item = self._chosen(choose) if choose else queue.popleft()
            cell = lane.cell
            if not cell.open:
                if (held := self._held(lane, item)) is None:
                    continue
                lane, item = held
            pending = lane.pending
            if pending > lane.high:  # noqa: PLR1730 (twice as quick as `max`)
                lane.high = pending
            if not lane.special:
                lane.pending = pending - 1
            elif lane.latest is not None:
                lane.pending = pending - 1
                item = lane.latest.pop(item)
            elif (item := self.take(lane, item)) is None:
                continue
            self.turn += 1
            self.cause = item.id
            cell.beat_ns = self.now
            if trace:
                trace(cell.name, item.id, self.now, type(item).__name__)
            try:
                if before:
                    before(cell, item)
                handler = lane.handler  # not called at once: a method of an attribute is looked for at length
                handler(item)
            except Exception as error:
                if not self.starter.supervises:
                    raise
                self.starter.crashed(cell, f"{type(error).__name__}: {error}")
                self.dead_letter(cell.name, f"crash: {error!r}", item)
        return not queue

    def step(self) -> None:
        """Handles one delivery."""
        self.drain(1)

    def _held(self, lane: Lane, item: Any) -> Entry | None:
        """Holds an actor's mail back while it cannot take it; or hands out the oldest that was, now that it can."""
        cell = lane.cell
        if item is RESUME:
            cell.resuming = False
            if cell.state == "running" and cell.held:
                oldest = cell.held.popleft()
                self.release(cell)
                return oldest
        elif cell.state != "stopped":
            cell.held.append((lane, item))
        elif (message := self.take(lane, item)) is not None and lane is not cell.inner:
            self.dead_letter(cell.name, "stopped", message)
        return None

    def _chosen(self, choose: Callable[[int], int]) -> Entry:
        """The head of the mailbox that a waiting delivery, drawn by chance, belongs to."""
        queue = self.queue
        if len(queue) > 1:
            cell = queue[choose(len(queue))][0].cell
            for index, entry in enumerate(queue):
                if entry[0].cell is cell:
                    del queue[index]
                    return entry
        return queue.popleft()

    def take(self, lane: Lane, item: Any) -> Any:
        """The message behind a queue item, None when it was dropped; room that this made goes to a parked sender."""
        message, sender = lane.take(self.queue, item)
        if sender and sender.state == "parked":
            sender.set_state("running")
            self.release(sender)
        return message

    def release(self, cell: Cell) -> None:
        """What was held back while the actor was not open comes next, in its order, one at a time."""
        cell.set_state(cell.state)
        if cell.held and not cell.resuming:
            cell.resuming = True
            self.queue.appendleft((cell.inner, RESUME))

    # ---- time

    def due_at(self) -> int | None:
        """When the next timer or result is due; None: never."""
        agenda = self.agenda
        while agenda and agenda[0][1] == TIMER and not agenda[0][3].live:
            self.timers.pop(heapq.heappop(agenda)[2], None)
        return agenda[0][0] if agenda else None

    def next_at(self) -> int | None:
        """When the next event outside the queue is due; None: never."""
        due = self.due_at()
        market = self.source.next_at() if self.source and not self.draining else None
        if due is None:
            return market
        return due if market is None or due < market else market

    def happen(self, now: int) -> None:
        """Lets the event that is next (and due by `now`) happen."""
        self.now = max(self.now, now)
        self.cause = 0
        market = self.source.next_at() if self.source and not self.draining else None
        agenda = self.agenda
        if market is not None and (not agenda or market <= agenda[0][0]):
            assert self.source
            self.source.take()
            return
        self.come_due()

    def come_due(self) -> None:
        """Lets the first of the agenda happen."""
        _, kind, number, what = heapq.heappop(self.agenda)
        if kind == TIMER:
            self.fire(number)
        else:
            self.accept(what, what.outcome)

    def set_timer(self, cell: Cell | None, due_ns: int, then: Callable[..., object], args: tuple[Any, ...]) -> Timer:
        self._numbers += 1
        generation = cell.generation if cell else 0
        timer = Timer(self._numbers, cell, generation, due_ns, then, args, self.cause)
        self.timers[timer.number] = timer
        heapq.heappush(self.agenda, (due_ns, TIMER, timer.number, timer))
        return timer

    def fire(self, number: int) -> None:
        """A timer is due."""
        timer = self.timers.pop(number, None)
        if timer is None or not timer.live:
            return
        cell = timer.cell
        if self.hooks.record:
            self.hooks.record(self.turn, self.now, cell.name if cell else KERNEL, "timer", number, None)
        if cell is None:
            timer.then(*timer.args)
        elif timer.generation == cell.generation:
            cell.inner.pending += 1
            self.queue.append((cell.inner, timer))

    def start_call(
        self,
        cell: Cell,
        function: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        returns: Any,
        then: Callable[[Any], object],
        timeout_s: float,
        latency_ns: int = 0,
        *,
        loading: bool = False,
    ) -> None:
        self._numbers += 1
        call = Call(
            self._numbers, cell, cell.generation, function, args,
            returns, then, timeout_s, latency_ns, self.cause, loading,
        )  # fmt: skip
        self.calls[call.number] = cell.calls[call.number] = call
        self.driver.begin(call)

    def finish(self, call: Call, outcome: Any, at: int) -> None:
        """A driver hands in what came of a call. It is accepted after the latency its port states, if in time."""
        wait_ns = call.latency_ns
        if wait_ns and wait_ns > (longest_ns := round(call.timeout_s * 1e9)):
            wait_ns, outcome = longest_ns, call.too_late
        call.outcome = outcome
        heapq.heappush(self.agenda, (at + wait_ns, RESULT, call.number, call))

    def accept(self, call: Call, outcome: Any) -> None:
        """A call's outcome has come."""
        self.calls.pop(call.number, None)
        call.cell.calls.pop(call.number, None)
        if not call.wanted:
            return
        if self.hooks.record:
            kind = "loaded" if call.loading else "answer"
            self.hooks.record(self.turn, self.now, call.cell.name, kind, call.number, outcome)
        if call.loading:
            call.then(outcome)
        else:
            call.outcome = outcome
            call.cell.inner.pending += 1
            self.queue.append((call.cell.inner, call))

    def enqueue(self, cell: Cell, cause: int, then: Callable[..., object], args: tuple[Any, ...]) -> None:
        cell.inner.pending += 1
        self.queue.append((cell.inner, Callback(cell, cell.generation, cause, then, args)))

    # ---- what people see

    def status(self) -> list[ActorStatus]:
        return [cell.status() for cell in self.cells.values()]

    def watch(self, watcher: Cell, name: str) -> None:
        if name not in self.cells:
            raise KeyError(f"there is no actor {name!r} to watch")
        lane = self._hearing.get(watcher.name)
        if lane is None:
            lane = self._hearing[watcher.name] = Lane(watcher, "watch", Policy("fail"), Lifecycle)
            lane.handler = watcher.actor.on_lifecycle  # type: ignore[union-attr]
            watcher.lanes.append(lane)
        watchers = self._watchers.setdefault(name, [])
        if lane not in watchers:
            watchers.append(lane)

    def lifecycle(self, cell: Cell, event: LifecycleEvent, error: str = "") -> None:
        """Tells the wires from the kernel and all watchers."""
        self.emitted += 1
        note = Lifecycle(
            id=self.emitted, cause=self.cause, at=self.now,
            actor=cell.name, event=event, error=error, restarts=cell.restarts,
        )  # fmt: skip
        if Lifecycle in self.hooks.journaled:
            self.tap(note)
        for lane in (*self._notified, *self._watchers.get(cell.name, ())):
            if lane.cell.state != "stopped":
                self.offer(None, lane, note)

    def dead_letter(self, actor: str, reason: str, message: Any) -> None:
        self.dead_count += 1
        if isinstance(message, Message):
            self.questions.fail(message.id, Failure("Absent", f"{actor}: {reason}"))
        self.dead.append(DeadLetter(actor, reason, message))


def inlet(message: type[Message], target: str, size: int = 1024) -> Wire:
    """A wire from outside. Nobody outside can be made to wait, so overflow is a fault."""
    return Wire(OUTSIDE, message, target, fail(size))


def _ignore(_: Message) -> None:
    pass
