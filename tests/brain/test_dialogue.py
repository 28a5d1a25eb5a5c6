"""What a model is told again of a conversation."""

from kokex.brain.dialogue import told_again
from kokex.brain.tools import LONGEST_RESULT, result
from kokex.messages import Remark, ToolCall, Turn

CALL = ToolCall("c1", "get_positions", "{}")


def remark(role: str, text: str = "", *, note: bool = False, **more: object) -> Remark:
    turn = Turn(role=role, text=text, **more)  # type: ignore[arg-type]
    return Remark(conversation=1, by="local", turn=turn, note=note)


def exchange(question: str, answer: str) -> list[Remark]:
    return [remark("user", question), remark("assistant", answer)]


def texts(remarks: list[Remark], most_tokens: int = 1000) -> list[str]:
    return [turn.text for turn in told_again(remarks, most_tokens)[0]]


def test_the_newest_whole_exchanges_that_fit_are_told_again() -> None:
    said = [*exchange("one?", "1" * 90), *exchange("two?", "2" * 90), *exchange("three?", "3")]
    assert texts(said) == ["one?", "1" * 90, "two?", "2" * 90, "three?", "3"]
    assert texts(said, 80) == ["two?", "2" * 90, "three?", "3"]
    assert texts(said, 40) == ["three?", "3"], "not the oldest, though it would fit"
    assert texts(said, 1) == []


def test_what_was_broken_off_or_left_without_a_word_is_not() -> None:
    cut = [remark("user", "lost?"), remark("assistant", calls=(CALL,))]
    mute = [remark("user", "hello?"), remark("assistant", " ")]
    tool = [remark("user", "mine?"), remark("assistant", calls=(CALL,)), remark("tool", "none", answers="c1")]
    assert texts([*cut, *mute, *tool, remark("assistant", "Nothing."), *cut]) == ["mine?", "", "none", "Nothing."]


def test_what_became_of_a_proposal_stands_before_the_next_question_that_is_answered() -> None:
    said = [*exchange("buy", "Shall I?"), remark("user", "confirmed", note=True), remark("user", "lost?")]
    turns, notes = told_again(said, 1000)
    assert ([turn.text for turn in turns], notes) == (["buy", "Shall I?"], ["confirmed"])
    turns, notes = told_again([*said, *exchange("and?", "Done."), remark("user", "declined", note=True)], 1000)
    assert [turn.text for turn in turns][2:] == ["[confirmed]\nand?", "Done."]
    assert notes == ["declined"]


def test_a_result_has_an_end_and_its_times_can_be_read() -> None:
    body = {"close_ns": 1_700_000_000_000_000_000, "span_ns": 60_000_000_000, "at": 5, "price": 0.1 + 0.2}
    assert result(body) == '{"close":"2023-11-14T22:13:20Z","span_ns":60000000000,"at":5,"price":0.3}'
    assert len(result({"steps": ["x" * 100] * 1000})) < LONGEST_RESULT + 20
