"""The gate: who may say what, before anything is done about it. Part of the actor `chat`.

Deny by default and in silence: a stranger learns nothing, not even that somebody is there. And nonces: what a
person is asked to confirm, once, for a minute, by nobody else.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import final

from msgspec import Struct

from kokex.config import Telegram
from kokex.ports.chat import Heard
from kokex.present.commands import Role

MOST_STRANGERS = 20  # that are told apart
MOST_PENDING = 32
VALID_S = 60.0


@final
class Gate:
    """Chat, then user. Whoever is not listed is nobody."""

    def __init__(self, settings: Telegram) -> None:
        self._chat = settings.chat
        self._roles: dict[int, Role] = {}
        self._roles.update(dict.fromkeys(settings.viewers, "viewer"))
        self._roles.update(dict.fromkeys(settings.traders, "trader"))
        self._roles.update(dict.fromkeys(settings.owners, "owner"))
        self.denied = 0
        self._strangers: set[tuple[int, int]] = set()

    def admit(self, heard: Heard) -> Role | None:
        """The role of who did it, None for everybody who is not to be heard. The same for whatever they did."""
        role = self._roles.get(heard.user) if heard.chat == self._chat and self._chat else None
        if role is None:
            self.denied += 1
        return role

    def is_news(self, heard: Heard) -> bool:
        """The first time that this stranger is denied."""
        who = (heard.chat, heard.user)
        if who in self._strangers or len(self._strangers) >= MOST_STRANGERS:
            return False
        self._strangers.add(who)
        return True


class Pending(Struct):
    """What waits for a yes."""

    user: int
    verb: str
    args: dict[str, str]
    line: str  # what was said
    until_ns: int
    message: int = 0  # that carries the buttons; 0: not known yet
    wants_code: bool = False  # and then a one-time code
    name: str = ""  # of the command
    proposal: str = ""  # of the agent, by its number


@final
class Nonces:
    """Acts that wait for confirmation."""

    def __init__(self, seed: str, pending: Mapping[str, Pending] | None = None) -> None:
        """`pending`: what waited when the former run ended."""
        self._seed = seed.encode()[:64]
        self._made = 0
        self.pending = dict(pending or {})

    def make(self, pending: Pending) -> str:
        """A nonce for the act: 16 letters, of user, act and arguments."""
        self._made += 1
        what = f"{self._made} {pending.user} {pending.verb} {sorted(pending.args.items())} {pending.until_ns}"
        nonce = blake2b(what.encode(), key=self._seed, digest_size=8).hexdigest()
        if len(self.pending) >= MOST_PENDING:
            del self.pending[next(iter(self.pending))]
        self.pending[nonce] = pending
        return nonce

    def get(self, nonce: str) -> Pending | None:
        return self.pending.get(nonce)

    def forget(self, nonce: str) -> None:
        self.pending.pop(nonce, None)

    def take(self, nonce: str, heard: Heard, now: int) -> Pending | str:
        """The act, which is then no longer pending; or why not."""
        pending = self.pending.get(nonce)
        if pending is None:
            return "this was answered, or is too old"
        if pending.user != heard.user:
            return "this is for somebody else to answer"
        if pending.message and heard.message != pending.message:
            return "this button is a copy"
        del self.pending[nonce]
        if now > pending.until_ns:
            return "too late: it was valid for a minute"
        return pending
