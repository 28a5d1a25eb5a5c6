"""The laws, on seeds: the system breaks none of them, and each planted bug is found."""

import json
import os
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from kokex.cli.simulate import simulate as command
from kokex.simulation.faults import KINDS
from kokex.simulation.simulate import PLANTS, Loop, run_seed, simulate

SEEDS = range(60)
DAYS = 1.0


def test_days_of_faults_break_no_law() -> None:
    tally = simulate(SEEDS, DAYS)
    assert [(each.seed, each.law, each.text) for each in tally.broken] == []
    assert set(tally.faults) == set(KINDS)
    assert [kind for kind, count in tally.faults.items() if not count] == []
    assert tally.kills > 60
    assert tally.crashes > 200
    assert tally.orders > 2000
    assert tally.fills > 2000


@pytest.mark.parametrize(
    ("plant", "laws"),
    [
        ("retry_new_id", {"1", "7"}),
        ("no_deadline", {"4", "7"}),
        ("breaker_in_memory", {"5"}),
        ("ledger_in_memory", {"6"}),
        ("amend_believed", {"stops"}),
    ],
)
def test_a_planted_bug_is_found(plant: str, laws: set[str]) -> None:
    assert plant in PLANTS
    for seed in range(20, 120):
        found = run_seed(seed, 3, plant).violation
        if found:
            assert found.law in laws
            return
    pytest.fail(f"{plant} was not found in 100 seeds")


@pytest.mark.parametrize("loop", ["trio", "asyncio"])
def test_the_same_seed_is_the_same_trace(loop: Loop) -> None:
    first = [run_seed(seed, DAYS, loop=loop) for seed in range(4)]
    assert first == [run_seed(seed, DAYS, loop=loop) for seed in range(4)]
    assert len({each.trace for each in first}) == 4


@pytest.mark.parametrize("seed", [0, 9])  # on trio, on asyncio
def test_the_printed_command_makes_the_same_trace_in_another_process(seed: int) -> None:
    for number in range(seed, 100, 10):
        violation = run_seed(number, 1, "retry_new_id").violation
        if violation:
            break
    else:
        pytest.fail("retry_new_id was not found")
    for hash_seed in ("0", "4242"):
        again = subprocess.run(
            [sys.executable, "-m", *violation.command.split()],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=False,
        )
        assert again.returncode == 1, again.stderr
        assert re.findall(r"^seed \d+ trace (\w+)$", again.stdout, re.MULTILINE) == [violation.trace]
        assert f"breaks law {violation.law}: {violation.text}" in again.stdout
        assert violation.command in again.stdout


def test_the_command_tells_programs_and_people() -> None:
    told = CliRunner().invoke(command, ["--seeds", "0:2", "--days", "0.2", "--json"])
    assert told.exit_code == 0
    document = json.loads(told.stdout)
    assert document["seeds"] == 2
    assert document["violations"] == 0
    assert set(document["faults"]) == set(KINDS)
    assert {"kills", "crashes", "orders", "fills", "sim_hours", "wall_s", "seeds_per_minute"} <= document.keys()
    planted = CliRunner().invoke(command, ["--seeds", "2:3", "--days", "3", "--plant", "no_deadline"])
    assert planted.exit_code == 1
    assert "breaks law" in planted.stdout
    for plant in PLANTS:
        assert CliRunner().invoke(command, ["--seeds", "0:1", "--days", "0.01", "--plant", plant]).exit_code < 2
    assert CliRunner().invoke(command, ["--seeds", "0:1", "--plant", "none"]).exit_code == 2
    for wrong in ("3:3", "x", "-1:2"):
        assert CliRunner().invoke(command, ["--seeds", wrong]).exit_code == 2


def test_seeds_in_several_processes_come_back_in_their_order() -> None:
    alone, together = (simulate(range(3), 0.1, jobs=jobs) for jobs in (1, 2))
    assert alone.faults == together.faults
    assert alone.orders == together.orders
