"""Timers and calls: what an actor waits for comes back as a message, and dies with the instance."""

from typing import Any

import pytest

from kokex.kernel.actor import Actor
from kokex.kernel.cell import Failure, Timer
from kokex.kernel.inline import Inline, InlineError
from kokex.kernel.system import Hooks, System, inlet
from tests.kernel.graphs import SECOND, Boom, ByHand, Log, Ping, Pong, child, system_of


async def port(_: int) -> int:
    raise AssertionError("the driver by hand never runs it")


class Worker(Actor):
    """Ping(n): a timer of n seconds; Pong(n): a call."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.timer: Timer | None = None

    def on_ping(self, ping: Ping) -> None:
        if self.timer and ping.key == "cancel":
            self.timer.cancel()
        else:
            self.timer = self.later(ping.n, self.log.append, ping.n)

    def on_pong(self, pong: Pong) -> None:
        self.call(port, pong.n, returns=int, then=self.log.append, timeout_s=3)

    def on_boom(self, _: Boom) -> None:
        raise ValueError("boom")


def graph() -> tuple[ByHand, Log]:
    log: Log = []
    wires = [inlet(Ping, "worker"), inlet(Pong, "worker"), inlet(Boom, "worker")]
    return ByHand(system_of([child("worker", lambda: Worker(log))], wires)), log


def test_timers_ring_when_due_in_the_order_of_their_times() -> None:
    hand, log = graph()
    for n in (3, 1, 2, 1):
        hand.tell("worker", Ping(n=n))
    hand.advance(0.999)
    assert log == []
    hand.advance(10)
    assert log == [1, 1, 2, 3]


def test_a_cancelled_timer_stays_silent() -> None:
    hand, log = graph()
    hand.tell("worker", Ping(n=1))
    hand.tell("worker", Ping(key="cancel"))
    assert hand.system.next_at() is None
    hand.advance(2)
    assert log == []


def test_a_timer_cancelled_after_it_was_due_but_before_its_turn_stays_silent() -> None:
    hand, log = graph()
    hand.tell("worker", Ping(n=1))
    hand.system.post("worker", Ping(key="cancel"))
    hand.system.happen(SECOND)  # due now, but the other was first
    hand.system.drain()
    assert log == []


def test_a_timer_dies_with_its_instance() -> None:
    hand, log = graph()
    hand.tell("worker", Ping(n=1))
    hand.tell("worker", Boom())
    hand.advance(5)
    assert hand.state("worker") == "running"
    assert log == []


def test_a_call_comes_back_as_a_message() -> None:
    hand, log = graph()
    hand.tell("worker", Pong(n=7))
    assert hand.calls[0].args == (7,)
    hand.answer(8)
    assert log == [8]
    assert not hand.system.calls


def test_calls_of_a_crashed_instance_are_cancelled_and_their_results_ignored() -> None:
    hand, log = graph()
    cancelled: list[bool] = []
    hand.tell("worker", Pong())
    hand.calls[0].cancel = lambda: cancelled.append(True)
    hand.tell("worker", Boom())
    assert cancelled == [True]
    assert not hand.calls[0].wanted
    hand.advance(1)
    hand.answer(8)
    assert log == []


def test_a_result_that_was_on_its_way_does_not_reach_the_next_instance() -> None:
    hand, log = graph()
    hand.tell("worker", Pong())
    hand.system.post("worker", Boom())
    hand.system.finish(hand.calls[0], 8, 0)
    hand.system.happen(0)  # the result waits behind the message that crashes
    hand.advance(5)
    assert log == []


def test_at_equal_times_timers_come_before_results_each_in_the_order_set() -> None:
    hand, log = graph()
    hand.tell("worker", Pong(n=1))
    hand.tell("worker", Pong(n=2))
    hand.tell("worker", Ping(n=1))
    first, second = hand.calls
    hand.system.finish(second, "second call", SECOND)
    hand.system.finish(first, "first call", SECOND)
    hand.advance(1)
    assert log == [1, "first call", "second call"]


class Slow(Actor):
    """Calls a port that does not wait itself but says how long it takes."""

    def __init__(self, log: Log, latency_s: float, outcome: Any) -> None:
        self.log = log
        self.latency_ns = round(latency_s * SECOND)
        self.outcome = outcome

    def start(self, state: Any) -> None:
        self.call(self.work, returns=int, then=self.heard, timeout_s=2, latency_ns=self.latency_ns)

    async def work(self) -> Any:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def heard(self, outcome: Any) -> None:
        self.log.append((self.now, outcome))


def slow(latency_s: float, outcome: Any) -> Log:
    log: Log = []
    driver = Inline(system_of([child("slow", lambda: Slow(log, latency_s, outcome))]))
    driver.start()
    driver.run()
    return log


def test_a_result_comes_after_the_latency_its_port_states() -> None:
    assert slow(1.5, 42) == [(1_500_000_000, 42)]


def test_a_latency_beyond_the_timeout_is_a_timeout() -> None:
    assert slow(2.5, 42) == [(2_000_000_000, Failure("Timeout", "no answer within 2 s"))]


def test_what_a_port_raises_comes_back_as_a_failure() -> None:
    assert slow(0, OSError("disk full")) == [(0, Failure("OSError", "disk full"))]


def test_inline_a_port_that_waits_is_an_error_that_names_it() -> None:
    class Waits(Slow):
        async def work(self) -> Any:
            class Never:
                def __await__(self) -> Any:
                    yield

            await Never()

    system: System = system_of([child("slow", lambda: Waits([], 0, 0))])
    with pytest.raises(InlineError, match=r"Waits\.work waited"):
        Inline(system).start()


def test_the_market_comes_before_timers_of_the_same_time() -> None:
    log: Log = []

    class Market:
        due: int | None = SECOND

        def next_at(self) -> int | None:
            return self.due

        def take(self) -> None:
            self.due = None
            log.append("market")

    worker = child("worker", lambda: Worker(log))
    system = system_of([worker], [inlet(Ping, "worker")], hooks=Hooks())
    system.source = Market()
    driver = Inline(system)
    driver.start()
    system.post("worker", Ping(n=1))
    driver.run()
    assert log == ["market", 1]


def test_work_taken_up_at_a_start_has_the_cause_it_had_before() -> None:
    class Late(Worker):
        def start(self, state: None) -> None:
            self.because(41)
            self.later(1, self.tell)
            self.because(0)
            self.later(2, self.tell)

        def tell(self) -> None:
            self.log.append(self.cause)

    log: Log = []
    driver = Inline(system_of([child("worker", lambda: Late(log))], [inlet(Ping, "worker")]))
    driver.start()
    driver.run()
    assert log == [41, 0]
