"""Units: nothing is ever rounded up into more risk, and fees leave the books exact."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from kokex.adapters.okx import units
from kokex.adapters.okx.units import AccountMode
from kokex.market.instruments import closable, known_symbols, notional, parse_symbol, quantity, size_of
from kokex.market.money import EXACT
from kokex.market.positions import apply_fill, cash_change, change, flat
from kokex.messages import Fill, Instrument, Order, Side
from kokex.ports import Rejected

SPOT, SWAP = parse_symbol("BTC-USDT"), parse_symbol("ETH-USDT-SWAP")
steps = st.sampled_from(["0.00000001", "0.0001", "0.01", "0.1", "1", "10", "25"]).map(Decimal)
sides: st.SearchStrategy[Side] = st.sampled_from(["buy", "sell"])
sizes = st.decimals("0.00000001", 10**7, places=10)
prices = st.decimals("0.000001", 10**6, places=8)


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    like = parse_symbol(draw(st.sampled_from(known_symbols())))
    lot = draw(steps)
    value = draw(steps) if like.kind == "swap" else Decimal(1)
    return replace(like, lot=lot, minimum=lot * draw(st.integers(1, 9)), tick=draw(steps), contract_value=value)


def order(instrument: Instrument, side: Side, **fields: object) -> Order:
    plain = Order(
        client_id="k1", account="main", plan="main", instrument=instrument.symbol, side=side, kind="market",
        size=Decimal(1),
    )  # fmt: skip
    return replace(plain, **fields)


@given(instruments(), sizes)
def test_a_size_is_never_more_than_was_wanted_and_in_whole_lots(instrument: Instrument, size: Decimal) -> None:
    try:
        sent = Decimal(units.order_size(instrument, size))
    except Rejected:
        assert size < instrument.minimum + instrument.lot
        return
    assert instrument.minimum <= sent <= size < sent + instrument.lot
    assert sent % instrument.lot == 0


@given(instruments(), sizes)
def test_contracts_hold_no_more_coins_than_were_wanted(instrument: Instrument, coins: Decimal) -> None:
    size = size_of(instrument, coins)
    assert quantity(instrument, size) <= coins
    assert coins < quantity(instrument, size + instrument.lot)


@given(instruments(), sides, prices)
def test_a_limit_never_pays_more_and_a_stop_never_lies_further(
    instrument: Instrument, side: Side, price: Decimal
) -> None:
    limit = Decimal(units.limit_price(instrument, side, price))
    assert limit <= price if side == "buy" else limit >= price
    stop = order(instrument, side, kind="stop", trigger=price, reduce_only=True)
    trigger = Decimal(units.trigger_price(instrument, stop, price))
    assert trigger >= price if side == "sell" else trigger <= price  # nearer to the market
    assert limit % instrument.tick == trigger % instrument.tick == 0


@given(instruments(), st.decimals(-(10**6), 10**6, places=10))
def test_what_is_closed_is_held(instrument: Instrument, held: Decimal) -> None:
    size = closable(instrument, held)
    assert abs(size) <= abs(held)
    assert not size or (size > 0) == (held > 0)
    if instrument.kind == "spot" and size:
        assert Decimal(units.order_size(instrument, abs(size))) == abs(size)


@pytest.mark.parametrize(
    ("instrument", "level", "expected"),
    [(SPOT, "1", "cash"), (SPOT, "2", "cash"), (SPOT, "3", "cross"), (SPOT, "4", "cross"), (SWAP, "2", "cross"),
     (SWAP, "3", "cross"), (SWAP, "4", "cross")],
)  # fmt: skip
def test_the_trade_mode_follows_the_account(instrument: Instrument, level: units.Level, expected: str) -> None:
    assert units.trade_mode(instrument, AccountMode(level)) == expected


def test_a_spot_account_has_no_swaps() -> None:
    with pytest.raises(Rejected, match="futures mode"):
        units.trade_mode(SWAP, AccountMode("1"))


@pytest.mark.parametrize(
    ("side", "reduce_only", "hedged", "expected"),
    [("buy", False, True, "long"), ("sell", False, True, "short"), ("sell", True, True, "long"),
     ("buy", True, True, "short"), ("buy", False, False, ""), ("sell", True, False, "")],
)  # fmt: skip
def test_a_closing_order_names_the_side_it_closes(side: Side, reduce_only: bool, hedged: bool, expected: str) -> None:
    mode = AccountMode("2", hedged)
    assert units.position_side(SWAP, mode, side, reduce_only=reduce_only) == expected
    assert units.position_side(SPOT, mode, side, reduce_only=reduce_only) == ""


@given(st.lists(st.tuples(sides, sizes, prices, st.decimals("-0.001", "0.0015", places=6)), max_size=12))
def test_coins_taken_as_fees_leave_size_and_cash_exact(trades: list[tuple[Side, Decimal, Decimal, Decimal]]) -> None:
    with localcontext(EXACT):
        coins = cash = Decimal(0)
        position = flat(SPOT.symbol)
        for number, (side, size, price, rate) in enumerate(trades):
            wanted = size if side == "buy" else min(size, coins)
            assume(wanted > 0)
            turnover = notional(SPOT, wanted, price)
            # the exchange's account: a buy's fee in coins, a sell's in money; negative when charged
            charge = -rate * (wanted if side == "buy" else turnover)
            coins += wanted + charge if side == "buy" else -wanted
            cash += -turnover if side == "buy" else turnover + charge
            fee, base_fee = units.charged(SPOT, side, charge, "BTC" if side == "buy" else "USDT", price)
            fill = Fill(
                account="main", plan="main", instrument=SPOT.symbol, client_id="k", trade_id=str(number), side=side,
                size=wanted, price=price, fee=fee, base_fee=base_fee, liquidity="taker", filled_ns=number,
            )  # fmt: skip
            before, position = position, apply_fill(position, fill, SPOT)
            cash -= cash_change(before, position, SPOT)
            assert position.size == coins
            assert cash == 0
            assert change(fill) == position.size - before.size


def test_a_fee_in_a_strange_currency_is_not_guessed_at() -> None:
    assert units.charged(SWAP, "buy", Decimal("-1.5"), "USDT", Decimal(3000)) == (Decimal("1.5"), 0)
    assert units.charged(SWAP, "buy", Decimal("0.2"), "USDT", Decimal(3000)) == (Decimal("-0.2"), 0)  # a rebate
    with pytest.raises(ValueError, match="a fee in OKB"):
        units.charged(SPOT, "buy", Decimal(-1), "OKB", Decimal(60_000))


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=12))
def test_numbers_are_written_as_okx_reads_them(value: Decimal) -> None:
    written = units.text(value)
    assert Decimal(written) == value
    assert "E" not in written
    assert written == "0" or not ("." in written and written.endswith("0"))
