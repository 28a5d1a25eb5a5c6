"""Clock, ids and lock."""

import re
import time
from pathlib import Path

import pytest

from kokex.adapters.host.clock import TradingClock
from kokex.adapters.host.ids import SecretIds
from kokex.adapters.host.lock import FileLock, Locked

SECOND = 1_000_000_000


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The machine's two clocks, to be set by the test."""
    clocks = {"wall": 1_700_000_000 * SECOND, "monotonic": 5 * SECOND}
    monkeypatch.setattr(time, "time_ns", lambda: clocks["wall"])
    monkeypatch.setattr(time, "monotonic_ns", lambda: clocks["monotonic"])
    return clocks


def test_trading_time_goes_on_evenly_when_the_system_clock_is_set_back(machine: dict[str, int]) -> None:
    clock = TradingClock()
    start = clock.now()
    assert start == machine["wall"]
    machine["monotonic"] += 10 * SECOND
    machine["wall"] += 10 * SECOND
    assert (clock.now() - start, clock.drift_ns()) == (10 * SECOND, 0)
    machine["wall"] -= 3600 * SECOND
    assert (clock.now() - start, clock.drift_ns()) == (10 * SECOND, -3600 * SECOND)


def test_trading_time_can_start_anywhere_and_run_faster(machine: dict[str, int]) -> None:
    clock = TradingClock(start_ns=7, speed=60)
    machine["monotonic"] += SECOND
    machine["wall"] += SECOND
    assert (clock.now(), clock.drift_ns()) == (7 + 60 * SECOND, 0)
    with pytest.raises(ValueError, match="speed must be above 0"):
        TradingClock(speed=0)


def test_tags_are_six_lower_case_letters_and_digits() -> None:
    tags = {SecretIds().tag() for _ in range(100)}
    assert len(tags) == 100
    assert all(re.fullmatch("[a-z0-9]{6}", tag) for tag in tags)


def test_a_lock_is_held_once_and_free_after_release(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "x.lock")
    with pytest.raises(Locked, match="locked by process"):
        FileLock(tmp_path / "x.lock")
    lock.release()
    lock.release()
    FileLock(tmp_path / "x.lock").release()
