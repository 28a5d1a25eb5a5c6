"""A conversation as a model is told it again: whole exchanges only, the newest that fit.

An exchange is a question, whatever tools brought, and the answer. One that was broken off (a crash, no provider) is
left out: a model must not be shown a call without its result. What became of proposals (a note) goes before the next
question.
"""

from collections.abc import Sequence

from kokex.brain.models import tokens
from kokex.messages import Remark, Turn

LONGEST_QUESTION = 4_000  # characters


def told_again(remarks: Sequence[Remark], most_tokens: int) -> tuple[tuple[Turn, ...], list[str]]:
    """The turns to begin a prompt with, and the notes that go before the next question."""
    exchanges: list[list[Turn]] = []
    open_one: list[Turn] = []
    notes: list[str] = []
    heard = 0  # of these, those that the open exchange begins with
    for each in remarks:
        turn = each.turn
        if each.note:
            notes.append(turn.text)
        elif turn.role == "user":
            open_one, heard = [Turn(role="user", text=with_notes(notes, turn.text))], len(notes)
        elif open_one:
            open_one.append(turn)
            if turn.role == "assistant" and not turn.calls and turn.text.strip():
                exchanges.append(open_one)
                open_one, notes = [], notes[heard:]
    kept: list[Turn] = []
    room = most_tokens
    for exchange in reversed(exchanges):
        room -= sum(_size(turn) for turn in exchange)
        if room < 0:
            break
        kept = [*exchange, *kept]
    return tuple(kept), notes


def with_notes(notes: Sequence[str], question: str) -> str:
    """The question, and before it what has happened since the last one."""
    return "\n".join([f"[{note}]" for note in notes] + [question])


def _size(turn: Turn) -> int:
    calls = sum(tokens(call.arguments) + 20 for call in turn.calls)
    return tokens(turn.text) + calls + (tokens(str(turn.echo)) if turn.echo else 0) + 10
