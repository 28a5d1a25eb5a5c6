"""Trading calendars. An instrument's calendar is also its market's name; crypto never closes."""

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
