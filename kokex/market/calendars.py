"""Trading calendars. An instrument's calendar is also its market's name; crypto never closes."""

import itertools
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from kokex.market.timeframes import DAY, HOUR
from kokex.messages import Instrument

_LONGEST_PAUSE = 14 * DAY  # what is longer is a hole in the candles, and says nothing of the market's hours
_KEPT_DAYS = 5


def market_of(instrument: Instrument) -> str:
    """The market a daily session is about."""
    return instrument.calendar


def is_open(calendar: str, at_ns: int) -> bool:
    """Whether a calendar's market trades at this instant. Raises ValueError for an unknown calendar."""
    if calendar != "crypto":
        raise ValueError(f"unknown trading calendar {calendar!r}: known is crypto")
    return True


def session_times(anchor_ns: int, sessions: int, spacing_h: float) -> tuple[int, ...]:
    """The daily sessions as nanoseconds after midnight UTC, rising.

    `anchor_ns` is the first one's, the others follow every `spacing_h` hours and may pass midnight.
    Raises ValueError when they do not fit into one day.
    """
    spacing_ns = round(spacing_h * HOUR)
    if sessions < 1 or (sessions > 1 and not 0 < (sessions - 1) * spacing_ns < DAY):
        raise ValueError(f"{sessions} sessions every {spacing_h} h do not fit into a day")
    return tuple(sorted((anchor_ns + step * spacing_ns) % DAY for step in range(sessions)))


def next_session(now_ns: int, times: Sequence[int]) -> int:
    """The first session after now, in UTC nanoseconds."""
    midnight = now_ns - now_ns % DAY
    later = (midnight + time for time in times if midnight + time > now_ns)
    return next(later, midnight + DAY + times[0])


def openings_after(openings: Sequence[int], span_ns: int, count: int) -> tuple[int, ...]:
    """When the next `count` candles open, as the past has it. `openings` rise, in UTC nanoseconds.

    A market that never paused goes on at its spacing. One that did keeps the times of its last five days and its free
    days: a time of day that came by twice and never had a candle is a pause, and so is a day of the week that came by
    and had none; where the market pauses every day, a weekend that did not come by yet is taken for free. Nobody sees
    holidays in the past, nor a change of clocks. Raises ValueError without a past.
    """
    if not openings or span_ns <= 0:
        raise ValueError("no past to continue")
    last = openings[-1]
    gaps = ((before, after) for before, after in pairwise(openings) if span_ns < after - before <= _LONGEST_PAUSE)
    passed = [at for before, after in gaps for at in range(before + span_ns, after, span_ns)]
    hours, days = {at % DAY for at in openings}, {_weekday(at) for at in openings}
    closed_days = {_weekday(at) for at in passed} - days
    if any(times > 1 and hour not in hours for hour, times in Counter(at % DAY for at in passed).items()):
        closed_days |= {5, 6} - days
        recent = set(sorted({at // DAY for at in openings})[-_KEPT_DAYS:])
        kept = sorted({at % DAY for at in openings if at // DAY in recent})
        to_come = (day * DAY + hour for day in itertools.count(last // DAY) for hour in kept)
    else:
        to_come = itertools.count(last + span_ns, span_ns)
    open_then = (at for at in to_come if at > last and _weekday(at) not in closed_days)
    return tuple(itertools.islice(open_then, count))


def _weekday(at_ns: int) -> int:
    """Monday is 0; 1970 began on a Thursday."""
    return (at_ns // DAY + 3) % 7
