"""Limits: whatever is asked, no window of OKX's sees more than it allows."""

from collections import deque

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokex.adapters.okx.limits import RULES, Bucket, Limits, owner
from kokex.simulation.virtual_time import TrioTime


@given(
    st.sampled_from(sorted(name for name, rule in RULES.items() if rule.most >= 5)),
    st.lists(st.tuples(st.floats(0, 3), st.integers(1, 20)), max_size=60),
)
def test_no_window_ever_sees_more_than_the_rule_allows(name: str, asked: list[tuple[float, int]]) -> None:
    rule = RULES[name]
    bucket = Bucket(rule)
    now = 0.0
    window: deque[tuple[float, int]] = deque()
    for pause, wish in asked:
        now += pause
        count = min(wish, rule.most // 4)
        sent = now + bucket.reserve(count, now)
        window.append((sent, count))
        while window[0][0] <= sent - rule.window_s:
            window.popleft()
        assert sum(count for _, count in window) <= rule.most


async def test_who_waits_is_served_in_order_and_no_later_than_need_be(clock: TrioTime) -> None:
    limits = Limits()
    began = anyio.current_time()
    served: list[tuple[int, float]] = []

    async def ask(number: int) -> None:
        await limits.take("account/config", "main")
        served.append((number, anyio.current_time() - began))

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(ask, number)
    assert served == [(number, pytest.approx(number * 0.5)) for number in range(5)]
    await limits.take("account/config", "shadow")  # another user's bucket is another
    assert anyio.current_time() - began == pytest.approx(2.0)


def test_a_bucket_belongs_to_whom_okx_counts() -> None:
    assert owner("market/candles", "main", "BTC-USDT", "SPOT") == ""
    assert owner("public/instruments", "main", "BTC-USDT", "SPOT") == "SPOT"
    assert owner("account/balance", "main", "BTC-USDT") == "main"
    assert owner("trade/order", "main", "BTC-USDT") == "main/BTC-USDT"
