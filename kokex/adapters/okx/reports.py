"""OKX's rows -> what the executor books: order reports, trades, funding. Pure."""

from collections.abc import Mapping
from decimal import Decimal

from kokex.adapters.okx.units import charged
from kokex.adapters.okx.wire import nanoseconds, number
from kokex.adapters.okx.wire.account import Bill
from kokex.adapters.okx.wire.trade import AlgoOrder, Fill, Order
from kokex.messages import Instrument, OrderState, Side
from kokex.messages import Order as Asked
from kokex.ports import FillReport, FundingReport, OrderReport

ZERO = Decimal(0)

STATES: dict[str, OrderState] = {
    "live": "working", "partially_filled": "partial", "filled": "filled", "canceled": "cancelled",
    "mmp_canceled": "cancelled",
}  # fmt: skip
CANCELLED_BY = {  # cancelSource, where OKX gives no reason of its own
    "0": "by the system", "1": "by its owner", "13": "not fillable at once", "14": "the rest is not fillable at once",
    "17": "nothing left to reduce", "20": "the dead-man's switch", "21": "nothing left to reduce",
    "31": "it would have taken",
}  # fmt: skip
FUNDING_BILL = "8"


def side_of(text: str | None) -> Side:
    return "buy" if text == "buy" else "sell"


def client_id_of(row: Order) -> str:
    """Ours: what a conditional order set free carries its algo order's."""
    return row.algo_cl_ord_id or row.cl_ord_id or ""


def order_report(row: Order, client_id: str = "") -> OrderReport:
    """The state of an order. Raises ValueError for a state that OKX does not document."""
    client_id = client_id or client_id_of(row)
    state = STATES.get(row.state or "")
    if state is None:
        raise ValueError(f"order {client_id} in the unknown state {row.state!r}")
    reason = ""
    if state == "cancelled":
        source = row.cancel_source or ""
        reason = row.cancel_source_reason or CANCELLED_BY.get(source, f"cancelled, source {source}" if source else "")
    return OrderReport(
        client_id=client_id,
        state=state,
        filled=number(row.acc_fill_sz, ZERO),
        reason=reason,
        order=_asked(row, client_id),
    )


def _asked(row: Order, client_id: str) -> Asked:
    """What it takes to cancel it, and its terms as they are now. An amend may have changed them."""
    return Asked(
        client_id=client_id, account="", plan="", instrument=row.inst_id, side=side_of(row.side),
        kind="limit" if row.px else "market", size=number(row.sz, ZERO), price=number(row.px),
        reduce_only=str(row.reduce_only).lower() == "true",
    )  # fmt: skip


def algo_report(row: AlgoOrder) -> OrderReport | None:
    """The state of a conditional order as long as it has set nothing free; None: look at the order it became."""
    client_id = row.algo_cl_ord_id or ""
    state: OrderState
    reason = ""
    match row.state:
        case "live" | "pause":
            state = "working"
        case "canceled":
            state = "cancelled"
        case "order_failed" | "partially_failed":  # the price is through, and nothing was sent
            state, reason = (
                "rejected",
                f"trigger_through: OKX could not place the order ({row.fail_code or 'no reason'})",
            )
        case "effective" | "partially_effective":
            return None
        case _:
            raise ValueError(f"conditional order {client_id} in the unknown state {row.state!r}")
    trigger = number(row.sl_trigger_px) or number(row.tp_trigger_px) or number(row.trigger_px)
    asked = Asked(
        client_id=client_id, account="", plan="", instrument=row.inst_id, side=side_of(row.side),
        kind="stop" if row.sl_trigger_px else "take_profit", size=number(row.sz, ZERO), trigger=trigger,
        reduce_only=True,
    )  # fmt: skip
    return OrderReport(client_id=client_id, state=state, reason=reason, order=asked)


def became(row: AlgoOrder) -> list[str]:
    """Numbers of the orders that a conditional order set free."""
    return [each for each in (*(row.ord_id_list or ()), row.ord_id) if each]


def fill_report(row: Fill, client_id: str, instruments: Mapping[str, Instrument]) -> FillReport:
    """Of trade/fills. Raises ValueError."""
    return _fill(
        client_id, instruments[row.inst_id], row.trade_id, row.side, row.fill_sz, row.fill_px, row.fee, row.fee_ccy,
        row.exec_type, row.fill_time or row.ts,
    )  # fmt: skip


def pushed_fill(row: Order, instruments: Mapping[str, Instrument]) -> FillReport | None:
    """The trade that an order's push tells of, if it does. Raises ValueError."""
    if not row.trade_id or not number(row.fill_sz, ZERO):
        return None
    return _fill(
        client_id_of(row), instruments[row.inst_id], row.trade_id, row.side, row.fill_sz, row.fill_px, row.fill_fee,
        row.fill_fee_ccy, row.exec_type, row.fill_time or row.u_time,
    )  # fmt: skip


def _fill(
    client_id: str, instrument: Instrument, trade_id: str, side: str | None, size: str | None, price: str | None,
    fee: str | None, currency: str | None, liquidity: str | None, at: str | None,
) -> FillReport:  # fmt: skip
    paid = number(price, ZERO)
    fees = charged(instrument, side_of(side), number(fee, ZERO), currency or "", paid)
    return FillReport(
        client_id=client_id, instrument=instrument.symbol, trade_id=trade_id, side=side_of(side),
        size=number(size, ZERO), price=paid, fee=fees.fee, base_fee=fees.base_fee,
        liquidity="maker" if liquidity == "M" else "taker", filled_ns=nanoseconds(at),
    )  # fmt: skip


def funding_report(row: Bill, rate: Decimal) -> FundingReport:
    """A bill of type 8."""
    amount = number(row.pnl, ZERO) or number(row.bal_chg, ZERO)
    return FundingReport(
        instrument=row.inst_id or "", funding_id=row.bill_id, rate=rate, amount=amount, due_ns=nanoseconds(row.ts)
    )
