"""An exchange in memory, on virtual time: candles that anybody can compute, pushed as they form, and told over REST."""

import zlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any, cast

import anyio

from kokex.adapters.okx.channels import Channels
from kokex.adapters.okx.history import History
from kokex.adapters.okx.limits import Limits
from kokex.adapters.okx.market import LiveMarket
from kokex.adapters.okx.public import PublicRest
from kokex.adapters.okx.wire.market import CandleRow
from kokex.market.timeframes import MINUTE, SECOND
from kokex.messages import Candle, Candles, Message
from kokex.ports import Ambiguous
from kokex.simulation.virtual_time import TrioTime
from tests.adapters.okx.memory import Memory

START_NS = 1_700_000_000 * SECOND // MINUTE * MINUTE
SPAN_NS = MINUTE


def price_at(name: str, at_ns: int) -> float:
    """A price that wanders with time, the same for whoever asks."""
    return (99_000 + zlib.crc32(f"{name}/{at_ns // SECOND}".encode()) % 2_000) / 10


def candle(name: str, open_ns: int, until_ns: int, step_ns: int = 10 * SECOND) -> Candle:
    """The candle as it stood at `until_ns`: of the prices at every step."""
    end = min(until_ns, open_ns + SPAN_NS - step_ns)
    prices = [price_at(name, at) for at in range(open_ns, max(open_ns, end) + 1, step_ns)]
    return Candle(name, open_ns, prices[0], max(prices), min(prices), prices[-1], float(len(prices)))


class Exchange:
    """Pushes candles of one minute every twenty seconds, and the last word on each at its close."""

    def __init__(self, clock: TrioTime, names: Sequence[str]) -> None:
        self.clock = clock
        self.names = names
        self.memory = Memory()
        self.posted: list[Candles] = []
        self.hears: Callable[[str, Message], None] | None = None  # whom the candles are for, if anybody
        self.sees: Callable[[Candle, int], None] | None = None
        self.seen: list[tuple[Candle, int]] = []
        self.troubles: list[str] = []
        self.rest_up = True
        self.asked = 0
        self.silent: set[int] = set()  # openings whose last word is not pushed
        self.missing: set[int] = set()  # openings that REST does not have
        self.limits = Limits()
        self.channels = Channels(
            lambda _: self.memory.connect, chance=Random(1), limits=self.limits, restored=self.restored,
            trouble=self.troubles.append,
        )  # fmt: skip
        self.market = LiveMarket(
            self.channels, History(cast(PublicRest, self), clock.now), names, SPAN_NS,
            dict.fromkeys(names, START_NS), self.post, clock.now, self.see, self.troubles.append,
        )  # fmt: skip

    def post(self, actor: str, message: Message) -> None:
        assert actor == "feed"
        self.posted.append(cast(Candles, message))
        if self.hears:
            self.hears(actor, message)

    def see(self, candle: Candle, at: int) -> None:
        self.seen.append((candle, at))
        if self.sees:
            self.sees(candle, at)

    def restored(self, path: Any) -> None:
        self.market.restored(path)

    def handed_on(self, name: str) -> list[int]:
        """Openings, as they were posted."""
        return [row.open_ns for message in self.posted for row in message.rows if row.instrument == name]

    # ---- over the wire

    async def push(self) -> None:
        while True:
            await anyio.sleep(20)
            now = self.clock.now()
            open_ns = now - now % SPAN_NS
            if now == open_ns and open_ns - SPAN_NS not in self.silent:
                self.tell(open_ns - SPAN_NS, now, "1")
            self.tell(open_ns, now, "0")

    def tell(self, open_ns: int, now: int, confirm: str) -> None:
        for wire in list(self.memory.wires):
            for arg in wire.args:
                row = self.row(candle(arg["instId"], open_ns, now), confirm)
                wire.push({"arg": arg, "data": [row]})

    @staticmethod
    def row(of: Candle, confirm: str) -> list[str]:
        volume = str(of.volume)
        values = [repr(value) for value in (of.open, of.high, of.low, of.close)]
        return [str(of.open_ns // 1_000_000), *values, volume, volume, volume, confirm]

    # ---- over REST (PublicRest)

    async def candles(self, inst_id: str, bar: str, *, after: int, before: int) -> list[CandleRow]:
        self.asked += 1
        await anyio.sleep(0.05)
        if not self.rest_up:
            raise Ambiguous("down")
        now, rows = self.clock.now(), list[CandleRow]()
        newest = min(after * 1_000_000 - 1, now)
        open_ns = newest - newest % SPAN_NS
        while open_ns > before * 1_000_000 and len(rows) < 300:
            if open_ns not in self.missing:
                confirm = "1" if open_ns + SPAN_NS <= now else "0"
                rows.append(CandleRow(*self.row(candle(inst_id, open_ns, now), confirm)))
            open_ns -= SPAN_NS
        return rows

    history_candles = candles


@asynccontextmanager
async def trading(
    clock: TrioTime, names: Sequence[str] = ("BTC-USDT", "ETH-USDT-SWAP")
) -> AsyncGenerator[Exchange, None]:
    """The market at work from START_NS on."""
    exchange = Exchange(clock, names)
    async with anyio.create_task_group() as tasks:
        for work in (exchange.push, exchange.channels.run, exchange.market.run):
            tasks.start_soon(work)
        yield exchange
        tasks.cancel_scope.cancel()
