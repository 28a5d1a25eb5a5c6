from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokex.market.instruments import (
    UnknownInstrument,
    exact,
    floor_size,
    from_csv,
    is_tradable,
    known_symbols,
    notional,
    parse_symbol,
    quantity,
    round_price,
    safe_price,
    size_of,
    usual_price,
)
from kokex.messages import Instrument

SWAP = parse_symbol("BTC-USDT-SWAP")
SPOT = parse_symbol("BTC-USDT")
amounts = st.decimals(min_value=0, max_value=10**7, places=12)


@given(st.sampled_from(known_symbols()).map(parse_symbol), amounts)
def test_a_size_is_never_rounded_into_more(instrument: Instrument, size: Decimal) -> None:
    floored = floor_size(instrument, size)
    assert 0 <= size - floored < instrument.lot
    assert floored % instrument.lot == 0
    assert floor_size(instrument, -size) == -floored
    assert quantity(instrument, size_of(instrument, size)) <= size


@given(st.sampled_from(known_symbols()).map(parse_symbol), amounts)
def test_a_price_is_never_rounded_into_more_risk(instrument: Instrument, price: Decimal) -> None:
    buy, sell = safe_price(instrument, "buy", price), safe_price(instrument, "sell", price)
    assert buy <= price <= sell
    assert sell - buy in {Decimal(0), instrument.tick}
    assert round_price(instrument, price, "nearest") in {buy, sell}


def test_contracts_are_converted_in_both_directions() -> None:
    assert quantity(SWAP, Decimal(250)) == Decimal("2.5")
    assert notional(SWAP, Decimal(-250), Decimal("60000.1")) == Decimal("-150000.25")
    assert size_of(SWAP, Decimal("0.01239")) == Decimal("1.23")
    assert notional(SPOT, Decimal("0.02"), Decimal(60000)) == 1200


def test_what_a_venue_would_refuse_is_not_tradable() -> None:
    assert is_tradable(SPOT, Decimal("0.00001"))
    assert not is_tradable(SPOT, Decimal("0.000009"))
    assert not is_tradable(SWAP, Decimal("0.015"))


def test_money_does_not_round_however_many_digits_it_has() -> None:
    price = exact(5.2900000000000005e-05)
    assert str(price) == "0.000052900000000000005"
    worth = notional(from_csv("ADA-BTC-5m"), Decimal("431401978695.12345678"), price)
    assert Fraction(worth) == Fraction(52900000000000005, 10**21) * Fraction(43140197869512345678, 10**8)


def test_symbols_say_what_they_are() -> None:
    assert (SWAP.kind, SWAP.contract_value, SWAP.lot, SWAP.tick) == (
        "swap",
        Decimal("0.01"),
        Decimal("0.01"),
        Decimal("0.1"),
    )
    assert (SPOT.kind, SPOT.contract_value, SPOT.lot, SPOT.minimum) == (
        "spot",
        Decimal(1),
        Decimal("1e-8"),
        Decimal("1e-5"),
    )
    assert len(known_symbols()) == 20
    assert usual_price("ETH-USDT") == usual_price("ETH-USDT-SWAP") == 3_000
    for symbol in ("BTC", "BTC-EUR", "PEPE-USDT", "BTC-USDT-240927", ""):
        with pytest.raises(UnknownInstrument, match="known are BASE-USDT and BASE-USDT-SWAP of BTC, ETH"):
            parse_symbol(symbol)


def test_a_candle_file_is_a_spot_instrument_with_prices_as_written() -> None:
    ada = from_csv("ADA-BTC-5m")
    assert (ada.symbol, ada.kind, ada.base, ada.quote, ada.lot) == ("ADA-BTC-5m", "spot", "ADA", "BTC", Decimal("1e-8"))
    assert safe_price(ada, "buy", Decimal("0.000052900000000000005")) == Decimal("0.000052900000000000005")
    assert from_csv("F").base == "F"


def test_a_whole_number_has_the_digits_of_its_float() -> None:
    """A setting's default may be 20, and 20.0 when it is read again: what follows must not differ in a digit."""
    assert str(exact(20)) == str(exact(20.0)) == "20.0"
