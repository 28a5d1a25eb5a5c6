"""Seeds, one after another: each a world of its own, run to its end or to the first law it breaks."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from kokex.simulation import laws
from kokex.simulation.faults import KINDS
from kokex.simulation.laws import Broken
from kokex.simulation.scenario import draw
from kokex.simulation.virtual_time import run_asyncio, run_trio
from kokex.simulation.world import VirtualClock, World

START_NS = int(datetime(2025, 1, 6, tzinfo=UTC).timestamp()) * 1_000_000_000
PLANTS = ("retry_new_id", "breaker_in_memory", "no_deadline")
ON_ASYNCIO = 10  # one seed in so many runs on asyncio's loop, because production uses its cancellation
TWICE = 25  # one in so many is run again for law 11


class Violation(Struct, frozen=True):
    """A law that did not hold."""

    seed: int
    law: str
    text: str
    trace: str
    command: str  # makes the same trace again


class Seed(Struct, frozen=True):
    """What came of one seed."""

    seed: int
    trace: str
    faults: dict[str, int]
    orders: int
    fills: int
    violation: Violation | None


class Tally(Struct):
    """What came of many."""

    seeds: int = 0
    kills: int = 0
    crashes: int = 0
    faults: dict[str, int] = {}
    orders: int = 0
    fills: int = 0
    violations: list[Violation] = []
    sim_hours: float = 0.0
    wall_s: float = 0.0
    seeds_per_minute: float = 0.0

    def add(self, seed: Seed, days: float) -> None:
        self.seeds += 1
        self.kills += seed.faults["kill"]
        self.crashes += seed.faults["crash"]
        self.faults = dict(Counter(self.faults) + Counter(seed.faults)) if self.faults else dict(seed.faults)
        self.orders += seed.orders
        self.fills += seed.fills
        self.sim_hours += days * 24
        if seed.violation:
            self.violations.append(seed.violation)


def run_seed(seed: int, days: float, plant: str = "", *, loop: str = "") -> Seed:
    """One seed. `loop`: "trio" or "asyncio", else as the seed has it."""
    worlds: list[World] = []

    async def main(clock: VirtualClock) -> None:
        world = World(draw(seed), seed, days, clock, frozenset({plant} - {""}))
        worlds.append(world)
        await world.run()

    broken: Broken | None = None
    on_asyncio = loop == "asyncio" if loop else seed % ON_ASYNCIO == ON_ASYNCIO - 1
    try:
        (run_asyncio if on_asyncio else run_trio)(main, seed=seed, start_ns=START_NS)
    except Broken as error:
        broken = error
    world = worlds[0]
    trace = world.trace
    command = f"kokex simulate --seeds {seed}:{seed + 1} --days {days:g}" + (f" --plant {plant}" if plant else "")
    return Seed(
        seed=seed,
        trace=trace,
        faults={kind: world.faults.counts[kind] for kind in KINDS},
        orders=world.witness.orders,
        fills=world.fills,
        violation=Violation(seed, broken.law, broken.text, trace, command) if broken else None,
    )
