"""A question is always answered, well or badly."""

from collections.abc import Callable
from typing import Any, ClassVar

from kokex.kernel.actor import DEFERRED, Actor
from kokex.kernel.cell import Failure
from kokex.kernel.system import System, inlet
from kokex.kernel.wires import ask, wire
from kokex.messages import Message
from tests.kernel.graphs import Boom, ByHand, Log, Ping, Pong, child, system_of


class Asker(Actor):
    asks: ClassVar[tuple[type[Message], ...]] = (Ping,)

    def __init__(self, log: Log) -> None:
        self.log = log

    def on_pong(self, pong: Pong) -> None:
        self.ask(pong.key or "oracle", Ping(n=pong.n), then=self.log.append, timeout_s=5)

    def on_boom(self, _: Boom) -> None:
        raise ValueError("boom")


class Oracle(Actor):
    """Answers with what `answer` makes of a question; Pong(n) replies to the deferred one of that n."""

    def __init__(self, answer: Callable[[Ping], Any]) -> None:
        self.answer = answer
        self.deferred: dict[int, int] = {}

    def on_ping(self, ping: Ping) -> Any:
        self.deferred[ping.n] = ping.id
        return self.answer(ping)

    def on_pong(self, pong: Pong) -> None:
        self.reply(self.deferred[pong.n], f"at last {pong.n}")

    def on_boom(self, _: Boom) -> None:
        raise ValueError("boom")


def graph(answer: Callable[[Ping], Any], **how: Any) -> tuple[ByHand, Log]:
    log: Log = []
    wires = [inlet(Pong, "asker"), inlet(Boom, "asker"), inlet(Pong, "oracle"), inlet(Boom, "oracle")]
    system: System = system_of(
        [child("oracle", lambda: Oracle(answer), **how), child("asker", lambda: Asker(log))],
        [*wires, wire("asker", Ping, "oracle", ask())],
    )
    return ByHand(system), log


def crash(_: Ping) -> Any:
    raise ValueError("I know nothing")


def test_the_return_value_of_the_handler_is_the_answer() -> None:
    hand, log = graph(lambda ping: ping.n * 2)
    hand.tell("asker", Pong(n=21))
    assert log == [42]


def test_a_crash_in_the_handler_answers_at_once() -> None:
    hand, log = graph(crash)
    hand.tell("asker", Pong(n=1))
    assert log == [Failure("Crash", "oracle went down before it answered")]


def test_a_deferred_answer_comes_with_its_reply() -> None:
    hand, log = graph(lambda _: DEFERRED)
    hand.tell("asker", Pong(n=1))
    hand.tell("asker", Pong(n=2))
    assert log == []
    hand.tell("oracle", Pong(n=2))
    hand.tell("oracle", Pong(n=1))
    assert log == ["at last 2", "at last 1"]


def test_a_deferred_question_dies_with_who_was_to_answer_it() -> None:
    hand, log = graph(lambda _: DEFERRED)
    hand.tell("asker", Pong(n=1))
    hand.tell("oracle", Boom())
    assert log == [Failure("Crash", "oracle went down before it answered")]


def test_a_question_that_still_waited_is_answered_after_the_restart() -> None:
    hand, log = graph(lambda ping: ping.n)
    hand.tell("oracle", Boom())
    hand.tell("asker", Pong(n=1))
    assert log == []
    hand.advance(1)
    assert log == [1]


def test_nobody_there_is_an_answer_too() -> None:
    hand, log = graph(lambda ping: ping.n, restart="temporary")
    hand.tell("asker", Pong(key="delphi"))
    assert log == [Failure("Absent", "there is no delphi")]
    hand.tell("oracle", Boom())
    hand.tell("asker", Pong(n=1))
    assert log[1:] == [Failure("Absent", "there is no oracle")]


def test_a_question_in_the_mail_of_an_actor_that_stops_for_good_is_answered() -> None:
    hand, log = graph(lambda ping: ping.n, restart="temporary")
    hand.system.post("oracle", Boom())
    hand.system.post("asker", Pong(n=1))
    hand.advance(0)
    assert [failure.kind for failure in log] == ["Absent"]


def test_silence_is_a_timeout_and_a_late_answer_is_ignored() -> None:
    hand, log = graph(lambda _: DEFERRED)
    hand.tell("asker", Pong(n=1))
    hand.advance(4.999)
    assert log == []
    hand.advance(0.001)
    assert log == [Failure("Timeout", "oracle did not answer in time")]
    hand.tell("oracle", Pong(n=1))
    assert len(log) == 1


def test_an_answer_does_not_reach_the_next_instance_of_the_asker() -> None:
    hand, log = graph(lambda _: DEFERRED)
    hand.tell("asker", Pong(n=1))
    hand.tell("asker", Boom())
    hand.advance(1)
    hand.tell("oracle", Pong(n=1))
    hand.advance(10)
    assert log == []


def test_the_answer_carries_on_the_cause_of_the_question() -> None:
    causes: list[int] = []

    class Curious(Asker):
        def on_pong(self, pong: Pong) -> None:
            causes.append(pong.id)
            self.ask("oracle", Ping(), then=lambda _: causes.append(self.cause))

    system = system_of(
        [child("oracle", lambda: Oracle(lambda _: 1)), child("asker", lambda: Curious([]))],
        [inlet(Pong, "asker"), wire("asker", Ping, "oracle", ask())],
    )
    ByHand(system).tell("asker", Pong())
    assert causes[0] == causes[1] > 0
