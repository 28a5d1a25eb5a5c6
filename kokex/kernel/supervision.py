"""The supervision tree, as in Erlang/OTP.

A group starts its children in order and stops them in reverse. When one goes down, its strategy says who is
restarted with it; too many crashes in a period, and the trouble is the parent's. A restart waits: twice as
long each time, with jitter, from the beginning again after a healthy while.

A `permanent` child is always restarted, a `transient` one unless it said itself that it has finished, a
`temporary` one never, not even with its siblings. A group that is restarted as a whole starts all it has, anew.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal, final

from msgspec import Struct

from kokex.kernel.actor import Actor
from kokex.kernel.cell import Cell

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
Restart = Literal["permanent", "transient", "temporary"]

FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 30.0


class Child(Struct, frozen=True):
    """An actor of the tree. `make(key)` builds an instance; the key is "" outside keyed groups."""

    name: str
    make: Callable[[str], Actor]
    kind: type[Actor]
    restart: Restart = "permanent"
    shutdown_s: float = 0.5


class Group(Struct, frozen=True):
    """A supervisor. With `keys`, the whole group is made once per key: `risk[main]`, `risk[shadow]`."""

    name: str
    children: tuple["Child | Group", ...]
    strategy: Strategy = "one_for_one"
    intensity: int = 5  # crashes allowed within period_s
    period_s: float = 60.0
    keys: tuple[str, ...] = ("",)


@final
class Node:
    """A group at work."""

    def __init__(self, group: Group, key: str, parent: "Node | None") -> None:
        self.group = group
        self.name = f"{group.name}[{key}]" if key else group.name
        self.parent = parent
        self.members: list[Node | Cell] = []
        self.crashes: deque[int] = deque()
        self.streak = 0
        for child in group.children:
            if isinstance(child, Child):
                self.members.append(Cell(child, key, self))
            else:
                self.members.extend(Node(child, each or key, self) for each in child.keys)

    def cells(self) -> Iterator[Cell]:
        """All actors below, in starting order."""
        for member in self.members:
            if isinstance(member, Cell):
                yield member
            else:
                yield from member.cells()

    def too_many(self, now: int) -> bool:
        """Counts a crash; true when the group has used up what it may restart."""
        period_ns = round(self.group.period_s * 1e9)
        if self.crashes and now - self.crashes[-1] > period_ns:
            self.streak = 0
        self.crashes.append(now)
        self.streak += 1
        while now - self.crashes[0] > period_ns:
            self.crashes.popleft()
        return len(self.crashes) > self.group.intensity

    def backoff_s(self, jitter: float) -> float:
        """How long to wait before the next restart; `jitter` is drawn from 0..1."""
        return min(FIRST_BACKOFF_S * 2.0 ** (self.streak - 1), LONGEST_BACKOFF_S) * (0.8 + 0.4 * jitter)

    def taken_down_with(self, failed: "Node | Cell") -> list[Cell]:
        """The actors that go down when `failed` did, in starting order."""
        match self.group.strategy:
            case "one_for_one":
                members = [failed]
            case "one_for_all":
                members = self.members
            case "rest_for_one":
                members = self.members[self.members.index(failed) :]
        return [cell for member in members for cell in (member.cells() if isinstance(member, Node) else (member,))]


def verdict(cell: Cell, now: int) -> "tuple[Node, list[Cell]] | None":
    """After a crash: the group that restarts and the actors concerned; None when the root has given up."""
    failed: Node | Cell = cell
    node = cell.parent
    while node.too_many(now):
        node.crashes.clear()
        node.streak = 0
        if node.parent is None:
            return None
        failed, node = node, node.parent
    return node, node.taken_down_with(failed)
