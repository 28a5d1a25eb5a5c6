"""Protective stops: part of the executor, in a room of its own.

What a plan holds of an instrument, by an entry that risk sized, is covered by stops at the venue, reduce-only, as
long as it is held. After each change the cover is compared with the position, and what is missing is placed; so
it does not matter why it is missing: a partial fill, a stop that expired, a restart. A refused stop climbs a
ladder: once more on the tick grid; then a local stop (an alarm on the price, and a loud alert), tried at the venue
again every minute; and out at the market only when the price is truly through.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, final

from msgspec import Struct

from kokex.market.instruments import closable, safe_price
from kokex.market.money import EXACT
from kokex.market.positions import change
from kokex.market.sizing import opposite
from kokex.messages import Alarm, Fill, Mark, Order, OrderState, Side
from kokex.ports import Entry

if TYPE_CHECKING:
    from actors.executor import OrderExecutor

ZERO = Decimal(0)
TRIES = 2
AGAIN_S = 1.0  # before what did not come about is placed again
LOCAL_S = 60.0  # before a stop that is watched here is tried at the venue again
THROUGH = "trigger_through"  # the venue's code for a trigger the price has passed


class Guard(Struct):
    """What a plan holds of an instrument, and what guards it."""

    plan: str
    instrument: str
    held: Decimal = ZERO  # signed
    open: Decimal = ZERO  # what of it an order can close
    entry: Order | None = None  # the newest that filled
    trigger: Decimal | None = None
    tries: int = 0
    stops: dict[str, Order] = {}  # under way or working at the venue
    local: dict[str, Order] = {}  # refused there, watched here


@final
class Protection:
    def __init__(self, executor: "OrderExecutor") -> None:
        self._executor = executor
        self._guards: dict[tuple[str, str], Guard] = {}
        self._made: dict[str, int] = {}  # entry -> orders made for its protection

    # ---- start

    def adopt(
        self, held: Mapping[str, Mapping[str, Decimal]], entries: Iterable[Entry], unsettled: Iterable[Order]
    ) -> None:
        """What the store says is held, which entries it came by, and which stops were under way."""
        for plan, sizes in held.items():
            for instrument, size in sizes.items():
                self._hold(self._guard(plan, instrument), size)
        for each in entries:
            order = each.approved.order
            assert order
            self._made[order.client_id] = each.guards
            guard = self._guard(order.plan, order.instrument)
            if guard.open and (guard.open > 0) == (order.side == "buy"):
                self._take_up(guard, order, each.approved.stop)
        for order in unsettled:
            if _is_guard(order):
                self._guard(order.plan, order.instrument).stops[order.client_id] = order

    def check(self) -> None:
        """Once everything unsettled is resolved."""
        for guard in self._guards.values():
            self._balance(guard)

    def _take_up(self, guard: Guard, entry: Order, stop: Decimal | None) -> None:
        if guard.entry is None or guard.entry.client_id != entry.client_id:
            guard.entry, guard.trigger, guard.tries = entry, stop, 0

    # ---- what happens to orders

    def filled(self, order: Order, fill: Fill, stop: Decimal | None) -> None:
        """One of our orders traded."""
        guard = self._guard(order.plan, order.instrument)
        self._hold(guard, EXACT.add(guard.held, change(fill)))
        if not order.reduce_only and (guard.held > 0) == (order.side == "buy"):
            self._take_up(guard, order, stop)
        self._balance(guard)

    def works(self, order: Order) -> None:
        """The venue has it."""
        if order.trigger is not None:
            self._guard(order.plan, order.instrument).tries = 0

    def settled(self, order: Order, state: OrderState, why: str) -> None:
        if not _is_guard(order):
            return
        guard = self._guard(order.plan, order.instrument)
        guard.stops.pop(order.client_id, None)
        if state == "rejected" and order.trigger is not None and _guards(order, guard):
            self._climb(guard, order, why)
        elif state != "filled":
            self._executor.later(AGAIN_S, self._balance, guard)

    # ---- cover and position

    def _balance(self, guard: Guard) -> None:
        """Cancels the stops that guard nothing any longer, places what the position lacks."""
        executor = self._executor
        if not executor.ready or (guard.trigger is None and not guard.stops):
            return
        for stop in list(guard.stops.values()):
            if stop.trigger is not None and not _guards(stop, guard):
                executor.cancel(stop.client_id)
        guard.local = {key: stop for key, stop in guard.local.items() if _guards(stop, guard)}
        entry = guard.entry
        if entry is None or guard.trigger is None or not guard.open or (guard.open > 0) != (entry.side == "buy"):
            return
        cover = ZERO
        for client_id, stop in guard.stops.items():
            if _guards(stop, guard) and (work := executor.work.get(client_id)) and not work.cancelling:
                cover += stop.size - work.filled
        for stop in guard.local.values():
            cover += stop.size
        instrument = executor.instruments[guard.instrument]
        missing = abs(guard.open) - cover
        if missing > 0 and (instrument.kind == "swap" or missing >= instrument.minimum):
            # A reduce-only order larger than the position does no harm; one below the minimum is refused.
            self._place(guard, entry, max(missing, instrument.minimum), guard.trigger)

    def _hold(self, guard: Guard, size: Decimal) -> None:
        guard.held, guard.open = size, closable(self._executor.instruments[guard.instrument], size)

    def _place(self, guard: Guard, entry: Order, size: Decimal, trigger: Decimal | None) -> None:
        """A stop at `trigger`, or without one an exit at the market."""
        executor = self._executor
        number = self._made[entry.client_id] = self._made.get(entry.client_id, 0) + 1
        side: Side = opposite(entry.side)
        order = Order(
            client_id=f"{entry.client_id}S{number}",
            account=entry.account,
            plan=entry.plan,
            instrument=entry.instrument,
            side=side,
            kind="market" if trigger is None else "stop",
            size=size,
            trigger=None if trigger is None else safe_price(executor.instruments[entry.instrument], side, trigger),
            reduce_only=True,
            decision=entry.decision,
        )
        guard.stops[order.client_id] = order
        executor.submit(order)

    # ---- the ladder

    def _climb(self, guard: Guard, order: Order, why: str) -> None:
        executor = self._executor
        guard.tries += 1
        if THROUGH in why:
            text = f"price is through the stop of {order.instrument}: closing at the market"
            executor.say("critical", "stop", text, order.plan)
            self._close(guard, order)
        elif guard.tries < TRIES:
            text = f"stop of {order.instrument} refused ({why}): trying once more"
            executor.say("warning", "stop", text, order.plan)
            executor.later(AGAIN_S, self._balance, guard)
        else:
            guard.local[order.client_id] = order
            text = f"stop of {order.instrument} refused ({why}): watching {order.trigger} here"
            executor.say("critical", "stop", text, order.plan)
            self._watch(order)
            executor.later(LOCAL_S, self._try_again, guard, order.client_id)

    def _try_again(self, guard: Guard, client_id: str) -> None:
        if guard.local.pop(client_id, None):
            self._balance(guard)

    def _watch(self, order: Order) -> None:
        assert order.trigger is not None
        trigger = float(order.trigger)
        low, high = (trigger, 1e300) if order.side == "sell" else (0.0, trigger)
        self._executor.emit(
            Alarm(account=order.account, owner="executor", instrument=order.instrument, low=low, high=high)
        )

    def watch_again(self) -> None:
        """Whoever held the alarms has lost them."""
        for guard in self._guards.values():
            for stop in guard.local.values():
                self._watch(stop)

    def passed(self, mark: Mark) -> None:
        """The price passed a stop that is watched here."""
        for guard in self._guards.values():
            if guard.instrument == mark.instrument:
                for stop in list(guard.local.values()):
                    assert stop.trigger is not None
                    if (mark.price < float(stop.trigger)) == (stop.side == "sell"):
                        del guard.local[stop.client_id]
                        self._close(guard, stop)

    def _close(self, guard: Guard, stop: Order) -> None:
        if guard.entry:
            self._place(guard, guard.entry, stop.size, None)

    def _guard(self, plan: str, instrument: str) -> Guard:
        key = (plan, instrument)
        if key not in self._guards:
            self._guards[key] = Guard(plan, instrument)
        return self._guards[key]


def _guards(order: Order, guard: Guard) -> bool:
    """Whether the order would reduce what is held."""
    return bool(guard.open) and (order.side == "sell") == (guard.open > 0)


def _is_guard(order: Order) -> bool:
    return order.reduce_only and "S" in order.client_id
