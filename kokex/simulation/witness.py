"""The witness: shows each event to the laws that are asked about it, and remembers what they judge by."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import final

from actors.reconciling import STRAY
from kokex.config import Config, Plan
from kokex.kernel.cell import ActorStatus
from kokex.market.instruments import exact
from kokex.market.sizing import percent_of
from kokex.messages import (
    SETTLED,
    Alert,
    Approved,
    Decision,
    Instrument,
    Lifecycle,
    Message,
    Order,
    OrderUpdate,
    Portfolio,
    Refused,
)
from kokex.paper.account import Account
from kokex.paper.exchange import Exchange
from kokex.ports import Row
from kokex.simulation import laws
from kokex.simulation.facts import Facts
from kokex.simulation.faults import Crash
from kokex.simulation.laws import Broken, Exposure, Fault
from kokex.simulation.model import GARBAGE
from kokex.simulation.scenario import MINUTE_NS

ZERO = Decimal(0)
# How an actor may fail here without a bug of its own.
EXPECTED = (Crash.__name__, "load: StoreError", "load: Timeout")


@final
class Witness:
    def __init__(
        self,
        exchange: Exchange,
        config: Config,
        plans: Iterable[Plan],
        instruments: Mapping[str, Instrument],
        closes: Callable[[str, int], Iterable[float]],
    ) -> None:
        """`closes` of an instrument since a time, by the market's own record."""
        self._closes = closes
        self._alerts: list[Alert] = []  # since it listens for them
        self._lines: list[str] = []  # that people read since
        self._listening = False
        self.known = Facts()  # of all that was appended
        self.on_disk = Facts()
        self.orders = 0  # that the venue accepted
        self._asked: deque[int] = deque(maxlen=200)  # when requests arrived at the model
        self._exchange = exchange
        self._config = config
        self._plans = {plan.name: plan for plan in plans}
        self._instruments = instruments
        self._leverage = Decimal(str(config.paper.leverage))
        self._at_risk: dict[str, Portfolio] = {}  # account -> what risk knows of it
        self._approved_at: dict[str, Decimal] = {}  # instrument -> price of its last approval
        self._bare: dict[tuple[str, str], int] = {}
        self._grown: dict[tuple[str, str], int] = {}

    # ---- rows of the journal

    def tapped(self, message: Message) -> None:
        """A message is appended to the journal."""
        known = self.known
        _hold("2", laws.law_2(known, message))
        if isinstance(message, Decision):
            plan = self._plans[message.plan]
            shown_ns = known.briefed.get(message.cause, message.at)  # what comes later is the deadline's to judge
            # A bar that lost its last candles to a crash of the feed closes at one of its earlier ones.
            oldest_ns = 2 * plan.timeframe_ns - MINUTE_NS
            since_ns = shown_ns - oldest_ns - round(plan.risk.stale_s * 1e9)
            _hold("8", laws.law_8(known, message, self._closes(message.instrument, since_ns), GARBAGE))
        elif isinstance(message, Approved | Refused):
            _hold("7", laws.law_7_once(known, message))
            _hold("5", laws.law_5(known, message))
            if isinstance(message, Approved):
                _hold("8", laws.law_8_approved(known.decisions[message.decision], message))
            if isinstance(message, Approved) and message.order and not message.order.reduce_only:
                self._exposure(message)
        elif isinstance(message, Portfolio):
            limit = percent_of(message.equity, self._config.risk.max_position_pct)
            _hold("3", laws.law_3_growth(known, self._grown, message, limit, self._instruments))
        elif isinstance(message, OrderUpdate):
            if message.order and message.order.reduce_only and message.order.trigger is None:
                self._grown.pop((message.account, message.instrument), None)  # something is done
        elif isinstance(message, Alert):
            if STRAY in message.text:
                report = self._exchange.lookup(message.account, message.text.split()[1])
                _hold("7", laws.law_7_told(report.state if report else None))
            if self._listening:
                self._alerts.append(message)
        elif isinstance(message, Lifecycle) and message.event == "crashed" and not message.error.startswith(EXPECTED):
            raise Broken("crash", f"{message.actor}: {message.error}")
        known.learn(message)

    def written(self, rows: Sequence[Row]) -> None:
        """Rows are on disk."""
        for row in rows:
            self.on_disk.learn(row)

    def gone(self) -> None:
        """The process is: what it had not written, never was."""
        self.known = self.on_disk.copy()
        self._at_risk.clear()
        self._grown.clear()
        self._bare.clear()

    def told_risk(self, portfolio: Portfolio) -> None:
        self._at_risk[portfolio.account] = portfolio

    def _exposure(self, approved: Approved) -> None:
        order = approved.order
        assert order
        decision = self.known.decisions[approved.decision]
        account = approved.account
        self._approved_at[order.instrument] = exact(decision.price)
        of_account = [each for each in (*self.known.open.values(), order) if each.account == account]
        case = Exposure(
            approved,
            decision,
            self._at_risk[account],
            {each.instrument: each.size for each in self._exchange.state(account).positions},
            [(each, self._left(account, each)) for each in of_account if not each.reduce_only],
            self._approved_at,
        )
        _hold("3", laws.law_3(case, self._plans[approved.plan].risk, self._instruments, self._leverage))

    def _left(self, account: str, order: Order) -> Decimal:
        """What the order can still fill, by the venue."""
        report = self._exchange.lookup(account, order.client_id)
        if report is None:
            return order.size
        return ZERO if report.state in SETTLED else order.size - report.filled

    # ---- the model

    def asked(self, at: int) -> None:
        self._asked.append(at)
        _hold("6", laws.law_6(self._asked, self._config.llm))

    # ---- the venue

    def sending(self, order: Order, *, draining: bool) -> None:
        _hold("2", laws.law_2_sent(self.on_disk, order))
        _hold("9", laws.law_9_sent(draining=draining, order=order))

    def amending(self, order: Order, size: Decimal) -> None:
        _hold("2", laws.law_2_amending(self.on_disk, order, size))

    def accepted(self, order: Order) -> None:
        _hold("1", laws.law_1(self.on_disk, order))
        _hold("7", laws.law_7_accepted(self.known, order))
        self.orders += 1

    def candle(self, now: int) -> None:
        """A minute has passed in which a process lived."""
        for account in sorted({plan.account for plan in self._plans.values()}):
            state = self._exchange.state(account)
            _hold("stops", laws.guarded_soon(self.known, account, state, self._bare, now, self._instruments))

    # ---- once calm, and at an end

    def calm(self, accounts: Iterable[Account]) -> None:
        _hold("10", laws.law_10_told(self._alerts, self._lines))
        for account in accounts:
            _hold("4", laws.law_4(self.known, account, self._instruments))
            _hold("7", laws.law_7(self.known, account))
            _hold("stops", laws.guarded(account, self._instruments))

    def listen(self) -> None:
        """From now on each alert must reach people."""
        self._listening = True

    def read(self, line: str) -> None:
        """People read a line."""
        if self._listening:
            self._lines.append(line)

    def alive(self, actors: Iterable[ActorStatus], since_ns: int) -> None:
        _hold("10", laws.law_10(actors, {plan: self.known.briefings.get(plan) for plan in self._plans}, since_ns))

    def stopped(self, took_s: float, allowed_s: float) -> None:
        _hold("9", laws.law_9(took_s, allowed_s))


def _hold(law: str, fault: Fault) -> None:
    if fault:
        raise Broken(law, fault)
