"""Limit orders that rest at the venue: part of the executor, in a room of its own.

Each has so long to fill; then it is cancelled, or moved to the best price of its side as often as is configured, for
no more money than risk approved. While one works at a venue that outlives this process, a dead-man's switch is fed:
when this process dies or loses its line, the venue cancels it, so that no entry fills with nobody there to guard it.
Protective stops stay: the switch does not reach them.
"""

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, final

from actors.work import Work
from kokex.kernel.cell import Failure, Timer
from kokex.market.instruments import floor_size, safe_price
from kokex.market.money import EXACT
from kokex.messages import Order
from kokex.ports import OrderReport, Touch

if TYPE_CHECKING:
    from actors.executor import OrderExecutor

RESTS = ("limit", "post_only")
SWITCH_S = 60  # after so long without a sign of life the venue cancels
FEED_S = 15.0
AGAIN_S = 2.0


@final
class Resting:
    def __init__(self, executor: "OrderExecutor", *, switch: bool) -> None:
        self._executor = executor
        self._switch = switch
        self._fed: Timer | None = None  # the next feeding, while the switch is on

    # ---- time limits

    def limit(self, work: Work) -> None:
        """From now on the order has so long to fill."""
        if not work.limited:
            work.limited = True
            self._executor.later(self._executor.settings.limit_timeout_s, self._too_long, work.order.client_id)

    def _too_long(self, client_id: str) -> None:
        executor = self._executor
        work = executor.work.get(client_id)
        if work is None:
            return
        settings, order = executor.settings, work.order
        fixed = order.kind not in RESTS or executor.draining or work.cancelling
        if fixed or settings.limit_end == "cancel" or work.repriced >= settings.reprices:
            executor.cancel(client_id)
            return
        work.repriced += 1
        executor.call(
            executor.venue.touch, order.instrument,
            returns=Touch, then=partial(self._reprice, client_id), timeout_s=settings.timeout_s,
            latency_ns=executor.venue.latency_ns,
        )  # fmt: skip

    def _reprice(self, client_id: str, touch: Touch | Failure) -> None:
        executor = self._executor
        work = executor.work.get(client_id)
        if work is None:
            return
        order = work.order
        if isinstance(touch, Failure) or order.price is None or work.state == "intent" or work.resolving:
            self._once_more(work)
            return
        instrument = executor.instruments[order.instrument]
        price = safe_price(instrument, order.side, touch.bid if order.side == "buy" else touch.ask)
        left = EXACT.subtract(order.size, work.filled)
        if not order.reduce_only and price > order.price:  # the money that was approved buys less now
            left = floor_size(instrument, EXACT.divide(EXACT.multiply(left, order.price), price))
        if price == order.price:
            self._once_more(work)
        elif left < instrument.minimum:
            executor.cancel(client_id)
        else:
            self._amend(work, EXACT.add(work.filled, left), price)

    def _amend(self, work: Work, size: Decimal, price: Decimal) -> None:
        """On record before it is sent; which terms hold afterwards is the venue's to say."""
        executor, order = self._executor, work.order
        executor.update(order, work.state, reason=f"to be {size} at {price}, from {order.size} at {order.price}")
        executor.when_on_disk(partial(self._recorded, order, size, price))

    def _recorded(self, order: Order, size: Decimal, price: Decimal, outcome: Failure | None) -> None:
        executor = self._executor
        work = executor.work.get(order.client_id)
        if work is None:
            return
        if outcome is not None:
            self._once_more(work)
            return
        executor.call(
            executor.venue.amend, order, size, price,
            returns=OrderReport, then=partial(self._amended, order.client_id), timeout_s=executor.settings.timeout_s,
            latency_ns=executor.venue.latency_ns,
        )  # fmt: skip

    def _amended(self, client_id: str, outcome: OrderReport | Failure) -> None:
        executor = self._executor
        work = executor.work.get(client_id)
        if work is None:
            return
        if isinstance(outcome, Failure):  # done or not: the venue's own word tells
            executor.later(AGAIN_S, executor.inquire, client_id)
        else:
            executor.reported(work, outcome)
        if client_id in executor.work:
            self._once_more(work)

    def _once_more(self, work: Work) -> None:
        """The time begins anew."""
        work.limited = False
        self.limit(work)

    # ---- the dead-man's switch

    def feed(self, order: Order) -> None:
        """Before an order goes out that may rest there."""
        if self._switch and order.kind in RESTS and not self._fed:
            self._feed_again()

    def _feed_again(self) -> None:
        self._send(SWITCH_S)
        self._fed = self._executor.later(FEED_S, self._feed_again)

    def settled(self) -> None:
        """An order is over: was it the last that rests?"""
        if self._fed and not any(work.order.kind in RESTS for work in self._executor.work.values()):
            self._fed.cancel()
            self._fed = None
            self._send(0)

    def _send(self, timeout_s: int) -> None:
        executor = self._executor
        executor.call(
            executor.venue.keep_alive, timeout_s, returns=None, then=_heard, timeout_s=executor.settings.timeout_s
        )


def _heard(_: Failure | None) -> None:
    """A switch that could not be fed cancels: that is what it is for. The next feeding is soon."""
