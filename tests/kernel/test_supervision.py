"""Who is restarted, with whom, when, and when the tree gives up."""

from collections.abc import Callable
from typing import Any

import pytest

from kokex.kernel.actor import Actor
from kokex.kernel.cell import Failure
from kokex.kernel.supervision import Group, Restart, Strategy
from kokex.kernel.system import Hooks, System, inlet
from kokex.kernel.wires import KERNEL, drop_oldest, fail, wire
from kokex.messages import Lifecycle, Message
from tests.kernel.graphs import SECOND, Boom, ByHand, Log, Ping, Pong, child, system_of


class Worker(Actor):
    """Tells the log of its life. Boom crashes it, Pong finishes it."""

    def __init__(self, name: str, log: Log) -> None:
        self.name = name
        self.log = log

    def start(self, state: Any) -> None:
        self.log.append(f"{self.name} up")

    def drain(self) -> None:
        self.log.append(f"{self.name} drains")

    def stop(self) -> None:
        self.log.append(f"{self.name} down")

    def on_boom(self, _: Boom) -> None:
        raise ValueError("boom")

    def on_pong(self, _: Pong) -> None:
        self.finish()

    def on_ping(self, ping: Ping) -> None:
        self.log.append(f"{self.name} {ping.n}")


MESSAGES: tuple[type[Message], ...] = (Boom, Pong, Ping)


def worker(name: str, log: Log, restart: Restart = "permanent", kind: type[Worker] = Worker) -> Any:
    return child(name, lambda: kind(name, log), kind, restart=restart)


def run(
    *children: Any, strategy: Strategy = "one_for_one", intensity: int = 5, hooks: Hooks | None = None
) -> tuple[ByHand, System]:
    names = [cell.name for each in children for cell in (each.children if isinstance(each, Group) else (each,))]
    wires = [inlet(message, name) for name in names for message in MESSAGES]
    system = system_of(children, wires, strategy=strategy, intensity=intensity, hooks=hooks)
    return ByHand(system), system


def abc(log: Log, strategy: Strategy, **restart: Restart) -> tuple[ByHand, System]:
    hand, system = run(*(worker(name, log, restart.get(name, "permanent")) for name in "abc"), strategy=strategy)
    assert log == ["a up", "b up", "c up"]
    del log[:]
    return hand, system


@pytest.mark.parametrize(
    ("strategy", "life"),
    [
        ("one_for_one", ["b up"]),
        ("rest_for_one", ["c down", "b up", "c up"]),
        ("one_for_all", ["c down", "a down", "a up", "b up", "c up"]),
    ],
)
def test_the_strategy_says_who_goes_down_and_comes_up_with_the_crashed(strategy: Strategy, life: list[str]) -> None:
    log: Log = []
    hand, system = abc(log, strategy)
    hand.tell("b", Boom())
    hand.advance(1)
    assert log == life
    assert system.cells["b"].error == "ValueError: boom"
    assert sum(cell.restarts for cell in system.cells.values()) == sum("up" in line for line in life)


def test_the_tree_stops_in_reverse_after_all_were_told() -> None:
    log: Log = []
    hand, _ = abc(log, "one_for_one")
    hand.stop()
    assert log == ["c drains", "b drains", "a drains", "c down", "b down", "a down"]
    assert {hand.state(name) for name in "abc"} == {"stopped"}


def test_a_temporary_actor_is_never_restarted() -> None:
    log: Log = []
    hand, _ = abc(log, "one_for_one", b="temporary")
    hand.tell("b", Boom())
    hand.advance(60)
    assert (hand.state("b"), log) == ("stopped", [])


def test_a_temporary_actor_goes_down_with_its_siblings_but_does_not_come_up_with_them() -> None:
    log: Log = []
    hand, _ = abc(log, "one_for_all", b="temporary")
    hand.tell("a", Boom())
    hand.advance(1)
    assert log == ["c down", "b down", "a up", "c up"]


def test_a_transient_actor_that_crashed_is_restarted() -> None:
    log: Log = []
    hand, _ = abc(log, "one_for_one", b="transient")
    hand.tell("b", Boom())
    hand.advance(1)
    assert log == ["b up"]


@pytest.mark.parametrize("restart", ["transient", "temporary"])
def test_an_actor_that_has_finished_stays_down(restart: Restart) -> None:
    log: Log = []
    hand, system = abc(log, "one_for_all", b=restart)
    hand.tell("b", Pong())
    hand.tell("b", Ping(n=1))
    hand.advance(60)
    assert (hand.state("b"), log) == ("stopped", ["b down"])
    assert [type(message) for _, message in hand.dead()] == [Ping]
    assert system.cells["b"].error == ""


def test_a_transient_actor_that_had_finished_comes_up_again_with_its_siblings() -> None:
    log: Log = []
    hand, _ = abc(log, "one_for_all", b="transient")
    hand.tell("b", Pong())
    hand.tell("a", Boom())
    hand.advance(1)
    assert log == ["b down", "c down", "a up", "b up", "c up"]


