from decimal import Decimal
from typing import Any, get_args, get_type_hints

import pytest

from kokex.messages import Cycle
from kokex.present.words import age, clock, listed, money, pct, price, reading, woken_by

D = Decimal
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("1234.5", "USDT", "1,234.50 USDT"),
        ("-0.005", "USDT", "-0.00 USDT"),
        ("0.0012", "USDT", "0.0012 USDT"),
        ("-0.00012345", "USDT", "-0.00012 USDT"),
        ("1E-18", "USDT", "0.00 USDT"),
        ("0", "USDT", "0.00 USDT"),
        ("1500000", "KRW", "1,500,000 KRW"),
        ("0.1", "BTC", "0.10000000 BTC"),
        ("3", "", "3.00000000"),
    ],
)
def test_money_has_its_currencys_decimals_and_never_hides_a_small_amount(
    amount: str, currency: str, shown: str
) -> None:
    assert money(D(amount), currency) == shown


def test_a_gain_can_carry_its_sign() -> None:
    assert [money(D(one), "USDT", signed=True) for one in ("1", "-1", "0")] == ["+1.00 USDT", "-1.00 USDT", "0.00 USDT"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (D("60010.20"), "60010.2"),
        (D("1E+6"), "1000000"),
        (D("0E-8"), "0"),
        (5.2900000000000005e-05, "0.0000529"),
        (60000.0, "60000"),
        (59123.456789123, "59123.457"),
    ],
)
def test_a_price_is_its_digits_without_exponent_or_noise(value: Decimal | float, shown: str) -> None:
    assert price(value) == shown


def test_readings_percents_ages_and_instants() -> None:
    values = [0.81234, 71.239, 60_010.27, -0.00001234]
    assert list(map(reading, values)) == ["0.8123", "71.24", "60010", "-0.00001234"]
    assert [pct(1.234), pct(1.234, signed=True), pct(-0.001, signed=True)] == ["1.23 %", "+1.23 %", "0.00 %"]
    spans = [SECOND // 2, 12 * SECOND, 200 * SECOND, 14_700 * SECOND, 1_047_600 * SECOND]
    assert list(map(age, spans)) == ["500 ms", "12 s", "3 min 20 s", "4 h 05 min", "12 d 3 h"]
    assert clock(1_738_324_800_999_999_999) == "2025-01-31T12:00:00Z"
    assert listed(("a", "b", "c", "d", "e", "f")) == "a, b, c, d and 2 more"


@pytest.mark.parametrize("why", get_args(get_type_hints(Cycle)["why"]))
def test_whatever_wakes_a_cycle_has_words(why: Any) -> None:
    assert " " in woken_by(Cycle(plan="main", why=why, instruments=()))
