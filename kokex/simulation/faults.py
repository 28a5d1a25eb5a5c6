"""What may go wrong, and how often: the dice of a seed.

Not every kind strikes in every seed, and some strike often: faults that are always all on hide what only a few of
them together show (swarm testing: Groce et al. 2012).
"""

from collections import Counter
from random import Random
from typing import Literal, final, get_args

SECOND = 1_000_000_000

Kind = Literal[
    # of a request to the venue
    "lost_request",  # never arrives
    "lost_reply",  # is done, but nobody hears of it
    "late_request",  # arrives long after whoever sent it gave up
    "server_error",  # a 5xx, and it was done or not
    "slow_reply",
    "refused",  # the venue says no to an order, for reasons of its own
    # of the venue's stream
    "stream_drop",  # nothing comes for a while, then the stream is back
    "lost_message",
    "late_message",
    "duplicate_message",
    # of the disk
    "failed_commit",  # an error, nothing was written
    "lost_commit",  # no answer, and it was written or not
    "slow_commit",
    # of the market
    "market_gap",  # no candle for some minutes
    "partial_fill",  # not drawn here: the exchange fills no more than its share of a candle's volume
    # of the process
    "crash",  # an actor raises
    "kill",  # -9, at any step
    "stop",  # an orderly end, and a start
    # of a language model
    "model_fault",  # a 429 or 5xx
    "model_garbage",  # an answer that is none
    "model_silence",  # no answer in time
    "clock_step",  # somebody sets the system clock
]
KINDS: tuple[Kind, ...] = get_args(Kind)

# The chance of each at one opportunity: a request, a message of the stream, a commit, a candle, a delivery.
ODDS: dict[Kind, float] = {
    "lost_request": 0.02,
    "lost_reply": 0.03,
    "late_request": 0.03,
    "server_error": 0.03,
    "slow_reply": 0.05,
    "refused": 0.02,
    "stream_drop": 0.0008,
    "lost_message": 0.04,
    "late_message": 0.05,
    "duplicate_message": 0.05,
    "failed_commit": 0.01,
    "lost_commit": 0.005,
    "slow_commit": 0.03,
    "market_gap": 0.0004,
    "partial_fill": 0.0,
    "crash": 0.0015,
    "kill": 0.0006,
    "stop": 0.0002,
    "model_fault": 0.15,
    "model_garbage": 0.1,
    "model_silence": 0.05,
    "clock_step": 0.01,
}
OF_MODEL: frozenset[Kind] = frozenset({"model_fault", "model_garbage", "model_silence", "clock_step"})
INTENSITIES = (0.0, 1.0, 1.0, 3.0)


class Killed(BaseException):
    """The process is gone. Not an Exception: nothing in it may catch this."""


class Crash(Exception):
    """An actor's handler failed."""


@final
class Faults:
    """Draws, counts, and stops when healed."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(f"{seed}/faults")  # a text seeds the same in every process
        self.counts: Counter[Kind] = Counter(dict.fromkeys(KINDS, 0))
        self._of_model = Random(f"{seed}/model faults")  # dice of its own, so that no other fault is reshuffled
        self._odds = {kind: odds * self._dice(kind).choice(INTENSITIES) for kind, odds in ODDS.items()}

    def _dice(self, kind: Kind) -> Random:
        return self._of_model if kind in OF_MODEL else self.chance

    def heal(self) -> None:
        self._odds = dict.fromkeys(KINDS, 0.0)

    def strikes(self, kind: Kind) -> bool:
        odds = self._odds[kind]
        if not odds or self._dice(kind).random() >= odds:
            return False
        self.counts[kind] += 1
        return True

    def first_of(self, *kinds: Kind) -> Kind | None:
        """At most one of these at one opportunity."""
        for kind in kinds:
            if self.strikes(kind):
                return kind
        return None

    def between(self, low_s: float, high_s: float) -> int:
        """A span in nanoseconds."""
        return round((low_s + (high_s - low_s) * self.chance.random()) * SECOND)

    def coin(self) -> bool:
        return self.chance.random() < 0.5
