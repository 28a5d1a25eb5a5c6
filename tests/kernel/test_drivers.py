"""Three drivers, one order of things: what a run does depends on its inputs and its seed alone."""

import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from kokex.kernel.starter import Escalated
from kokex.kernel.system import System, inlet
from kokex.kernel.tasks import Tasks
from kokex.kernel.wires import block
from tests.kernel.graphs import Boom, Log, Ping, Pong, Reader, child, pair, system_of
from tests.kernel.village import inline, virtual

ROOT = Path(__file__).parents[2]


def in_another_process(how: str, seed: int, hash_seed: int) -> str:
    command = [sys.executable, "-m", "tests.kernel.village", how, str(seed)]
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("how", ["inline", "trio", "asyncio"])
def test_a_seed_gives_the_same_trace_in_every_process(how: str) -> None:
    here = inline() if how == "inline" else virtual(how, 11, waits=True)
    assert len(here.log) > 200
    assert {in_another_process(how, 11, hash_seed).strip() for hash_seed in range(1, 5)} == {here.trace}


@pytest.mark.parametrize("loop", ["trio", "asyncio"])
def test_fifty_seeds_give_fifty_traces(loop: str) -> None:
    assert len({virtual(loop, seed, waits=True).trace for seed in range(50)}) == 50


@pytest.mark.parametrize("waits", [False, True], ids=["stated latency", "ports that wait"])
@pytest.mark.parametrize("loop", ["trio", "asyncio"])
def test_each_actor_lives_through_the_same_on_the_calm_schedule_and_inline(loop: str, waits: bool) -> None:
    alone, calm = inline(), virtual(loop, None, waits=waits)
    for name in ("front", "middle", "back"):
        assert len(alone.of(name)) >= 40
        assert calm.of(name) == alone.of(name)


# ---- live -------------------------------------------------------------------------------------


class RealTime:
    """The loop's own time as trading time."""

    def now(self) -> int:
        return round(anyio.current_time() * 1e9)

    def delay_s(self, at: int) -> float:
        return max(0.0, (at - self.now()) / 1e9)


class Timekeeper(Reader):
    def on_ping(self, ping: Ping) -> None:
        self.heard_at = self.now
        self.later(0.01, self.rang)
        self.call(anyio.sleep, 30, returns=None, then=self.log.append, timeout_s=0.02)

    def rang(self) -> None:
        self.log.append(round((self.now - self.heard_at) / 1e9, 2))


def test_live_on_asyncio_messages_timers_and_timeouts_come_in_their_time() -> None:
    log: Log = []
    system = system_of([child("reader", lambda: Timekeeper(log))], [inlet(Ping, "reader")])

    async def main() -> None:
        driver = Tasks(system, RealTime())
        async with anyio.create_task_group() as group:
            group.start_soon(driver.run)
            await anyio.sleep(0.02)
            system.post("reader", Ping())
            await anyio.sleep(0.1)
            driver.stop()

    anyio.run(main)
    assert 0.01 <= log[0] < 0.03, "counted from when the ping came, not from the event before"
    assert log[1].kind == "Timeout"
    assert system.cells["reader"].state == "stopped"


def test_live_a_flood_of_messages_does_not_starve_the_loop() -> None:
    system, log = pair(block(64))

    async def main() -> int:
        driver = Tasks(system, RealTime())
        turns = 0
        async with anyio.create_task_group() as group:
            group.start_soon(driver.run)
            await anyio.lowlevel.checkpoint()
            for _ in range(64):
                system.post("sender", Pong(n=100))
            while len(log) < 6400:
                turns += 1
                await anyio.lowlevel.checkpoint()
            driver.stop()
        return turns

    assert anyio.run(main) >= 6400 // 64
    assert len(log) == 6400


def test_the_end_of_the_tree_is_raised_with_its_reason() -> None:
    log: Log = []
    system: System = system_of([child("reader", lambda: Reader(log))], [inlet(Boom, "reader")], intensity=0)

    async def main() -> None:
        await Tasks(system, RealTime()).run(lambda: system.post("reader", Boom()))

    with pytest.raises(Escalated, match="root gave up after too many crashes, the last in reader: ValueError: boom"):
        anyio.run(main)
