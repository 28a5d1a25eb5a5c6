"""Chance: a seeded generator, for whoever must be able to repeat it."""

from random import Random, SystemRandom

__all__ = ["Random", "fresh_seed"]


def fresh_seed() -> int:
    """A seed nobody chose: `Random(fresh_seed())` for a live daemon. Write it down to repeat the run."""
    return SystemRandom().getrandbits(63)
