"""The table in docs/okx-trading.md and the function are one."""

import re
from pathlib import Path
from typing import get_args

import pytest

from kokex.adapters.okx.answers import Throttled, Unsent, failure
from kokex.adapters.okx.outcomes import DUPLICATE, MISSING, OVER, THROUGH, State, next_step, worded
from kokex.ports import Ambiguous, Rejected

PAGE = Path(__file__).parents[3] / "docs" / "okx-trading.md"
STATES: tuple[State, ...] = get_args(State)
EXAMPLES: list[tuple[str, list[Rejected | Ambiguous | None]]] = [
    ("accepted", [None]),
    ("never left", [Unsent("no connection")]),
    ("too much", [Throttled("50011", ""), failure(429, "50061", "")]),
    (
        "time-out",
        [Ambiguous("timeout"), failure(503, "50001", ""), failure(200, "51054", ""), failure(400, "50004", "")],
    ),
    ("client id known", [Rejected(code, "") for code in DUPLICATE]),
    ("filled, cancelled", [Rejected(code, "") for code in OVER]),
    ("does not exist", [Rejected(code, "") for code in MISSING]),
    ("anything else", [Rejected("51008", ""), Rejected("50113", ""), *(Rejected(code, "") for code in THROUGH)]),
]


def rows() -> list[list[str]]:
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index("| OKX's answer |") :].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


@pytest.mark.parametrize(
    ("row", "example"), list(zip(rows(), EXAMPLES, strict=True)), ids=[name for name, _ in EXAMPLES]
)
def test_the_page_says_what_is_done(row: list[str], example: tuple[str, list[Rejected | Ambiguous | None]]) -> None:
    name, answers = example
    assert row[0].startswith(name)
    for answer in answers:
        assert [next_step(state, answer) for state in STATES] == row[1:]


def test_the_page_names_every_code() -> None:
    named = set(re.findall(r"\b5\d{4}\b", " ".join(row[0] for row in rows())))
    assert named >= DUPLICATE | OVER | MISSING


def test_a_stop_whose_trigger_is_through_is_told_apart() -> None:
    assert {worded(Rejected(code, "x")).code for code in THROUGH} == {"trigger_through"}
    assert worded(Rejected("51008", "x")).code == "51008"
