"""Memory: what a decision came to, which episodes are alike, and what many of them teach."""

import random
from decimal import Decimal
from typing import Any

import pytest

from kokex.brain.memory import Costs, direction, outcome_bp, recall, reflect, situation, told, words
from kokex.messages import Act, Episode, Signal, Situation
from tests.actors.desk import BTC, ETH, HOUR, SECOND, START, readings


def episode(number: int, outcome: float | None = 10.0, **more: Any) -> Episode:
    """One an hour, each of an hour: none overlaps another."""
    at_ns = START + number * HOUR
    what: dict[str, Any] = {
        "at_ns": at_ns, "plan": "main", "account": "main", "instrument": BTC, "act": "open_long", "direction": 1,
        "conviction": 3, "horizon_s": 3600, "price": 100.0, "invalidation": None, "by": "llm", "features": {},
        "matures_ns": at_ns + HOUR, "settled": True, "outcome_bp": outcome,
    }  # fmt: skip
    return Episode(id=number, **{**what, **more})


LATER = START + 1_000_000 * HOUR


@pytest.mark.parametrize(
    ("act", "held", "towards"),
    [
        ("open_long", 0, 1), ("open_short", 0, -1), ("hold", 5, 0), ("close", 5, -1), ("close", -5, 1),
        ("reduce", 5, -1), ("close", 0, 0),
    ],
)  # fmt: skip
def test_an_act_moves_what_is_held(act: Act, held: int, towards: int) -> None:
    assert direction(act, Decimal(held)) == towards


def test_an_outcome_is_held_against_doing_nothing_and_costs_are_taken_off() -> None:
    costs = Costs(fee_bp=5, slippage_bp=1)
    assert outcome_bp(1, 100, 101, costs.of("open_long", filled=False)) == pytest.approx(100 - 12)
    assert outcome_bp(1, 100, 101, costs.of("open_long", filled=True)) == pytest.approx(100 - 11)
    assert outcome_bp(-1, 100, 101, costs.of("close", filled=True)) == pytest.approx(-100 - 5)


def test_a_situation_does_not_depend_on_the_level_of_the_price() -> None:
    low = readings({"trend": Signal(1, 0.5)}, price=100, values={"rsi": 60, "atr": 2})
    high = readings({"trend": Signal(1, 0.5)}, price=10_000, values={"rsi": 60, "atr": 200})
    assert situation(low, None) == situation(high, None)
    assert words(situation(low, None)) == ["btc_usdt_swap", "trend_up"]


def test_what_is_like_now_is_recalled_and_winners_and_losers_are_as_many() -> None:
    chance = random.Random(1)
    past = [
        episode(number, outcome=-5.0 if number % 4 else 9.0, features={"rsi": chance.uniform(0, 100), "adx": 20.0})
        for number in range(100)
    ]
    now = Situation(instrument=BTC, features={"rsi": 50.0})
    found = recall([now], past, [[]])
    assert [each.outcome_bp for each in found] == [9.0, 9.0, -5.0, -5.0]
    for kind in (9.0, -5.0):
        near = sorted((each for each in past if each.outcome_bp == kind), key=lambda e: abs(e.features["rsi"] - 50))
        assert {each.id for each in found if each.outcome_bp == kind} == {each.id for each in near[:2]}


def test_words_found_bring_an_episode_forward_and_nothing_is_recalled_of_nothing() -> None:
    past = [episode(number, features={"rsi": 50.0 + number}) for number in range(10)]
    now = Situation(instrument=BTC, features={"rsi": 52.0})
    assert [each.id for each in recall([now], past, [[]])] == [2]
    assert [each.id for each in recall([now], past, [[3]])] == [3]
    assert recall([now], [], [[]]) == []
    assert recall([Situation(instrument=BTC, features={"other": 1.0})], past, [[]]) == []


def test_an_episode_is_told_in_numbers() -> None:
    of = episode(1, -12.345, features={"rsi": 71.23, "signal trend": -0.5})
    assert told(of) == (
        "once: open_long BTC-USDT-SWAP at conviction 3 (rsi 71.2, trend down) lost 12.3 bp net of costs over 1 h"
    )


def test_twenty_episodes_that_agree_teach_and_nineteen_do_not() -> None:
    lost = [episode(number, -10.0 - number % 3) for number in range(20)]
    (lesson, *narrower) = reflect(lost, LATER)
    assert not narrower, "on the same episodes a narrower condition says nothing more"
    assert lesson.text == "open_long: lost 10.9 bp net of costs on average (20 times, 0 won)"
    assert (lesson.episodes, lesson.won, lesson.written_ns) == (20, 0, LATER)
    assert lesson.expires_ns > LATER
    assert reflect(lost[1:], LATER) == []


def test_chance_teaches_nothing() -> None:
    chance = random.Random(3)
    assert reflect([episode(number, chance.gauss(0, 20)) for number in range(500)], LATER) == []


def test_what_overlaps_is_one_experience() -> None:
    crowd = [episode(number, -10.0, at_ns=START + number * SECOND, matures_ns=START + HOUR) for number in range(100)]
    assert reflect(crowd, LATER) == []


def test_only_what_has_matured_teaches() -> None:
    lost = [episode(number, -10.0 - number % 3) for number in range(20)]
    assert reflect(lost, lost[-1].matures_ns)
    assert reflect(lost, lost[-1].matures_ns - 1) == []


def test_a_condition_that_matters_is_found() -> None:
    up = [episode(n, 10.0 + n % 3, features={"signal trend": 1.0}) for n in range(0, 60, 2)]
    down = [episode(n, -10.0 - n % 5, features={"signal trend": -1.0}, instrument=ETH) for n in range(1, 60, 2)]
    texts = [lesson.text for lesson in reflect([*up, *down], LATER)]
    assert any(text.startswith("open_long BTC-USDT-SWAP: won") for text in texts)
    assert any(text.startswith("open_long ETH-USDT-SWAP: lost") for text in texts)
    assert not any(text.startswith("open_long:") for text in texts)
