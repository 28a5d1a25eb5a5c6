"""Names of orders: derived, so that a second try has the same."""

import re

from hypothesis import given
from hypothesis import strategies as st

from kokex.market.orders import base36, client_id

DECISIONS = st.integers(1, 2**63 - 1)


@given(st.integers(0, 2**63 - 1))
def test_base36_is_the_number_again(number: int) -> None:
    assert int(base36(number), 36) == number


@given(DECISIONS, st.sampled_from(["", "S1", "S99"]))
def test_an_order_id_is_at_most_32_letters_and_digits(decision: int, part: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9]{1,32}", client_id("ab3xyz", decision, part))


@given(DECISIONS, DECISIONS)
def test_a_decision_has_one_id_and_no_other_decision_has_it(one: int, other: int) -> None:
    assert (client_id("ab3xyz", one) == client_id("ab3xyz", other)) == (one == other)


@given(DECISIONS)
def test_the_orders_of_one_decision_differ_and_so_do_installations(decision: int) -> None:
    names = {client_id(tag, decision, part) for tag in ("ab3xyz", "ab3xyy") for part in ("", "S1", "S2")}
    assert len(names) == 6
