"""Questions between actors: `ask` and its answer, which always comes, good or bad."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

from msgspec import Struct
from msgspec.structs import force_setattr

from kokex.kernel.actor import DEFERRED
from kokex.kernel.cell import Cell, Failure, Timer
from kokex.kernel.mailbox import Lane
from kokex.messages import Message

if TYPE_CHECKING:
    from kokex.kernel.system import System


class Question(Struct):
    asker: Cell
    generation: int
    target: Cell
    then: Callable[[Any], object]
    due_ns: int
    cause: int
    timer: Timer | None = None  # where it may have to wait
    delivered: bool = False


@final
class Questions:
    """The open questions of a system."""

    def __init__(self, system: "System") -> None:
        self._system = system
        self._open: dict[int, Question] = {}
        self.lanes: dict[tuple[str, type[Message], str], Lane] = {}  # (asker, message, target)

    def ask(self, asker: Cell, target: str, message: Message, then: Callable[[Any], object], timeout_s: float) -> None:
        system = self._system
        system.emitted += 1
        force_setattr(message, "id", system.emitted)
        force_setattr(message, "cause", system.cause)
        force_setattr(message, "at", system.now)
        lane = self.lanes.get((asker.name, type(message), target))
        if lane is None or lane.cell.state == "stopped":
            system.enqueue(asker, system.cause, then, (Failure("Absent", f"there is no {target}"),))
            return
        due_ns = system.now + round(timeout_s * 1e9)
        question = Question(asker, asker.generation, lane.cell, then, due_ns, system.cause)
        self._open[message.id] = question
        lane.put(system.queue, message)
        if not lane.cell.open:
            self._limit(message.id, question)

    def answering(self, handler: Callable[[Any], Any]) -> Callable[[Any], None]:
        """Makes of a handler one whose return value goes back to the asker."""

        def answer(message: Message) -> None:
            question = self._open.get(message.id)
            if question:
                question.delivered = True
            result = handler(message)
            if result is not DEFERRED:
                self.reply(message.id, result)
            elif question:
                self._limit(message.id, question)

        return answer

    def reply(self, number: int, answer: Any) -> None:
        question = self._open.pop(number, None)
        if question is None:
            return  # it timed out, or its asker was restarted
        if question.timer:
            question.timer.cancel()
        if question.generation == question.asker.generation:
            self._system.enqueue(question.asker, question.cause, question.then, (answer,))

    def fail(self, number: int, failure: Failure) -> None:
        if number in self._open:
            self.reply(number, failure)

    def asks(self, cell: Cell) -> bool:
        """It waits for an answer."""
        return any(question.asker is cell for question in self._open.values())

    def gone(self, cell: Cell) -> None:
        """The instance of `cell` is gone: what it was asked fails at once, what it asked is forgotten."""
        self.kept_waiting(cell)
        for number, question in list(self._open.items()):
            if question.target is cell and question.delivered:
                self.reply(number, Failure("Crash", f"{cell.name} went down before it answered"))
            elif question.asker is cell:
                del self._open[number]
                if question.timer:
                    question.timer.cancel()

    def kept_waiting(self, cell: Cell) -> None:
        """It takes no messages for a while: time runs for what it was asked and has not heard yet."""
        for number, question in self._open.items():
            if question.target is cell and not question.delivered:
                self._limit(number, question)

    def _limit(self, number: int, question: Question) -> None:
        """From now on its time runs. Not from the start, because an actor at work answers when its turn comes."""
        if question.timer is None and question.generation == question.asker.generation:
            system = self._system
            cause, system.cause = system.cause, question.cause
            question.timer = system.set_timer(question.asker, question.due_ns, self._timed_out, (number,))
            system.cause = cause

    def _timed_out(self, number: int) -> None:
        if question := self._open.pop(number, None):
            question.then(Failure("Timeout", f"{question.target.name} did not answer in time"))
