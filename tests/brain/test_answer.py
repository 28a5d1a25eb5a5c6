"""What becomes of an answer: nothing raises, nothing unsafe passes, and less can happen than it says, never more."""

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kokex.brain.answer import ACTS, HORIZONS, Judged, Unreadable, judge, read, shape_for
from kokex.brain.prompt import Composed, Shown
from kokex.messages import Shape

BTC, ETH, SPOT = "BTC-USDT-SWAP", "ETH-USDT-SWAP", "SOL-USDT"


def shown(symbol: str, *, held: str = "0", price: float = 100.0, may_short: bool = True) -> Shown:
    text = f"## {symbol}\nprice {price:g}; readings: rsi 55.4, atr 2, volume_z -1.25; forecast: q05 91.2, p_up 0.61"
    return Shown(symbol, price, 2.0, Decimal(held), may_short, text)


def composed(*instruments: Shown) -> Composed:
    all_of_them = instruments or (shown(BTC), shown(ETH, held="3"), shown(SPOT, may_short=False))
    names = tuple(each.symbol for each in all_of_them)
    common = "A round trip costs about 12 bp."
    return Composed("", (), shape_for(names), {each.symbol: each for each in all_of_them}, common, 0)


def item(symbol: str = BTC, act: str = "open_long", **more: Any) -> dict[str, Any]:
    usual = {"conviction": 4, "horizon_h": 12, "invalidation": 96.0, "target": None, "refs": ["rsi"], "why": "rsi 55.4"}
    return {"symbol": symbol, "act": act, **usual, **more}


def decide(*items: Any, of: Composed | None = None) -> dict[str, Judged]:
    text = json.dumps({"decisions": list(items), "note": ""})
    return {each.symbol: each for each in judge(read(text), of or composed(), min_conviction=2)}


def test_a_good_decision_passes_as_it_is() -> None:
    got = decide(item(target=104.0))[BTC]
    assert (got.act, got.conviction, got.horizon_s, got.invalidation) == ("open_long", 4, 12 * 3600, 96.0)
    assert (got.reasons, got.verdict) == (("rsi 55.4", "target 104", "relies on rsi"), "")


def test_what_is_not_spoken_of_is_held() -> None:
    got = decide(item())
    assert [(each.symbol, each.act, each.verdict) for each in got.values()] == [
        (BTC, "open_long", ""), (ETH, "hold", "missing"), (SPOT, "hold", "missing"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "verdict"),
    [
        (item(act="OPEN_LONG"), "bad"),
        (item(act="open_long", size=1.0), "bad"),
        (item(conviction=6), "bad"),
        (item(conviction="4"), "bad"),
        (item(horizon_h=5), "bad"),
        (item(invalidation=-96.0), "bad"),
        (item(invalidation=0), "bad"),
        (item(refs=["x"] * 17), "bad"),
        ({"symbol": BTC, "act": "open_long"}, "bad"),
        (item(conviction=1), "doubt"),
        (item(invalidation=None), "invalidation"),
        (item(invalidation=104.0), "invalidation"),  # on the winning side
        (item(invalidation=100.0), "invalidation"),
        (item(invalidation=99.9), "invalidation"),  # within the noise
        (item(invalidation=80.0), "invalidation"),  # ten average true ranges away
        (item(act="open_short", invalidation=96.0), "invalidation"),
        (item(target=99.0), "invalidation"),
        (item(act="close"), "moot"),
        (item(act="reduce"), "moot"),
        (item(why="rsi 83 is overbought"), "mismatch"),
        (item(why="support at 97,250.5 held"), "mismatch"),
        (item(why="rsi,83"), "mismatch"),
        (item(why="range 97-83"), "mismatch"),
        (item(why="p_up=.83"), "mismatch"),
        (item(why="9" * 400), "mismatch"),
        ("open_long", "bad"),
        (None, "bad"),
        ([], "bad"),
    ],
)
def test_what_is_wrong_with_an_item_makes_it_a_hold(wrong: Any, verdict: str) -> None:
    got = decide(wrong, item(ETH, "close", why="done"))
    assert (got[BTC].act, got[BTC].verdict) == ("hold", verdict)
    assert got[ETH].act == "close", "and costs the others nothing"


@pytest.mark.parametrize(
    "why",
    [
        "rsi 55.4 and price 100", "rsi at 55", "q05 of 91.2, p_up 0.61", "volume_z -1.25", "2 signals agree",
        "wrong at 96", "within 12h", "costs 12 bp", "about 55.3", "price $100.00", "",
    ],
)  # fmt: skip
def test_a_number_that_was_shown_may_be_quoted(why: str) -> None:
    assert decide(item(why=why))[BTC].act == "open_long"


def test_a_number_of_another_instrument_is_not_its_own() -> None:
    other = Shown(ETH, 43.7, 1.0, Decimal(0), True, "## ETH\nprice 43.7")
    of = composed(shown(BTC), other)
    assert decide(item(why="price 43.7"), of=of)[BTC].verdict == "mismatch"


