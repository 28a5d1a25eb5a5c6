"""Protective stops at another size: part of the executor, in a room of its own.

A position grows and shrinks, and its stop with it. What makes that hard is that OKX knows no deadline for an amend of a
conditional order: one whose answer was lost may still come about, much later. So

- a stop has at most one amend under way, and that is on record before it is sent;
- only that size itself, seen at the venue in answer to what was asked after it was sent, tells that it came about;
- a stop at which that is not seen in time stays in doubt, whatever is seen of it later: it is never amended again and
  counts as no cover, so another is placed for the whole position, and once that works it goes (protection.py).

The doubt outlives a restart: it is how the order stands on record until it is over.
"""

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, final

from msgspec.structs import replace

from actors.work import Work
from kokex.kernel.cell import Failure
from kokex.messages import SETTLED
from kokex.ports import OrderReport

if TYPE_CHECKING:
    from actors.executor import OrderExecutor

LOOK_S = 1.0  # before the venue is asked what became of it
LOOKS = 3


@final
class Amending:
    def __init__(self, executor: "OrderExecutor", *, believes: bool) -> None:
        """`believes`: a planted bug, an amend in doubt is taken for done."""
        self._executor = executor
        self._believes = believes

    def adopt(self, client_id: str) -> None:
        """A former process may have sent an amend of it, and never learnt what became of that."""
        if work := self._executor.work.get(client_id):
            work.before, work.doubtful = work.order, True

    def may(self, work: Work) -> bool:
        """Whether the venue has it as it is on record, and nothing is on its way that changes it."""
        changes = work.before or work.filled or work.resolving or work.cancelling
        return work.state == "working" and not (changes or work.refused)

    def amend(self, work: Work, size: Decimal) -> None:
        """To this size: written down, sent once that is on disk, looked for until it is seen."""
        executor, before = self._executor, work.order
        work.before, work.order = before, replace(before, size=size)
        executor.update(work.order, "amending", reason=f"to be {size}, from {before.size}", terms=work.order)
        executor.when_on_disk(partial(self._recorded, before.client_id))

    def _recorded(self, client_id: str, outcome: Failure | None) -> None:
        executor = self._executor
        work = executor.work.get(client_id)
        if work is None:
            return
        assert work.before
        assert work.order.trigger is not None
        if outcome is not None or work.cancelling or work.filled:
            self._undone(work, "its amend was not sent")
            return
        deadline_ns = executor.now + round(executor.settings.request_ttl_s * 1e9)  # until which it may be sent
        executor.call(
            executor.venue.amend, replace(work.before, expires_ns=deadline_ns), work.order.size, work.order.trigger,
            returns=OrderReport, then=partial(self._answered, client_id), timeout_s=executor.settings.timeout_s,
            latency_ns=executor.venue.latency_ns,
        )  # fmt: skip

    def _answered(self, client_id: str, outcome: OrderReport | Failure) -> None:
        work = self._executor.work.get(client_id)
        if work is None:
            return
        if isinstance(outcome, Failure) and outcome.kind == "Rejected":
            work.refused = True
            self._undone(work, outcome.text)
            self._executor.inquire(client_id)  # it may be over
        else:
            self._heard(client_id, LOOKS, outcome)

    def _look(self, client_id: str, looks: int) -> None:
        executor = self._executor
        if work := executor.work.get(client_id):
            executor.call(
                executor.venue.lookup, work.order,
                returns=OrderReport | None, then=partial(self._heard, client_id, looks),
                timeout_s=executor.settings.timeout_s, latency_ns=executor.venue.latency_ns,
            )  # fmt: skip

    def _heard(self, client_id: str, looks: int, outcome: OrderReport | Failure | None) -> None:
        """What was told of the order after its amend was sent. `looks`: so many more, and then it is in doubt."""
        executor = self._executor
        work = executor.work.get(client_id)
        if work is None:
            return
        report = outcome if isinstance(outcome, OrderReport) else None
        if report and report.state in SETTLED:
            executor.reported(work, report)
        elif (report and report.order and report.order.size == work.order.size) or (not looks and self._believes):
            self._holds(work, "")
            executor.protection.amended(work.order)
        elif looks:
            executor.later(LOOK_S, self._look, client_id, looks - 1)
        else:
            work.doubtful = True
            text = f"stop {client_id}: nobody knows whether it was amended; another takes its place"
            executor.say("warning", "stop", text, work.order.plan)
            executor.protection.amended(work.order)

    def _undone(self, work: Work, why: str) -> None:
        """It stands as it stood. What is to be done instead is looked at a moment later: the disk may be full."""
        assert work.before
        work.order = work.before
        self._holds(work, why)
        self._executor.later(LOOK_S, self._executor.protection.amended, work.order)

    def _holds(self, work: Work, why: str) -> None:
        """These are its terms, for certain."""
        work.before = None
        self._executor.update(work.order, "partial" if work.filled else "working", reason=why, terms=work.order)
