"""Chance: a seeded generator, for whoever must be able to repeat it."""

import secrets
from random import Random, SystemRandom

__all__ = ["Random", "fresh_seed", "noise"]


def fresh_seed() -> int:
    """A seed nobody chose: `Random(fresh_seed())` for a live daemon. Write it down to repeat the run."""
    return SystemRandom().getrandbits(63)


def noise(size: int) -> bytes:
    """So many bytes that nobody can foretell: salts and nonces."""
    return secrets.token_bytes(size)
