"""Protective stops: part of the executor, in a room of its own.

What a plan holds of an instrument, by an entry that risk sized, is covered by stops at the venue, reduce-only, as
long as it is held. After each change the cover is compared with the position, and what is missing is placed; so
it does not matter why it is missing: a partial fill, a stop that expired, a restart. A stop that works at the venue is
amended to what is held. Where it cannot be, a new one is placed: first the new, and once it works the old ones go.

At a venue that outlives this process an entry brings its first stop along, so that there is no position without one,
whatever happens here; it is on record before the entry is sent, and counts as soon as the entry is filled.

A refused stop climbs a ladder: once more on the tick grid; then a local stop (an alarm on the price, and a loud
alert), tried at the venue again every minute; and out at the market only when the price is truly through.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, final

from msgspec import Struct
from msgspec.structs import replace

from actors.work import Work
from kokex.market.instruments import closable, safe_price
from kokex.market.money import add
from kokex.market.positions import change
from kokex.market.sizing import opposite
from kokex.messages import Alarm, Fill, Mark, Order, OrderState, Side
from kokex.ports import Entry

if TYPE_CHECKING:
    from actors.executor import OrderExecutor

ZERO = Decimal(0)
TRIES = 2
AGAIN_S = 1.0  # before what did not come about is placed again
SEEN_S = 5.0  # within which an attached stop must be seen at the venue, its entry being filled
LOCAL_S = 60.0  # before a stop that is watched here is tried at the venue again
THROUGH = "trigger_through"  # the venue's code for a trigger the price has passed


class Guard(Struct):
    """What a plan holds of an instrument, and what guards it."""

    plan: str
    instrument: str
    held: Decimal = ZERO  # signed
    open: Decimal = ZERO  # what of it an order can close
    newest: tuple[Order, Decimal | None] | None = None  # of what may open something and filled; and its stop
    entry: Order | None = None  # what is held came by it
    trigger: Decimal | None = None
    tries: int = 0
    stops: dict[str, Order] = {}  # under way or working at the venue
    local: dict[str, Order] = {}  # refused there, watched here


@final
class Protection:
    def __init__(self, executor: "OrderExecutor", *, attaches: bool) -> None:
        self._executor = executor
        self._attaches = attaches
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
            guard.newest = order, each.approved.stop
            if guard.open and (guard.open > 0) == (order.side == "buy"):
                self._take_up(guard, order, each.approved.stop)
        for order in unsettled:
            if _is_guard(order):
                self._guard(order.plan, order.instrument).stops[order.client_id] = order

    def adopt_attached(self) -> None:
        """Stops whose entry is not settled: they are not at the venue yet."""
        works = self._executor.work
        for work in list(works.values()):
            if work.order.attached and (stop := works.get(work.order.attached.client_id)):
                stop.parent, stop.resolving = work.order.client_id, False

    def held(self) -> dict[str, Decimal]:
        """By instrument, of all plans."""
        sums: dict[str, Decimal] = {}
        for guard in self._guards.values():
            sums[guard.instrument] = add(sums.get(guard.instrument, ZERO), guard.held)
        return sums

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
        self._hold(guard, add(guard.held, change(fill)))
        attached = self._executor.work.get(order.attached.client_id) if order.attached else None
        if attached and self._executor.work[order.client_id].filled >= order.size:
            attached.hoped = True
        if not order.reduce_only:
            guard.newest = order, stop
        # An order that turns the position round opens something only once a stop that fills beside it has filled.
        if guard.held and guard.newest and (guard.held > 0) == (guard.newest[0].side == "buy"):
            self._take_up(guard, *guard.newest)
        self._balance(guard)

    def works(self, order: Order) -> None:
        """The venue has it."""
        if order.trigger is not None:
            guard = self._guard(order.plan, order.instrument)
            guard.tries = 0
            self._balance(guard)

    def amended(self, order: Order) -> None:
        """It has another size, or it is known that it has not, or in doubt for good."""
        self._balance(self._guard(order.plan, order.instrument))

    def settled(self, order: Order, state: OrderState, why: str, filled: Decimal) -> None:
        guard = self._guard(order.plan, order.instrument)
        if not _is_guard(order):
            self._release(order, filled)
            self._balance(guard)
            return
        guard.stops.pop(order.client_id, None)
        if state == "rejected" and order.trigger is not None and _guards(order, guard):
            self._climb(guard, order, why)
        elif filled < order.size:  # it may have filled at the size it had before an amend
            self._executor.later(AGAIN_S, self._balance, guard)

    # ---- the stop that comes with its entry

    def attach(self, order: Order, stop: Decimal | None) -> Order:
        """The order with its protective stop, where it opens a position and the venue makes one of it."""
        if not self._attaches or stop is None or order.reduce_only or order.trigger is not None:
            return order
        guard = self._guard(order.plan, order.instrument)
        if guard.open and (guard.open > 0) != (order.side == "buy"):  # then it closes something first
            return order
        attached = self._stop(order, order.size, stop)
        guard.stops[attached.client_id] = attached
        work = self._executor.work[attached.client_id] = Work(attached, None, self._executor.now)
        work.sent, work.parent = True, order.client_id
        work.hoped = order.kind in ("market", "ioc", "fok")  # filled in one go, or not at all
        return replace(order, attached=attached)

    def _release(self, entry: Order, filled: Decimal) -> None:
        """An entry is over: its attached stop comes about if it was filled, and else never."""
        executor = self._executor
        work = executor.work.get(entry.attached.client_id) if entry.attached else None
        if work is None or work.state != "intent":
            return
        if not filled:
            executor.update(work.order, "expired", reason="its entry was not filled")
            return
        work.hoped = filled >= entry.size
        work.order = replace(work.order, expires_ns=executor.now + round(SEEN_S * 1e9))
        executor.later(AGAIN_S, executor.inquire, work.order.client_id)

    # ---- cover and position

    def _balance(self, guard: Guard) -> None:
        """Cancels the stops that guard nothing any longer, places what the position lacks."""
        executor = self._executor
        if not executor.ready or (guard.trigger is None and not guard.stops):
            return
        for client_id, stop in list(guard.stops.items()):
            waits = (work := executor.work.get(client_id)) and work.parent in executor.work
            if stop.trigger is not None and not _guards(stop, guard) and not waits:
                executor.cancel(client_id)
        guard.local = {key: stop for key, stop in guard.local.items() if _guards(stop, guard)}
        entry = guard.entry
        if entry is None or guard.trigger is None or not guard.open or (guard.open > 0) != (entry.side == "buy"):
            return
        covering = self._covering(guard)
        cover = sum((left for _, left in covering), ZERO) + sum((stop.size for stop in guard.local.values()), ZERO)
        instrument = executor.instruments[guard.instrument]
        missing = abs(guard.open) - cover
        trigger = safe_price(instrument, opposite(entry.side), guard.trigger)
        may_grow = [work for work, _ in covering if work.order.trigger == trigger and executor.amending.may(work)]
        if missing > 0 and may_grow:
            executor.amending.amend(may_grow[0], add(may_grow[0].order.size, missing))
        elif missing > 0 and (instrument.kind == "swap" or missing >= instrument.minimum):
            # A reduce-only order larger than the position does no harm; one below the minimum is refused.
            self._place(guard, entry, max(missing, instrument.minimum), guard.trigger)
        elif all(_seen(work) and not work.before for work, _ in covering):
            self._end_doubtful(guard)
            if missing < 0:
                self._trim(guard, entry, covering)

    def _covering(self, guard: Guard) -> list[tuple[Work, Decimal]]:
        """Stops under way or working, and how much each still guards: what it is to be, while it is amended.

        So a position that grows while its stop is made smaller has what it lacks placed at once.
        """
        works = self._executor.work
        found = [
            works[client_id] for client_id, stop in guard.stops.items() if client_id in works and _guards(stop, guard)
        ]
        return [
            (work, work.order.size - work.filled)
            for work in found
            if work.order.trigger is not None
            and not (work.cancelling or work.doubtful)
            and (work.hoped or not work.parent or _seen(work))
        ]

    def _trim(self, guard: Guard, entry: Order, covering: list[tuple[Work, Decimal]]) -> None:
        """More is guarded than there is: one stop gets the right size, and once it has that the others go."""
        executor, open_size = self._executor, abs(guard.open)
        moving = any(
            work.order.trigger is None and (work.order.plan, work.order.instrument) == (guard.plan, guard.instrument)
            for work in executor.work.values()
        )
        if moving or guard.tries:
            return
        if right := next((work for work, left in covering if left == open_size), None):
            for work, _ in covering:
                if work is not right:
                    executor.cancel(work.order.client_id)
        elif open_size >= executor.instruments[guard.instrument].minimum:
            last = covering[-1][0]
            if executor.amending.may(last):
                executor.amending.amend(last, open_size)
            else:
                self._place(guard, entry, open_size, last.order.trigger)

    def _end_doubtful(self, guard: Guard) -> None:
        """What they guarded, others do."""
        works = self._executor.work
        for client_id in [each for each in guard.stops if each in works and works[each].doubtful]:
            self._executor.cancel(client_id)

    def _hold(self, guard: Guard, size: Decimal) -> None:
        guard.held, guard.open = size, closable(self._executor.instruments[guard.instrument], size)

    def _place(self, guard: Guard, entry: Order, size: Decimal, trigger: Decimal | None) -> None:
        """A stop at `trigger`, or without one an exit at the market."""
        order = self._stop(entry, size, trigger)
        guard.stops[order.client_id] = order
        self._executor.submit(order)

    def _stop(self, entry: Order, size: Decimal, trigger: Decimal | None) -> Order:
        number = self._made[entry.client_id] = self._made.get(entry.client_id, 0) + 1
        side: Side = opposite(entry.side)
        instrument = self._executor.instruments[entry.instrument]
        return Order(
            client_id=f"{entry.client_id}S{number}",
            account=entry.account,
            plan=entry.plan,
            instrument=entry.instrument,
            side=side,
            kind="market" if trigger is None else "stop",
            size=size,
            trigger=None if trigger is None else safe_price(instrument, side, trigger),
            reduce_only=True,
            decision=entry.decision,
        )

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


def _seen(work: Work) -> bool:
    """Whether the venue is known to have it."""
    return work.state != "intent"


def _is_guard(order: Order) -> bool:
    return order.reduce_only and "S" in order.client_id
