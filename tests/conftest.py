"""What all tests share."""

import pytest

from kokex.simulation.virtual_time import TrioTime, seeded


@pytest.fixture
def clock() -> TrioTime:
    """An async test that asks for it runs in virtual time, its tasks in order of creation (pytest-trio finds it)."""
    seeded(None)
    return TrioTime()
