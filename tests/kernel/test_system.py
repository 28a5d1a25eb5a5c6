"""Ids and causes, keyed wires, what the recorder sees, how a system drains and what its status says."""

from typing import Any, ClassVar

import pytest

from kokex.kernel.actor import Actor
from kokex.kernel.supervision import Group
from kokex.kernel.system import Hooks, System, inlet
from kokex.kernel.wires import KERNEL, Wire, block, drop_oldest, fail, wire
from kokex.messages import Lifecycle, Message
from tests.kernel.graphs import Boom, ByHand, Log, Ping, Pong, Reader, Sender, child, pair, system_of


def keyed(log: Log, policy: Any, *wires: Wire) -> ByHand:
    readers = Group("readers", (child("reader", lambda: Reader(log)),), keys=("main", "shadow"))
    wires = (wire("sender", Ping, "reader", policy, by="key"), inlet(Boom, "reader"), *wires)
    return ByHand(system_of([child("sender", Sender), readers, child("ear", lambda: Ear(log))], [INLET, *wires]))


INLET = inlet(Pong, "sender")


class Ear(Actor):
    def __init__(self, log: Log) -> None:
        self.log = log

    def on_lifecycle(self, note: Lifecycle) -> None:
        if note.event == "dead_letter":
            self.log.append((note.actor, note.error))


def test_a_keyed_wire_delivers_only_to_the_key_the_message_carries() -> None:
    log: Log = []
    hand = keyed(log, block(8))
    hand.system.cells["reader[shadow]"].set_state("starting")
    hand.tell("sender", Pong(n=2, key="main"))
    hand.tell("sender", Pong(n=1, key="shadow"))
    assert log == [1, 2]
    assert hand.system.cells["reader[shadow]"].waiting == 1


def test_a_key_that_nobody_has_is_a_dead_letter_and_the_kernel_tells() -> None:
    log: Log = []
    hand = keyed(log, block(8), wire(KERNEL, Lifecycle, "ear", drop_oldest(64)))
    hand.tell("sender", Pong(n=1, key="nobody"))
    assert log == [("sender", "Ping for reader[nobody]: no such key")]
    assert [actor for actor, _ in hand.dead()] == ["reader[nobody]"]


def test_one_key_crashes_alone() -> None:
    log: Log = []
    hand = keyed(log, block(8))
    hand.tell("reader[main]", Boom())
    assert (hand.state("reader[main]"), hand.state("reader[shadow]")) == ("backoff", "running")
    hand.tell("sender", Pong(n=1, key="shadow"))
    assert log == [1]


def test_a_message_for_an_actor_that_outside_may_not_speak_to_is_refused() -> None:
    system, _ = pair(block(1))
    hand = ByHand(system)
    with pytest.raises(KeyError):
        hand.tell("reader", Ping())


# ---- ids, causes, time ------------------------------------------------------------------------


class Chain(Actor):
    """Each Ping leads to another, at once and after a second, until n is spent."""

    emits: ClassVar[tuple[type[Message], ...]] = (Ping,)

    def on_ping(self, ping: Ping) -> None:
        if ping.n:
            self.emit(Ping(n=ping.n - 1))
            self.later(1, self.emit, Ping(n=0))


