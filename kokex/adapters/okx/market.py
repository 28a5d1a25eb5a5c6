"""The live market: candles that arrive, made whole, in order, and one message an instant.

A closed candle comes by the stream (`confirm`). Whatever is missing before it, because the connection was down or the
last word on a candle never came, is asked for over REST first, and only then the newer ones are handed on: the feed
sees each instrument's candles once and in order. What REST does not have either after a few tries is left out, and the
feed tells of the gap. Candles of one instant wait a moment for each other.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import final

import anyio
import anyio.abc
import anyio.lowlevel

from kokex.adapters.okx.bars import bar_of
from kokex.adapters.okx.channels import Channels
from kokex.adapters.okx.history import History
from kokex.adapters.okx.hosts import Path
from kokex.messages import Candle, Candles
from kokex.ports import Ambiguous, Post, Rejected

TOGETHER_S = 0.25  # how long the candles of one instant wait for each other
SETTLE_S = 1.0  # before a candle that did not come is asked for: it may be under way
UNDER_WAY_NS = 2_000_000_000  # so long after its close a candle may still be on its way
TRIES = 5  # until what REST does not have, or does not tell, is left out
PAUSE_S = 1.0  # after the first; then twice as long each time
AT_ONCE = 32  # messages posted before the actors get a turn: they must not be flooded

Seen = Callable[[Candle, int], object]


class _Line:
    """The candles of one instrument."""

    def __init__(self, expected_ns: int) -> None:
        self.expected_ns = expected_ns  # opening of the next one to hand on; 0: whichever comes first
        self.newest_ns = 0  # opening of the newest that was told
        self.waiting: dict[int, Candle] = {}  # closed ones beyond a gap, by opening
        self.filling = False


@final
class LiveMarket:
    """`run` it in a task. Candles of `instruments` are posted to the feed from `since` (instrument -> opening) on.

    `seen(candle, at)` is told each candle as it forms, and each that was missed at its close. `now` is UTC nanoseconds.
    """

    def __init__(
        self,
        channels: Channels,
        history: History,
        instruments: Sequence[str],
        span_ns: int,
        since: Mapping[str, int],
        post: Post,
        now: Callable[[], int],
        seen: Seen,
        trouble: Callable[[str], object],
    ) -> None:
        self._channels = channels
        self._history = history
        self._span_ns = span_ns
        self._post = post
        self._now = now
        self._seen = seen
        self._trouble = trouble
        self._lines = {name: _Line(since.get(name, 0)) for name in instruments}
        self._instants: dict[int, dict[str, Candle]] = {}  # by opening: what is to be posted
        self._due: set[int] = set()  # openings that waited long enough
        self._ready = anyio.Event()
        self._tasks: anyio.abc.TaskGroup | None = None

    async def run(self) -> None:
        """Listens, and posts, until cancelled. The channels are run by who made them."""
        async with anyio.create_task_group() as self._tasks:
            for name in self._lines:
                self._channels.candles(name, bar_of(self._span_ns), self._told)
            try:
                await self._post_in_order()
            finally:
                self._channels.forget(self._told)

    def restored(self, path: Path) -> None:
        """The stream stands again: what was missed is asked for at once."""
        if path == "business":
            for name, line in self._lines.items():
                if line.expected_ns:
                    self._fill(name, line, 0.0)

    # ---- in

    def _told(self, told: tuple[Candle, bool]) -> None:
        candle, closed = told
        open_ns = candle.open_ns
        line = self._lines[candle.instrument]
        if open_ns < line.expected_ns:
            return
        line.newest_ns = open_ns
        if not line.filling and (open_ns == line.expected_ns or not line.expected_ns):
            self._seen(candle, self._now())
            if closed:
                self._hand_on(line, [candle])
            return
        # Something is missing before it, and is to be seen first.
        if closed:
            line.waiting[open_ns] = candle
        self._fill(candle.instrument, line, SETTLE_S)

    def _hand_on(self, line: _Line, candles: Iterable[Candle]) -> None:
        """Candles that are next, oldest first."""
        for candle in candles:
            if candle.open_ns < line.expected_ns:
                continue
            line.expected_ns = candle.open_ns + self._span_ns
            instant = self._instants.setdefault(candle.open_ns, {})
            instant[candle.instrument] = candle
            if len(instant) == len(self._lines):
                self._is_due(candle.open_ns)
            elif len(instant) == 1 and self._tasks:
                self._tasks.start_soon(self._wait, candle.open_ns)

    # ---- gaps

    def _fill(self, name: str, line: _Line, delay_s: float) -> None:
        if not line.filling and self._tasks:
            line.filling = True
            self._tasks.start_soon(self._filled, name, line, delay_s)

    async def _filled(self, name: str, line: _Line, delay_s: float) -> None:
        """Asks for what is missing until it is there, or for long enough."""
        pause_s = PAUSE_S
        try:
            await anyio.sleep(delay_s)
            for attempt in range(TRIES):
                self._take_waiting(line)
                if not self._missing(line):
                    return
                try:
                    self._hand_on_missed(line, await self._history.between(
                        name, self._span_ns, line.expected_ns, self._now()
                    ))  # fmt: skip
                except (Rejected, Ambiguous) as error:
                    if attempt == TRIES - 1:
                        self._trouble(f"{name}: missing candles could not be had: {error}")
                self._take_waiting(line)
                if not self._missing(line):
                    return
                await anyio.sleep(pause_s)
                pause_s *= 2
            line.expected_ns = max(line.expected_ns, min(line.waiting, default=line.newest_ns))  # it stays missing
            self._take_waiting(line)
        finally:
            line.filling = False
        if line.waiting:
            self._fill(name, line, SETTLE_S)

    def _missing(self, line: _Line) -> bool:
        """Whether a candle that has closed, and not just now, is not there."""
        return bool(line.waiting) or line.expected_ns + self._span_ns + UNDER_WAY_NS <= self._now()

    def _hand_on_missed(self, line: _Line, candles: Sequence[Candle]) -> None:
        for candle in candles:
            if candle.open_ns >= line.expected_ns and candle.open_ns not in line.waiting:
                self._seen(candle, candle.open_ns + self._span_ns)
        self._hand_on(line, candles)

    def _take_waiting(self, line: _Line) -> None:
        """Hands on what came meanwhile and is next by now."""
        while (candle := line.waiting.pop(line.expected_ns, None)) is not None:
            self._seen(candle, candle.open_ns + self._span_ns)
            self._hand_on(line, [candle])
        for open_ns in [each for each in line.waiting if each < line.expected_ns]:
            del line.waiting[open_ns]

    # ---- out

    async def _wait(self, open_ns: int) -> None:
        await anyio.sleep(TOGETHER_S)
        if open_ns in self._instants:
            self._is_due(open_ns)

    def _is_due(self, open_ns: int) -> None:
        self._due.add(open_ns)
        self._ready.set()

    async def _post_in_order(self) -> None:
        """What is due, and all that opened before it: an instrument's candles keep their order."""
        while True:
            await self._ready.wait()
            self._ready = anyio.Event()
            until = max(self._due, default=-1)
            self._due.clear()
            for number, open_ns in enumerate(sorted(each for each in self._instants if each <= until)):
                rows = tuple(self._instants.pop(open_ns).values())
                self._post("feed", Candles(close_ns=open_ns + self._span_ns, span_ns=self._span_ns, rows=rows))
                if number % AT_ONCE == AT_ONCE - 1:
                    await anyio.lowlevel.checkpoint()
