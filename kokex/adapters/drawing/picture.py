"""What a picture of a run shows, whoever draws it: equity above, drawdown in percent beneath."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from math import ceil

from msgspec import Struct

from kokex.present.words import pct

Points = Sequence[tuple[int, float]]  # (UTC nanoseconds, value), oldest first

_BUCKETS = 1200  # a point or two for each pixel across
_LARGE = 1e9
_SHORT_NS = 600_000_000_000  # seconds matter


class Picture(Struct, frozen=True):
    """Both curves, thinned to what a screen can show."""

    title: str
    summary: str  # the numbers in one line
    currency: str
    equity: Points
    drawdown: Points  # percent below the highest equity so far: 0 or negative


def picture(points: Points, title: str, currency: str) -> Picture:
    """Raises ValueError with fewer than two points: there is nothing to draw."""
    if len(points) < 2:
        raise ValueError(f"a curve needs two points or more, not {len(points)}")
    values = [value for _, value in points]
    peaks = accumulate(values, max)
    falls = [100 * (value - peak) / peak if peak > 0 else 0.0 for value, peak in zip(values, peaks, strict=True)]
    drawdown = [(at, fall) for (at, _), fall in zip(points, falls, strict=True)]
    return Picture(title, _summary(points, min(falls), currency), currency, thin(points), thin(drawdown))


def thin(points: Points, buckets: int = _BUCKETS) -> Points:
    """At most `2 * buckets + 2` points: the first, the last, and of each bucket the lowest and the highest.

    A spike of one candle in a year stays visible, and a curve never seems calmer than it was.
    """
    if len(points) <= 2 * buckets:
        return points
    kept = {0, len(points) - 1}
    for bucket in range(buckets):
        indices = range(bucket * len(points) // buckets, (bucket + 1) * len(points) // buckets)
        kept.add(min(indices, key=lambda index: points[index][1]))
        kept.add(max(indices, key=lambda index: points[index][1]))
    return [points[index] for index in sorted(kept)]


def moment(at: int) -> datetime:
    """The UTC time of a nanosecond instant."""
    return datetime.fromtimestamp(at / 1e9, UTC)


def _summary(points: Points, deepest: float, currency: str) -> str:
    (first_ns, first), (last_ns, last) = points[0], points[-1]
    change = f" ({pct(100 * (last / first - 1), signed=True)})" if first > 0 else ""
    clock = "%Y-%m-%d %H:%M" if last_ns - first_ns >= _SHORT_NS else "%Y-%m-%d %H:%M:%S"
    span = f"{moment(first_ns):{clock}} to {moment(last_ns):{clock}} UTC"
    ends = f"{money(first)} to {money(last)} {currency}".rstrip()
    return f"{span}   ·   {ends}{change}   ·   max drawdown {pct(abs(deepest))}"


def money(amount: float) -> str:
    """Two decimals, six significant digits of what is small, none of what is large: `1,234.50`, `0.0123457`."""
    if abs(amount) >= _LARGE:
        return f"{amount:,.0f}"
    return f"{amount:,.2f}" if abs(amount) >= 100 or amount == 0 else f"{amount:.6g}"


def level(value: float) -> str:
    """What stands beside a line of the grid; millions where all digits would not fit: `102,500`, `3,750,000 M`."""
    return f"{value / 1e6:,.10g} M" if abs(value) >= _LARGE else f"{value:,.10g}"


_STEPS = [
    timedelta(**{unit: count})
    for unit, counts in (("seconds", (1, 5, 15, 30)), ("minutes", (1, 5, 15, 30)), ("hours", (1, 3, 6, 12)))
    for count in counts
] + [timedelta(days=days) for days in (1, 2, 4, 7, 14)]


def date_ticks(first_ns: int, last_ns: int, most: int = 9) -> list[tuple[int, str]]:
    """At most about `most` (instant, label) at round UTC times within the span; months once days are too many."""
    first, last = moment(first_ns), moment(last_ns)
    for step in _STEPS:
        if (last - first) / step <= most:
            epoch = datetime(1970, 1, 5, tzinfo=UTC)  # a Monday: weeks begin there
            ticks = [
                epoch + step * number for number in range(ceil((first - epoch) / step), (last - epoch) // step + 1)
            ]
            return [(_ns(tick), _label(tick, step)) for tick in ticks]
    months = range(first.year * 12 + first.month, last.year * 12 + last.month)  # the starts after `first`
    every = next((n for n in (1, 2, 3, 6) if len(months) / n <= most), 12 * ceil(len(months) / 12 / most))
    starts = [datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in months if month % every == 0]
    return [(_ns(start), f"{start:%Y-%m}") for start in starts]


def _label(tick: datetime, step: timedelta) -> str:
    if tick.hour == tick.minute == tick.second == 0:
        return f"{tick:%Y-%m-%d}"
    return f"{tick:%H:%M:%S}" if step < timedelta(minutes=1) else f"{tick:%H:%M}"


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9
