"""Seeds, one after another: each a world of its own, run to its end or to the first law it breaks."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from kokex.simulation.faults import KINDS
from kokex.simulation.laws import Broken, law_11
from kokex.simulation.scenario import draw
from kokex.simulation.virtual_time import run_asyncio, run_trio
from kokex.simulation.world import HOUR_NS, VirtualClock, World

Loop = Literal["trio", "asyncio"]

START_NS = int(datetime(2025, 1, 6, tzinfo=UTC).timestamp()) * 1_000_000_000
PLANTS = ("retry_new_id", "breaker_in_memory", "no_deadline", "ledger_in_memory", "amend_believed")
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
    hours: float  # of trading time
    faults: dict[str, int]
    orders: int
    fills: int
    violation: Violation | None


class Tally(Struct):
    """What came of many: what `kokex simulate --json` prints."""

    seeds: int = 0
    days: float = 0.0
    kills: int = 0
    crashes: int = 0
    faults: dict[str, int] = {}
    orders: int = 0  # that the venue accepted
    fills: int = 0
    violations: int = 0
    broken: list[Violation] = []
    sim_hours: float = 0.0
    wall_s: float = 0.0
    seeds_per_minute: float = 0.0

    def add(self, seed: Seed) -> None:
        self.seeds += 1
        self.kills += seed.faults["kill"]
        self.crashes += seed.faults["crash"]
        self.faults = {kind: self.faults.get(kind, 0) + count for kind, count in seed.faults.items()}
        self.orders += seed.orders
        self.fills += seed.fills
        self.sim_hours += seed.hours
        if seed.violation:
            self.violations += 1
            self.broken.append(seed.violation)


def run_seed(seed: int, days: float, plant: str = "", loop: Loop | None = None) -> Seed:
    """One seed, to its end or to the first law it breaks. `loop` None: as the seed has it."""
    worlds: list[World] = []

    async def main(clock: VirtualClock) -> None:
        world = World(draw(seed), seed, days, clock, frozenset({plant} - {""}))
        worlds.append(world)
        await world.run()

    loop = loop or ("asyncio" if seed % ON_ASYNCIO == ON_ASYNCIO - 1 else "trio")
    broken: Broken | None = None
    try:
        (run_trio if loop == "trio" else run_asyncio)(main, seed=seed, start_ns=START_NS)
    except Broken as error:
        broken = error
    (world,) = worlds
    return Seed(
        seed=seed,
        trace=world.trace,
        hours=(world.now() - START_NS) / HOUR_NS,
        faults={kind: world.faults.counts[kind] for kind in KINDS},
        orders=world.witness.orders,
        fills=world.fills,
        violation=_violation(seed, days, plant, broken.law, broken.text, world.trace) if broken else None,
    )


def _violation(seed: int, days: float, plant: str, law: str, text: str, trace: str) -> Violation:
    command = f"kokex simulate --seeds {seed}:{seed + 1} --days {days:g}" + (f" --plant {plant}" if plant else "")
    return Violation(seed, law, text, trace, f"{command} --trace-hash")


def run_checked(seed: int, days: float, plant: str = "") -> Seed:
    """The same; some seeds, and each that breaks a law, run twice for law 11."""
    first = run_seed(seed, days, plant)
    if seed % TWICE and not first.violation:
        return first
    fault = law_11(first.trace, run_seed(seed, days, plant).trace)
    return replace(first, violation=_violation(seed, days, plant, "11", fault, first.trace)) if fault else first


def run_seeds(seeds: Sequence[int], days: float, plant: str = "", jobs: int = 1) -> Iterator[Seed]:
    """Seeds in their order, by `jobs` processes."""
    one = partial(run_checked, days=days, plant=plant)
    if jobs == 1:
        yield from map(one, seeds)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        yield from pool.map(one, seeds)


def simulate(
    seeds: Sequence[int], days: float, plant: str = "", jobs: int = 1, told: Callable[[Seed], None] = lambda _: None
) -> Tally:
    """All of them, summed up. `told` hears of each as it is done."""
    tally = Tally(days=days)
    begun = time.perf_counter()
    for seed in run_seeds(seeds, days, plant, jobs):
        tally.add(seed)
        told(seed)
    tally.wall_s = time.perf_counter() - begun
    tally.seeds_per_minute = tally.seeds / tally.wall_s * 60 if tally.wall_s else 0.0
    return tally
