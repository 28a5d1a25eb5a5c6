"""The place of an actor in a running system: what outlives the actor when it is restarted."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, final

from msgspec import Struct

from kokex.kernel.mailbox import Lane
from kokex.messages import Message

if TYPE_CHECKING:
    from kokex.kernel.actor import Actor
    from kokex.kernel.supervision import Child, Node

CellState = Literal["new", "starting", "running", "parked", "backoff", "stopped"]


class ActorStatus(Struct, frozen=True):
    """What `System.status` tells of one actor."""

    name: str
    state: CellState
    waiting: int  # messages in its mailbox
    high_water: int  # most that ever waited on one wire
    drops: int
    restarts: int
    last_error: str
    last_beat_ns: int  # when it last handled something


class Failure(Struct, frozen=True):
    """How a call or a question ended when it did not end well."""

    kind: str  # the exception's class name, or "Timeout", "Crash", "Absent"
    text: str


@final
class Timer(Struct, eq=False):
    """What `Actor.later` gives back. When it is due it takes its turn in the run queue, as an item of it."""

    number: int
    cell: "Cell | None"
    generation: int  # of the actor it belongs to
    due_ns: int
    then: Callable[..., object]
    args: tuple[Any, ...]
    id: int  # of what it carries on
    live: bool = True

    def cancel(self) -> None:
        self.live = False

    def run(self) -> None:
        """Its turn has come; it may have been cancelled since it was due."""
        if self.live and self.cell and self.generation == self.cell.generation:
            self.live = False
            self.then(*self.args)


def _nothing() -> None:
    pass


@final
class Call(Struct, eq=False):
    """A port coroutine under way for an actor. When it is done it takes its turn in the run queue with its outcome."""

    number: int
    cell: "Cell"
    generation: int  # of the actor that started it
    function: Callable[..., Any]
    args: tuple[Any, ...]
    returns: Any
    then: Callable[[Any], object]
    timeout_s: float
    latency_ns: int
    id: int  # of what it carries on
    loading: bool = False
    outcome: Any = None
    cancel: Callable[[], object] = _nothing

    def run(self) -> None:
        if self.generation == self.cell.generation:
            self.then(self.outcome)

    @property
    def wanted(self) -> bool:
        """Calls die with the instance that started them; one that is down starts no more."""
        return self.generation == self.cell.generation and self.cell.state not in ("backoff", "stopped")

    @property
    def too_late(self) -> Failure:
        return Failure("Timeout", f"no answer within {self.timeout_s:g} s")


@final
class Callback(Struct, eq=False):
    """An answer's turn, as an item of the run queue."""

    cell: "Cell"
    generation: int
    id: int  # of what it carries on
    then: Callable[..., object]
    args: tuple[Any, ...]

    def run(self) -> None:
        if self.generation == self.cell.generation:
            self.then(*self.args)


@final
class Outlet:
    """Where one type of message goes from one actor."""

    __slots__ = ("keyed", "lanes", "tap")

    def __init__(self) -> None:
        self.lanes: list[Lane] = []
        self.keyed: list[tuple[str, str, dict[str, Lane]]] = []  # attribute, target, key -> lane
        self.tap: Callable[[Message], None] | None = None  # puts it on record


@final
class Cell:
    """One actor's place: its lanes, its state, its record."""

    __slots__ = (
        "actor", "beat_ns", "boot", "calls", "child", "error", "generation", "held", "inner", "key", "lanes", "name",
        "open", "outlets", "parent", "restarts", "resuming", "state", "unsent",
    )  # fmt: skip

    def __init__(self, child: "Child", key: str, parent: "Node") -> None:
        self.child = child
        self.key = key
        self.name = f"{child.name}[{key}]" if key else child.name
        self.parent = parent
        self.actor: Actor | None = None
        self.state: CellState = "new"
        self.open = False  # handles what is in the queue as it comes
        self.generation = 0  # counts instances
        self.boot = 0  # the start it last belonged to
        self.held: deque[tuple[Lane, Any]] = deque()  # came while it could not take it; goes first when it can
        self.resuming = False  # its turn with what is held stands in the queue
        self.unsent = 0  # messages it emitted into full blocking lanes, where they wait for room
        self.lanes: list[Lane] = []
        self.outlets: dict[type[Message], Outlet] = {}
        self.calls: dict[int, Call] = {}
        self.restarts = 0
        self.error = ""
        self.beat_ns = 0
        self.inner: Lane  # set by the system

    def set_state(self, state: CellState) -> None:
        self.state = state
        self.open = state == "running" and not self.held

    @property
    def up(self) -> bool:
        """There is an instance, started and not crashed."""
        return self.state in ("running", "parked")

    @property
    def waiting(self) -> int:
        return sum(lane.pending for lane in self.lanes) + self.inner.pending

    def status(self) -> ActorStatus:
        return ActorStatus(
            self.name,
            self.state,
            self.waiting,
            max((max(lane.high, lane.pending) for lane in self.lanes), default=0),
            sum(lane.drops for lane in self.lanes),
            self.restarts,
            self.error,
            self.beat_ns,
        )
