"""A lane of a mailbox: the messages of one wire that wait for one actor.

All mailboxes of a system share one run queue, a deque of `(lane, item)` in the order of delivery. So the
calm schedule (lowest number first) is a `popleft`, a hop costs one append and one pop, and an actor's mailbox
is what of the queue is addressed to it. The bounds and what happens at them belong to the wire, hence to the
lane. benchmarks/kernel.py measures a hop against a task per actor on anyio's memory streams.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

from kokex.kernel.wires import Policy
from kokex.messages import Message

if TYPE_CHECKING:
    from kokex.kernel.cell import Cell

Entry = tuple["Lane", Any]
Queue = deque[Entry]
RESUME = object()  # in the place of an item: an actor's turn with the mail that was held back for it


@final
class Lane:
    """What waits for `cell` on one wire. `offer` puts in, `take` is called when its turn comes."""

    __slots__ = (
        "cell", "drops", "handler", "high", "journaled", "key", "kind", "latest", "limit", "message", "name",
        "outside", "pending", "skip", "special",
    )  # fmt: skip

    def __init__(self, cell: "Cell", name: str, policy: Policy, message: type[Message] = Message) -> None:
        self.cell = cell
        self.name = name
        self.message = message
        self.kind = policy.kind
        # A sender may append to the queue itself while fewer wait than this; where newer ones replace, never.
        self.limit = 0 if policy.kind == "conflate" else policy.size or 1 << 60
        self.key = policy.key
        self.special = policy.kind == "conflate"  # taking from it is more than counting
        self.handler: Callable[[Any], object] = _nobody
        self.journaled = False  # from outside only: it goes on record as it comes in
        self.pending = 0
        self.high = 0
        self.drops = 0
        self.skip = 0  # of the oldest waiting, so many were dropped
        self.latest: dict[Any, Any] | None = {} if policy.kind == "conflate" else None  # key -> newest
        self.outside: deque[tuple[Cell, Any]] = deque()  # block: (parked sender, message) that found no room

    def offer(self, queue: Queue, item: Any) -> bool:
        """False when the lane is full and its policy does not say how to make room (block, fail)."""
        if (latest := self.latest) is not None:
            key = getattr(item, self.key)
            if key in latest:
                latest[key] = item
                self.drops += 1
            else:
                latest[key] = item
                self.pending += 1
                queue.append((self, key))
            return True
        if self.pending >= self.limit:
            if self.kind != "drop_oldest":
                return False
            self.skip += 1
            self.special = True
            self.drops += 1
            self.pending -= 1
        self.put(queue, item)
        return True

    def put(self, queue: Queue, item: Any) -> None:
        self.pending += 1
        queue.append((self, item))

    def wait(self, sender: "Cell", item: Any) -> None:
        """The message waits for room, and its sender with it."""
        self.outside.append((sender, item))
        self.special = True
        sender.unsent += 1

    def take(self, queue: Queue, item: Any) -> "tuple[Any, Cell | None]":
        """The message behind a queue item whose turn has come, None when it was dropped meanwhile.

        Whoever waited for the room gets it: his cell comes second when it waits for nothing more.
        """
        if self.skip:
            self.skip -= 1
            self.special = self.skip > 0
            return None, None
        self.pending -= 1
        if self.latest is not None:
            return self.latest.pop(item), None
        if not self.outside:
            return item, None
        sender, late = self.outside.popleft()
        self.special = bool(self.outside)
        self.put(queue, late)
        sender.unsent -= 1
        return item, None if sender.unsent else sender


def _nobody(_: Any) -> None:
    raise RuntimeError("a message was delivered to an actor that never started")
