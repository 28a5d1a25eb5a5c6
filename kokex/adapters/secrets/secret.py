"""A secret value, and the net below it.

`Secret` shows itself to nobody who does not ask. What slips through all the same (an error text of a library, a URL
in a log line) is caught where text leaves the process: `redact` for lines and errors, `mask` for recorded bytes.
What they look for is process-wide, because the log and the journal are.
"""

from typing import NoReturn, final
from urllib.parse import quote

import msgspec

SHORTEST = 6  # a shorter one would be found in ordinary words
HIDDEN = "***"

_known: tuple[str, ...] = ()  # every spelling of every secret in use; replaced as a whole, because threads read it


@final
class Secret:
    """A value that prints as ***, cannot be pickled or encoded, and is known to `redact` from now on."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        know(value)

    def reveal(self) -> str:
        """The value itself, for the one place that sends or uses it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __str__(self) -> str:
        return HIDDEN

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret does not leave its process")


def know(value: str) -> None:
    """From now on `value` is hidden, as it is, in JSON and in a URL."""
    global _known  # noqa: PLW0603
    if len(value) >= SHORTEST:
        spellings = (value, msgspec.json.encode(value)[1:-1].decode(), quote(value, safe=""))
        _known = tuple(dict.fromkeys((*_known, *spellings)))


def redact(text: str) -> str:
    """The text without any known secret."""
    for value in _known:
        if value in text:
            text = text.replace(value, HIDDEN)
    return text


def mask(body: bytes) -> bytes:
    """The bytes with every known secret starred out; their length stays, and with it what a length prefix says."""
    for value in _known:
        raw = value.encode()
        if raw in body:
            body = body.replace(raw, b"*" * len(raw))
    return body
