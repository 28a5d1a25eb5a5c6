"""Starting, restarting and stopping the actors of a system, in the order the tree says.

A start has two halves: `load` (a call: store, venue) and then `start`. Until both are done the actor's mail is
held back, and the next actor of the order waits.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, final

from kokex.kernel.actor import Actor
from kokex.kernel.cell import Cell, Failure
from kokex.kernel.mailbox import RESUME, Lane
from kokex.kernel.supervision import verdict
from kokex.kernel.wires import KERNEL

if TYPE_CHECKING:
    from kokex.kernel.system import System

LOAD_TIMEOUT_S = 30.0


class Escalated(Exception):
    """The root of the tree gave up: more crashes than its intensity allows."""


@final
class Starter:
    def __init__(self, system: "System") -> None:
        self._system = system
        self._boots = 0
        self.supervises = True  # inline does not: an exception ends the run

    # ---- up

    def start(self) -> None:
        """Starts the whole tree, the first actor first."""
        system = self._system
        if system.hooks.record:
            system.hooks.record(system.turn, system.now, KERNEL, "start", 0, None)
        self._boot(list(system.cells.values()))

    def _boot(self, cells: Sequence[Cell]) -> None:
        self._boots += 1
        for cell in cells:
            cell.boot = self._boots
        self._start_next(self._boots, list(cells))

    def _start_next(self, boot: int, chain: list[Cell]) -> None:
        system = self._system
        while chain:
            cell = chain.pop(0)
            if cell.boot != boot or cell.state not in ("new", "backoff"):
                continue  # a later crash took it into a start of its own
            cell.set_state("starting")
            try:
                actor = cell.child.make(cell.key)
            except Exception as error:
                self._failed(cell, "", error)
                return
            system.bind(cell, actor)
            if type(actor).load is not Actor.load:
                then = partial(self._loaded, cell, actor, boot, chain)
                system.start_call(cell, actor.load, (), actor.state, then, LOAD_TIMEOUT_S, loading=True)
                return
            if not self._begin(cell, actor, None):
                return

    def _loaded(self, cell: Cell, actor: Actor, boot: int, chain: list[Cell], state: Any) -> None:
        if isinstance(state, Failure):
            if not self.supervises:
                raise RuntimeError(f"{cell.name} could not load its state: {state.kind}: {state.text}")
            self.crashed(cell, f"load: {state.kind}: {state.text}")
        elif self._begin(cell, actor, state):
            self._start_next(boot, chain)

    def _begin(self, cell: Cell, actor: Actor, state: Any) -> bool:
        """The second half of a start; false when the chain of starts must not go on."""
        system = self._system
        try:
            actor.start(state)
        except Exception as error:
            self._failed(cell, "start: ", error)
            return False
        if cell.state != "starting":  # it has finished already, or was taken down meanwhile
            return cell.state == "stopped"
        cell.set_state("parked" if cell.unsent else "running")
        system.release(cell)
        system.lifecycle(cell, "started")
        return True

    def _failed(self, cell: Cell, when: str, error: Exception) -> None:
        if not self.supervises:
            raise error
        self.crashed(cell, f"{when}{type(error).__name__}: {error}")

    # ---- down and up again

    def crashed(self, cell: Cell, error: str) -> None:
        """An actor failed. Restarts it, later, with whom its group restarts and who waited to start after it."""
        system = self._system
        if not self.supervises:
            raise RuntimeError(f"{cell.name}: {error}")
        stalled = {cell.boot} if cell.state == "starting" else set[int]()
        final = system.draining or cell.child.restart == "temporary"
        self._halt(cell, "stopped" if final else "backoff")
        cell.error = error
        system.lifecycle(cell, "crashed", error)
        if final:
            self._boot(self._behind(stalled))
        elif (found := verdict(cell, system.now)) is None:
            system.failure = f"{system.root.name} gave up after too many crashes, the last in {cell.name}: {error}"
            system.lifecycle(cell, "escalated", error)
            for each in reversed(system.cells.values()):
                self._down(each)
        else:
            node, fallen = found
            stalled.update(each.boot for each in fallen if each.state == "starting")
            delay_s = node.backoff_s(system.hooks.jitter())
            for each in reversed(fallen):
                if each is not cell and each.state != "new":
                    for_good = each.child.restart == "temporary" and each.parent is node
                    self._down(each, "stopped" if for_good else "backoff")
            for each in fallen:
                if each.state == "backoff":
                    each.restarts += 1
                    system.lifecycle(each, "restarting", error if each is cell else f"with {cell.name}")
            self._boot_later(delay_s, {*self._behind(stalled), *(c for c in fallen if c.state in ("new", "backoff"))})

    def _boot_later(self, delay_s: float, cells: set[Cell]) -> None:
        system = self._system
        chain = [cell for cell in system.cells.values() if cell in cells]
        self._boots += 1
        for cell in chain:
            cell.boot = self._boots
        system.set_timer(None, system.now + round(delay_s * 1e9), self._start_next, (self._boots, chain))

    def _behind(self, boots: set[int]) -> list[Cell]:
        """Who still waits for their turn in these starts."""
        return [cell for cell in self._system.cells.values() if cell.boot in boots and cell.state in ("new", "backoff")]

    def overflowed(self, lane: Lane, item: Any) -> None:
        """A `fail` wire is full: the late reader loses its mail and rebuilds from the store."""
        cell = lane.cell
        self._purge(cell)
        self._system.dead_letter(cell.name, f"overflow of {lane.name}", item)
        if cell.state not in ("new", "backoff") or not self.supervises:
            self.crashed(cell, f"more than {lane.limit} messages waited on {lane.name}")

    def finished(self, cell: Cell) -> None:
        """The actor says that its work is done; a permanent one has no such moment."""
        if cell.child.restart == "permanent":
            self.crashed(cell, "finished, but is permanent")
        else:
            self._down(cell)

    def _halt(self, cell: Cell, state: Literal["backoff", "stopped"]) -> None:
        system = self._system
        cell.set_state(state)
        for call in cell.calls.values():
            call.cancel()
            system.calls.pop(call.number, None)
        cell.calls.clear()
        system.questions.gone(cell)
        if state == "stopped":
            system.queue.extendleft(reversed(cell.held))  # on its way to the dead letters
            cell.held.clear()

    def _purge(self, cell: Cell) -> None:
        system = self._system
        mine = [entry for entry in (*cell.held, *system.queue) if entry[0].cell is cell]
        others = [entry for entry in system.queue if entry[0].cell is not cell]
        cell.held.clear()
        cell.resuming = False
        system.queue.clear()
        system.queue.extend(others)
        for lane, item in mine:
            if item is RESUME:
                continue
            message = system.take(lane, item)
            if message is not None and lane is not cell.inner:
                system.dead_letter(cell.name, "overflow", message)

    def _say(self, cell: Cell, word: Callable[[], None]) -> None:
        try:
            word()
        except Exception as error:
            if not self.supervises:
                raise
            cell.error = f"{word.__name__}: {type(error).__name__}: {error}"

    # ---- down

    def drain(self) -> list[Cell]:
        """Tells all that nothing new may begin; returns the actors in the order to stop them."""
        system = self._system
        if system.hooks.record:
            system.hooks.record(system.turn, system.now, KERNEL, "drain", 0, None)
        system.draining = True
        system.cause = 0
        order = list(reversed(system.cells.values()))
        for cell in order:
            if cell.actor and cell.up:
                self._say(cell, cell.actor.drain)
        return order

    def idle(self, cell: Cell) -> bool:
        """Nothing is on its way to this actor, and it waits for nothing."""
        if self._system.queue:
            return False
        if cell.state in ("new", "backoff", "stopped"):
            return True
        return not (cell.waiting or cell.calls or cell.unsent or self._system.questions.asks(cell))

    def stop(self, cell: Cell) -> None:
        system = self._system
        if system.hooks.record:
            system.hooks.record(system.turn, system.now, cell.name, "stop", 0, None)
        system.cause = 0
        self._down(cell)

    def _down(self, cell: Cell, state: Literal["backoff", "stopped"] = "stopped") -> None:
        """Ends an instance that did not crash."""
        system = self._system
        if cell.state == "stopped" == state:
            return
        if cell.actor and cell.up:
            self._say(cell, cell.actor.stop)
        self._halt(cell, state)
        if state == "stopped":
            system.lifecycle(cell, "stopped")
