"""What is known of models."""

from datetime import date
from decimal import Decimal

import pytest

from kokex.brain.models import MODELS, UNKNOWN, Model, about_its_past, endpoint, known
from kokex.config import Llm


@pytest.mark.parametrize("row", MODELS, ids=lambda row: row.prefix)
def test_every_row_can_be_reached_and_says_since_when_its_price_is_known(row: Model) -> None:
    assert known(row.prefix) is row, "a wider row stands before it"
    assert not row.priced or date.fromisoformat(row.priced) <= date(2026, 11, 26)
    assert row.priced or (row.usd_in, row.usd_out) == (UNKNOWN.usd_in, UNKNOWN.usd_out)
    assert row.usd_in <= UNKNOWN.usd_in
    assert row.usd_out <= UNKNOWN.usd_out, "what nobody knows is taken for the dearest"


@pytest.mark.parametrize(
    ("name", "usd"),
    [
        ("claude-haiku-5-5-20260922", "0.10"),
        ("anthropic/claude-opus-5", "5"),
        ("claude-opus-5-5", "4"),
        ("gpt-6-luna", "0.10"),
        ("models/gemini-3.5-flash-lite", "0.30"),
        ("qwen3.8-flash", "0.15"),
        ("deepseek-v4-pro", "1.32"),
        ("claude-next", "10"),
        ("something-local", "10"),
    ],
)
def test_a_model_is_known_by_the_beginning_of_its_name(name: str, usd: str) -> None:
    assert known(name).usd_in == Decimal(usd)


def test_what_is_configured_beats_what_is_known() -> None:
    made = endpoint(Llm(provider="openai", model="gemini-3.8-flash", usd_in=Decimal("0.75"), usd_out=Decimal("3.75")))
    assert (made.usd_in, made.usd_out, made.priced) == (Decimal("0.75"), Decimal("3.75"), "configured")
    assert (made.quota.rpd, made.quota.reset_zone) == (20, "America/Los_Angeles")


def test_why_a_model_is_not_asked_about_its_past_names_until_when_it_remembers() -> None:
    assert "up to 2026-06" in about_its_past("claude-haiku-5-5")
    assert "nobody knows the end of" in about_its_past("qwen3.8-max")
