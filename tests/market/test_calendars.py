from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokex.market.calendars import is_open, market_of, next_session, openings_after, session_times
from kokex.market.instruments import parse_symbol
from kokex.market.timeframes import DAY, HOUR, MINUTE


def test_crypto_never_closes() -> None:
    assert market_of(parse_symbol("BTC-USDT")) == "crypto"
    assert is_open("crypto", 0)
    with pytest.raises(ValueError, match="unknown trading calendar 'KRX'"):
        is_open("KRX", 0)


@given(st.integers(1, 24), st.integers(0, DAY), st.integers(0, 10**19))
def test_sessions_follow_each_other_each_day(sessions: int, anchor_ns: int, now_ns: int) -> None:
    times = session_times(anchor_ns, sessions, 24 / sessions if sessions > 4 else 2)
    met = [now_ns]
    for _ in range(sessions + 1):
        met.append(next_session(met[-1], times))
    assert all(a < b for a, b in pairwise(met))
    assert met[sessions + 1] - met[1] == DAY
    assert {at % DAY for at in met[1:]} == set(times)


def test_a_session_now_is_over() -> None:
    times = session_times(2 * HOUR, 4, 6)
    assert times == (2 * HOUR, 8 * HOUR, 14 * HOUR, 20 * HOUR)
    assert next_session(2 * HOUR, times) == 8 * HOUR
    assert next_session(20 * HOUR, times) == DAY + 2 * HOUR


@pytest.mark.parametrize(("sessions", "spacing_h"), [(0, 6), (5, 6), (2, 0), (2, -1)])
def test_sessions_that_do_not_fit_are_refused(sessions: int, spacing_h: float) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        session_times(0, sessions, spacing_h)


def openings(days: range, hours: range) -> list[int]:
    return [day * DAY + hour * HOUR for day in days for hour in hours]


def test_a_market_that_never_pauses_goes_on() -> None:
    past = openings(range(3), range(24))
    assert openings_after(past, HOUR, 3) == (3 * DAY, 3 * DAY + HOUR, 3 * DAY + 2 * HOUR)
    missing_some = past[:20] + past[24:]  # an outage is no pause
    assert openings_after(missing_some, HOUR, 30) == openings_after(past, HOUR, 30)


def test_a_market_with_hours_keeps_them_over_night_and_weekend() -> None:
    monday = 4  # of January 1970
    week = openings(range(monday, monday + 5), range(9, 15))
    assert openings_after(week, HOUR, 2) == ((monday + 7) * DAY + 9 * HOUR, (monday + 7) * DAY + 10 * HOUR)
    assert openings_after(week[:-2], HOUR, 3)[-1] == (monday + 7) * DAY + 9 * HOUR
    assert openings_after(week[:18], HOUR, 1) == ((monday + 3) * DAY + 9 * HOUR,)


def test_daily_candles_leave_out_the_free_days() -> None:
    monday = 4
    days = [day * DAY for week in range(3) for day in range(monday + 7 * week, monday + 7 * week + 5)]
    assert openings_after(days, DAY, 6)[-1] == (monday + 21 + 7) * DAY
    assert openings_after(range(0, 20 * DAY, DAY), DAY, 2) == (20 * DAY, 21 * DAY)


def test_times_that_fit_no_grid_begin_anew_each_morning() -> None:
    minutes = (810, 875, 940, 1005, 1070, 1135)  # 13:30 and every 65 minutes
    week = [day * DAY + minute * MINUTE for day in range(4, 9) for minute in minutes]
    assert openings_after(week, 65 * MINUTE, 2) == (11 * DAY + 810 * MINUTE, 11 * DAY + 875 * MINUTE)


def test_a_hole_of_years_says_nothing_and_costs_nothing() -> None:
    past = [0, *openings(range(20_000, 20_003), range(24))]
    assert openings_after(past, HOUR, 1) == (20_003 * DAY,)


@given(st.sets(st.integers(0, 300), min_size=1, max_size=80), st.integers(1, 30))
def test_what_is_to_come_follows_and_rises(hours: set[int], count: int) -> None:
    past = [hour * HOUR for hour in sorted(hours)]
    found = openings_after(past, HOUR, count)
    assert len(found) == count
    assert all(before < after for before, after in pairwise([past[-1], *found]))