def test_a_permanent_actor_cannot_finish() -> None:
    log: Log = []
    hand, system = abc(log, "one_for_one")
    hand.tell("b", Pong())
    hand.advance(1)
    assert log == ["b up"]
    assert system.cells["b"].error == "finished, but is permanent"


def test_an_actor_may_finish_in_its_own_start_and_the_next_comes_up() -> None:
    class Done(Worker):
        def start(self, state: Any) -> None:
            self.finish()

    log: Log = []
    hand, _ = run(worker("a", log, "transient", Done), worker("b", log))
    assert (hand.state("a"), log) == ("stopped", ["b up"])


def test_the_message_in_hand_goes_to_dead_letters_and_is_not_tried_again() -> None:
    log: Log = []
    hand, system = abc(log, "one_for_one")
    system.post("b", Boom())
    system.post("b", Ping(n=1))
    hand.advance(60)
    assert log == ["b up", "b 1"]
    assert [(letter.actor, letter.reason, type(letter.message)) for letter in system.dead] == [
        ("b", "crash: ValueError('boom')", Boom)
    ]


# ---- loading ----------------------------------------------------------------------------------


class Loads(Worker):
    async def load(self) -> str:
        raise AssertionError("the driver by hand answers")

    def start(self, state: Any) -> None:
        if state == "bad":
            raise ValueError(state)
        self.log.append(f"{self.name} up with {state}")


def test_the_next_actor_waits_until_the_one_before_has_loaded() -> None:
    log: Log = []
    hand, system = run(worker("a", log, kind=Loads), worker("b", log))
    system.post("a", Ping(n=1))
    system.post("b", Ping(n=2))
    hand.advance(1)
    assert log == []
    hand.answer("state")
    assert log[:2] == ["a up with state", "b up"]
    assert sorted(log[2:]) == ["a 1", "b 2"]


@pytest.mark.parametrize("trouble", [Failure("StoreError", "disk full"), "bad"])
def test_a_start_that_fails_is_a_crash_and_who_waited_behind_it_still_comes_up(trouble: object) -> None:
    log: Log = []
    hand, system = run(worker("a", log, kind=Loads), worker("b", log))
    hand.answer(trouble)
    assert system.cells["a"].error == ("start: ValueError: bad" if trouble == "bad" else "load: StoreError: disk full")
    hand.advance(1)
    hand.answer("good")
    assert log == ["a up with good", "b up"]


def test_a_constructor_that_fails_is_a_crash() -> None:
    tries: list[int] = []

    def make() -> Worker:
        tries.append(1)
        if len(tries) == 2:
            raise ValueError("no key")
        return Worker("a", log)

    log: Log = []
    hand, system = run(child("a", make, Worker), worker("b", log))
    tries.clear()
    tries.append(1)
    hand.tell("a", Boom())
    hand.advance(0.15)
    assert (hand.state("a"), system.cells["a"].error) == ("backoff", "ValueError: no key")
    hand.advance(1)
    assert log == ["a up", "b up", "a up"]


def test_who_waits_behind_an_actor_that_is_taken_down_while_it_loads_comes_up_all_the_same() -> None:
    log: Log = []
    pair = Group("pair", (worker("a", log), worker("b", log, kind=Loads)), strategy="one_for_all")
    hand, _ = run(pair, worker("c", log))
    hand.tell("a", Boom())
    hand.advance(1)
    assert log == ["a up", "a up"]
    assert not hand.calls[0].wanted
    hand.answer("of the instance that is gone")
    assert "c up" not in log
    hand.answer("good")
    assert log == ["a up", "a up", "b up with good", "c up"]


# ---- back-off and escalation ------------------------------------------------------------------


def pauses(hand: ByHand, crashes: int) -> list[float]:
    """Seconds that each restart of `a` waited."""
    waited: list[float] = []
    for _ in range(crashes):
        hand.tell("a", Boom())
        due = hand.system.next_at()
        assert due is not None
        waited.append((due - hand.system.now) / SECOND)
        hand.advance(waited[-1])
    return waited


def jittered(draw: float) -> ByHand:
    return run(worker("a", []), intensity=100, hooks=Hooks(jitter=lambda: draw))[0]


def test_restarts_wait_twice_as_long_each_time_up_to_a_bound() -> None:
    waited = pauses(jittered(0.5), 12)
    assert waited[:5] == [0.1, 0.2, 0.4, 0.8, 1.6]
    assert waited[8:] == [25.6, 30.0, 30.0, 30.0]


def test_jitter_moves_a_restart_by_a_fifth_either_way() -> None:
    assert pauses(jittered(0.0), 2) == [0.08, 0.16]
    assert pauses(jittered(1.0), 2) == [0.12, 0.24]


