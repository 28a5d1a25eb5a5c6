"""Trading time on a real machine.

The system clock is asked once, at the start; from then on time is what the monotonic clock says has
passed. So trading time never goes back and never jumps when someone, or NTP, sets the system clock.
`drift_ns` tells how far the two have come apart, for whoever should raise an alarm.
"""

import secrets
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from kokex.messages.llm import Moment


class TradingClock:
    """Trading time, live. At `speed` 10 ten seconds of trading time pass in one second."""

    def __init__(self, start_ns: int | None = None, speed: float = 1) -> None:
        """`start_ns` is the first reading, UTC nanoseconds; None: the system clock's. ValueError: speed not above 0."""
        if not speed > 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        self.speed = speed
        self._wall = time.time_ns()
        self._monotonic = time.monotonic_ns()
        self._start = self._wall if start_ns is None else start_ns

    def now(self) -> int:
        """UTC nanoseconds."""
        passed = time.monotonic_ns() - self._monotonic
        return self._start + (passed if self.speed == 1 else int(passed * self.speed))

    def drift_ns(self) -> int:
        """Nanoseconds by which the system clock was stepped since the start: positive forward, negative back.

        Slewing shows too (up to 500 ppm, 1.8 s an hour), and so does sleep on machines whose monotonic clock sleeps.
        """
        passed = time.monotonic_ns() - self._monotonic
        return time.time_ns() - self._wall - passed


def moments(for_s: float, every_s: float = 0.1) -> Iterator[None]:
    """Yields now, and again every so often, until `for_s` has passed: for a command that waits for the daemon."""
    end = time.monotonic() + for_s
    yield
    while time.monotonic() < end:
        time.sleep(every_s)
        yield


def moment() -> Moment:
    """What the machine's clocks say: the one that is set, and the one that only runs (sleep included)."""
    steady = time.clock_gettime_ns(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic_ns()
    return Moment(time.time_ns(), steady, _boot())


@cache
def _boot() -> str:
    """Names this start of the machine; where that cannot be known, this process."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return secrets.token_hex(16)