def test_each_message_has_a_rising_id_and_the_id_of_what_led_to_it() -> None:
    tapped: list[Message] = []
    system = system_of(
        [child("chain", Chain)],
        [inlet(Ping, "chain"), wire("chain", Ping, "chain", fail(8))],
        hooks=Hooks(tap=tapped.append, journaled=frozenset({Ping}), journaled_posts=frozenset({Ping})),
    )
    hand = ByHand(system)
    hand.advance(5)
    hand.tell("chain", Ping(n=2))
    hand.advance(5)
    first = tapped[0].id
    assert [(m.id - first, m.cause and m.cause - first, m.at // 10**9) for m in tapped] == [
        (0, 0, 5), (1, 0, 5), (2, 1, 5), (3, 0, 6), (4, 1, 6)
    ]  # fmt: skip
    assert tapped[0].cause == 0


def test_ids_go_on_from_the_first_id_of_the_session() -> None:
    tapped: list[Message] = []
    log: Log = []
    tree = Group("root", (child("reader", lambda: Reader(log)),))
    hooks = Hooks(tap=tapped.append, journaled_posts=frozenset({Ping}))
    hand = ByHand(System(tree, [inlet(Ping, "reader")], first_id=7 << 40, hooks=hooks))
    hand.tell("reader", Ping())
    assert tapped[0].id >> 40 == 7


def test_only_journaled_messages_are_tapped_each_once() -> None:
    tapped: list[Message] = []
    system, _ = pair(block(8), hooks=Hooks(tap=tapped.append, journaled=frozenset({Ping})))
    ByHand(system).tell("sender", Pong(n=3))
    assert [type(message) for message in tapped] == [Ping] * 3


# ---- the record -------------------------------------------------------------------------------


class Recorded(Actor):
    async def load(self) -> int:
        return 1

    def on_pong(self, _: Pong) -> None:
        self.later(1, self.call_out)

    def call_out(self) -> None:
        self.call(self.load, returns=int, then=self.done, timeout_s=1)

    def done(self, _: Any) -> None: ...


def test_the_record_holds_all_that_came_from_outside_with_the_turn_it_came_before() -> None:
    rows: Log = []
    hooks = Hooks(record=lambda *row: rows.append((row[0], row[1] // 10**9, row[2], row[3], row[5])))
    hand = ByHand(system_of([child("actor", Recorded)], [INLET_ACTOR], hooks=hooks))
    hand.answer("state")
    pong = Pong()
    hand.tell("actor", pong)
    hand.advance(1)
    hand.answer("result")
    hand.stop()
    assert rows == [
        (0, 0, "kernel", "start", None),
        (0, 0, "actor", "loaded", "state"),
        (0, 0, "actor", "post", pong),
        (1, 1, "actor", "timer", None),
        (2, 1, "actor", "answer", "result"),
        (3, 1, "kernel", "drain", None),
        (3, 1, "actor", "stop", None),
    ]


INLET_ACTOR = inlet(Pong, "actor")


def test_restarts_are_on_record_as_timers_of_the_kernel() -> None:
    rows: Log = []
    system, _ = pair(block(8), hooks=Hooks(record=lambda *row: rows.append((row[2], row[3]))))
    hand = ByHand(system)
    hand.tell("reader", Boom())
    hand.advance(1)
    assert rows == [("kernel", "start"), ("reader", "post"), ("kernel", "timer")]


# ---- status and traces ------------------------------------------------------------------------


def test_status_tells_of_each_actor() -> None:
    system, _ = pair(drop_oldest(2))
    hand = ByHand(system)
    hand.advance(5)
    hand.tell("sender", Pong(n=5))
    hand.tell("reader", Boom())
    hand.tell("sender", Pong(n=1))
    sender, reader = system.status()
    assert (sender.name, sender.state, sender.waiting, sender.restarts) == ("sender", "running", 0, 0)
    assert (reader.state, reader.waiting, reader.high_water, reader.drops) == ("backoff", 1, 2, 3)
    assert (reader.restarts, reader.last_error, reader.last_beat_ns) == (1, "ValueError: boom", 5 * 10**9)


def test_before_sees_each_delivery_and_may_make_it_a_crash() -> None:
    def before(cell: Any, item: Any) -> None:
        if cell.name == "reader" and item.n == 2:
            raise OSError("struck")

    system, log = pair(block(8), hooks=Hooks(before=before))
    hand = ByHand(system)
    hand.tell("sender", Pong(n=3))
    hand.advance(1)
    assert log == [1, 3]
    assert system.cells["reader"].error == "OSError: struck"


def test_the_trace_names_actor_message_and_type() -> None:
    lines: Log = []
    system, _ = pair(block(8), hooks=Hooks(trace=lambda *line: lines.append(line)))
    hand = ByHand(system)
    hand.tell("sender", Pong(n=1))
    ids = system.emitted
    assert lines == [("sender", ids - 1, 0, "Pong"), ("reader", ids, 0, "Ping")]


def test_a_seed_may_let_any_mailbox_go_first_but_never_reorders_one() -> None:
    draws = iter([2, 0, 0, 0, 0, 0])
    system, log = pair(block(8), hooks=Hooks(choose=lambda n: min(next(draws), n - 1)))
    hand = ByHand(system)
    system.post("sender", Pong(n=1))
    system.post("sender", Pong(n=1))
    system.post("reader", Boom())
    system.step()
    assert hand.state("reader") == "backoff", "the last of three was drawn first"
    system.drain()
    hand.advance(1)
    assert log == [1, 2]
