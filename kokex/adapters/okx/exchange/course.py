"""Where a pair's price goes, and where it has been, at any resolution down to a second.

What happened is kept as bars of an hour, a minute and a second. A finer bar that nobody has kept is drawn when it is
asked for, inside the coarser one: it opens and closes with it and touches its high and its low, so that bars of every
size tell the same story. A history that nobody recorded is made by the process of `kokex.paper.prices`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from math import exp, log
from typing import NamedTuple

from kokex.paper.prices import Path, advance, common_shocks
from kokex.ports import Chance

HOUR, MINUTE = 3600, 60
SPANS = (HOUR, MINUTE, 1)
CHUNK = 240  # hours that are made up at once
OLDEST = 24 * 1500  # hours before the start: there is nothing older
SECONDS_KEPT = 3 * HOUR
DRAWN_KEPT = 10_000
CALM = 0.4  # of the process' volatility, in history: years of it must not lead to the moon


class Bar(NamedTuple):
    open: float
    high: float
    low: float
    close: float
    volume: float  # base currency


def merged(first: Bar | None, then: Bar) -> Bar:
    if first is None:
        return then
    return Bar(first.open, max(first.high, then.high), min(first.low, then.low), then.close, first.volume + then.volume)


def refine(bar: Bar, parts: int, chance: Chance) -> list[Bar]:
    """Draws `parts` bars that add up to this one, prices and volume."""
    low, high = log(bar.low), log(bar.high)
    start, drift = log(bar.open), (log(bar.close) - log(bar.open)) / parts
    width = max(high - low, 1e-9) / (1.7 * parts**0.5)
    walk = [0.0]
    for _ in range(parts):
        walk.append(walk[-1] + chance.gauss(0.0, width))
    lean = walk[-1] / parts
    points = [min(high, max(low, start + index * drift + step - index * lean)) for index, step in enumerate(walk)]
    points[0], points[-1] = start, log(bar.close)
    wicks = [abs(chance.gauss(0.0, width / 3)) for _ in range(2 * parts)]
    tops = [min(high, max(points[i], points[i + 1]) + wicks[i]) for i in range(parts)]
    bottoms = [max(low, min(points[i], points[i + 1]) - wicks[parts + i]) for i in range(parts)]
    tops[max(range(parts), key=tops.__getitem__)] = high
    bottoms[min(range(parts), key=bottoms.__getitem__)] = low
    shares = [0.3 + chance.random() for _ in range(parts)]
    scale = bar.volume / sum(shares)
    prices = [bar.open, *[min(bar.high, max(bar.low, exp(point))) for point in points[1:-1]], bar.close]
    return [
        Bar(
            prices[i],
            bar.high if tops[i] == high else min(bar.high, max(exp(tops[i]), prices[i], prices[i + 1])),
            bar.low if bottoms[i] == low else max(bar.low, min(exp(bottoms[i]), prices[i], prices[i + 1])),
            prices[i + 1],
            shares[i] * scale,
        )
        for i in range(parts)
    ]


class Course:
    """One pair. `start` is the first second that is not history; `price` is where it begins.

    With a `tape`, (seconds, bar) by rising time and `tape_span` seconds long, its past is history and its future comes
    as it is; past its end the price goes on by itself.
    """

    def __init__(
        self,
        price: float,
        start: int,
        chance: Chance,
        seeded: Callable[[int], Chance],
        tape: Sequence[tuple[int, Bar]] = (),
        tape_span: int = 0,
    ) -> None:
        self._chance = chance
        self._seeded = seeded
        self._kept: dict[int, dict[int, Bar]] = {span: {} for span in SPANS}
        self._drawn: dict[int, dict[int, Bar]] = {span: {} for span in SPANS}
        self._ahead: Iterator[tuple[int, Bar]] = iter(())
        self.next = start  # the second that is to come
        self._first = start - start % HOUR  # the oldest hour that is known
        if tape and tape[0][0] < start:
            self._load(tape, tape_span, start)
        else:
            self._make_up(tape[0][1].open if tape else price, start)
            self._ahead = iter(_parts(tape, tape_span, 1, seeded))
        last = max(self._kept[HOUR])
        self._path = Path(self._kept[HOUR][last].close)

    @property
    def price(self) -> float:
        return self._path.price

    def path(self) -> Path:
        return self._path

    # ---- the future -------------------------------------------------------------------------

    def draw(self, common: tuple[float, ...]) -> Bar:
        """What the second `next` will be; it has happened once `close` is called with it."""
        bar = self._from_tape(self.next)
        if bar is None:
            drawn = advance(self._path, 1.0, common, self._chance)
            return Bar(drawn.open, drawn.high, drawn.low, drawn.close, drawn.volume)
        self._path.price = bar.close
        return bar

    def close(self, bar: Bar) -> None:
        self._keep(self.next, bar)
        self._prune(self.next)
        self.next += 1

    def latest(self) -> Iterator[tuple[int, int, Bar]]:
        """(span, opening, bar) of those that the newest second is in, as they stand."""
        for span in SPANS:
            begin = self.next - 1 - (self.next - 1) % span
            if bar := self._kept[span].get(begin):
                yield span, begin, bar

    def resume(self, rows: Iterable[tuple[int, int, Bar]]) -> None:
        """Takes up what `latest` told, second by second, of a course that began as this one did."""
        for span, begin, bar in rows:
            self._kept[span][begin] = bar
            if span == 1 and begin >= self.next:
                self.next, self._path.price = begin + 1, bar.close

    @property
    def oldest_second(self) -> int:
        """Bars of a second that opened before it are not kept."""
        return self.next - SECONDS_KEPT

    def skip(self, to: int) -> None:
        """Nothing happens until then."""
        self.next = max(self.next, to)

    def _from_tape(self, at: int) -> Bar | None:
        for when, bar in self._ahead:
            if when == at:
                return bar
            if when > at:  # a gap in the file: the price stands still
                self._ahead = chain([(when, bar)], self._ahead)
                return Bar(self.price, self.price, self.price, self.price, 0.0)
        return None

    def _keep(self, at: int, bar: Bar, finest: int = 1) -> None:
        for span in SPANS:
            if span >= finest:
                begin = at - at % span
                self._kept[span][begin] = merged(self._kept[span].get(begin), bar)

    def _prune(self, at: int) -> None:
        """Seconds are kept for hours; later they are drawn again, inside the same minutes."""
        if at % MINUTE == 0:
            for second in range(at - SECONDS_KEPT - MINUTE, at - SECONDS_KEPT):
                self._kept[1].pop(second, None)

    # ---- the past ---------------------------------------------------------------------------

    def bar(self, span: int, at: int) -> Bar | None:
        """The bar of 1, 60 or 3600 seconds that opens at `at`; the running one as it stands. None: there is none."""
        if found := self._kept[span].get(at) or self._drawn[span].get(at):
            return found
        if at >= self.next:
            return None
        if span == HOUR:
            return self._older_hour(at)
        wider = HOUR if span == MINUTE else MINUTE
        begin = at - at % wider
        parent = self.bar(wider, begin)
        if parent is None or any(begin + step in self._kept[span] for step in range(0, wider, span)):
            return None  # where some of its parts were kept, what is missing between them did not happen
        drawn = self._drawn[span]
        if len(drawn) > DRAWN_KEPT:
            drawn.clear()
        for index, each in enumerate(refine(parent, wider // span, self._seeded(begin))):
            drawn[begin + index * span] = each
        return drawn.get(at)

    def _older_hour(self, at: int) -> Bar | None:
        hours = self._kept[HOUR]
        if at >= self._first or at < self.next - OLDEST * HOUR:
            return None
        while at < self._first:
            self._extend(self._first, hours[self._first].open)
        return hours.get(at)

    def _extend(self, end: int, close: float) -> None:
        """Makes up `CHUNK` hours before `end`, the last of which closes at `close`."""
        chance = self._seeded(-end)
        path = Path(1.0)
        made: list[Bar] = []
        for _ in range(CHUNK):
            before = path.price
            bar = advance(path, HOUR * CALM**2, common_shocks(chance), chance)
            made.append(Bar(before, max(bar.high, before), min(bar.low, before), bar.close, bar.volume))
        scale = close / path.price
        hours = self._kept[HOUR]
        for index, bar in enumerate(made):
            hours[end + (index - CHUNK) * HOUR] = scaled(bar._replace(volume=bar.volume / CALM**2), scale)
        self._first = end - CHUNK * HOUR

    def _make_up(self, price: float, start: int) -> None:
        """The running hour, as far as it has come, so that it stands at `price` now."""
        hour = start - start % HOUR
        chance = self._seeded(hour)
        path = Path(price)
        drawn = advance(path, HOUR * CALM**2, common_shocks(chance), chance)
        whole = Bar(price, max(drawn.high, price), min(drawn.low, price), drawn.close, drawn.volume / CALM**2)
        minutes = refine(whole, 60, chance)
        seconds = refine(minutes[(start - hour) // MINUTE], 60, chance)
        now = seconds[(start - 1) % MINUTE].close if start % MINUTE else minutes[(start - hour) // MINUTE].open
        scale = price / now
        self._kept[HOUR], self._kept[MINUTE] = {}, {}
        for index, bar in enumerate(minutes[: (start - hour) // MINUTE]):
            at = hour + index * MINUTE
            self._kept[MINUTE][at] = scaled(bar, scale)
            self._kept[HOUR][hour] = merged(self._kept[HOUR].get(hour), self._kept[MINUTE][at])
        for index, bar in enumerate(seconds[: start % MINUTE]):
            self._keep(start - start % MINUTE + index, scaled(bar, scale))
        opening = self._kept[HOUR].get(hour)
        self._first = hour
        self._extend(hour, opening.open if opening else price)
        if opening is None:
            self._kept[HOUR][hour - HOUR] = self._kept[HOUR][hour - HOUR]._replace(close=price)

    def _load(self, tape: Sequence[tuple[int, Bar]], span: int, start: int) -> None:
        """The past of a tape is kept as it is; the bar that is running is told second by second, as is the future."""
        finest = max(each for each in SPANS if each <= span)
        whole = [row for row in tape if row[0] + span <= start]
        for at, bar in _parts(whole, span, finest, self._seeded):
            self._keep(at, bar, finest)
        rest = iter(_parts(tape[len(whole) :], span, 1, self._seeded))
        self._ahead = rest
        for at, bar in rest:
            if at >= start:
                self._ahead = chain([(at, bar)], rest)
                break
            self._keep(at, bar)
        self._first = min(self._kept[HOUR])


def scaled(bar: Bar, by: float) -> Bar:
    return Bar(bar.open * by, bar.high * by, bar.low * by, bar.close * by, bar.volume / by)


def _parts(
    rows: Iterable[tuple[int, Bar]], span: int, part: int, seeded: Callable[[int], Chance]
) -> Iterator[tuple[int, Bar]]:
    """Bars of `span` seconds as bars of `part` seconds."""
    for at, bar in rows:
        if span <= part:
            yield at, bar
        else:
            for index, each in enumerate(refine(bar, span // part, seeded(at))):
                yield at + index * part, each
