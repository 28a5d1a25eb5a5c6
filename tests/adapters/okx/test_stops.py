"""The executor's stops at the exchange server: amended over real HTTP, and the answers lost on purpose."""

from collections.abc import Awaitable, Callable, Generator
from decimal import Decimal
from typing import final

import anyio
import pytest

from actors.executor import OrderExecutor
from kokex.adapters.host.clock import TradingClock
from kokex.config import Executor
from kokex.kernel.supervision import Child, Group
from kokex.kernel.system import Hooks, System
from kokex.kernel.tasks import Tasks
from kokex.messages import Alert, Approved, Message, Order, OrderUpdate
from tests.actors.desk import MESSAGES, Still, memory, wires_among
from tests.adapters.okx.exchange.servers import Running, exchange
from tests.adapters.okx.test_venue import SWAP, Desk, at, fault

SIZE, SOLD = Decimal("0.5"), Decimal("0.2")


@pytest.fixture(scope="module")
def server() -> Generator[Running, None, None]:
    with exchange("--faults", "--no-limits", "--seed", "11") as running:
        yield running


class Clock(TradingClock):
    def delay_s(self, at: int) -> float:
        return max(0.0, (at - self.now()) / 1e9)


@final
class Guarded:
    """An executor by itself; what the streams say goes to it as well."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.heard: list[Message] = []
        self.store = memory()
        settings = Executor(timeout_s=2.5)
        self.executor = OrderExecutor(
            "main", desk.venue, self.store, desk.venue.instruments, settings, sweep_s=3.0, remote=True
        )
        actors = {"executor": self.executor, "indicator": Still(())}
        children = [Child(name, lambda _, actor=actor: actor, type(actor)) for name, actor in actors.items()]
        tree = Group("root", (Group("account", tuple(children[:1]), keys=("main",)), *children[1:]))
        clock = Clock()
        self.system = System(
            tree, wires_among(actors), start_ns=clock.now(), hooks=Hooks(tap=self.tap, journaled=frozenset(MESSAGES))
        )
        self.driver = Tasks(self.system, clock)
        self.decisions = 0

    def tap(self, message: Message) -> None:
        self.heard.append(message)
        self.store.append(message)

    async def run(self, scenario: Callable[[], Awaitable[None]]) -> None:
        self.desk.hears = self.system.post
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.driver.run)
            await self.desk.until(lambda: self.executor.ready)
            await scenario()
            self.driver.stop()

    def approve(self, order: Order, stop: Decimal) -> None:
        self.decisions += 1
        approved = Approved(
            decision=self.decisions, account="main", plan="main", instrument=SWAP, order=order, stop=stop,
            at=self.system.now, id=self.decisions,
        )  # fmt: skip
        self.system.post("executor[main]", approved)

    def states(self, client_id: str) -> list[str]:
        return [each.state for each in self.heard if isinstance(each, OrderUpdate) and each.client_id == client_id]

    async def stops(self) -> dict[str, Decimal]:
        """At the exchange."""
        state = await self.desk.venue.state()
        return {each.client_id: each.order.size for each in state.open_orders if each.order and each.order.trigger}


def shrunk(server: Running, then: Callable[["Guarded", str], Awaitable[None]], **switch: object) -> None:
    """A position is opened with its stop, something goes wrong, and a part of the position is sold."""

    async def scenario(desk: Desk) -> None:
        guarded = Guarded(desk)

        async def trade() -> None:
            bid = (await desk.venue.touch(SWAP)).bid
            entry = desk.order(size=SIZE, decision=1)
            stop = entry.client_id + "S1"
            guarded.approve(entry, bid - 5000)
            await desk.until(lambda: guarded.states(stop)[-1:] == ["working"])
            assert await guarded.stops() == {stop: SIZE}
            if switch:
                fault(server, on="/trade/amend-algos", over="rest", **switch)
            guarded.approve(desk.order(side="sell", size=SOLD, reduce_only=True, decision=2), bid)
            await then(guarded, stop)
            guarded.approve(desk.order(side="sell", size=SIZE - SOLD, reduce_only=True, decision=3), bid)
            await desk.until(lambda: not guarded.executor.work)

        await guarded.run(trade)
        assert [each for each in guarded.heard if isinstance(each, Alert) and each.kind == "order"] == []

    at(server, scenario)


async def amended(guarded: Guarded, stop: str) -> None:
    await guarded.desk.until(lambda: guarded.states(stop)[-2:] == ["amending", "working"])
    assert await guarded.stops() == {stop: SIZE - SOLD}


async def replaced(guarded: Guarded, stop: str) -> None:
    await guarded.desk.until(lambda: guarded.states(stop)[-1:] == ["cancelled"], 12)
    assert await guarded.stops() == {stop[:-1] + "2": SIZE - SOLD}


def test_a_stop_is_amended_to_what_is_left(server: Running) -> None:
    shrunk(server, amended)


@pytest.mark.parametrize(
    "switch",
    [
        {"kind": "drop"},  # done, and the connection cut before the answer
        {"kind": "delay", "seconds": 4.0},  # done, and answered when nobody waits any longer
        {"kind": "busy"},  # not done, and said so
    ],
    ids=lambda switch: switch["kind"],
)
def test_a_lost_or_late_answer_is_looked_up_and_the_stop_stays(server: Running, switch: dict[str, object]) -> None:
    shrunk(server, amended, **switch)


@pytest.mark.parametrize("switch", [{"kind": "error"}, {"kind": "close"}], ids=lambda switch: switch["kind"])
def test_an_amend_of_which_nothing_is_seen_leads_to_another_stop(server: Running, switch: dict[str, object]) -> None:
    shrunk(server, replaced, **switch)
