"""executor: orders out, fills in, each exactly once.

Holds every order that is not settled. Receives Approved from risk, and OrderUpdate, Fill, Funding, Link from the
venue's streams; emits the same, checked and completed, to portfolio, risk and journal.

The life of an order: intent on disk, then sent with a deadline. An answer is definitive (working, filled,
rejected) or ambiguous (timeout, 5xx, broken): then nothing is sent again; past the deadline the venue is asked
for that one order until it answers. What it does not know past its deadline cannot come to be: expired.

What a stream may lose is asked for (reconciling.py); what guards a position is in protection.py and amending.py.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from msgspec.structs import replace

from actors.amending import Amending
from actors.protection import Protection
from actors.reconciling import Reconciling
from actors.resting import Resting
from actors.work import Loaded, Work
from kokex.config import Executor as Settings
from kokex.kernel.actor import DEFERRED, Actor
from kokex.kernel.cell import Failure
from kokex.market.money import add
from kokex.market.positions import change
from kokex.messages import (
    SETTLED,
    Alarm,
    Alert,
    Approved,
    Command,
    Fill,
    Funding,
    Instrument,
    Lifecycle,
    Link,
    Mark,
    Order,
    OrderState,
    OrderUpdate,
)
from kokex.ports import FillReport, OrderReport, Store, Venue

ZERO = Decimal(0)
MARGIN_S = 1.0  # past a request's deadline, before the venue is asked for it
ASK_AGAIN_S = 5.0
WRITE_AGAIN_S = 0.5
TOO_OLD = "its approval is too old to act on"
NO_ENTRIES = "the private stream went down, or positions came to differ, after it was approved: no new entries"


class OrderExecutor(Actor):
    emits = (OrderUpdate, Fill, Funding, Link, Alert, Alarm)
    state = Loaded

    def __init__(
        self,
        account: str,
        venue: Venue,
        store: Store,
        instruments: Mapping[str, Instrument],
        settings: Settings,
        *,
        sweep_s: float = 30.0,
        remote: bool = False,
        bugs: frozenset[str] = frozenset(),
    ) -> None:
        """`sweep_s` 0: the venue is in process and loses nothing. `remote`: it outlives this process, so that entries
        bring their stop along, and working limit orders want a dead-man's switch. `bugs`: planted, for tests of laws.
        """
        self.account = account
        self.venue = venue
        self.store = store
        self.instruments = instruments
        self.settings = settings
        self.work: dict[str, Work] = {}
        self.ready = False  # everything unsettled is resolved
        self._bugs = bugs
        self._queue: list[Approved] = []  # what came before that
        self._given_up: frozenset[int] = frozenset()  # approvals that the start found unsent, and ended
        self._since_ns = 0  # older ones were taken up, or ended then
        self.protection = Protection(self, attaches=remote)
        self.amending = Amending(self, believes="amend_believed" in bugs)
        self.resting = Resting(self, switch=remote)
        self.reconciling = Reconciling(self, sweep_s)

    # ---- start: nothing is sent until every unsettled intent is resolved

    async def load(self) -> Loaded:
        at_ns, store, account = self.now, self.store, self.account
        last = await store.portfolio(account)
        held = last.sizes() if last else {}
        for fill in await store.fills_after(account, last.last_fill if last else 0):
            if isinstance(fill, Fill):
                sizes = held.setdefault(fill.plan, {})
                sizes[fill.instrument] = add(sizes.get(fill.instrument, ZERO), change(fill))
        since_ns = self.reconciling.funded_since(last)
        return Loaded(
            at_ns=at_ns,
            unsettled=tuple(await store.unsettled(account)),
            amending=tuple(await store.amending(account)),
            fills=tuple(await store.fills_of_unsettled(account)),
            unsent=tuple(v for v in await store.open_verdicts(account) if isinstance(v, Approved) and v.order),
            entries=tuple(await store.entries(account)),
            held=held,
            funded=tuple(await store.fundings_since(account, since_ns)),
            since_ns=since_ns,
            up=self.venue.up,
        )

    def start(self, state: Loaded) -> None:
        for approved in state.unsent:
            if approved.order:
                self.because(approved.id)
                self._intent(approved.order)
                self.update(approved.order, "expired", reason="the daemon went down before it was sent")
        self.because(0)
        self._given_up = frozenset(approved.id for approved in state.unsent)
        self._since_ns = state.at_ns
        stops = {each.approved.order.client_id: each.approved.stop for each in state.entries if each.approved.order}
        for order in state.unsettled:
            born_ns = order.expires_ns - round(self.settings.request_ttl_s * 1e9) if order.expires_ns else self.now
            work = self.work[order.client_id] = Work(order, stops.get(order.client_id), born_ns)
            work.sent = work.resolving = True
        for client_id in state.amending:
            self.amending.adopt(client_id)
        self.protection.adopt_attached()
        for fill in state.fills:
            if work := self.work.get(fill.client_id):
                work.trades.add(fill.trade_id)
                work.filled = add(work.filled, fill.size)
        self.protection.adopt(state.held, state.entries, state.unsettled)
        self.watch("indicator")
        self.reconciling.start(state.held, state.funded, state.since_ns, up=state.up)

    def become_ready(self) -> None:
        self.ready = True
        queue, self._queue = self._queue, []
        for approved in queue:
            self._intend(approved)
        self.protection.check()

    # ---- out

    def on_approved(self, approved: Approved) -> None:
        if approved.order is None or approved.at < self._since_ns or approved.id in self._given_up:
            return  # nothing to do, or it waited here over a restart
        if not self.ready:
            self._queue.append(approved)
        else:
            self._intend(approved)

    def _intend(self, approved: Approved) -> None:
        assert approved.order
        if self.now - approved.at > self.settings.request_ttl_s * 1e9:
            self._intent(approved.order)
            self.update(approved.order, "expired", reason=TOO_OLD)
        elif not (approved.order.reduce_only or self.reconciling.entries):  # since it was approved
            self._intent(approved.order)
            self.update(approved.order, "expired", reason=NO_ENTRIES)
        else:
            self.submit(approved.order, stop=approved.stop)

    def submit(self, order: Order, *, stop: Decimal | None = None) -> None:
        """Writes the intent, waits until it is on disk, sends."""
        if order.client_id in self.work:
            return
        now = self.now
        if "no_deadline" not in self._bugs:
            order = replace(order, expires_ns=now + round(self.settings.request_ttl_s * 1e9))
        if order.reduce_only and order.trigger is None:
            self._make_way(order)
        order = self.protection.attach(order, stop)
        self.work[order.client_id] = Work(order, stop, now)
        self._intent(order)
        if order.attached:
            self._intent(order.attached)
        self._write(order)
        self.reconciling.arm()

    def _make_way(self, leaving: Order) -> None:
        """An exit ends the plan's own entry that still works, or the two would trade against each other."""
        for client_id, work in list(self.work.items()):
            order = work.order
            if not order.reduce_only and (order.plan, order.instrument) == (leaving.plan, leaving.instrument):
                self.cancel(client_id)

    def _intent(self, order: Order) -> None:
        self.emit(
            OrderUpdate(
                account=self.account, plan=order.plan, instrument=order.instrument, client_id=order.client_id,
                state="intent", order=order, decision=order.decision,
            )
        )  # fmt: skip

    def _write(self, order: Order) -> None:
        self.when_on_disk(partial(self._written, order))

    def when_on_disk(self, then: Callable[[Failure | None], None]) -> None:
        """What was said so far is on disk, or could not be written."""
        if self.store.batches:  # nobody waits for the disk
            then(None)
        else:
            self.call(self.store.commit, returns=None, then=then, timeout_s=self.settings.timeout_s)

    def _written(self, order: Order, outcome: Failure | None) -> None:
        work = self.work.get(order.client_id)
        if work is None:
            return
        if work.cancelling:
            self.update(order, "cancelled", reason="before it was sent")
        elif not order.reduce_only and self.draining:
            self.update(order, "expired", reason="the daemon is stopping")
        elif 0 < order.expires_ns < self.now:
            self.update(order, "expired", reason="its intent could not be written in time")
        elif outcome is None:
            work.sent = True
            self.resting.feed(order)
            self._send(order)
        else:  # not on disk: not sent; the rows are kept, so try again until the deadline
            self.say("critical", "store", f"the intent of {order.client_id} could not be written: {outcome.text}")
            self.later(WRITE_AGAIN_S, self._write, order)

    def _send(self, order: Order) -> None:
        self.call(
            self.venue.place, order,
            returns=OrderReport, then=partial(self._answered, order), timeout_s=self.settings.timeout_s,
            latency_ns=self.venue.latency_ns,
        )  # fmt: skip

    def _answered(self, order: Order, outcome: OrderReport | Failure) -> None:
        work = self.work.get(order.client_id)
        if work is None:
            return  # its fills were faster than the answer
        if isinstance(outcome, OrderReport):
            self.reported(work, outcome)
        elif outcome.kind == "Rejected":
            self.update(order, "rejected", reason=outcome.text)
        elif "retry_new_id" in self._bugs and not order.client_id.endswith("r"):
            self.submit(replace(order, client_id=order.client_id + "r"), stop=work.stop)
        else:
            self._doubt(work, outcome.text)

    # ---- doubt

    def _doubt(self, work: Work, why: str) -> None:
        """Nobody knows whether the order exists. Wait past its deadline, then ask for it."""
        if not work.resolving:
            work.resolving = True
            self.say("warning", "order", f"order {work.order.client_id}: no clear answer ({why}); asking for it")
        due_ns = max(work.order.expires_ns, self.now) + round(MARGIN_S * 1e9)
        self.at(due_ns, self.inquire, work.order.client_id)

    def inquire(self, client_id: str) -> None:
        """Asks the venue for that one order."""
        work = self.work.get(client_id)
        if work is None or not work.sent or work.asking or work.parent in self.work:
            return
        work.asking = True
        self.call(
            self.venue.lookup, work.order,
            returns=OrderReport | None, then=partial(self._found, client_id, self.now),
            timeout_s=self.settings.timeout_s, latency_ns=self.venue.latency_ns,
        )  # fmt: skip

    def _found(self, client_id: str, asked_ns: int, outcome: OrderReport | Failure | None) -> None:
        work = self.work.get(client_id)
        if work is None:
            return
        work.asking = False
        if isinstance(outcome, Failure):  # a failed question proves nothing
            self.later(ASK_AGAIN_S, self.inquire, client_id)
        elif outcome is not None:
            self.reported(work, outcome)
        elif asked_ns <= work.order.expires_ns:  # it may have been on its way when the venue was asked
            self._doubt(work, "not known yet")
        else:
            self.update(work.order, "expired", reason="the venue does not know it, and it is too late for it to arrive")

    def reported(self, work: Work, report: OrderReport) -> None:
        """The venue's word on an order. Fills are booked from trades only, so a report ahead of them fetches them."""
        work.resolving = False
        if report.order and report.order.size and work.order.trigger is None:  # an amend may have changed it
            work.order = replace(work.order, size=report.order.size, price=report.order.price or work.order.price)
        if report.state in SETTLED:
            work.ended = report
        if report.filled > work.filled or (work.ended and work.ended.filled > work.filled):
            self.reconciling.fetch_trades()
        elif work.ended:
            self.update(work.order, work.ended.state, reason=work.ended.reason)
        else:
            self._works(work)
            self.reconciling.check()

    def _works(self, work: Work) -> None:
        """The venue has it, and it is not settled."""
        order = work.order
        work.known_ns = self.now
        if work.state == "intent":
            if order.kind == "market":  # it fills or ends at once: nobody needs to be told
                work.state = "partial" if work.filled else "working"
            else:
                self.update(order, self._open(work))
                self.protection.works(order)
        if work.cancelling:
            self._send_cancel(order)
        elif order.kind in ("limit", "post_only"):
            self.resting.limit(work)

    @staticmethod
    def _open(work: Work) -> OrderState:
        """How an order that the venue has stands on record."""
        return "amending" if work.before else "partial" if work.filled else "working"

    # ---- in

    def on_fill(self, fill: Fill) -> None:
        if work := self.work.get(fill.client_id):
            self.book(work, fill)

    def book(self, work: Work, report: FillReport | Fill) -> None:
        """A trade of ours, once."""
        order = work.order
        if report.trade_id in work.trades:
            return
        work.trades.add(report.trade_id)
        work.filled = add(work.filled, report.size)
        work.known_ns = self.now
        fill = Fill(
            account=self.account, plan=order.plan, instrument=order.instrument, client_id=order.client_id,
            trade_id=report.trade_id, side=order.side, size=report.size, price=report.price, fee=report.fee,
            base_fee=report.base_fee, liquidity=report.liquidity, filled_ns=report.filled_ns, decision=order.decision,  # type: ignore[arg-type]
        )  # fmt: skip
        number = self.emit(fill)
        self.reconciling.count(fill)
        self.protection.filled(order, fill, work.stop)
        if work.filled >= order.size and not work.before:
            self.update(order, "filled", fill=number)
        elif work.ended and work.filled >= work.ended.filled:
            self.update(order, work.ended.state, reason=work.ended.reason, fill=number)
        else:
            self.update(order, self._open(work), fill=number)
            if not order.reduce_only:
                self.resting.limit(work)
            if work.before:  # how much of it there is to fill is the venue's to say
                self.later(MARGIN_S, self.inquire, order.client_id)
        self.reconciling.arm()

    def on_order_update(self, update: OrderUpdate) -> None:
        """The venue's stream: working, cancelled, expired."""
        work = self.work.get(update.client_id)
        if work is not None and (update.state in SETTLED or update.state == "working"):
            report = OrderReport(
                client_id=update.client_id, state=update.state, filled=update.filled, reason=update.reason
            )
            self.reported(work, report)

    def on_funding(self, funding: Funding) -> None:
        self.reconciling.fund(funding)

    def on_link(self, link: Link) -> None:
        self.reconciling.link(up=link.up, reason=link.reason)

    def on_mark(self, mark: Mark) -> None:
        if mark.owner == "executor":
            self.protection.passed(mark)

    def on_lifecycle(self, lifecycle: Lifecycle) -> None:
        """A new indicator knows no alarms."""
        if lifecycle.event == "started" and lifecycle.restarts:
            self.protection.watch_again()

    def update(
        self, order: Order, state: OrderState, *, reason: str = "", fill: int = 0, terms: Order | None = None
    ) -> None:
        """Puts a change on record and tells risk; a settled order is forgotten here. `terms`: of an amend."""
        work = self.work.get(order.client_id)
        filled = work.filled if work else ZERO
        self.emit(
            OrderUpdate(
                account=self.account, plan=order.plan, instrument=order.instrument, client_id=order.client_id,
                state=state, filled=filled, reason=reason, order=terms, decision=order.decision, fill=fill,
            )
        )  # fmt: skip
        if work:
            work.state = state
        if state not in SETTLED:
            return
        if state == "rejected":
            self.say("warning", "order", f"order {order.client_id} rejected: {reason}", order.plan)
        if work:
            del self.work[order.client_id]
            for question in work.waiting:
                self.reply(question, {"order": order.client_id, "state": state, "filled": str(filled)})
        self.protection.settled(order, state, reason, filled)
        self.resting.settled()
        self.reconciling.settled(order.client_id)

    # ---- cancelling

    def cancel(self, client_id: str) -> None:
        """It is cancelled as soon as the venue is known to have it; one that was not sent yet, never is."""
        if work := self.work.get(client_id):
            work.cancelling = True
            if work.state != "intent" and not work.resolving:
                self._send_cancel(work.order)

    def _send_cancel(self, order: Order) -> None:
        if order.client_id in self.work:
            self.call(
                self.venue.cancel, order,
                returns=OrderReport, then=partial(self._cancelled, order.client_id), timeout_s=self.settings.timeout_s,
                latency_ns=self.venue.latency_ns,
            )  # fmt: skip

    def _cancelled(self, client_id: str, outcome: OrderReport | Failure) -> None:
        work = self.work.get(client_id)
        if work is None:
            return
        if isinstance(outcome, OrderReport):
            self.reported(work, outcome)
        else:  # rejected too: it may have filled in between
            self.later(MARGIN_S, self.inquire, client_id)

    # ---- people

    def on_command(self, command: Command) -> Any:
        """cancel ORDER; orders: what is open."""
        if command.verb == "cancel":
            client_id = command.args.get("order", "")
            work = self.work.get(client_id)
            if work is None:
                return {"error": f"no open order {client_id!r} in account {self.account}"}
            work.waiting.append(command.id)
            self.cancel(client_id)
            return DEFERRED
        return {"account": self.account, "ready": self.ready, "orders": [w.order for w in self.work.values()]}

    def say(self, severity: Any, kind: str, text: str, plan: str = "") -> None:
        self.emit(Alert(severity=severity, kind=kind, text=text, account=self.account, plan=plan))
