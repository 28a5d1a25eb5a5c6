"""Small graphs of actors, and a driver that does what a test tells it to."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, final

from kokex.kernel.actor import Actor
from kokex.kernel.cell import Call
from kokex.kernel.supervision import Child, Group
from kokex.kernel.system import Hooks, System, inlet
from kokex.kernel.wires import Policy, Wire, wire
from kokex.messages import Message

SECOND = 10**9


class Ping(Message, frozen=True, kw_only=True):
    n: int = 0
    key: str = ""


class Pong(Message, frozen=True, kw_only=True):
    n: int = 0
    key: str = ""


class Boom(Message, frozen=True, kw_only=True):
    """Whoever gets it crashes."""


Log = list[Any]


class Reader(Actor):
    """Writes down what it hears."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def on_ping(self, ping: Ping) -> None:
        self.log.append(ping.n)

    def on_boom(self, _: Boom) -> None:
        raise ValueError("boom")


class Sender(Actor):
    """Emits as many pings as a Pong tells it to, numbered on from the last."""

    emits: ClassVar[tuple[type[Message], ...]] = (Ping,)

    def __init__(self) -> None:
        self.sent = 0

    def on_pong(self, pong: Pong) -> None:
        for _ in range(pong.n):
            self.sent += 1
            self.emit(Ping(n=self.sent, key=pong.key))


@final
class ByHand:
    """A driver for tests: time passes when told to, and calls wait to be answered."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.calls: list[Call] = []
        system.driver = self
        system.starter.start()
        system.drain()

    def begin(self, call: Call) -> None:
        self.calls.append(call)

    def wake(self) -> None:
        """It looks when it is told to."""

    def answer(self, outcome: Any) -> None:
        """The oldest call comes back with that."""
        self.system.finish(self.calls.pop(0), outcome, self.system.now)
        self.advance(0)

    def advance(self, seconds: float) -> None:
        """Lets all happen that is due by then."""
        system = self.system
        end = system.now + round(seconds * SECOND)
        system.drain()
        while (at := system.next_at()) is not None and at <= end:
            system.happen(at)
            system.drain()
        system.now = end

    def tell(self, actor: str, message: Message) -> None:
        self.system.post(actor, message)
        self.system.drain()

    def state(self, actor: str) -> str:
        return self.system.cells[actor].state

    def dead(self) -> list[tuple[str, Any]]:
        return [(letter.actor, letter.message) for letter in self.system.dead]

    def stop(self) -> None:
        for cell in self.system.starter.drain():
            self.system.drain()
            self.system.starter.stop(cell)
        self.system.drain()


def child(name: str, make: Callable[[], Actor], kind: type[Actor] | None = None, **how: Any) -> Child:
    return Child(name, lambda _: make(), kind or type(make()), **how)


def pair(policy: Policy, *, hooks: Hooks | None = None, **reader: Any) -> tuple[System, Log]:
    """A sender, told by Pongs how many Pings to emit, and a reader on such a wire. Boom crashes the reader."""
    log: Log = []
    tree = Group("root", (child("sender", Sender), child("reader", lambda: Reader(log), **reader)))
    wires = [inlet(Pong, "sender"), wire("sender", Ping, "reader", policy), inlet(Boom, "reader")]
    return System(tree, wires, hooks=hooks), log


def system_of(children: Sequence[Child | Group], wires: Sequence[Wire] = (), **group: Any) -> System:
    hooks = group.pop("hooks", None)
    return System(Group("root", tuple(children), **group), wires, hooks=hooks)
