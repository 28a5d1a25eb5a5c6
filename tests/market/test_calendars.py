from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokex.market.calendars import is_open, market_of, next_session, session_times
from kokex.market.instruments import parse_symbol
from kokex.market.timeframes import DAY, HOUR


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
