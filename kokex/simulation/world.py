"""The world around the process: time, market, exchange and disk, which outlive it; and the kills it must survive.

The process is the real system with all its actors, built by `topology.build` and driven as it is live. It is started,
goes through a phase of faults, dies now and then at any step, is started again on what is on disk, and after the
faults are over must come to rest with every law kept.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from hashlib import blake2b
from random import Random
from typing import Any, Protocol, final

import anyio
import msgspec

from kokex.brain.wording import Wording, builtin
from kokex.kernel.cell import Cell
from kokex.kernel.starter import Escalated
from kokex.kernel.system import Hooks, System
from kokex.kernel.tasks import TaskClock, Tasks, Virtual
from kokex.messages import Candle, Candles, Command, Fill, Message, Order, Portfolio
from kokex.paper.account import Account
from kokex.paper.exchange import Exchange
from kokex.paper.matching import Rules
from kokex.paper.tape import Tape
from kokex.simulation import prices
from kokex.simulation.disk import Disk, FaultyStore
from kokex.simulation.faults import SECOND, Crash, Faults, Killed
from kokex.simulation.laws import Broken
from kokex.simulation.line import Line
from kokex.simulation.model import SimulatedModel
from kokex.simulation.scenario import MINUTE_NS, Scenario
from kokex.simulation.witness import Witness
from kokex.topology import JOURNALED, JOURNALED_POSTS, Ports, Variant, build

WORDING = Wording(builtin())
HOUR_NS = 60 * MINUTE_NS
FUNDING_NS = 8 * HOUR_NS
HISTORY = 260  # candles a new process warms up with
SWEEP_S = 1800.0
COMMIT_S = 300.0
STALE_S = 150.0
DOWNTIMES_S = (1.0, 5.0, 20.0, 90.0, 900.0)
QUIET = frozenset({"feed", "indicator", "notifier", "journal", "control"})
ONE_IN = 24  # deliveries to those are as dangerous as one to the others

# Once the faults are over: a cycle, and whether everybody lives; then peace, and whether all came to rest.
CYCLE_NS, ALIVE_NS, PAUSE_NS, CALM_NS = 6 * MINUTE_NS, 8 * MINUTE_NS, 9 * MINUTE_NS, 79 * MINUTE_NS


class VirtualClock(TaskClock, Virtual, Protocol):
    """What both virtual loops offer."""


@final
class World:
    """One seed. `Line`, `Disk` and the system's market are its parts that the process can touch."""

    def __init__(self, scenario: Scenario, seed: int, days: float, clock: VirtualClock, bugs: frozenset[str]) -> None:
        self.faults = Faults(seed)
        self.scenario = scenario
        self._clock = clock
        self._bugs = bugs
        self._at_ns = clock.now()
        self._events: list[tuple[int, int, Callable[..., object], tuple[Any, ...]]] = []
        self._numbers = 0
        self._trace = blake2b(digest_size=12)
        self._chance = Random(f"{seed}/order").random
        self._people = Random(f"{seed}/people")
        self._system: System | None = None  # of the process, while one lives
        self._driver: Tasks | None = None
        self._stop_ns: int | None = None  # when SIGTERM came
        self._quiet = 0
        self._gap_until = 0
        self._over = False
        self.fills = 0
        self._market(Random(f"{seed}/market"))
        instruments = {each.symbol: each for each in scenario.instruments}
        self.witness = Witness(self._exchange, scenario.config, scenario.plans, instruments, self._closes)
        self._model = SimulatedModel(self, Random(f"{seed}/model"), self._at_ns)
        self._disk = Disk(self.witness.written, lambda symbol, last: list(self._recent[symbol])[-last:])
        self._heal_ns = self.now() + round(days * 24 * HOUR_NS)
        self._script()

    def _market(self, chance: Random) -> None:
        instruments, paper = self.scenario.instruments, self.scenario.config.paper
        rules = Rules(
            maker_fee=paper.maker_fee, taker_fee=paper.taker_fee, slippage_bp=Decimal(1),
            volume_share=Decimal(str(paper.volume_share)), leverage=Decimal(str(paper.leverage)),
        )  # fmt: skip
        self._exchange = Exchange(instruments, rules, self.now, self._post)
        self._lines = {each.name: Line(self, self._exchange, each.name) for each in self.scenario.accounts}
        for each in self.scenario.accounts:
            self._exchange.open_account(each.name, each.cash, each.kind)
        start_ns = self.now()
        past = prices.instants(instruments, start_ns - HISTORY * MINUTE_NS, MINUTE_NS, chance)
        self._recent: dict[str, deque[Candle]] = {each.symbol: deque(maxlen=HISTORY) for each in instruments}
        for _ in range(HISTORY):
            self._remember(next(past))
        fundings = prices.fundings(instruments, start_ns, FUNDING_NS, chance)
        self._tape = Tape(instruments, MINUTE_NS, past, fundings, self._exchange, self._post)

    # ---- time

    def now(self) -> int:
        return max(self._at_ns, self._clock.now())

    def after(self, delay_ns: int, then: Callable[..., object], *args: Any) -> None:
        self._at(self.now() + delay_ns, then, *args)

    def _at(self, at: int, then: Callable[..., object], *args: Any) -> None:
        self._numbers += 1
        heapq.heappush(self._events, (at, self._numbers, then, args))

    def next_at(self) -> int | None:
        """The world is the system's source of events: the market's, and its own."""
        market = self._tape.next_at()
        if self._events and (market is None or self._events[0][0] < market):
            return self._events[0][0]
        return market

    def take(self) -> None:
        """The earliest of these happens; at equal times the market's first."""
        market = self._tape.next_at()
        if self._events and (market is None or self._events[0][0] < market):
            self._at_ns, _, then, args = heapq.heappop(self._events)
            then(*args)
        elif market is not None:
            self._at_ns = market
            self._tape.take()

    # ---- what the exchange says

    def _post(self, actor: str, message: Message) -> None:
        if isinstance(message, Candles):
            self._candles(message)
            return
        if isinstance(message, Fill):
            self.fills += 1
            working = self._exchange.lookup(message.account, message.client_id)
            if working is not None and working.state == "partial":
                self.faults.counts["partial_fill"] += 1
        self._lines[actor[len("executor[") : -1]].tell(message)

    def _candles(self, candles: Candles) -> None:
        self._remember(candles.rows)
        for line in self._lines.values():
            line.maybe_drop()
        if self._system is not None:
            self.witness.candle(self.now())
        if self.faults.strikes("market_gap"):
            self._gap_until = self.now() + self.faults.between(60, 900)
        if self.now() >= self._gap_until:
            self.deliver("feed", candles)

    def _remember(self, rows: tuple[Candle, ...]) -> None:
        for row in rows:
            self._recent[row.instrument].append(row)

    def _closes(self, symbol: str, since_ns: int) -> Iterator[float]:
        """Of the candles that closed since, whether or not the process has heard of them."""
        for row in reversed(self._recent[symbol]):
            if row.open_ns + MINUTE_NS < since_ns:
                return
            yield row.close

    def deliver(self, actor: str, message: Message) -> None:
        if self._system is not None:
            self._system.post(actor, message)

    def asked(self, at: int) -> None:
        self.witness.asked(at)

    def sending(self, order: Order) -> None:
        self.witness.sending(order, draining=self._system is not None and self._system.draining)

    def amending(self, order: Order, size: Decimal) -> None:
        self.witness.amending(order, size)

    def accepted(self, account: str, order: Order) -> None:
        self._trace.update(f"{account} {order.client_id} {self.now()}\n".encode())
        self.witness.accepted(order)

    # ---- the process

    async def run(self) -> None:
        """All its lives. Raises Broken."""
        try:
            while not self._over:
                await self._live()
                await self._lie_dead()
        finally:
            self._disk.close()

    async def _live(self) -> None:
        store = self._disk.open(self.now(), self.faults, self.danger)
        self._system = self._build(store)
        self._driver = Tasks(self._system, self._clock, virtual=self._clock)
        self._stop_ns = None
        broken: list[BaseException] = []
        try:
            await self._driver.run()
            store.flush()
        except* (Killed, Escalated):
            pass
        except* Broken as group:
            broken = list(_leaves(group))
        if broken:
            raise broken[0]
        self._ended()

    def _ended(self) -> None:
        system, self._system, self._driver = self._system, None, None
        if self._stop_ns is not None and system is not None and system.draining and not system.failure:
            allowed_s = sum(cell.child.shutdown_s for cell in system.cells.values())
            self.witness.stopped((self.now() - self._stop_ns) / SECOND, allowed_s)
        self.witness.gone()

    async def _lie_dead(self) -> None:
        """Market, exchange and what was on its way to it go on."""
        if self._over:
            return
        until = self.now() + round(self.faults.chance.choice(DOWNTIMES_S) * SECOND)
        if self.now() < self._heal_ns:
            until = min(until, self._heal_ns)
        while (at := self.next_at()) is not None and at <= until:
            self.take()
        self._at_ns = until
        if not self._clock.jump(until):
            await anyio.sleep(self._clock.delay_s(until))

    def _build(self, store: FaultyStore) -> System:
        scenario = self.scenario

        def tap(message: Message) -> None:
            self.witness.tapped(message)
            store.append(message)

        model = self._model if scenario.config.llm.provider else None
        return build(
            scenario.config,
            scenario.plans,
            scenario.accounts,
            scenario.instruments,
            Ports(
                store=store, venues=dict(self._lines), chance=Random, control=self, console=self._print, source=self,
                llm=model, wording=WORDING,
            ),
            base_ns=MINUTE_NS,
            variant=Variant(
                commit_s=COMMIT_S, stale_s=STALE_S, watch=scenario.watch, keep_candles=False, history=HISTORY,
                sweep_s=SWEEP_S, bugs=self._bugs,
            ),
            hooks=Hooks(
                tap=tap, journaled=JOURNALED, journaled_posts=JOURNALED_POSTS, before=self._before, trace=self._note,
                choose=lambda n: int(self._chance() * n), jitter=self._chance,
            ),
            start_ns=self.now(),
        )  # fmt: skip

    def _note(self, actor: str, number: int, at: int, kind: str) -> None:
        self._trace.update(f"{actor} {number} {at} {kind}\n".encode())

    @property
    def trace(self) -> str:
        return self._trace.hexdigest()

    # ---- what may happen to it

    def danger(self) -> None:
        if self.faults.strikes("kill"):
            raise Killed

    def _before(self, cell: Cell, item: Any) -> None:
        name = cell.child.name
        if name in QUIET:
            self._quiet += 1
            if self._quiet % ONE_IN:
                return
        elif name == "risk" and type(item) is Portfolio:
            self.witness.told_risk(item)
        self.danger()
        if self.faults.strikes("stop"):
            self.after(0, self._stop)
        if self.faults.strikes("crash"):
            raise Crash

    def _stop(self) -> None:
        """SIGTERM."""
        if self._driver is not None and self._stop_ns is None:
            self._stop_ns = self.now()
            self._driver.stop()

    # ---- people, and how it goes on and ends

    def _script(self) -> None:
        self.after(2 * HOUR_NS, self._somebody)
        for delay_ns, then in (
            (0, self._heal),
            (CYCLE_NS, lambda: self._command("cycle")),
            (ALIVE_NS, self._check_alive),
            (PAUSE_NS, lambda: self._command("pause")),
            (CALM_NS + MINUTE_NS // 2, self._check_calm),
        ):
            self._at(self._heal_ns + delay_ns, then)

    def _somebody(self) -> None:
        """People reset breakers, and trade by hand a little."""
        if self.now() >= self._heal_ns:
            return
        self.after(round((1 + 3 * self._people.random()) * HOUR_NS), self._somebody)
        plan = self._people.choice(self.scenario.plans)
        symbol = self._people.choice(plan.instruments)
        match self._people.randrange(4):
            case 0 | 1:
                self._command("reset", account=plan.account)
            case 2:
                self._command("close", account=plan.account, plan=plan.name, instrument=symbol)
            case _:
                last = self._recent[symbol][-1]
                self._command("buy", account=plan.account, plan=plan.name, instrument=symbol, limit=str(last.low))

    def _command(self, verb: str, **args: str) -> None:
        self.deliver("control", Command(verb=verb, args=args))

    def answer(self, request: int, body: object) -> None:
        """The port of the control socket: nobody waits for answers."""

    def _print(self, at: int, level: str, kind: str, text: str) -> None:
        """What people see of the process."""
        if kind == "alert":
            self.witness.read(text)

    def _heal(self) -> None:
        self.faults.heal()
        self.witness.listen()
        self._gap_until = 0
        for line in self._lines.values():
            line.restore()

    def _check_alive(self) -> None:
        if self._system is None:
            raise Broken("10", "no process lives")
        self.witness.alive(self._system.status(), self._heal_ns)

    def _check_calm(self) -> None:
        self.witness.calm(
            msgspec.msgpack.decode(self._exchange.snapshot(each.name), type=Account) for each in self.scenario.accounts
        )
        self._over = True
        self._stop()


def _leaves(group: BaseExceptionGroup[Broken]) -> Iterator[Broken]:
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from _leaves(each)
        else:
            yield each