def test_an_unknown_symbol_is_dropped_and_a_double_one_is_no_decision() -> None:
    got = decide(item("ABCD"), item(), item(act="open_short", invalidation=104.0))
    assert set(got) == {BTC, ETH, SPOT}
    assert (got[BTC].act, got[BTC].verdict) == ("hold", "bad")


def test_spot_is_not_sold_short_and_a_turn_is_an_exit_first() -> None:
    of = composed(shown(SPOT, may_short=False), shown(ETH, held="3"), shown(BTC, held="-2"))
    turn = item(ETH, "open_short", invalidation=104.0)
    got = decide(item(SPOT, "open_short", invalidation=104.0), turn, item(BTC, "open_short"), of=of)
    assert [(each.act, each.verdict) for each in got.values()] == [("hold", "moot"), ("close", ""), ("hold", "moot")]


GOOD = json.dumps({"decisions": [item()], "note": ""})


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "null", "[]", "{}", "I would hold.", f"```json\n{GOOD}\n```", f"Here it is: {GOOD}",
        f"{GOOD} Good luck!",
        GOOD.replace("96.0", "NaN"), GOOD.replace("96.0", "Infinity"), GOOD[:-5], '{"decisions": {}}', "x" * 10_000_000,
        '{"decisions": [' * 100_000, '{"decisions": [], "orders": [{"buy": 1}]}', "\ud800",
    ],
    ids=str,
)  # fmt: skip
def test_no_decision_is_fished_out_of_what_is_not_an_answer(text: str) -> None:
    with pytest.raises(Unreadable):
        read(text[:200_000])


def test_the_form_is_flat_and_every_field_of_it_is_required() -> None:
    shape: Shape = shape_for((BTC, ETH))
    fields = shape.schema["properties"]["decisions"]["items"]
    assert fields["required"] == list(fields["properties"])
    assert fields["additionalProperties"] is False
    assert fields["properties"]["symbol"]["enum"] == [BTC, ETH]
    text = json.dumps(shape.schema)
    assert not any(word in text for word in ("minimum", "maximum", "pattern", "maxLength", "$ref"))


# ---- ten thousand answers ----------------------------------------------------------------------

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
odd = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner))
near = st.fixed_dictionaries(
    {},
    optional={
        "symbol": st.sampled_from([BTC, ETH, SPOT, "ABCD"]) | odd,
        "act": st.sampled_from([*ACTS, "buy", "OPEN_LONG"]) | odd,
        "conviction": st.integers(-1, 7) | odd,
        "horizon_h": st.sampled_from([*HORIZONS, 5]) | odd,
        "invalidation": st.floats(0, 200) | st.none() | odd,
        "target": st.floats(0, 200) | st.none() | odd,
        "refs": st.lists(st.text(max_size=70), max_size=20) | odd,
        "why": st.text(max_size=300) | st.sampled_from(["rsi 55.4", "price 100 and 7.77", "1e999", "9" * 400]) | odd,
        "size": odd,
    },
)
good = st.builds(
    item,
    st.sampled_from([BTC, ETH, SPOT]),
    st.sampled_from(ACTS),
    conviction=st.integers(1, 5),
    invalidation=st.floats(80, 120) | st.none(),
    why=st.sampled_from(["rsi 55.4", "", "rsi 83"]),
)
whole = st.fixed_dictionaries({"decisions": st.lists(near | good | odd, max_size=5), "note": st.text(max_size=20)})
texts = whole.map(json.dumps) | odd.map(json.dumps) | st.text() | st.binary().map(lambda b: b.decode("latin-1"))
SPLINTERS = ("", '"', "}", "]", ",", "NaN", "1e999", "null", "-")


def mangled(text: str, at: int) -> list[str]:
    """The text, and nine that a bad line, or a bad model, could have made of it."""
    at %= len(text) + 1
    return [text, *(text[:at] + splinter + text[at + len(splinter) :] for splinter in SPLINTERS[1:]), text[:at]]


@settings(max_examples=1_000, deadline=None)
@given(texts, st.integers(0, 10_000))
def test_whatever_is_answered_nothing_raises_and_nothing_is_decided_outside_the_form(text: str, at: int) -> None:
    """Ten thousand answers in all."""
    for answer in mangled(text, at):
        safe(answer)


def safe(text: str) -> None:
    of = composed()
    try:
        items = read(text)
    except Unreadable:
        return
    judged = judge(items, of, min_conviction=2)
    assert [each.symbol for each in judged] == [BTC, ETH, SPOT], "exactly one each"
    for each in judged:
        assert each.act in ACTS
        assert 1 <= each.conviction <= 5
        assert all(reason.isprintable() for reason in each.reasons)
        about = of.shown[each.symbol]
        if each.act.startswith("open"):
            long = each.act == "open_long"
            assert each.verdict == ""
            assert not about.held
            assert long or about.may_short
            assert each.conviction >= 2
            assert each.horizon_s // 3600 in HORIZONS
            assert each.invalidation is not None
            assert math.isfinite(each.invalidation)
            assert (each.invalidation < about.price) == long
            assert 0.6 <= abs(about.price - each.invalidation) <= 16
        else:
            assert each.invalidation is None
            assert each.act == "hold" or about.held
