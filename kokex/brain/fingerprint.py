"""Short hashes by which prompts, wordings and answers' forms are told apart on record."""

from hashlib import blake2b

import msgspec

from kokex.messages import Prompt

_encode = msgspec.json.Encoder(order="deterministic").encode


def digest(value: object) -> str:
    """16 hex digits of anything JSON can say."""
    return blake2b(_encode(value), digest_size=8).hexdigest()


def fingerprint(prompt: Prompt) -> str:
    """Of all that a model is shown: the same digits, the same question."""
    return digest((prompt.system, prompt.turns, prompt.shape, prompt.tools))
