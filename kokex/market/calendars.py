"""Trading calendars. An instrument's calendar is also its market's name; crypto never closes."""

from collections import Counter
from collections.abc import Sequence

from kokex.market.timeframes import DAY, HOUR
from kokex.messages import Instrument


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

    A market that never paused goes on at its spacing. One that did keeps its hours and its free days: a time of day
    that came by twice and never had a candle is a pause, and so is a day of the week that came by and had none; where
    the market pauses every day, a weekend that did not come by yet is taken for free. Nobody sees holidays in the past.
    Raises ValueError without a past.
    """
    if not openings or span_ns <= 0:
        raise ValueError("no past to continue")
    last, seen = openings[-1], set(openings)
    passed = [at for at in range(openings[0], last + 1, span_ns) if at not in seen]
    hours, days = {at % DAY for at in openings}, {_weekday(at) for at in openings}
    closed_hours = {hour for hour, times in Counter(at % DAY for at in passed).items() if times > 1} - hours
    closed_days = {_weekday(at) for at in passed} - days
    if closed_hours:
        closed_days |= {5, 6} - days
    found: list[int] = []
    at = last
    while len(found) < count:
        at += span_ns
        if _weekday(at) not in closed_days and at % DAY not in closed_hours:
            found.append(at)
    return tuple(found)


def _weekday(at_ns: int) -> int:
    """Monday is 0; 1970 began on a Thursday."""
    return (at_ns // DAY + 3) % 7
