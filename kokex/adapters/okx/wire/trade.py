"""Orders: what is sent, what comes back, fills, and algo orders.

What is sent leaves out what has its default (None): OKX takes "" and null for absent too, but absent is plainest.
"""

from msgspec import Struct

from kokex.adapters.okx.wire import Row, Text


class Request(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of what is sent."""


class AttachedAlgo(Request, frozen=True, kw_only=True):
    """Take-profit and stop-loss that become orders once their parent is completely filled; -1 as price is market."""

    attach_algo_cl_ord_id: Text = None
    tp_trigger_px: Text = None
    tp_trigger_px_type: Text = None  # last, index or mark
    tp_ord_px: Text = None
    tp_ord_kind: Text = None
    sl_trigger_px: Text = None
    sl_trigger_px_type: Text = None
    sl_ord_px: Text = None
    sz: Text = None
    amend_px_on_trigger_type: Text = None


class PlaceOrder(Request, frozen=True, kw_only=True):
    """trade/order. `sz`: base currency for spot, contracts for a swap, always with `tgt_ccy` for a spot market order.

    Over WebSocket `inst_id_code` stands in for `inst_id`.
    """

    inst_id: Text = None
    inst_id_code: int | None = None
    td_mode: str  # cash, cross or isolated
    side: str
    ord_type: str  # market, limit, post_only, fok, ioc, optimal_limit_ioc
    sz: str
    cl_ord_id: Text = None
    tag: Text = None
    pos_side: Text = None
    px: Text = None
    reduce_only: bool | None = None
    tgt_ccy: Text = None  # base_ccy or quote_ccy
    ccy: Text = None
    ban_amend: bool | None = None
    stp_mode: Text = None
    attach_algo_ords: list[AttachedAlgo] | None = None


class AmendOrder(Request, frozen=True, kw_only=True):
    """trade/amend-order. `new_sz` is the total, what is filled included."""

    inst_id: Text = None
    inst_id_code: int | None = None
    ord_id: Text = None
    cl_ord_id: Text = None
    req_id: Text = None
    new_sz: Text = None
    new_px: Text = None
    cxl_on_fail: bool | None = None


class CancelOrder(Request, frozen=True, kw_only=True):
    """trade/cancel-order."""

    inst_id: Text = None
    inst_id_code: int | None = None
    ord_id: Text = None
    cl_ord_id: Text = None


class ClosePosition(Request, frozen=True, kw_only=True):
    """trade/close-position: at market. `auto_cxl`: cancels what stands in its way."""

    inst_id: str
    mgn_mode: str
    pos_side: Text = None
    ccy: Text = None
    auto_cxl: bool | None = None
    cl_ord_id: Text = None
    tag: Text = None


class PlaceAlgo(Request, frozen=True, kw_only=True):
    """trade/order-algo. A net-mode `close_fraction` of 1 wants `reduce_only`."""

    inst_id: str
    td_mode: str
    side: str
    ord_type: str  # conditional, oco, trigger, move_order_stop
    sz: Text = None
    close_fraction: Text = None
    algo_cl_ord_id: Text = None
    tag: Text = None
    pos_side: Text = None
    ccy: Text = None
    tgt_ccy: Text = None
    reduce_only: bool | None = None
    cxl_on_close_pos: bool | None = None
    # conditional, oco
    tp_trigger_px: Text = None
    tp_trigger_px_type: Text = None
    tp_ord_px: Text = None
    sl_trigger_px: Text = None
    sl_trigger_px_type: Text = None
    sl_ord_px: Text = None
    # trigger
    trigger_px: Text = None
    trigger_px_type: Text = None
    order_px: Text = None
    attach_algo_ords: list[AttachedAlgo] | None = None
    # trailing
    callback_ratio: Text = None
    callback_spread: Text = None
    active_px: Text = None


class AmendAlgo(Request, frozen=True, kw_only=True):
    """trade/amend-algos."""

    inst_id: str
    algo_id: Text = None
    algo_cl_ord_id: Text = None
    req_id: Text = None
    cxl_on_fail: bool | None = None
    new_sz: Text = None
    new_tp_trigger_px: Text = None
    new_tp_trigger_px_type: Text = None
    new_tp_ord_px: Text = None
    new_sl_trigger_px: Text = None
    new_sl_trigger_px_type: Text = None
    new_sl_ord_px: Text = None
    new_trigger_px: Text = None
    new_ord_px: Text = None


class CancelAlgo(Request, frozen=True, kw_only=True):
    """trade/cancel-algos: at most ten in a request."""

    inst_id: str
    algo_id: Text = None
    algo_cl_ord_id: Text = None


class AttachedOnOrder(Row, frozen=True, kw_only=True):
    """What an order still carries."""

    attach_algo_id: Text = ""
    attach_algo_cl_ord_id: Text = ""
    tp_trigger_px: Text = ""
    tp_ord_px: Text = ""
    sl_trigger_px: Text = ""
    sl_ord_px: Text = ""
    sz: Text = ""
    fail_code: Text = ""
    fail_reason: Text = ""


class Order(Row, frozen=True, kw_only=True):
    """trade/order, orders-pending, orders-history and the channel orders."""

    inst_id: str
    ord_id: str
    inst_type: Text = ""
    cl_ord_id: Text = ""
    tag: Text = ""
    state: Text = ""  # live, partially_filled; final: filled, canceled, mmp_canceled
    side: Text = ""
    pos_side: Text = ""
    td_mode: Text = ""
    ord_type: Text = ""
    px: Text = ""
    sz: Text = ""
    tgt_ccy: Text = ""
    ccy: Text = ""
    lever: Text = ""
    reduce_only: str | bool | None = ""
    acc_fill_sz: Text = ""
    avg_px: Text = ""
    fill_px: Text = ""  # of the last trade, as are the following
    fill_sz: Text = ""
    fill_time: Text = ""
    trade_id: Text = ""
    exec_type: Text = ""  # T taker, M maker (channel only)
    fill_fee: Text = ""  # negative is charged (channel only)
    fill_fee_ccy: Text = ""
    fill_pnl: Text = ""
    fee: Text = ""  # accumulated
    fee_ccy: Text = ""
    rebate: Text = ""
    rebate_ccy: Text = ""
    pnl: Text = ""
    source: Text = ""
    category: Text = ""
    cancel_source: Text = ""
    cancel_source_reason: Text = ""
    amend_source: Text = ""
    amend_result: Text = ""  # -1 failed, 0 done, 1 cancelled after a failed amend
    req_id: Text = ""
    algo_id: Text = ""
    algo_cl_ord_id: Text = ""
    attach_algo_ords: tuple[AttachedOnOrder, ...] | None = ()
    code: Text = ""
    msg: Text = ""
    u_time: Text = ""
    c_time: Text = ""


class Fill(Row, frozen=True, kw_only=True):
    """trade/fills and trade/fills-history. `fee` negative is charged."""

    inst_id: str
    trade_id: str
    ord_id: str
    inst_type: Text = ""
    cl_ord_id: Text = ""
    bill_id: Text = ""
    sub_type: Text = ""
    tag: Text = ""
    side: Text = ""
    pos_side: Text = ""
    fill_px: Text = ""
    fill_sz: Text = ""
    fill_pnl: Text = ""
    exec_type: Text = ""
    fee: Text = ""
    fee_ccy: Text = ""
    fill_time: Text = ""
    ts: Text = ""


class AlgoOrder(Row, frozen=True, kw_only=True):
    """orders-algo-pending, orders-algo-history, order-algo and the channels orders-algo and algo-advance."""

    inst_id: str
    algo_id: str
    inst_type: Text = ""
    algo_cl_ord_id: Text = ""
    cl_ord_id: Text = ""
    ord_id: Text = ""
    ord_id_list: tuple[str, ...] | None = ()
    state: Text = ""  # live, pause, partially_effective, effective, canceled, order_failed, partially_failed
    side: Text = ""
    pos_side: Text = ""
    td_mode: Text = ""
    ord_type: Text = ""
    sz: Text = ""
    close_fraction: Text = ""
    reduce_only: str | bool | None = ""
    tp_trigger_px: Text = ""
    tp_trigger_px_type: Text = ""
    tp_ord_px: Text = ""
    sl_trigger_px: Text = ""
    sl_trigger_px_type: Text = ""
    sl_ord_px: Text = ""
    trigger_px: Text = ""
    trigger_px_type: Text = ""
    ord_px: Text = ""
    callback_ratio: Text = ""
    callback_spread: Text = ""
    active_px: Text = ""
    move_trigger_px: Text = ""
    actual_sz: Text = ""
    actual_px: Text = ""
    actual_side: Text = ""  # tp or sl: which side of an OCO it was
    trigger_time: Text = ""
    fail_code: Text = ""
    tag: Text = ""
    lever: Text = ""
    c_time: Text = ""
    u_time: Text = ""


class CancelAllAfter(Row, frozen=True, kw_only=True):
    """trade/cancel-all-after."""

    trigger_time: Text = ""
    tag: Text = ""
    ts: Text = ""


class Closed(Row, frozen=True, kw_only=True):
    """trade/close-position."""

    inst_id: Text = ""
    pos_side: Text = ""
    cl_ord_id: Text = ""
    tag: Text = ""


class MassCancelled(Row, frozen=True, kw_only=True):
    """trade/mass-cancel."""

    result: bool | None = None


class PreCheck(Row, frozen=True, kw_only=True):
    """trade/order-precheck."""

    adj_eq: Text = ""
    adj_eq_chg: Text = ""
    imr: Text = ""
    imr_chg: Text = ""
    mmr: Text = ""
    mmr_chg: Text = ""
    mgn_ratio: Text = ""
    avail_bal: Text = ""
    avail_bal_chg: Text = ""
    liq_px: Text = ""
    type: Text = ""
