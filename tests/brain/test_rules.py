"""The brain `rules`: a table of votes, and what is wanted then."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokex.brain.rules import agreeing, is_stale, now_spent, vote
from kokex.messages import Signal

LONG, FLAT, SHORT, WEAK = Signal(1, 1.0, 95.0, "up"), Signal(0), Signal(-1, 1.0, 105.0, "down"), Signal(1, 0.2)
S = 1_000_000_000


@pytest.mark.parametrize(
    ("signals", "held", "act", "last_reason"),
    [
        # signals         held  act           the last of the reasons
        ([],                 0, "hold",       "no strategy has an opinion yet"),
        ([],                 5, "hold",       "no strategy has an opinion yet"),
        ([FLAT, FLAT],       0, "hold",       "every strategy is flat"),
        ([FLAT, FLAT],       5, "close",      "no strategy wants the position any longer"),
        ([FLAT, FLAT],      -5, "close",      "no strategy wants the position any longer"),
        ([LONG],             0, "open_long",  "a: up"),
        ([LONG],             5, "hold",       "already held"),
        ([LONG],            -5, "open_long",  "a: up"),
        ([SHORT],            0, "open_short", "a: down"),
        ([SHORT],            5, "open_short", "a: down"),
        ([SHORT],           -5, "hold",       "already held"),
        ([LONG, SHORT],      0, "hold",       "too little agreement"),
        ([LONG, SHORT],      5, "hold",       "too little agreement"),
        ([LONG, FLAT],       0, "open_long",  "a: up"),
        ([WEAK],             0, "hold",       "too little agreement"),
        ([WEAK],            -5, "close",      "a: up"),
    ],
)  # fmt: skip
def test_the_table_of_votes(signals: list[Signal], held: int, act: str, last_reason: str) -> None:
    said = dict(zip("ab", signals, strict=False))
    wish = vote(said, Decimal(held), may_short=True, min_conviction=2, spent={})
    assert (wish.act, wish.reasons[-1]) == (act, last_reason)


@pytest.mark.parametrize(("held", "act"), [(0, "hold"), (5, "close")])
def test_spot_is_closed_but_never_short(held: int, act: str) -> None:
    wish = vote({"a": SHORT}, Decimal(held), may_short=False, min_conviction=2, spent={})
    assert wish.act == act


def test_conviction_is_the_strength_of_the_mean_vote_and_the_invalidation_that_of_who_agrees() -> None:
    wish = vote({"a": SHORT, "b": LONG, "c": LONG}, Decimal(0), may_short=True, min_conviction=1, spent={})
    assert (wish.act, wish.conviction, wish.invalidation) == ("open_long", 2, 95.0)
    assert wish.reasons == ("a: down", "b: up", "c: up")


# ---- a signal is good for one position ---------------------------------------------------------


def test_a_signal_that_was_traded_on_opens_nothing_again() -> None:
    wish = vote({"a": LONG}, Decimal(0), may_short=True, min_conviction=2, spent={"a": 1})
    assert (wish.act, wish.reasons) == ("hold", ("a: up", "already traded on: waiting for a new signal"))


def test_it_still_closes_what_stands_against_it() -> None:
    assert vote({"a": LONG}, Decimal(-5), may_short=True, min_conviction=2, spent={"a": 1}).act == "close"


def test_a_strategy_that_joins_is_a_new_signal() -> None:
    assert vote({"a": LONG, "b": LONG}, Decimal(0), may_short=True, min_conviction=2, spent={"a": 1}).act == "open_long"


def test_a_signal_that_went_or_turned_may_come_again() -> None:
    spent = {"a": 1, "b": 1, "c": 1, "d": -1}
    assert now_spent(spent, {"a": LONG, "b": FLAT, "c": SHORT, "d": SHORT}, Decimal(0)) == {"a": 1, "d": -1}


def test_a_strategy_that_says_nothing_has_not_changed_its_mind() -> None:
    """Its indicators are warming up again after a restart."""
    assert now_spent({"a": 1}, {}, Decimal(0)) == {"a": 1}


def test_what_agrees_with_the_position_is_being_traded_on() -> None:
    assert now_spent({}, {"a": LONG, "b": SHORT, "c": FLAT}, Decimal(5)) == {"a": 1}
    assert now_spent({}, {"a": LONG, "b": SHORT, "c": FLAT}, Decimal(-5)) == {"b": -1}


SIGNALS = st.dictionaries(
    st.sampled_from("abc"), st.builds(Signal, st.sampled_from([-1, 0, 1]), st.floats(0, 1)), max_size=3
)


@given(
    SIGNALS,
    st.integers(-2, 2),
    st.booleans(),
    st.integers(1, 5),
    st.dictionaries(st.sampled_from("abc"), st.sampled_from([-1, 1])),
)
def test_whatever_is_voted_an_entry_needs_a_fresh_signal_on_its_side_and_says_why(
    signals: dict[str, Signal], held: int, may_short: bool, min_conviction: int, spent: dict[str, int]
) -> None:
    wish = vote(signals, Decimal(held), may_short=may_short, min_conviction=min_conviction, spent=spent)
    assert 1 <= wish.conviction <= 5
    assert wish.reasons
    assert held or wish.act != "close"
    if wish.act.startswith("open"):
        side = 1 if wish.act == "open_long" else -1
        assert side > 0 or may_short
        assert side * held <= 0
        assert any(spent.get(name) != side for name in agreeing(signals, side))
        assert wish.conviction >= min_conviction


def test_a_candle_is_stale_once_the_next_one_is_overdue() -> None:
    assert not is_stale(130 * S, 10 * S, timeframe_ns=60 * S, stale_s=60)
    assert is_stale(130 * S + 1, 10 * S, timeframe_ns=60 * S, stale_s=60)
