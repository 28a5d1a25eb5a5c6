"""Messages per second and the latency of a hop: our kernel against a task per actor on streams and queues.

`pipeline`: four actors in a row, 64 messages of room between two; each makes a new message of the one it gets, and
all hops are counted. `latency`: two actors send one message to and fro, and each hop is timed.
All of it runs in one process, in turns, and the best of the rounds counts, so that the ratios mean something
where the figures do not.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from statistics import quantiles
from typing import Any, ClassVar, NamedTuple

import anyio

from kokex.kernel.actor import Actor
from kokex.kernel.inline import Inline
from kokex.kernel.supervision import Child, Group
from kokex.kernel.system import System, inlet
from kokex.kernel.tasks import Tasks
from kokex.kernel.wires import block, fail, wire
from kokex.messages import Message
from kokex.simulation.virtual_time import TrioTime, run_trio

ROOM = 64
STAGES = 4


class Packet(Message, frozen=True, kw_only=True):
    n: int


class Result(NamedTuple):
    """Of one way of passing messages."""

    messages_s: float
    p50_us: float
    p99_us: float


# ---- our kernel -------------------------------------------------------------------------------


class Relay(Actor):
    emits: ClassVar[tuple[type[Message], ...]] = (Packet,)

    def on_packet(self, packet: Packet) -> None:
        self.emit(Packet(n=packet.n))


class Stop:
    """Ends a run of a driver that would go on."""

    how: Callable[[], object] | None = None

    def __call__(self) -> None:
        if self.how:
            self.how()


class End(Actor):
    """Counts what arrives and says when it is all."""

    def __init__(self, expected: int, done: Callable[[], object]) -> None:
        self.left = expected
        self.done = done

    def on_packet(self, _: Packet) -> None:
        self.left -= 1
        if not self.left:
            self.done()


class Returning(Actor):
    """Sends back what it gets `rounds` times, and marks the time of each."""

    emits: ClassVar[tuple[type[Message], ...]] = (Packet,)

    def __init__(self, rounds: int, marks: list[int], done: Callable[[], object]) -> None:
        self.rounds = rounds
        self.marks = marks
        self.done = done

    def on_packet(self, packet: Packet) -> None:
        self.marks.append(time.perf_counter_ns())
        if packet.n < self.rounds:
            self.emit(Packet(n=packet.n + 1))
        else:
            self.done()


class Bursts:
    """The source of a pipeline: as much at a time as there is room for, as a task that feeds a stream would send."""

    def __init__(self, messages: int) -> None:
        self.left = messages
        self.system: System

    def next_at(self) -> int | None:
        return self.system.now if self.left else None

    def take(self) -> None:
        count = min(ROOM, self.left)
        self.left -= count
        for n in range(count):
            self.system.post("a0", Packet(n=n))


Drive = Callable[[System, Callable[[], object], Stop], None]


def pipeline(drive: Drive, messages: int) -> float:
    stop = Stop()
    names = [f"a{i}" for i in range(STAGES)]
    relays = tuple(Child(name, lambda _: Relay(), Relay) for name in names[:-1])
    end = Child(names[-1], lambda _: End(messages, stop), End)
    wires = [wire(a, Packet, b, block(ROOM)) for a, b in pairwise(names)]
    source = Bursts(messages)
    wires.append(inlet(Packet, "a0"))
    source.system = System(Group("root", (*relays, end)), wires, source=source)
    start = time.perf_counter()
    drive(source.system, lambda: None, stop)
    return STAGES * messages / (time.perf_counter() - start)


def latency(drive: Drive, hops: int) -> list[float]:
    stop = Stop()
    marks: list[int] = []
    here = Child("here", lambda _: Returning(hops, marks, stop), Returning)
    there = Child("there", lambda _: Relay(), Relay)
    wires = [
        inlet(Packet, "here"),
        wire("here", Packet, "there", block(ROOM)),
        wire("there", Packet, "here", fail(ROOM)),
    ]
    system = System(Group("root", (here, there)), wires)
    drive(system, lambda: system.post("here", Packet(n=0)), stop)
    return per_hop(marks)


def per_hop(marks: list[int]) -> list[float]:
    """Microseconds per hop; two hops lie between two marks."""
    return [(b - a) / 2000 for a, b in pairwise(marks)]


def drive_inline(system: System, feed: Callable[[], object], _: Stop) -> None:
    driver = Inline(system)
    driver.start()
    feed()
    driver.run()


class RealTime:
    def now(self) -> int:
        return time.time_ns()

    def delay_s(self, at: int) -> float:
        return max(0.0, (at - self.now()) / 1e9)


def drive_live(system: System, feed: Callable[[], object], stop: Stop) -> None:
    async def main() -> None:
        driver = Tasks(system, RealTime())
        stop.how = driver.stop
        await driver.run(feed)

    anyio.run(main)


def drive_virtual(system: System, feed: Callable[[], object], stop: Stop) -> None:
    async def main(clock: TrioTime) -> None:
        driver = Tasks(system, clock, virtual=clock)
        stop.how = driver.stop
        await driver.run(feed)

    run_trio(main)


def kernel(drive: Drive) -> Callable[[int, int], tuple[float, list[float]]]:
    return lambda messages, hops: (pipeline(drive, messages), latency(drive, hops))


# ---- a task per actor -------------------------------------------------------------------------

Send = Callable[[Packet], Awaitable[None]]
Receive = Callable[[], Awaitable[Packet]]
Channel = Callable[[], tuple[Send, Receive]]


def stream() -> tuple[Send, Receive]:
    send, receive = anyio.create_memory_object_stream[Packet](ROOM)
    OPEN.extend((send, receive))
    return send.send, receive.receive


OPEN: list[Any] = []  # streams to close, so that none warns


def queue() -> tuple[Send, Receive]:
    made: asyncio.Queue[Packet] = asyncio.Queue(ROOM)
    return made.put, made.get


async def relay(receive: Receive, send: Send, count: int) -> None:
    for _ in range(count):
        packet = await receive()
        await send(Packet(n=packet.n))


async def drop(receive: Receive, count: int) -> None:
    for _ in range(count):
        await receive()


async def tasks_pipeline(channel: Channel, messages: int) -> float:
    ends = [channel() for _ in range(STAGES)]
    start = time.perf_counter()
    async with anyio.create_task_group() as group:
        for (_, receive), (send, _) in pairwise(ends):
            group.start_soon(relay, receive, send, messages)
        group.start_soon(drop, ends[-1][1], messages)
        for n in range(messages):
            await ends[0][0](Packet(n=n))
    return STAGES * messages / (time.perf_counter() - start)


async def tasks_latency(channel: Channel, hops: int) -> list[float]:
    (go, going), (back, coming) = channel(), channel()
    marks: list[int] = []
    async with anyio.create_task_group() as group:
        group.start_soon(relay, going, back, hops)
        for n in range(hops):
            await go(Packet(n=n))
            await coming()
            marks.append(time.perf_counter_ns())
    return per_hop(marks)


def tasks(channel: Channel, backend: str) -> Callable[[int, int], tuple[float, list[float]]]:
    async def main(messages: int, hops: int) -> tuple[float, list[float]]:
        result = await tasks_pipeline(channel, messages), await tasks_latency(channel, hops)
        while OPEN:
            OPEN.pop().close()
        return result

    return lambda messages, hops: anyio.run(main, messages, hops, backend=backend)


# ---- in one run -------------------------------------------------------------------------------

WAYS = {
    "kernel, inline": kernel(drive_inline),
    "kernel, live on asyncio": kernel(drive_live),
    "kernel, virtual time on trio": kernel(drive_virtual),
    "anyio streams on asyncio": tasks(stream, "asyncio"),
    "anyio streams on trio": tasks(stream, "trio"),
    "asyncio.Queue": tasks(queue, "asyncio"),
}

RATIOS = (  # like with like
    ("kernel, live on asyncio", "anyio streams on asyncio"),
    ("kernel, live on asyncio", "asyncio.Queue"),
    ("kernel, virtual time on trio", "anyio streams on trio"),
    ("kernel, inline", "anyio streams on asyncio"),
)


def measure(messages: int, hops: int, rounds: int) -> dict[str, Result]:
    speeds: dict[str, float] = dict.fromkeys(WAYS, 0.0)
    hop_us: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, way in WAYS.items():
            speed, hops_us = way(messages, hops)
            speeds[name] = max(speeds[name], speed)
            hop_us[name] = min(hop_us.get(name, hops_us), hops_us, key=sum)
    results: dict[str, Result] = {}
    for name, sample in hop_us.items():
        cuts = quantiles(sample, n=100)
        results[name] = Result(round(speeds[name]), round(cuts[49], 3), round(cuts[98], 3))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=20_000, help="through the pipeline, each round")
    parser.add_argument("--hops", type=int, default=5_000, help="to and fro, each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    results = measure(args.messages, args.hops, args.rounds)
    ratios = {
        f"{ours} / {theirs}": {
            "messages_s": round(results[ours].messages_s / results[theirs].messages_s, 2),
            "p50": round(results[theirs].p50_us / results[ours].p50_us, 2),
            "p99": round(results[theirs].p99_us / results[ours].p99_us, 2),
        }
        for ours, theirs in RATIOS
    }
    if args.json:
        json.dump({"results": {k: v._asdict() for k, v in results.items()}, "ratios": ratios}, sys.stdout, indent=2)
        print()
        return
    print(f"{'':54}{'messages/s':>12}{'p50 us':>9}{'p99 us':>9}")
    for name, result in results.items():
        print(f"{name:54}{result.messages_s:12,.0f}{result.p50_us:9.2f}{result.p99_us:9.2f}")
    print(f"\n{'times as good':54}{'messages/s':>12}{'p50':>9}{'p99':>9}")
    for name, ratio in ratios.items():
        print(f"{name:54}{ratio['messages_s']:12.1f}{ratio['p50']:9.1f}{ratio['p99']:9.1f}")


if __name__ == "__main__":
    main()
