"""What happened to orders, positions and cycles, as alerts: part of the notifier, in a room of its own.

An order is told once, when it is settled, with the sum of its fills; a cycle when all its decisions are there.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, final

from msgspec import Struct

from kokex.market.positions import apply_fill, flat
from kokex.messages import SETTLED, Cycle, Decision, Fill, Instrument, Order, OrderUpdate, Portfolio, Position
from kokex.present import alerts
from kokex.present.alerts import Trade

if TYPE_CHECKING:
    from actors.notifier import Notifier

CYCLE_S = 90.0  # a cycle whose decisions are not all there by then is told with those that are
MOST = 1000  # orders and cycles remembered

Place = tuple[str, str]  # account, instrument


class Thinking(Struct):
    cycle: Cycle
    decisions: list[Decision] = []


@final
class Telling:
    def __init__(
        self, notifier: "Notifier", instruments: Mapping[str, Instrument], portfolios: Iterable[Portfolio]
    ) -> None:
        self._notifier = notifier
        self._instruments = instruments
        self._positions: dict[Place, Position] = {}
        self._counted: dict[str, int] = {}  # account -> id of the newest fill in its positions
        self._opened: dict[Place, int] = {}  # when a position was opened, if that was seen
        self._orders: dict[str, Order] = {}
        self._trades: dict[str, Trade] = {}  # by order
        self._stops: dict[tuple[str, str, str], str] = {}  # account, plan, instrument -> the stop told last
        self._cycles: dict[int, Thinking] = {}
        for portfolio in portfolios:
            self.portfolio(portfolio)

    def portfolio(self, portfolio: Portfolio) -> None:
        """Unless fills were heard of that it does not count yet."""
        if portfolio.last_fill >= self._counted.get(portfolio.account, 0):
            self._counted[portfolio.account] = portfolio.last_fill
            for each in portfolio.positions:
                self._positions[portfolio.account, each.instrument] = each

    # ---- orders

    def order(self, update: OrderUpdate) -> None:
        if update.order is not None:
            self._remember(update.order)
        order = self._orders.get(update.client_id)
        if order is None:
            return  # from before the start
        if update.state == "intent" and order.kind == "market" and not order.reduce_only:
            self._notifier.tell(alerts.order(update, order))  # that a venue has accepted it is no message
        elif update.state == "working":
            if order.trigger is not None and order.reduce_only:
                if not update.reason:  # with one: an amend was not done
                    self._stop(order)
            else:
                self._notifier.tell(alerts.order(update, order))
        elif update.state in SETTLED:
            del self._orders[update.client_id]
            if update.state != "filled" and not (order.trigger is not None and not update.filled):
                self._notifier.tell(alerts.order(update, order))
            self._traded(update.client_id)

    def _remember(self, order: Order) -> None:
        if len(self._orders) >= MOST:
            del self._orders[next(iter(self._orders))]
        self._orders[order.client_id] = order

    def _stop(self, order: Order) -> None:
        place = (order.account, order.plan, order.instrument)
        self._notifier.tell(alerts.stop(order, moved=place in self._stops))
        self._stops[place] = order.client_id

    def fill(self, fill: Fill) -> None:
        place = (fill.account, fill.instrument)
        before = self._positions.get(place) or flat(fill.instrument)
        after = apply_fill(before, fill, self._instruments[fill.instrument])
        self._positions[place] = after
        self._counted[fill.account] = fill.id
        trade = self._trades.get(fill.client_id)
        if trade is None:
            trade = self._trades[fill.client_id] = Trade(fill, before, after, self._opened.get(place, 0))
        trade.after = after
        trade.size += fill.size
        trade.turnover += fill.size * fill.price
        trade.fee += fill.fee
        if not after.size:
            self._opened.pop(place, None)
            for key in [key for key in self._stops if (key[0], key[2]) == place]:
                del self._stops[key]
        elif not before.size or (before.size > 0) != (after.size > 0):
            self._opened[place] = fill.filled_ns
        if fill.client_id not in self._orders:  # its order is from before the start: each fill is told
            self._traded(fill.client_id)

    def _traded(self, client_id: str) -> None:
        if trade := self._trades.pop(client_id, None):
            instrument = self._instruments[trade.first.instrument]
            self._notifier.tell(alerts.trade(trade, instrument, instrument.quote))

    # ---- thought

    def cycle(self, cycle: Cycle) -> None:
        if len(self._cycles) < MOST:
            self._cycles[cycle.id] = Thinking(cycle)
            self._notifier.later(CYCLE_S, self._thought, cycle.id)

    def decision(self, decision: Decision) -> None:
        if decision.act != "hold":
            self._notifier.tell_decision(decision)
        thinking = self._cycles.get(decision.cycle)
        if thinking is not None:
            thinking.decisions.append(decision)
            if len(thinking.decisions) == len(thinking.cycle.instruments):
                self._thought(decision.cycle)

    def _thought(self, cycle: int) -> None:
        if thinking := self._cycles.pop(cycle, None):
            self._notifier.tell(alerts.cycle(thinking.cycle, thinking.decisions))
