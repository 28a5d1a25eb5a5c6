"""When something worth waking up for happens, once.

A threshold with a second one behind it: the alarm goes off at `arm` and stays silent until the value
has come back to `release`. Noise around one level therefore fires once (a Schmitt trigger).
"""

import math
from typing import Literal

Z_MAX = 100.0  # more than this many sigmas says no more


class Hysteresis:
    """One direction. Arm above release watches upwards, arm below release watches downwards.

    An oscillator watched in both directions takes two: `Hysteresis(70, 60)` and `Hysteresis(30, 40)`.
    A first value already beyond `arm` is no crossing: it must come back to `release` first.
    """

    __slots__ = ("_fired", "arm", "direction", "release")

    def __init__(self, arm: float, release: float) -> None:
        """Raises ValueError when the two are equal: they would not hold back any noise."""
        if arm == release or not math.isfinite(arm - release):
            raise ValueError(f"arm and release must differ: arm={arm}, release={release}")
        self.arm = arm
        self.release = release
        self.direction: Literal["up", "down"] = "up" if arm > release else "down"
        self._fired: bool | None = None  # None: nothing seen yet

    def update(self, value: float) -> Literal["up", "down", "calm"] | None:
        """The direction when `arm` is reached, "calm" when `release` is reached after that, else None."""
        upwards = self.direction == "up"
        if self._fired:
            if (value <= self.release) if upwards else (value >= self.release):
                self._fired = False
                return "calm"
            return None
        beyond = (value >= self.arm) if upwards else (value <= self.arm)
        first, self._fired = self._fired is None, beyond
        return self.direction if beyond and not first else None


class Spike:
    """A return far beyond the usual: |log return| against its EWMA sigma, with a hysteresis on the ratio.

    The variance is RiskMetrics' (J.P. Morgan 1996): var = decay * var + (1 - decay) * r^2, and a return is
    measured against the variance before it. The cool-down is the release: until a return has been within
    `release` sigmas no other spike is told.
    """

    __slots__ = ("_decay", "_hysteresis", "_price", "_seen", "_variance", "warmup", "z")

    def __init__(self, arm: float = 5.0, release: float = 2.0, decay: float = 0.94, warmup: int = 30) -> None:
        """Raises ValueError unless 0 < release < arm <= 100 and 0 < decay < 1."""
        if not (0 < release < arm <= Z_MAX and 0 < decay < 1):
            raise ValueError(f"no such spike: arm={arm}, release={release}, decay={decay}")
        self._hysteresis = Hysteresis(arm, release)
        self._decay = decay
        self._variance = 0.0
        self._price = 0.0
        self._seen = 0
        self.warmup = warmup
        self.z = 0.0  # the last return in sigmas, signed, within +-100

    def update(self, price: float) -> Literal["spike", "calm"] | None:
        """Told by each close; None as long as nothing changed or fewer than `warmup` were seen."""
        self._seen += 1
        change = math.log(price / self._price) if self._seen > 1 else 0.0
        self._price = price
        variance = self._variance
        if variance > 0:
            self.z = max(-Z_MAX, min(Z_MAX, change / math.sqrt(variance)))
        else:
            self.z = math.copysign(Z_MAX, change) if change else 0.0
        # The first return starts the average, or the sigma would take 1/(1 - decay) candles to grow up.
        self._variance = self._decay * variance + (1 - self._decay) * change * change if self._seen > 2 else change**2
        if self._seen < self.warmup:
            return None
        event = self._hysteresis.update(abs(self.z))
        return "spike" if event == "up" else event if event == "calm" else None


def significance(value: float, arm: float, release: float) -> float:
    """How much an edge matters, 0..1: 0 up to `release`, 1/2 at `arm`, towards 1 far beyond.

    With d the distance from `release` in units of the band (arm - release) it is d / (1 + d): rising in d,
    for either direction. Use the same two thresholds as the hysteresis that fired.
    """
    distance = (value - release) / (arm - release)
    if not distance > 0:
        return 0.0
    return distance / (1 + distance) if distance < math.inf else 1.0
