"""What people said of plans: paused, started or stopped, in another mode. On record, so that no restart forgets it.

The scheduler keeps it, and gives a plan that stands still no cycle. risk refuses what a cycle from before the pause
still wants to enter, and reads the record when it starts again.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from kokex.config import Plan
from kokex.ports import Saved, Store

KEY = "scheduler"


class Kept(Struct, frozen=True):
    paused: bool = False
    plans: dict[str, bool] = {}  # started or stopped
    modes: dict[str, str] = {}  # plan -> kind

    def still(self, plans: Iterable[Plan]) -> frozenset[str]:
        """The plans of these that may enter nothing."""
        return frozenset(each.name for each in plans if self.paused or not self.plans.get(each.name, each.enabled))


def keep(store: Store, what: Kept) -> None:
    """On disk with the next commit."""
    store.append(Saved(key=KEY, body=msgspec.msgpack.encode(what)))


async def kept(store: Store) -> Kept:
    body = await store.saved(KEY)
    return msgspec.msgpack.decode(body, type=Kept) if body else Kept()
