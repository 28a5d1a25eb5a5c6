"""Public market data by subscription: whoever wants a channel of an instrument shares it with all who do.

As few connections as OKX allows: one for the public channels, one for the business ones (candles), and another only
when one would hold too many. They are made when the first channel is asked for.
"""

from collections.abc import Callable
from typing import Any, Literal, final

import anyio
import anyio.abc

from kokex.adapters.okx.frames import (
    DeepBook,
    Listeners,
    Reader,
    Trades,
    candles,
    funding_rates,
    mark_prices,
    quotes,
    shallow_books,
)
from kokex.adapters.okx.hosts import Path
from kokex.adapters.okx.limits import Limits
from kokex.adapters.okx.stream import Stream
from kokex.adapters.okx.transport import Connect
from kokex.adapters.okx.wire.frames import Arg, arg_of
from kokex.adapters.okx.wire.market import FundingRate, MarkPrice, Trade
from kokex.messages import Book, Candle, Quote
from kokex.ports import Chance

MOST_CHANNELS = 240  # of a connection
DEPTH = 20  # levels of a deep book that are told
STALE_S: dict[str, float] = {"trades": 300.0, "funding-rate": 180.0}  # silence that is suspicious; of others:
USUAL_STALE_S = 60.0

Told = Callable[[Any], object]


def _nobody(*_: object) -> None:
    """Nobody wants to know."""


class _Channel:
    """A channel of an instrument, its reader, and who wants to hear of it."""

    def __init__(self, arg: Arg, stream: Stream, make: Callable[[Arg, Listeners], Reader]) -> None:
        self.arg = arg
        self.stream = stream
        self.told: list[Told] = []
        self.read = make(arg, self.told)


@final
class Channels:
    """`run` it in a task; listen before or after. `connect` opens connections to one of OKX's three WebSockets.

    `restored(path)` tells that a stream stands, for the first time or again; `lost(path, reason)` that it does not;
    `trouble(what)` what else a person may want to know. What listeners are told must not wait or raise.
    """

    def __init__(
        self,
        connect: Callable[[Path], Connect],
        *,
        chance: Chance,
        limits: Limits,
        restored: Callable[[Path], object] = _nobody,
        lost: Callable[[Path, str], object] = _nobody,
        trouble: Callable[[str], object] = _nobody,
    ) -> None:
        self._connect = connect
        self._chance = chance
        self._limits = limits
        self._restored = restored
        self._lost = lost
        self._trouble = trouble
        self._streams: dict[Path, list[Stream]] = {}
        self._channels: dict[str, _Channel] = {}
        self._readers: dict[bytes, Reader] = {}  # by the beginning of the frames, up to the end of their arg
        self._tasks: anyio.abc.TaskGroup | None = None

    # ---- what there is to hear

    def candles(self, instrument: str, bar: str, told: Callable[[tuple[Candle, bool]], object]) -> None:
        self._listen("business", f"candle{bar}", instrument, lambda _, told: candles(instrument, told), told)

    def quotes(self, instrument: str, told: Callable[[Quote], object]) -> None:
        self._listen("public", "tickers", instrument, lambda _, told: quotes(instrument, told), told)

    def books(
        self, instrument: str, told: Callable[[Book], object], channel: Literal["books5", "books", "bbo-tbt"] = "books5"
    ) -> None:
        def make(arg: Arg, told: Listeners) -> Reader:
            if channel != "books":
                return shallow_books(instrument, told)
            return DeepBook(instrument, DEPTH, lambda: self._channels[arg.key].stream.renew(arg), told)

        self._listen("public", channel, instrument, make, told)

    def trades(self, instrument: str, told: Callable[[Trade], object]) -> None:
        self._listen("public", "trades", instrument, lambda _, told: Trades(told), told)

    def funding_rates(self, instrument: str, told: Callable[[FundingRate], object]) -> None:
        self._listen("public", "funding-rate", instrument, lambda _, told: funding_rates(told), told)

    def mark_prices(self, instrument: str, told: Callable[[MarkPrice], object]) -> None:
        self._listen("public", "mark-price", instrument, lambda _, told: mark_prices(told), told)

    def forget(self, told: Callable[[Any], object]) -> None:
        """Who listened with `told` has heard enough; a channel nobody wants is let go."""
        for key, channel in list(self._channels.items()):
            if told in channel.told:
                channel.told.remove(told)
                if not channel.told:
                    del self._channels[key]
                    self._readers.clear()
                    channel.stream.unsubscribe([channel.arg])

    async def run(self) -> None:
        """Keeps the streams up until cancelled."""
        async with anyio.create_task_group() as self._tasks:
            for streams in self._streams.values():
                for stream in streams:
                    self._tasks.start_soon(stream.run)
            await anyio.sleep_forever()

    @property
    def connections(self) -> int:
        """How many streams there are."""
        return sum(len(streams) for streams in self._streams.values())

    # ---- inside

    def _listen(
        self, path: Path, name: str, instrument: str, make: Callable[[Arg, Listeners], Reader], told: Told
    ) -> None:
        arg = Arg(channel=name, inst_id=instrument)
        channel = self._channels.get(arg.key)
        if channel is None:
            channel = self._channels[arg.key] = _Channel(arg, self._stream(path), make)
            self._readers.clear()
            channel.stream.subscribe([arg], STALE_S.get(name, USUAL_STALE_S))
        channel.told.append(told)

    def _stream(self, path: Path) -> Stream:
        """One with room for another channel."""
        streams = self._streams.setdefault(path, [])
        for stream in streams:
            if len(stream.wanted) < MOST_CHANNELS:
                return stream
        ear = _Ear(path, self._received, self._restored, self._lost, self._trouble)
        name = path if not streams else f"{path}-{len(streams) + 1}"
        stream = Stream(name, self._connect(path), ear, chance=self._chance, limits=self._limits)
        streams.append(stream)
        if self._tasks:
            self._tasks.start_soon(stream.run)
        return stream

    def _received(self, frame: bytes) -> None:
        head = frame.partition(b"}")[0]  # {"arg":{...
        try:
            read = self._readers[head]
        except KeyError:
            channel = self._channels.get(arg_of(head).key)
            read = self._readers[head] = channel.read if channel else _nobody
        read(frame)


@final
class _Ear:
    """Hears one stream."""

    def __init__(
        self,
        path: Path,
        received: Callable[[bytes], None],
        restored: Callable[[Path], object],
        lost: Callable[[Path, str], object],
        trouble: Callable[[str], object],
    ) -> None:
        self.received = received
        self._path: Path = path
        self._restored = restored
        self._lost = lost
        self._trouble = trouble

    def restored(self) -> None:
        self._restored(self._path)

    def lost(self, reason: str) -> None:
        self._lost(self._path, reason)

    def trouble(self, what: str) -> None:
        self._trouble(what)
