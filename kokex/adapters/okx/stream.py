"""A stream: one of OKX's WebSockets, kept up for ever.

Whatever ends a connection, the next one is made after a pause that grows (capped, and jittered, so that a thousand
clients do not come back at once), logs in where that is wanted, subscribes to everything again and only then calls
`restored`: what was missed meanwhile is the owner's to ask for over REST before it acts. A connection is taken for
dead when it does not answer a ping in time, or when all its subscriptions fell silent and asking for them again did
not help. Announced maintenance (64008) is a hand-over: the new connection stands before the old one is let go.

Nothing here knows a clock or a library: it runs on the event loop's time over any `Transport`, so that a day of
reconnects can be simulated.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol, final

import anyio
import anyio.abc
import msgspec

from kokex.adapters.okx.connection import Connection
from kokex.adapters.okx.limits import Limits
from kokex.adapters.okx.transport import Connect
from kokex.adapters.okx.wire.frames import Arg, Event
from kokex.ports import Ambiguous, Chance, Rejected

PAUSE_S = 0.5  # before the second try; then twice as long each time
MOST_PAUSE_S = 30.0
STEADY_S = 60.0  # a connection that lasted so long was good: the pause begins anew

Login = Callable[[], Awaitable[Mapping[str, str]]]


class Listener(Protocol):
    """Whose stream it is. None of these may wait or raise; `received` may raise ValueError for an unreadable frame."""

    def received(self, frame: bytes, /) -> None:
        """A push, as it came."""

    def restored(self) -> None:
        """Connected, logged in and subscribed, for the first time or again: what was missed is not known yet."""

    def lost(self, reason: str) -> None:
        """There is no connection. Said once, until the next `restored`."""

    def trouble(self, what: str) -> None:
        """Something a person may want to know: a refused subscription, a silent channel, an unreadable frame."""


@final
class Stream:
    """`run` it in a task of its own. Subscriptions may come and go at any time.

    `login` makes the argument of a login (it may ask for OKX's time first); None: a public stream.
    """

    def __init__(
        self,
        name: str,
        connect: Connect,
        listener: Listener,
        *,
        chance: Chance,
        limits: Limits,
        login: Login | None = None,
    ) -> None:
        self.name = name
        self.connect = connect
        self.listener = listener
        self.limits = limits
        self.login = login
        self.wanted: dict[str, tuple[Arg, float]] = {}  # by key: and after how many seconds it is silent; 0: never
        self.connections = 0  # made so far
        self._chance = chance
        self._current: Connection | None = None
        self._tasks: anyio.abc.TaskGroup | None = None
        self._operations = 0

    @property
    def up(self) -> bool:
        """Whether a connection stands, logged in and subscribed."""
        return self._current is not None and self._current.alive

    # ---- subscriptions

    def subscribe(self, args: Iterable[Arg], stale_s: float = 0.0) -> None:
        """From now on; again after each reconnect. A channel silent for `stale_s` is asked for again."""
        new = [arg for arg in args if arg.key not in self.wanted]
        self.wanted.update({arg.key: (arg, stale_s) for arg in new})
        self._tell("subscribe", new)

    def unsubscribe(self, args: Iterable[Arg]) -> None:
        gone = [arg for arg in args if self.wanted.pop(arg.key, None)]
        self._tell("unsubscribe", gone)

    def renew(self, arg: Arg) -> None:
        """Asks for a channel anew: a book begins again with a snapshot."""
        if self._current and self._tasks and self._current.alive:
            self._tasks.start_soon(self._current.renew, [arg])

    def _tell(self, op: str, args: Sequence[Arg]) -> None:
        if args and self._current and self._tasks and self._current.alive:
            self._tasks.start_soon(self._current.ask, op, args)

    # ---- operations

    async def request(self, op: str, args: Sequence[object], *, timeout_s: float, expires_ms: int = 0) -> Event:
        """An operation (order, cancel-order, ...) and its answer, whose rows are in `data`.

        `expires_ms` is OKX's time. Raises Rejected("not_connected") when it was not sent; Ambiguous when it was and no
        answer came.
        """
        connection = self._current
        if connection is None or not connection.alive:
            raise Rejected("not_connected", f"the {self.name} stream is down")
        self._operations += 1
        number = f"k{self._operations}"
        frame: dict[str, object] = {"id": number, "op": op, "args": list(args)}
        if expires_ms:
            frame["expTime"] = str(expires_ms)
        answer = await connection.request(number, msgspec.json.encode(frame).decode(), timeout_s)
        if answer is None:
            raise Ambiguous(f"{op} over the {self.name} stream: no answer")
        return answer

    # ---- the connections

    async def run(self) -> None:
        """Keeps a connection up until cancelled."""
        async with anyio.create_task_group() as self._tasks:
            failures = 0
            told = True  # nobody waits to hear that there is no connection before the first
            while True:
                connection, before = Connection(self), self._current
                began = anyio.current_time()
                self._tasks.start_soon(connection.run)
                await connection.settled.wait()
                if connection.alive:
                    self.connections += 1
                    self._current = connection
                    if before:
                        before.close("replaced")
                    told = False
                    self.listener.restored()
                    await connection.leaving.wait()
                    if connection.alive:  # announced: make the next one first
                        continue
                if before and before.alive:  # a hand-over that failed: the old connection still serves
                    await anyio.sleep(PAUSE_S)
                    continue
                if not told:
                    told = True
                    self.listener.lost(connection.reason)
                elif failures == 0:
                    self.listener.trouble(f"{self.name}: {connection.reason}")
                failures = 0 if anyio.current_time() - began > STEADY_S else failures + 1
                await anyio.sleep(self.pause_s(failures))

    def pause_s(self, failures: int) -> float:
        """How long to wait after so many failures in a row."""
        longest = min(MOST_PAUSE_S, PAUSE_S * 2 ** min(failures, 16))
        return longest * (0.5 + 0.5 * self._chance.random())
