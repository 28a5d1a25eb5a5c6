"""Orders that wait for a person's yes: part of the actor `agent`, in a room of its own.

Each is taken once, while it is fresh, and by nobody but whom it was made for.
"""

from collections.abc import Iterable
from typing import Any, final

from msgspec import Struct

MOST = 32


class Proposal(Struct, frozen=True, kw_only=True):
    """What a person may say yes to."""

    number: int
    conversation: int
    by: str
    verb: str
    args: dict[str, str]
    until_ns: int
    order: dict[str, Any] | None = None  # as risk would size it now
    stop: str | None = None
    asked: int = 0  # id of the Remark in which the person asked for it

    def line(self) -> str:
        return " ".join([self.verb, *(f"{name}={value}" for name, value in self.args.items())])

    def told(self) -> dict[str, Any]:
        """As who asks the person needs it."""
        return {
            "proposal": self.number, "verb": self.verb, "args": self.args, "order": self.order, "stop": self.stop,
        }  # fmt: skip


@final
class Proposals:
    def __init__(self, kept: Iterable[Proposal] = ()) -> None:
        self._waiting = {each.number: each for each in kept}

    def waiting(self) -> tuple[Proposal, ...]:
        return tuple(self._waiting.values())

    def add(self, proposal: Proposal, now: int) -> bool:
        """False when too many wait already."""
        self._forget_stale(now)
        if len(self._waiting) >= MOST:
            return False
        self._waiting[proposal.number] = proposal
        return True

    def take(self, number: str, by: str, now: int) -> Proposal | None:
        """The proposal, which is then no longer there; None: there is none for this person."""
        self._forget_stale(now)
        found = self._waiting.get(int(number)) if number.isdecimal() else None
        if found is None or found.by != by:
            return None
        return self._waiting.pop(found.number)

    def _forget_stale(self, now: int) -> None:
        self._waiting = {number: each for number, each in self._waiting.items() if each.until_ns >= now}
