"""An instrument has one name, whatever it is written as."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokex.config import load
from kokex.market.names import canonical


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("BTC/USDT", "BTC-USDT"),
        ("BTC/USDT:USDT", "BTC-USDT-SWAP"),
        ("btc/usdt:usdt", "BTC-USDT-SWAP"),
        ("BTC/USD:BTC", "BTC-USD-SWAP"),
        ("BTC/USDT:USDT-261225", "BTC-USDT-261225"),
        ("BTC-USDT-SWAP", "BTC-USDT-SWAP"),
        ("X-BTC", "X-BTC"),  # of a file
        ("BTC/", "BTC/"),
    ],
)
def test_the_unified_form_is_read_as_the_exchanges(written: str, name: str) -> None:
    assert canonical(written) == name


@given(st.from_regex(r"[A-Za-z0-9/:-]{1,20}", fullmatch=True))
def test_a_name_that_was_read_is_read_as_itself(text: str) -> None:
    assert canonical(canonical(text)) == canonical(text)


def test_a_configuration_may_use_either(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        "[market]\ninstruments = ['BTC/USDT:USDT', 'ETH-USDT']\n[[plans]]\nname = 'p'\ninstruments = ['ETH/USDT']\n"
    )
    config = load(file, {})
    assert config.market.instruments == ("BTC-USDT-SWAP", "ETH-USDT")
    assert config.resolved_plans()[0].instruments == ("ETH-USDT",)
