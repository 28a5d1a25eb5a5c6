"""A graph with everything in it (timers, calls with latency, asks, crashes, chance), run by every driver.

Run as a program it prints the hash of its trace, so that one process can be compared with another.
"""

import sys
from collections.abc import Callable
from hashlib import blake2b
from random import Random
from typing import Any, ClassVar, NamedTuple

import anyio

from kokex.kernel.actor import Actor
from kokex.kernel.cell import Cell, Failure
from kokex.kernel.inline import Inline
from kokex.kernel.supervision import Group
from kokex.kernel.system import Hooks, System, inlet
from kokex.kernel.tasks import Tasks
from kokex.kernel.wires import ANYONE, ask, block, drop_oldest, fail, wire
from kokex.messages import Message
from kokex.simulation.virtual_time import AsyncioTime, TrioTime, run_asyncio, run_trio
from tests.kernel.graphs import SECOND, Log, Ping, Pong, child

LENGTH_S = 60


class Echo(Message, frozen=True, kw_only=True):
    n: int = 0


class Tick(Message, frozen=True, kw_only=True):
    n: int = 0


class Market:
    """A tick to `front` each second."""

    def __init__(self, ticks: int) -> None:
        self.system: System
        self.left = ticks
        self.due = SECOND

    def next_at(self) -> int | None:
        return self.due if self.left else None

    def take(self) -> None:
        self.left -= 1
        self.due += SECOND
        self.system.post("front", Tick(n=self.left))


class Villager(Actor):
    """Everyone's log line: name, time, what."""

    def __init__(self, name: str, log: Log, waits: bool) -> None:
        self.name = name
        self.log = log
        self.waits = waits  # the port sleeps; else it states its latency

    def note(self, *what: Any) -> None:
        self.log.append((self.name, self.now, *what))

    def work(self, n: int, then: Callable[[Any], object], latency_s: float) -> None:
        self.call(
            self.port, n, latency_s if self.waits else 0.0, returns=int, then=then,
            timeout_s=0.7, latency_ns=0 if self.waits else round(latency_s * SECOND),
        )  # fmt: skip

    async def port(self, n: int, latency_s: float) -> int:
        if latency_s:
            await anyio.sleep(latency_s)
        if n % 7 == 3:
            raise OSError(f"no {n}")
        return n * n


class Front(Villager):
    emits: ClassVar[tuple[type[Message], ...]] = (Ping, Echo)

    async def load(self) -> int:
        return await self.port(2, 0.25 if self.waits else 0.0)

    def on_tick(self, tick: Tick) -> None:
        self.note("tick", tick.n)
        for n in range(tick.n % 5):
            self.emit(Ping(n=tick.n + n, key="ab"[n % 2]))
        self.later(0.25 * (tick.n % 4), self.echo, tick.n)

    def echo(self, n: int) -> None:
        self.emit(Echo(n=n))


class Middle(Villager):
    emits: ClassVar[tuple[type[Message], ...]] = (Pong, Echo)
    asks: ClassVar[tuple[type[Message], ...]] = (Tick,)

    def on_ping(self, ping: Ping) -> None:
        self.note("ping", ping.n)
        self.work(ping.n, self.worked, 0.125 * (ping.n % 7))
        self.ask("back", Tick(n=ping.n), then=lambda answer: self.note("answer", answer), timeout_s=0.5)

    def worked(self, result: int | Failure) -> None:
        self.note("worked", result)
        self.emit(Pong(n=-1 if isinstance(result, Failure) else result))
        self.emit(Echo(n=1))


class Back(Villager):
    def on_pong(self, pong: Pong) -> None:
        self.note("pong", pong.n)

    def on_echo(self, echo: Echo) -> None:
        self.note("echo", echo.n)

    def on_tick(self, tick: Tick) -> int:
        self.note("asked", tick.n)
        return -tick.n


class Run(NamedTuple):
    log: Log
    trace: str

    def of(self, name: str) -> Log:
        return [line for line in self.log if line[0].startswith(name)]


Build = Callable[[Hooks, bool], tuple[System, Log]]


def village(hooks: Hooks, waits: bool = False, ticks: int = 40) -> tuple[System, Log]:
    log: Log = []
    market = Market(ticks)

    def make(name: str, kind: type[Villager]) -> Any:
        return child(name, lambda: kind(name, log, waits), kind)

    tree = Group("root", (make("back", Back), make("middle", Middle), make("front", Front)), intensity=1000)
    wires = [
        inlet(Tick, "front"),
        wire("front", Ping, "middle", block(2)),
        wire("middle", Pong, "back", fail(64)),
        wire("middle", Tick, "back", ask()),
        wire(ANYONE, Echo, "back", drop_oldest(8)),
    ]
    market.system = System(tree, wires, hooks=hooks, source=market)
    return market.system, log


def hashed(hooks: dict[str, Any]) -> tuple[Hooks, Callable[[], str]]:
    digest = blake2b(digest_size=8)
    return Hooks(trace=lambda *line: digest.update(repr(line).encode()), **hooks), digest.hexdigest


def chances(seed: int | None) -> dict[str, Any]:
    """What a seed decides: whose turn it is, how long a restart waits, who is struck down."""
    if seed is None:
        return {}
    order, faults = Random(seed), Random(seed + 1)

    def before(cell: Cell, _: Any) -> None:
        if faults.random() < 0.01:
            raise RuntimeError(f"{cell.name} was struck")

    return {"choose": order.randrange, "jitter": order.random, "before": before}


def inline() -> Run:
    hooks, trace = hashed({})
    system, log = village(hooks)
    driver = Inline(system)
    driver.start()
    driver.run(LENGTH_S * SECOND)
    driver.stop()
    return Run(log, trace())


def virtual(loop: str, seed: int | None, *, waits: bool = False) -> Run:
    hooks, trace = hashed(chances(seed))
    system, log = village(hooks, waits)

    async def main(clock: TrioTime | AsyncioTime) -> None:
        driver = Tasks(system, clock, virtual=clock)
        system.set_timer(None, LENGTH_S * SECOND, driver.stop, ())
        await driver.run()

    (run_trio if loop == "trio" else run_asyncio)(main, seed=seed)
    return Run(log, trace())


if __name__ == "__main__":
    how, number = sys.argv[1:]
    print((inline() if how == "inline" else virtual(how, int(number), waits=True)).trace)