def test_after_a_healthy_while_the_back_off_begins_anew() -> None:
    hand = jittered(0.5)
    assert pauses(hand, 3) == [0.1, 0.2, 0.4]
    hand.advance(61)
    assert pauses(hand, 2) == [0.1, 0.2]


def test_too_many_crashes_are_the_trouble_of_the_parent_which_restarts_the_whole_group() -> None:
    log: Log = []
    group = Group("inner", (worker("a", log), worker("b", log, "temporary")), intensity=1)
    hand, system = run(group, worker("c", log))
    hand.tell("b", Boom())
    hand.tell("a", Boom())
    hand.advance(1)
    assert log == ["a up", "b up", "c up", "a up"]
    hand.tell("a", Boom())
    hand.advance(1)
    assert log[4:] == ["a up", "b up"], "a group that starts anew starts all it has"
    hand.tell("a", Boom())
    hand.advance(1)
    assert log[6:] == ["a up"], "and has its whole intensity again"
    assert not system.failure


def test_when_the_root_gives_up_all_stop_in_reverse() -> None:
    log: Log = []
    hand, system = run(worker("a", log), worker("b", log), worker("c", log), intensity=1)
    hand.tell("b", Boom())
    hand.advance(1)
    hand.tell("b", Boom())
    assert log[-2:] == ["c down", "a down"]
    assert system.failure == "root gave up after too many crashes, the last in b: ValueError: boom"
    assert {hand.state(name) for name in "abc"} == {"stopped"}


def test_while_it_drains_nothing_is_restarted() -> None:
    log: Log = []
    hand, system = abc(log, "one_for_all")
    order = system.starter.drain()
    hand.tell("b", Boom())
    hand.advance(60)
    assert hand.state("b") == "stopped"
    for cell in order:
        system.starter.stop(cell)
    assert log[3:] == ["c down", "a down"]


def test_an_error_in_the_last_word_stops_nobody_else() -> None:
    class Sore(Worker):
        def drain(self) -> None:
            raise ValueError("no")

        stop = drain

    log: Log = []
    hand, system = run(worker("a", log), worker("b", log, kind=Sore), worker("c", log))
    hand.stop()
    assert log[-2:] == ["c down", "a down"]
    assert "ValueError: no" in system.cells["b"].error


# ---- lifecycle --------------------------------------------------------------------------------


class Watcher(Actor):
    def __init__(self, log: Log, watched: str = "") -> None:
        self.log = log
        self.watched = watched

    def start(self, state: Any) -> None:
        if self.watched:
            self.watch(self.watched)

    def on_lifecycle(self, note: Lifecycle) -> None:
        self.log.append((note.actor, note.event))

    def on_boom(self, _: Boom) -> None:
        raise ValueError("boom")


def watched(make: Callable[[], Watcher], *wires: Any) -> tuple[ByHand, System]:
    log: Log = []
    children = [child("watcher", make), worker("a", log), worker("b", log, "transient")]
    inlets = [inlet(Boom, "a"), inlet(Pong, "b"), inlet(Boom, "watcher")]
    system = system_of(children, [*inlets, *wires], intensity=100)
    return ByHand(system), system


def test_a_watcher_hears_of_the_one_it_watches_and_of_nobody_else() -> None:
    heard: Log = []
    hand, _ = watched(lambda: Watcher(heard, "a"))
    hand.tell("a", Boom())
    hand.tell("b", Pong())
    hand.advance(1)
    hand.stop()
    assert heard == [("a", "started"), ("a", "crashed"), ("a", "restarting"), ("a", "started"), ("a", "stopped")]


def test_a_watcher_hears_after_its_own_restart_what_it_missed() -> None:
    heard: Log = []
    hand, _ = watched(lambda: Watcher(heard, "a"))
    del heard[:]
    hand.system.post("watcher", Boom())
    hand.system.post("a", Boom())
    hand.advance(1)
    assert heard == [("a", "crashed"), ("a", "restarting"), ("a", "started")]


def test_watching_nobody_is_an_error() -> None:
    _, system = watched(lambda: Watcher([], "nobody"))
    assert system.cells["watcher"].error == "start: KeyError: \"there is no actor 'nobody' to watch\""


def test_a_wire_from_the_kernel_tells_of_everybody() -> None:
    heard: Log = []
    hand, _ = watched(lambda: Watcher(heard), wire(KERNEL, Lifecycle, "watcher", drop_oldest(64)))
    hand.tell("b", Pong())
    assert heard == [("watcher", "started"), ("a", "started"), ("b", "started"), ("b", "stopped")]


def test_a_full_wire_from_the_kernel_does_not_send_it_round_in_circles() -> None:
    heard: Log = []
    hand, system = watched(lambda: Watcher(heard), wire(KERNEL, Lifecycle, "watcher", fail(2)))
    for _ in range(3):
        system.post("a", Boom())
    hand.advance(60)
    assert {hand.state(name) for name in ("watcher", "a", "b")} == {"running"}
