"""What a stream or a crash may have lost, asked for: part of the executor, in a room of its own.

At a start: the trades of every unsettled order, then the order itself, then whether the venue's positions are the
sums of the fills on record; until all that is so, nothing is sent. Later: after a gap in the stream, and every
`sweep_s` while there is something to lose.
"""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, final

from kokex.kernel.cell import Failure
from kokex.market.money import add
from kokex.market.positions import change
from kokex.messages import Fill, Funding, Link, Portfolio
from kokex.ports import FillReport, FundingReport, OrderReport, VenueState

if TYPE_CHECKING:
    from actors.executor import OrderExecutor

ZERO = Decimal(0)
ASK_AGAIN_S = 5.0
LONGEST_WAIT_S = 300.0  # between two comparisons of positions that differ
BEHIND_S = 1.0  # the venue's list of trades is behind what it said of an order: look again,
FURTHER_NS = 3_600_000_000_000  # and further back
LOOK_BACK_NS = 60_000_000_000  # trades are asked for from a minute before what is known
LINK_S = 15.0  # within which the private stream stands after a start; that it does not is told then
STRAY = "works at the venue, but is over on record"
FUNDED_NS = 86_400_000_000_000  # funding is asked for from a day before the last sign of life


@final
class Reconciling:
    def __init__(self, executor: "OrderExecutor", sweep_s: float) -> None:
        self._executor = executor
        self._sweep_s = sweep_s
        self._up = True  # the venue's private stream
        self._outage = False  # people know that it is down
        self._armed = False  # a sweep will come
        self._stirred = False  # something happened since the last one
        self._over: set[str] | None = None  # orders that settled while a list of what is open is on its way
        self._fetching = False
        self._once_more = False
        self._funded: set[str] = set()
        self._funded_since = 0
        self._begun = False
        self._comparing = False  # positions are asked for, or will be again
        self._differed = 0  # times
        self.halted = False  # positions differ
        self._strayed = ""  # how positions differed in the last sweep
        self._held: dict[str, Decimal] = {}  # instrument -> size, by the fills on record; until positions agreed

    def funded_since(self, last: Portfolio | None) -> int:
        return last.at - FUNDED_NS if last else 0

    def start(
        self, held: Mapping[str, Mapping[str, Decimal]], funded: Sequence[str], since_ns: int, *, up: bool
    ) -> None:
        for sizes in held.values():
            for instrument, size in sizes.items():
                self._held[instrument] = add(self._held.get(instrument, ZERO), size)
        self._begun = True
        self._funded = set(funded)
        self._funded_since = since_ns
        self._up = up
        if not up:  # as usual: it is made once everything runs
            self._tell_link(up=False, reason="not connected yet")
            self._executor.later(LINK_S, self._tell_outage, "down since the start")
        self._fetch_fundings()
        if self._executor.work:
            self.fetch_trades()
        else:
            self._compare()
        self.arm()

    # ---- the private stream

    @property
    def entries(self) -> bool:
        """Whether there may be new ones, as risk was told."""
        return self._up and not self.halted

    def link(self, *, up: bool, reason: str) -> None:
        """It went or came. After a gap, what was missed is asked for."""
        if up == self._up:
            return
        self._up = up
        self._tell_link(up=up, reason=reason)
        if not up:
            self._tell_outage(reason)
            return
        if self._outage:
            self._outage = False
            self._executor.say("info", "venue", "the venue's private stream is back")
        self._fetch_fundings()
        if self._executor.work:
            self.fetch_trades()
            self._inquire_all()

    def _tell_link(self, *, up: bool, reason: str = "") -> None:
        executor = self._executor
        up = up and self._up and not self.halted
        executor.emit(Link(account=executor.account, edge="venue", up=up, reason=reason))

    def _tell_outage(self, reason: str) -> None:
        if not self._up and not self._outage:
            self._outage = True
            self._executor.say("warning", "venue", f"the venue's private stream is down: exits only ({reason})")

    def _inquire_all(self) -> None:
        for client_id in self._executor.work:
            self._executor.inquire(client_id)

    # ---- trades

    def fetch_trades(self) -> None:
        """Asks for the trades of all orders under way, at most one question at a time."""
        if self._fetching:
            self._once_more = True
            return
        executor = self._executor
        oldest = min((work.known_ns for work in executor.work.values()), default=executor.now)
        self._fetching = True
        executor.call(
            executor.venue.fills, oldest - LOOK_BACK_NS, returns=list[FillReport], then=self._fetched,
            timeout_s=executor.settings.timeout_s, latency_ns=executor.venue.latency_ns,
        )  # fmt: skip

    def _fetched(self, outcome: list[FillReport] | Failure) -> None:
        executor = self._executor
        self._fetching = False
        again, self._once_more = self._once_more, False
        if isinstance(outcome, Failure):
            executor.later(ASK_AGAIN_S, self.fetch_trades)
            return
        for report in outcome:
            if work := executor.work.get(report.client_id):
                executor.book(work, report)
        if again:
            self.fetch_trades()
        elif behind := [work for work in executor.work.values() if work.ended]:
            for work in behind:
                work.known_ns -= FURTHER_NS
            executor.later(BEHIND_S, self.fetch_trades)
        if not executor.ready:
            self._inquire_all()
            self.check()

    # ---- ready

    def check(self) -> None:
        """Once no order is in doubt, positions must agree; then orders may go out.

        Asked whenever one may be in doubt no longer, whoever told: an answer, or the stream while it was waited for.
        """
        executor = self._executor
        if executor.ready or self._comparing or not self._begun:
            return
        if not any(work.resolving or work.ended for work in executor.work.values()):
            self._compare()

    def settled(self, client_id: str) -> None:
        """An order is over."""
        if self._over is not None:
            self._over.add(client_id)
        self.check()

    def count(self, fill: Fill) -> None:
        """A fill on record, until positions agreed."""
        if not self._executor.ready:
            self._held[fill.instrument] = add(self._held.get(fill.instrument, ZERO), change(fill))

    def _compare(self) -> None:
        executor = self._executor
        self._comparing = True
        executor.call(
            executor.venue.state, returns=VenueState, then=self._compared,
            timeout_s=executor.settings.timeout_s, latency_ns=executor.venue.latency_ns,
        )  # fmt: skip

    def _compared(self, outcome: VenueState | Failure) -> None:
        executor = self._executor
        if isinstance(outcome, Failure):
            executor.later(ASK_AGAIN_S, self._compare)
            return
        if not (difference := self._difference(outcome, self._held)):
            executor.become_ready()
            return
        text = f"{difference}: nothing is sent until they agree"
        executor.say("critical", "positions", text)
        executor.later(min(ASK_AGAIN_S * 2**self._differed, LONGEST_WAIT_S), self._look_again)
        self._differed += 1

    def _look_again(self) -> None:
        self._comparing = False
        self.fetch_trades()

    def _difference(self, state: VenueState, held: Mapping[str, Decimal]) -> str:
        """Between the venue's positions and ours. Coins beyond ours are their owner's."""
        there = {each.instrument: each.size for each in state.positions if each.size}
        here = {symbol: size for symbol, size in held.items() if size}
        for symbol in {*there, *here}:
            size, ours = there.get(symbol, ZERO), here.get(symbol, ZERO)
            spot = self._executor.instruments[symbol].kind == "spot"
            if size < ours if spot else size != ours:
                return f"the venue has {_words(there)}, on record is {_words(here)}"
        return ""

    # ---- sweeping

    def arm(self) -> None:
        """Something stirs: a sweep comes, and another as long as orders work."""
        self._stirred = True
        if self._sweep_s and not self._armed:
            self._armed = True
            self._executor.later(self._sweep_s, self._sweep)

    def _sweep(self) -> None:
        """A stream may lose a message: compare what is open, and what funding was paid."""
        executor = self._executor
        self._armed = False
        if not executor.work and not self._stirred:
            return
        self.arm()
        self._stirred = False
        self._fetch_fundings()
        if executor.work:
            self._over = set()
            executor.call(
                executor.venue.state, returns=VenueState, then=self._swept,
                timeout_s=executor.settings.timeout_s, latency_ns=executor.venue.latency_ns,
            )  # fmt: skip

    def _swept(self, outcome: VenueState | Failure) -> None:
        over, self._over = self._over or set(), None
        if isinstance(outcome, Failure):
            return
        executor = self._executor
        open_there = {report.client_id: report for report in outcome.open_orders}
        self._look_for_strays(outcome, over)
        for client_id, work in list(executor.work.items()):
            if not work.sent or work.resolving or work.state == "intent":
                continue
            if client_id in open_there:
                executor.reported(work, open_there[client_id])
            else:
                executor.inquire(client_id)

    def _look_for_strays(self, state: VenueState, over: Collection[str]) -> None:
        """What should not be there: an order of ours that is over on record, a position that no trade explains.

        Of orders that are `over` since the list was asked for it says nothing: it may be older than their end.
        """
        executor = self._executor
        ours = f"k{executor.store.tag}"
        known = {*executor.work, *over}
        for report in state.open_orders:
            if report.order and report.client_id.startswith(ours) and report.client_id not in known:
                text = f"order {report.client_id} {STRAY}: cancelling it"
                executor.say("warning", "order", text)
                executor.call(
                    executor.venue.cancel, report.order, returns=OrderReport, then=_done,
                    timeout_s=executor.settings.timeout_s, latency_ns=executor.venue.latency_ns,
                )  # fmt: skip
        works = [work for work in executor.work.values() if work.parent not in executor.work]
        quiet = not any(work.state in ("intent", "partial") or work.resolving for work in works)
        if not executor.ready or not quiet:
            return
        difference = self._difference(state, executor.protection.held())
        if difference and self._strayed == difference:  # twice: it is not a trade on its way
            self._halt(difference)
        elif not difference:
            self._resume()
        self._strayed = difference

    def _halt(self, why: str) -> None:
        """No new entries: what is held is not what is on record. Exits go on."""
        if not self.halted:
            self.halted = True
            self._executor.say("critical", "positions", f"{why}: exits only until they agree")
            self._tell_link(up=False, reason=why)

    def _resume(self) -> None:
        if self.halted:
            self.halted = False
            self._executor.say("info", "positions", "positions agree with the venue again")
            self._tell_link(up=True)

    # ---- funding

    def fund(self, funding: Funding) -> None:
        """A payment, once."""
        executor = self._executor
        if funding.funding_id in self._funded:
            return
        self._funded.add(funding.funding_id)
        executor.emit(
            Funding(
                account=executor.account, instrument=funding.instrument, funding_id=funding.funding_id,
                rate=funding.rate, amount=funding.amount, due_ns=funding.due_ns,
            )
        )  # fmt: skip
        self.arm()

    def _fetch_fundings(self) -> None:
        executor = self._executor
        executor.call(
            executor.venue.fundings, self._funded_since, returns=list[FundingReport], then=self._paid,
            timeout_s=executor.settings.timeout_s, latency_ns=executor.venue.latency_ns,
        )  # fmt: skip

    def _paid(self, outcome: list[FundingReport] | Failure) -> None:
        executor = self._executor
        if isinstance(outcome, Failure):
            executor.later(ASK_AGAIN_S, self._fetch_fundings)
            return
        for report in outcome:
            self.fund(
                Funding(
                    account=executor.account, instrument=report.instrument, funding_id=report.funding_id,
                    rate=report.rate, amount=report.amount, due_ns=report.due_ns,
                )
            )  # fmt: skip
        self._funded_since = max(self._funded_since, executor.now - FUNDED_NS)


def _done(_: OrderReport | Failure) -> None:
    """The next sweep sees."""


def _words(sizes: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{size} {instrument}" for instrument, size in sorted(sizes.items())) or "no position"
