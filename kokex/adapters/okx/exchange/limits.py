"""Rate limits: so many requests in a sliding window, for an address, an account, or an account and an instrument."""

from collections import deque
from typing import NamedTuple


class Limit(NamedTuple):
    """`most` in `window_s`; a batch counts its orders."""

    most: int
    window_s: float = 2.0
    by_instrument: bool = False


class Limits:
    def __init__(self, *, enforced: bool = True) -> None:
        self._enforced = enforced
        self._seen: dict[tuple[str, ...], deque[int]] = {}

    def admit(self, key: tuple[str, ...], limit: Limit, now_ms: int, weight: int = 1) -> bool:
        """Whether `weight` more fit; what does not fit is not counted."""
        if not self._enforced:
            return True
        seen = self._seen.get(key)
        if seen is None:
            seen = self._seen[key] = deque()
        oldest = now_ms - int(limit.window_s * 1000)
        while seen and seen[0] <= oldest:
            seen.popleft()
        if len(seen) + weight > limit.most:
            return False
        seen.extend([now_ms] * weight)
        return True

    def sweep(self, now_ms: int) -> None:
        """Forgets who has been silent for a minute."""
        for key in [key for key, seen in self._seen.items() if not seen or seen[-1] < now_ms - 60_000]:
            del self._seen[key]
