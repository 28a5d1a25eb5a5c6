"""A table of wires that cannot work is refused before anything starts."""

from typing import ClassVar

import pytest

from kokex.kernel.actor import Actor, Unwired
from kokex.kernel.inline import Inline
from kokex.kernel.supervision import Group
from kokex.kernel.system import System, inlet
from kokex.kernel.wires import ANYONE, Wire, WiringError, ask, block, conflate, drop_oldest, fail, record, wire
from kokex.messages import Message
from tests.kernel.graphs import Ping, Pong, child, system_of


class Both(Actor):
    emits: ClassVar[tuple[type[Message], ...]] = (Ping,)

    def on_ping(self, _: Ping) -> None: ...


class Deaf(Actor):
    pass


class Asker(Actor):
    asks: ClassVar[tuple[type[Message], ...]] = (Ping,)


SOUND = [wire("a", Ping, "b", block(1)), wire("b", Ping, "c", block(1)), wire("c", Ping, "c", fail(1))]


def refusal(wires: list[Wire]) -> list[str]:
    with pytest.raises(WiringError) as caught:
        system_of([child(name, Both) for name in "abc"] + [child("deaf", Deaf)], wires)
    return str(caught.value).splitlines()


def test_a_sound_table_is_accepted() -> None:
    system_of([child(name, Both) for name in "abc"], SOUND)


def test_each_message_sent_has_a_wire() -> None:
    assert refusal(SOUND[:2]) == ["c sends Ping but no wire carries it"]


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (wire("a", Pong, "b", block(1)), "a -Pong-> b: a never sends it"),
        (wire("deaf", Ping, "b", block(1)), "deaf -Ping-> b: deaf never sends it"),
        (wire("a", Ping, "b", ask()), "a -Ping-> b: a never sends it"),
        (wire("a", Ping, "deaf", block(1)), "a -Ping-> deaf: deaf has no on_ping()"),
        (wire("a", Ping, "x", block(1)), "a -Ping-> x: there is no actor 'x'"),
        (wire("x", Ping, "b", block(1)), "x -Ping-> b: there is no actor 'x'"),
        (wire("a", Ping, "b", fail(1)), "a -Ping-> b: declared twice"),
        (wire(ANYONE, Ping, "b", fail(1)), "anyone -Ping-> b: declared twice for a"),
        (record(ANYONE, Pong), "anyone -Pong-> tap: anyone never sends it"),
        (wire("a", Ping, "c", block(0)), "a -Ping-> c: block(0) has no room for a message"),
        (wire("a", Ping, "c", drop_oldest(-1)), "a -Ping-> c: drop_oldest(-1) has no room for a message"),
        (wire("a", Ping, "c", conflate("colour")), "a -Ping-> c: Ping has no 'colour'"),
        (wire("a", Ping, "c", fail(1), by="account"), "a -Ping-> c: Ping has no 'account'"),
    ],
)
def test_a_wire_that_cannot_work_is_refused(bad: Wire, fault: str) -> None:
    assert fault in refusal([*SOUND, bad])


def test_a_cycle_of_blocking_wires_is_refused() -> None:
    faults = refusal([*SOUND, wire("b", Ping, "a", block(1))])
    assert faults == ["blocking wires form a cycle (deadlock): a -> b -> a"]


def test_a_cycle_through_a_wire_from_anyone_is_refused() -> None:
    faults = refusal([wire(ANYONE, Ping, "a", block(1)), wire("a", Ping, "b", block(1))])
    assert "blocking wires form a cycle (deadlock): a -> a" in faults


def test_one_wire_that_does_not_block_breaks_the_cycle() -> None:
    system_of([child(name, Both) for name in "abc"], [*SOUND, wire("b", Ping, "a", fail(1))])


def test_a_question_needs_a_wire_of_its_own() -> None:
    with pytest.raises(WiringError, match="asker sends Ping but no wire carries it"):
        system_of([child("asker", Asker), child("b", Both)], [wire("b", Ping, "b", fail(1))])


def test_all_faults_are_told_at_once() -> None:
    assert len(refusal([wire("a", Pong, "x", block(0))])) == 6


def test_two_actors_of_one_name_are_refused() -> None:
    with pytest.raises(WiringError, match="two actors are called 'a'"):
        system_of([child("a", Deaf), Group("inner", (child("a", Deaf),))])


def test_emitting_what_was_not_declared_ends_in_a_clear_error() -> None:
    class Liar(Actor):
        def on_ping(self, _: Ping) -> None:
            self.emit(Pong())

    system: System = system_of([child("liar", Liar)], [inlet(Ping, "liar")])
    driver = Inline(system)
    driver.start()
    system.post("liar", Ping())
    with pytest.raises(Unwired, match="liar has no wire for Pong"):
        driver.run()
