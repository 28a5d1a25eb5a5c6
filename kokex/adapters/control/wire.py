"""What goes over the socket: a line of JSON each way.

    {"verb": "pause", "args": {"plan": "main"}}\n    ->    {"paused": false, "plans": [...]}\n

An answer with the key "error" says what was wrong. Before the answer to a `chat` whose args have the key "talk" come
lines with the text as a model says it, by its requests:

    {"said": "You hold ", "part": 1}\n
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

LONGEST_LINE = 65_536  # bytes of a request
LONGEST_ADDRESS = 100  # bytes of a path that every system takes as a socket's name (Linux 107, macOS 103)
ANSWER_S = 20.0  # what the daemon gives its actors
TALK_S = 140.0  # and where a model is asked


class Said(Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of an answer, ahead of it."""

    said: str
    part: int


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    verb: str
    args: dict[str, str] = {}


def socket_path(database: Path, configured: str) -> Path:
    """Where the daemon of this database listens: beside it, unless [control] path says otherwise."""
    return Path(configured) if configured else database.with_suffix(".sock")


@contextmanager
def address(path: Path) -> Generator[str, None, None]:
    """A name for `path` that is short enough for a socket.

    The system takes about a hundred bytes, and a directory may well be deeper: then it is named by its descriptor.
    """
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
