"""One connection of a stream, from the handshake to its end.

Time is counted in ticks, not read: a frame costs no look at a clock.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, final

import anyio
import msgspec

from kokex.adapters.okx.limits import RULES, Bucket
from kokex.adapters.okx.transport import Lost, Transport
from kokex.adapters.okx.wire.frames import Arg, Event, arg_of
from kokex.ports import Ambiguous, Rejected

if TYPE_CHECKING:
    from kokex.adapters.okx.stream import Stream

TICK_S = 2.0
PING_TICKS = 10  # nothing heard for 20 s: ping. OKX closes after 30
DEAD_TICKS = 14  # and no pong for 8 s: gone
LOOK_TICKS = 5  # between looks for silent channels
ANSWER_S = 15.0  # for a login, and for all acknowledgements of a request
HOPELESS = 4  # times its patience without a word on any channel: the connection is of no use
MOST_PATIENCE_S = 3600.0  # a market may be that quiet
MOST_ARGS = 100  # of a request; OKX allows 64 kB, an arg has some 60 bytes

UPGRADE = "64008"
PUSH = b'{"arg":'

_event = msgspec.json.Decoder(Event)


class Waiting:
    """An operation whose answer is awaited."""

    __slots__ = ("answer", "came")

    def __init__(self) -> None:
        self.came = anyio.Event()
        self.answer: Event | None = None


@final
class Connection:
    """`run` returns when it is over; `reason` says why.

    `settled` is set once it stands (logged in and subscribed) or failed to; `leaving` once it ended or is about to.
    """

    def __init__(self, stream: "Stream") -> None:
        self.settled = anyio.Event()
        self.leaving = anyio.Event()
        self.alive = False
        self.reason = ""
        self._stream = stream
        self._listener = stream.listener
        self._scope = anyio.CancelScope()
        self._transport: Transport | None = None
        self._tick = 0
        self._heard = 0  # tick of the last frame
        self._pinged = False
        self._channels: dict[bytes, int] = {}  # beginning of a push, up to the end of its arg -> tick of the last one
        self._keys: dict[bytes, str] = {}  # the same -> key of the subscription
        self._patience: dict[str, float] = {}  # by key: seconds of silence until the channel is renewed
        self._unacknowledged: set[str] = set()
        self._acknowledged = anyio.Event()
        self._logged_in = anyio.Event()
        self._waiting: dict[str, Waiting] = {}
        self._budget = Bucket(RULES["socket"])

    async def run(self) -> None:
        """From connecting to the end."""
        try:
            await self._stream.limits.take("connect")
            with self._scope:
                async with self._stream.connect() as transport, anyio.create_task_group() as tasks:
                    self._transport = transport
                    tasks.start_soon(self._open)
                    tasks.start_soon(self._watch)
                    await self._read(transport)
        except* Lost as lost:
            self.reason = self.reason or str(_first(lost))
        finally:
            self.alive = False
            for waiting in self._waiting.values():
                waiting.came.set()
            self.settled.set()
            self.leaving.set()

    def close(self, reason: str) -> None:
        """Ends it."""
        self.reason = self.reason or reason
        self.alive = False
        self._scope.cancel()

    # ---- in

    async def _read(self, transport: Transport) -> None:
        receive, received, channels = transport.receive, self._listener.received, self._channels
        while True:
            frame = await receive()
            self._heard = self._tick
            if frame.startswith(PUSH) and b'"event":' not in frame[:256]:
                channels[frame.partition(b"}")[0]] = self._tick
                try:
                    received(frame)
                except (ValueError, msgspec.MsgspecError) as error:
                    self._listener.trouble(f"{self._stream.name}: {error}: {frame[:120]!r}")
            elif frame != b"pong":
                self._hear(frame)
            else:
                self._pinged = False

    def _hear(self, frame: bytes) -> None:
        """What the connection says of itself."""
        try:
            event = _event.decode(frame)
        except msgspec.MsgspecError:
            self._listener.trouble(f"{self._stream.name}: an unreadable frame: {frame[:120]!r}")
            return
        code, message = str(event.code or ""), event.msg or ""
        match event.event:
            case "subscribe" | "unsubscribe":
                self._acknowledge(event.arg)
            case "login" if code in ("0", ""):
                self._logged_in.set()
            case "error" | "login":
                self._refused(event, code, message)
            case "notice":
                if code == UPGRADE:
                    self.leaving.set()
                else:
                    self._listener.trouble(f"{self._stream.name}: notice {code}: {message}")
            case "channel-conn-count-error":
                self._listener.trouble(f"{self._stream.name}: too many connections with channel {event.channel}")
            case _:
                if waiting := self._waiting.get(event.id or ""):
                    waiting.answer = event
                    waiting.came.set()
                elif event.arg and not event.event:
                    self._listener.received(frame)

    def _refused(self, event: Event, code: str, message: str) -> None:
        if waiting := self._waiting.get(event.id or ""):
            waiting.answer = event
            waiting.came.set()
            return
        if self._stream.login and not self._logged_in.is_set():
            self.close(f"login refused, {code}: {message}")
            return
        self._listener.trouble(f"{self._stream.name}: {code}: {message}")
        self._acknowledge(event.arg)

    def _acknowledge(self, arg: Arg | None) -> None:
        """An error does not always say of which subscription it is: then it stands for any."""
        if arg:
            self._unacknowledged.discard(arg.key)
        elif self._unacknowledged:
            self._unacknowledged.pop()
        if not self._unacknowledged:
            self._acknowledged.set()

    # ---- out

    async def _open(self) -> None:
        """Logs in, subscribes to all that is wanted, and stands."""
        with anyio.move_on_after(ANSWER_S) as patience:
            if self._stream.login:
                try:
                    proof = await self._stream.login()
                except (Rejected, Ambiguous) as error:
                    raise Lost(f"no login: {error}") from None
                await self._send({"op": "login", "args": [proof]})
                await self._logged_in.wait()
            done: set[str] = set()
            while args := [arg for key, (arg, _) in self._stream.wanted.items() if key not in done]:
                self._acknowledged = anyio.Event()
                self._unacknowledged.update(arg.key for arg in args)
                done.update(arg.key for arg in args)
                await self.ask("subscribe", args)
                patience.deadline = anyio.current_time() + ANSWER_S
                await self._acknowledged.wait()
        if patience.cancelled_caught:
            raise Lost("no answer to login or subscription")
        self.alive = True
        self.settled.set()

    async def ask(self, op: str, args: Sequence[Arg]) -> None:
        """Subscribes or unsubscribes. What is lost is asked for again by the next connection."""
        for begin in range(0, len(args), MOST_ARGS):
            await self._send({"op": op, "args": args[begin : begin + MOST_ARGS]})

    async def renew(self, args: Sequence[Arg]) -> None:
        """Unsubscribes and subscribes again."""
        await self.ask("unsubscribe", args)
        await self.ask("subscribe", args)

    async def request(self, number: str, frame: str, timeout_s: float) -> Event | None:
        """Sends an operation; its answer, None when there is none."""
        waiting = self._waiting[number] = Waiting()
        try:
            with anyio.move_on_after(timeout_s):
                assert self._transport
                await self._transport.send(frame)
                await waiting.came.wait()
        except Lost:
            return None
        finally:
            del self._waiting[number]
        return waiting.answer

    async def _send(self, frame: dict[str, object]) -> None:
        await anyio.sleep(self._budget.reserve(1, anyio.current_time()))
        assert self._transport
        try:
            await self._transport.send(msgspec.json.encode(frame).decode())
        except Lost as lost:
            self.close(str(lost))

    # ---- silence

    async def _watch(self) -> None:
        while True:
            await anyio.sleep(TICK_S)
            self._tick += 1
            quiet = self._tick - self._heard
            if quiet >= DEAD_TICKS:
                raise Lost(f"nothing heard for {quiet * TICK_S:.0f} s, not even a pong")
            if quiet >= PING_TICKS and not self._pinged:
                self._pinged = True
                assert self._transport
                await self._transport.send("ping")
            elif quiet < PING_TICKS:
                self._pinged = False
            if self.alive and self._tick % LOOK_TICKS == 0:
                await self._look_for_silence()

    async def _look_for_silence(self) -> None:
        """Renews channels that fell silent; each time the next silence may last twice as long."""
        heard: dict[str, int] = {}
        for head, tick in self._channels.items():
            if (key := self._keys.get(head)) is None:
                key = self._keys[head] = arg_of(head).key
            heard[key] = max(heard.get(key, 0), tick)
        silent: list[Arg] = []
        freshest_s = shortest_s = float("inf")
        for key, (arg, stale_s) in self._stream.wanted.items():
            if not stale_s:
                continue
            quiet_s = (self._tick - heard.get(key, 0)) * TICK_S
            freshest_s, shortest_s = min(freshest_s, quiet_s), min(shortest_s, stale_s)
            if quiet_s < stale_s:
                self._patience[key] = stale_s
            elif quiet_s >= self._patience.setdefault(key, stale_s):
                self._patience[key] = min(2 * quiet_s, MOST_PATIENCE_S)
                silent.append(arg)
        if HOPELESS * shortest_s <= freshest_s < float("inf"):
            raise Lost(f"all channels are silent for {freshest_s:.0f} s, and asking again did not help")
        if silent:
            names = ", ".join(arg.key for arg in silent[:3]) + (", ..." if len(silent) > 3 else "")
            self._listener.trouble(f"{self._stream.name}: silent: {names}; subscribing again")
            await self.renew(silent)


def _first(group: BaseExceptionGroup[Lost]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
