"""Loops on which nothing sleeps."""

import re
import tomllib
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any, cast

import anyio
import pytest
import trio

from kokex.simulation.virtual_time import AsyncioTime, Deadlock, TrioTime, run_asyncio, run_trio, seeded

HOUR = 3600
Run = Callable[..., Any]
Time = TrioTime | AsyncioTime

both = pytest.mark.parametrize("run", [run_trio, run_asyncio])


@both
def test_sleeping_takes_no_time_and_moves_the_clock_exactly(run: Run) -> None:
    async def main(clock: Time) -> list[int]:
        times: list[int] = []
        for seconds in (0.1, 0.2, 24 * HOUR, 365 * 24 * HOUR, 1e-9):
            await anyio.sleep(seconds)
            times.append(clock.now())
        return times

    day, year = 24 * HOUR * 10**9, 365 * 24 * HOUR * 10**9
    start, first, second = 10**18, 10**8, 3 * 10**8
    times = run(main, start_ns=start)
    assert times[:3] == [start + first, start + second, start + second + day]
    assert abs(times[3] - times[2] - year) <= 4, "a float of seconds is no finer after a year"


@both
def test_sleepers_wake_in_the_order_of_their_times(run: Run) -> None:
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        await anyio.sleep(seconds)
        woken.append(seconds)

    async def main(_: Time) -> None:
        async with anyio.create_task_group() as group:
            for seconds in (3, 1, 2, 0.5):
                group.start_soon(sleeper, seconds)

    run(main)
    assert woken == [0.5, 1, 2, 3]


@both
def test_waiting_for_ever_is_a_deadlock_and_not_a_hang(run: Run) -> None:
    async def main(_: Time) -> None:
        await anyio.sleep(1)
        await anyio.Event().wait()

    with pytest.raises(Deadlock):
        run(main)


@both
def test_a_deadlock_in_a_child_task_is_raised_too(run: Run) -> None:
    async def main(_: Time) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.Event().wait)

    with pytest.raises(Deadlock):
        run(main)


@both
def test_a_jump_goes_past_nothing_that_is_due(run: Run) -> None:
    async def main(clock: Time) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 1)
            await clock.settle()
            assert not clock.jump(2 * 10**9)
            assert clock.now() == 0
            assert clock.jump(10**9 - 1)
            assert clock.now() == 10**9 - 1
        assert clock.jump(100 * 24 * HOUR * 10**9 + 7)
        assert clock.now() == 100 * 24 * HOUR * 10**9 + 7
        assert clock.delay_s(clock.now() + 5) == 5e-9

    run(main)


@both
def test_settling_waits_until_all_others_wait(run: Run) -> None:
    steps: list[int] = []

    async def busy() -> None:
        for step in range(20):
            steps.append(step)
            await anyio.lowlevel.checkpoint()
        await anyio.sleep(1)
        steps.append(-1)

    async def main(clock: Time) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(busy)
            await clock.settle()
            assert steps == list(range(20))
            assert clock.now() == 0

    run(main)


def races(run: Run, seed: int | None) -> tuple[int, ...]:
    order: list[int] = []

    async def runner(number: int) -> None:
        for _ in range(5):
            event = anyio.Event()
            event.set()
            await anyio.sleep(0.001)
            order.append(number)

    async def main(_: Time) -> None:
        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(runner, number)

    cast("Callable[..., Awaitable[None]]", run)(main, seed=seed)
    return tuple(order)


def test_without_a_seed_trio_runs_tasks_in_order_of_creation() -> None:
    assert races(run_trio, None) == tuple(range(8)) * 5


@both
def test_a_seed_decides_who_goes_first_and_decides_it_alike_each_time(run: Run) -> None:
    calm = races(run, None)
    assert races(run, 1) == races(run, 1) != races(run, 2)
    assert races(run, None) == calm, "a seed does not outlive its run"


async def test_an_async_test_on_the_clock_fixture_sleeps_for_nothing(clock: TrioTime) -> None:
    await trio.sleep(HOUR)
    assert clock.now() == HOUR * 10**9


def test_trio_still_has_the_two_private_names_and_uses_them() -> None:
    run = vars(trio)["_core"]._run
    assert isinstance(run._r, Random)
    assert isinstance(run._ALLOW_DETERMINISTIC_SCHEDULING, bool)
    source = Path(run.__file__).read_text(encoding="utf-8")
    shuffled = r"if _ALLOW_DETERMINISTIC_SCHEDULING:.{0,800}?batch\.sort\(.{0,200}?_r\.shuffle\(batch\)"
    taken_from_the_end = r".{0,500}?while batch:\s*task = batch\.pop\(\)"
    assert re.search(shuffled + taken_from_the_end, source, re.DOTALL)
    seeded(None)
    assert run._ALLOW_DETERMINISTIC_SCHEDULING


def test_trio_is_pinned_to_the_release_that_was_looked_into() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert f"trio=={version('trio')}" in project["project"]["dependencies"]
