from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokex.market.instruments import from_csv, notional, parse_symbol
from kokex.market.money import EXACT
from kokex.market.positions import (
    apply_fill,
    average_price,
    cash_change,
    equity,
    flat,
    fund,
    mark,
    profit,
    trade,
    unrealised,
)
from kokex.messages import Fill, Instrument, Position, Side

SWAP = parse_symbol("BTC-USDT-SWAP")
instruments = st.sampled_from([SWAP, parse_symbol("BTC-USDT"), parse_symbol("DOGE-USDT-SWAP"), from_csv("ADA-BTC-5m")])
prices = st.one_of(
    st.decimals(min_value="0.00000001", max_value=10**6, places=8),
    st.floats(min_value=1e-8, max_value=1e6).map(lambda x: Decimal(repr(x))),  # prices as written, up to 17 digits
)
trades = st.lists(
    st.tuples(st.sampled_from(["buy", "sell"]), st.decimals("0.00000001", 10**5, places=8), prices), max_size=25
)


@given(instruments, trades, prices)
def test_a_closed_position_realised_exactly_its_cash_flows(
    instrument: Instrument, made: list[tuple[Side, Decimal, Decimal]], last: Decimal
) -> None:
    position = flat(instrument.symbol)
    flows, held = Decimal(0), Decimal(0)

    def do(side: Side, size: Decimal, price: Decimal) -> None:
        nonlocal position, flows, held
        signed = size if side == "buy" else -size
        position = trade(position, instrument, side, size, price)
        flows = EXACT.subtract(flows, notional(instrument, signed, price))
        held += signed
        assert position.size == held
        # Always, not only when flat: what was realised is what flowed, but for the cost still held.
        assert EXACT.subtract(position.realised, position.cost) == flows
        assert position.cost == 0 or (position.cost > 0) == (held > 0)

    for row in made:
        do(*row)
    if held:
        do("sell" if held > 0 else "buy", abs(held), last)
    assert position.cost == 0
    assert position.realised == flows


@given(instruments, trades, prices)
def test_equity_is_the_deposit_and_all_profit(
    instrument: Instrument, made: list[tuple[Side, Decimal, Decimal]], last: Decimal
) -> None:
    deposit = cash = Decimal(1_000_000)
    position = flat(instrument.symbol)
    for side, size, price in made:
        after = fund(trade(position, instrument, side, size, price, fee=Decimal("0.017")), Decimal("-0.003"))
        cash = EXACT.add(cash, cash_change(position, after, instrument))
        position = after
    position = mark(position, last)
    got = equity(cash, [position], {instrument.symbol: instrument})
    assert got == EXACT.add(deposit, profit(position, instrument))


def test_a_long_and_a_short_through_their_whole_life() -> None:
    position = trade(flat(SWAP.symbol), SWAP, "buy", Decimal(100), Decimal(60_000), fee=Decimal(30))
    position = trade(position, SWAP, "buy", Decimal(100), Decimal(62_000), fee=Decimal(31))
    assert (position.size, position.cost) == (200, 122_000)
    assert average_price(position, SWAP) == 61_000
    assert unrealised(position, SWAP) == 2_000
    position = trade(position, SWAP, "sell", Decimal(50), Decimal(63_000))
    assert (position.cost, position.realised) == (91_500, 1_000)
    position = trade(position, SWAP, "sell", Decimal(250), Decimal(60_000))  # flips
    assert (position.size, position.cost, position.realised) == (-100, -60_000, -500)
    assert unrealised(position, SWAP, Decimal(59_000)) == 1_000
    position = trade(position, SWAP, "sell", Decimal(100), Decimal(58_000))
    assert average_price(position, SWAP) == 59_000
    position = trade(position, SWAP, "buy", Decimal(200), Decimal(60_000))
    assert (position.size, position.cost, position.realised) == (0, 0, -2_500)
    assert (position.fees, average_price(position, SWAP)) == (61, 0)


def test_a_cost_that_does_not_divide_leaves_nothing_behind() -> None:
    position = trade(flat("BTC-USDT"), parse_symbol("BTC-USDT"), "buy", Decimal(3), Decimal("33.333333333333333"))
    for _ in range(3):
        position = trade(position, parse_symbol("BTC-USDT"), "sell", Decimal(1), Decimal(40))
    assert (position.size, position.cost) == (0, 0)
    assert position.realised == 120 - Decimal("99.999999999999999")


def test_a_fill_is_a_trade_with_its_fee() -> None:
    fill = Fill(
        account="main", plan="main", instrument=SWAP.symbol, client_id="a", trade_id="1", side="sell",
        size=Decimal(10), price=Decimal(60_000), fee=Decimal(3), liquidity="taker", filled_ns=0,
    )  # fmt: skip
    got = apply_fill(flat(SWAP.symbol), fill, SWAP)
    assert got == Position(
        instrument=SWAP.symbol, size=Decimal(-10), cost=Decimal(-6_000), fees=Decimal(3), mark=Decimal(60_000)
    )


def test_a_trade_has_a_size() -> None:
    with pytest.raises(ValueError, match="a trade of size 0"):
        trade(flat(SWAP.symbol), SWAP, "buy", Decimal(0), Decimal(1))
