"""An order as risk sized it -> the request that places, amends or cancels it at OKX. Pure; units are in units.py."""

from decimal import Decimal

from kokex.adapters.okx import units
from kokex.adapters.okx.units import AccountMode
from kokex.adapters.okx.wire.trade import (
    AmendAlgo,
    AmendOrder,
    AttachedAlgo,
    CancelAlgo,
    CancelOrder,
    PlaceAlgo,
    PlaceOrder,
)
from kokex.messages import Instrument, Order, OrderKind
from kokex.ports import Rejected

AT_MARKET = "-1"  # as the price of what a trigger sets free
ORDER_TYPES: dict[OrderKind, str] = {
    "market": "market", "limit": "limit", "post_only": "post_only", "ioc": "ioc", "fok": "fok",
}  # fmt: skip


def is_conditional(order: Order) -> bool:
    """Whether it is an algo order at OKX: one that waits for a price."""
    return order.kind in ("stop", "take_profit")


def placing(order: Order, instrument: Instrument, mode: AccountMode, tag: str) -> PlaceOrder:
    """trade/order. Raises Rejected for what the account or the instrument does not take."""
    spot = instrument.kind == "spot"
    market = order.kind == "market"
    if not market and order.price is None:
        raise Rejected("no_price", f"a {order.kind} order needs a price")
    return PlaceOrder(
        inst_id=order.instrument,
        td_mode=units.trade_mode(instrument, mode),
        side=order.side,
        ord_type=ORDER_TYPES[order.kind],
        sz=units.order_size(instrument, order.size),
        cl_ord_id=order.client_id,
        tag=tag,
        pos_side=units.position_side(instrument, mode, order.side, reduce_only=order.reduce_only) or None,
        px=None if order.price is None or market else units.limit_price(instrument, order.side, order.price),
        reduce_only=True if order.reduce_only and not spot and not mode.hedged else None,
        tgt_ccy="base_ccy" if spot and market else None,
        attach_algo_ords=[_attached(order, instrument)] if order.attached else None,
    )


def _attached(order: Order, instrument: Instrument) -> AttachedAlgo:
    """The protective stop that OKX makes of it the moment the order is filled."""
    stop = order.attached
    assert stop
    assert stop.trigger is not None
    return AttachedAlgo(
        attach_algo_cl_ord_id=stop.client_id,
        sl_trigger_px=units.trigger_price(instrument, stop, stop.trigger),
        sl_trigger_px_type="last",
        sl_ord_px=AT_MARKET,
    )


def placing_conditional(order: Order, instrument: Instrument, mode: AccountMode, tag: str) -> PlaceAlgo:
    """trade/order-algo: at the market once the last price passes the trigger. Raises Rejected."""
    if order.trigger is None:
        raise Rejected("no_trigger", f"a {order.kind} order needs a trigger")
    trigger = units.trigger_price(instrument, order, order.trigger)
    stop = order.kind == "stop"
    return PlaceAlgo(
        inst_id=order.instrument,
        td_mode=units.trade_mode(instrument, mode),
        side=order.side,
        ord_type="conditional",
        sz=units.order_size(instrument, order.size),
        algo_cl_ord_id=order.client_id,
        tag=tag,
        pos_side=units.position_side(instrument, mode, order.side, reduce_only=order.reduce_only) or None,
        reduce_only=True if order.reduce_only and instrument.kind == "swap" and not mode.hedged else None,
        tgt_ccy="base_ccy" if instrument.kind == "spot" else None,
        sl_trigger_px=trigger if stop else None,
        sl_trigger_px_type="last" if stop else None,
        sl_ord_px=AT_MARKET if stop else None,
        tp_trigger_px=None if stop else trigger,
        tp_trigger_px_type=None if stop else "last",
        tp_ord_px=None if stop else AT_MARKET,
    )


def amending(order: Order, instrument: Instrument, size: Decimal, price: Decimal) -> AmendOrder:
    """trade/amend-order: to this size, what is filled included, at this price. Raises Rejected."""
    return AmendOrder(
        inst_id=order.instrument,
        cl_ord_id=order.client_id,
        new_sz=units.order_size(instrument, size),
        new_px=units.limit_price(instrument, order.side, price),
    )


def amending_conditional(order: Order, instrument: Instrument, size: Decimal, trigger: Decimal) -> AmendAlgo:
    """trade/amend-algos: to this size and trigger. What stays as it is, is left out: a trigger would be judged anew."""
    moved = None if trigger == order.trigger else units.trigger_price(instrument, order, trigger)
    stop = order.kind == "stop"
    return AmendAlgo(
        inst_id=order.instrument,
        algo_cl_ord_id=order.client_id,
        new_sz=units.order_size(instrument, size),
        new_sl_trigger_px=moved if stop else None,
        new_tp_trigger_px=None if stop else moved,
    )


def cancelling(order: Order) -> CancelOrder:
    return CancelOrder(inst_id=order.instrument, cl_ord_id=order.client_id)


def cancelling_conditional(order: Order) -> CancelAlgo:
    return CancelAlgo(inst_id=order.instrument, algo_cl_ord_id=order.client_id)
