"""What was read anew from config.toml while the daemon runs: kept for actors that start again in the same session.

The next session reads the file itself.
"""

from typing import Any

import msgspec
from msgspec import Struct

from kokex.config.live import Live
from kokex.ports import Saved, Store

KEY = "reloaded"


class Kept(Struct, frozen=True):
    session: int
    settings: dict[str, Any]


def keep(store: Store, settings: dict[str, Any]) -> None:
    """On disk with the next commit."""
    store.append(Saved(key=KEY, body=msgspec.msgpack.encode(Kept(store.session, settings))))


def as_live(settings: dict[str, Any]) -> Live:
    """As it travels in a message."""
    return msgspec.convert(settings, Live)


async def kept(store: Store) -> dict[str, Any] | None:
    """What was read in this session; None: nothing."""
    body = await store.saved(KEY)
    found = msgspec.msgpack.decode(body, type=Kept) if body else None
    return found.settings if found and found.session == store.session else None
