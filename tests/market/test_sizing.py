"""How much to open: never more than a limit or the risk budget allows."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokex.config import Risk
from kokex.market.instruments import exact, is_tradable, notional, parse_symbol
from kokex.market.sizing import Room, broken_limit, entry_size, half, opposite, percent_of, stop_distance
from kokex.messages import Instrument

SPOT, SWAP = parse_symbol("BTC-USDT"), parse_symbol("BTC-USDT-SWAP")
D = Decimal
LIMITS = Risk(
    max_order_pct=30, max_position_pct=40, max_exposure_pct=100, risk_per_trade_pct=0.5, stop_atr=2, min_stop_bp=20
)
AMPLE = Room(equity=D(100_000), free=D(100_000), exposure=D(0), position=D(0))


# ---- the stop ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("atr", "invalidation", "distance"),
    [(None, None, "2"), (0.5, None, "2"), (3.0, None, "6"), (3.0, 990.0, "10"), (3.0, 1010.0, "10"), (3.0, 999.0, "6")],
)
def test_the_stop_is_the_farthest_of_range_least_distance_and_invalidation(
    atr: float | None, invalidation: float | None, distance: str
) -> None:
    assert stop_distance(D(1000), LIMITS, atr=atr, invalidation=invalidation) == D(distance)


# ---- the size ----------------------------------------------------------------------------------


def test_what_the_stop_would_lose_is_the_risk_budget() -> None:
    sized = entry_size(SPOT, D(1000), AMPLE, LIMITS, distance=D(50), conviction=5)
    assert (sized.size, sized.rule) == (D(10), "risk_per_trade")  # 10 x 50 = 0.5 % of 100,000


def test_less_conviction_risks_less() -> None:
    sizes = [entry_size(SPOT, D(1000), AMPLE, LIMITS, distance=D(50), conviction=c).size for c in range(1, 6)]
    assert sizes == [D(2), D(4), D(6), D(8), D(10)]


@pytest.mark.parametrize(
    ("room", "size", "rule"),
    [
        (AMPLE, "30", "max_order_pct"),
        (AMPLE._replace(free=D(10_000)), "3", "max_order_pct"),
        (AMPLE._replace(position=D(35_000)), "5", "max_position_pct"),
        (AMPLE._replace(exposure=D(93_000)), "7", "max_exposure_pct"),
        (AMPLE._replace(position=D(41_000)), "0", "max_position_pct"),
        (AMPLE._replace(free=D(0)), "0", "max_order_pct"),
        (AMPLE._replace(equity=D(0), free=D(0)), "0", "risk_per_trade"),
    ],
)
def test_the_tightest_cap_decides_and_is_named(room: Room, size: str, rule: str) -> None:
    sized = entry_size(SPOT, D(1000), room, LIMITS, distance=D(1), conviction=5)
    assert (sized.size, sized.rule) == (D(size), rule)


def test_what_is_less_than_the_smallest_order_is_nothing() -> None:
    room = AMPLE._replace(free=D("0.01"))
    sized = entry_size(SPOT, D(1000), room, LIMITS, distance=D(1), conviction=5)
    assert (sized.size, sized.rule) == (D(0), "minimum size after max_order_pct")


def test_without_a_distance_to_the_stop_nothing_is_risked() -> None:
    assert not entry_size(SPOT, D(1000), AMPLE, LIMITS, distance=D(0), conviction=5).size


amounts = st.decimals(0, 1_000_000, places=2)


@given(
    instrument=st.sampled_from([SPOT, SWAP]),
    price=st.decimals("0.01", 200_000, places=2),
    room=st.builds(Room, amounts, amounts, amounts, amounts),
    distance=st.decimals("0.01", 10_000, places=2),
    conviction=st.integers(1, 5),
)
def test_a_size_keeps_every_limit_and_the_budget_and_can_be_traded(
    instrument: Instrument, price: Decimal, room: Room, distance: Decimal, conviction: int
) -> None:
    sized = entry_size(instrument, price, room, LIMITS, distance=distance, conviction=conviction)
    if sized.size:
        assert is_tradable(instrument, sized.size)
        assert broken_limit(instrument, sized.size, price, room, LIMITS) == ""
        lost = notional(instrument, sized.size, distance)
        budget = percent_of(room.equity, LIMITS.risk_per_trade_pct) * conviction / 5
        assert lost <= budget * (1 + exact(1e-20))


@pytest.mark.parametrize(
    ("room", "size", "rule"),
    [
        (AMPLE, "30", ""),
        (AMPLE, "30.01", "max_order_pct"),
        (AMPLE._replace(position=D(20_000)), "20.01", "max_position_pct"),
        (AMPLE._replace(exposure=D(90_000)), "10.01", "max_exposure_pct"),
    ],
)
def test_a_given_size_is_held_to_the_same_limits(room: Room, size: str, rule: str) -> None:
    assert broken_limit(SPOT, D(size), D(1000), room, LIMITS) == rule


# ---- halves and sides --------------------------------------------------------------------------


@given(st.integers(1, 100_000))
def test_half_a_position_is_tradable_and_never_more_than_it(lots: int) -> None:
    held = SWAP.lot * lots
    part = half(SWAP, -held)
    assert part <= held
    assert part >= min(held, SWAP.minimum)
    assert part <= held / 2 or part == min(held, SWAP.minimum)


def test_the_other_side() -> None:
    assert (opposite("buy"), opposite("sell")) == ("sell", "buy")
