"""Orders and algo orders as the exchange keeps them, and as OKX writes them."""

from dataclasses import dataclass, field
from decimal import Decimal

from kokex.adapters.okx.exchange.listing import Listing, Row, plain
from kokex.market.instruments import notional
from kokex.market.money import EXACT

ZERO = Decimal(0)
FINAL = frozenset({"filled", "canceled", "mmp_canceled"})
ALGO_FINAL = frozenset({"effective", "canceled", "order_failed", "partially_failed"})
WITHOUT_PRICE = frozenset({"market", "optimal_limit_ioc"})


def written(value: Decimal | None) -> str:
    return "" if value is None else plain(value)


@dataclass(eq=False, slots=True)
class Order:
    """Sizes in the unit of the instrument; `asked` as the request said, which may be in quote currency."""

    id: str
    client_id: str
    tag: str
    listing: Listing
    mode: str  # tdMode
    side: str
    position_side: str
    type: str
    asked: Decimal
    size: Decimal
    price: Decimal | None
    target: str  # tgtCcy
    currency: str
    reduce_only: bool
    leverage: Decimal
    created_ms: int
    changed_ms: int
    state: str = "live"
    filled: Decimal = ZERO
    worth: Decimal = ZERO  # sum of size x price
    fee: Decimal = ZERO  # positive when paid
    rebate: Decimal = ZERO
    fee_currency: str = ""
    pnl: Decimal = ZERO
    last_fill: Row = field(default_factory=dict[str, str])
    cancel_source: str = ""
    cancel_reason: str = ""
    amend_source: str = ""
    category: str = "normal"
    source: str = ""
    algo_id: str = ""
    algo_client_id: str = ""
    attached: list[Row] = field(default_factory=list[Row])
    take_profit_limit: bool = False
    stp_mode: str = "cancel_maker"

    @property
    def final(self) -> bool:
        return self.state in FINAL

    @property
    def average(self) -> str:
        return (
            plain(EXACT.divide(self.worth, self.filled).quantize(Decimal("1E-12")).normalize()) if self.filled else ""
        )

    def row(self) -> Row:
        """As REST tells it."""
        swap = self.listing.type == "SWAP"
        fill = self.last_fill
        attached = self.attached[0] if len(self.attached) == 1 else {}
        return {
            "accFillSz": plain(self.filled),
            "algoClOrdId": self.algo_client_id,
            "algoId": self.algo_id,
            "attachAlgoClOrdId": attached.get("attachAlgoClOrdId", ""),
            "attachAlgoOrds": self.attached,
            "avgPx": self.average,
            "cTime": str(self.created_ms),
            "cancelSource": self.cancel_source,
            "cancelSourceReason": self.cancel_reason,
            "category": self.category,
            "ccy": self.currency,
            "clOrdId": self.client_id,
            "fee": plain(-self.fee),
            "feeCcy": self.fee_currency,
            "fillPx": fill.get("fillPx", ""),
            "fillSz": fill.get("fillSz", "0"),
            "fillTime": fill.get("fillTime", ""),
            "instId": self.listing.id,
            "instType": self.listing.type,
            "isTpLimit": "true" if self.take_profit_limit else "false",
            "lever": plain(self.leverage) if swap else "",
            "linkedAlgoOrd": {"algoId": ""},
            "ordId": self.id,
            "ordType": self.type,
            "pnl": plain(self.pnl),
            "posSide": self.position_side,
            "px": written(self.price),
            "pxType": "",
            "pxUsd": "",
            "pxVol": "",
            "quickMgnType": "",
            "rebate": plain(self.rebate),
            "rebateCcy": self.listing.inst.quote if swap or self.side == "buy" else self.listing.inst.base,
            "reduceOnly": "true" if self.reduce_only else "false",
            "side": self.side,
            "slOrdPx": attached.get("slOrdPx", ""),
            "slTriggerPx": attached.get("slTriggerPx", ""),
            "slTriggerPxType": attached.get("slTriggerPxType", ""),
            "source": self.source,
            "state": self.state,
            "stpId": "",
            "stpMode": self.stp_mode,
            "sz": plain(self.asked),
            "tag": self.tag,
            "tdMode": self.mode,
            "tgtCcy": self.target,
            "tpOrdPx": attached.get("tpOrdPx", ""),
            "tpTriggerPx": attached.get("tpTriggerPx", ""),
            "tpTriggerPxType": attached.get("tpTriggerPxType", ""),
            "tradeId": fill.get("tradeId", ""),
            "tradeQuoteCcy": "" if swap else self.listing.inst.quote,
            "uTime": str(self.changed_ms),
        }

    def push(self, last: Decimal, *, fill: Row | None, request: str = "", amended: str = "", code: str = "0",
             text: str = "") -> Row:  # fmt: skip
        """As the orders channel tells it; `fill` is the trade it is told for."""
        fill = fill or {}
        inst = self.listing.inst
        row = self.row()
        row.pop("cancelSourceReason")
        row.update({
            "amendResult": amended,
            "amendSource": self.amend_source,
            "code": code,
            "msg": text,
            "execType": fill.get("execType", ""),
            "fillFee": fill.get("fee", "0"),
            "fillFeeCcy": fill.get("feeCcy", ""),
            "fillFwdPx": "",
            "fillIdxPx": fill.get("fillIdxPx", ""),
            "fillMarkPx": fill.get("fillMarkPx", ""),
            "fillMarkVol": "",
            "fillNotionalUsd": plain(notional(inst, self.filled, Decimal(self.average))) if self.filled else "",
            "fillPnl": fill.get("fillPnl", "0"),
            "fillPx": fill.get("fillPx", ""),
            "fillPxUsd": "",
            "fillPxVol": "",
            "fillSz": fill.get("fillSz", "0"),
            "fillTime": fill.get("fillTime", ""),
            "lastPx": plain(last),
            "notionalUsd": plain(notional(inst, self.size, self.price or last)),
            "reqId": request,
            "tradeId": fill.get("tradeId", ""),
        })  # fmt: skip
        return row


@dataclass(eq=False, slots=True)
class Algo:
    """An order that waits for a price: conditional, oco, trigger or move_order_stop."""

    id: str
    client_id: str
    tag: str
    listing: Listing
    mode: str
    side: str
    position_side: str
    type: str
    size: Decimal | None  # None: the whole position
    target: str
    reduce_only: bool
    leverage: Decimal
    created_ms: int
    changed_ms: int
    take: Decimal | None = None
    take_price: Decimal | None = None  # -1: at the market
    take_by: str = "last"
    stop: Decimal | None = None
    stop_price: Decimal | None = None
    stop_by: str = "last"
    trigger: Decimal | None = None
    trigger_price: Decimal | None = None
    trigger_by: str = "last"
    rising: bool = False  # whether it is a rising price that triggers it
    ratio: Decimal | None = None  # callback of a trailing stop
    spread: Decimal | None = None
    active: Decimal | None = None
    following: bool = False
    extreme: Decimal = ZERO
    with_position: bool = False  # cxlOnClosePos
    close_whole: bool = False
    state: str = "live"
    order_ids: list[str] = field(default_factory=list[str])
    actual_side: str = ""
    actual_size: str = ""
    actual_price: str = ""
    triggered_ms: int = 0
    fail_code: str = ""
    attached: list[Row] = field(default_factory=list[Row])
    last: Decimal = ZERO
    from_order: str = ""

    @property
    def final(self) -> bool:
        return self.state in ALGO_FINAL

    @property
    def moving_trigger(self) -> Decimal | None:
        """Where a trailing stop stands now."""
        if not self.following:
            return None
        sign = -1 if self.side == "sell" else 1
        if self.ratio is not None:
            return EXACT.multiply(self.extreme, 1 + sign * self.ratio)
        return self.extreme + sign * (self.spread or ZERO)

    def row(self) -> Row:
        pending = self.state in {"live", "pause"}
        return {
            "activePx": written(self.active),
            "actualPx": self.actual_price,
            "actualSide": self.actual_side,
            "actualSz": self.actual_size or "0",
            "algoClOrdId": self.client_id,
            "algoId": self.id,
            "amendPxOnTriggerType": "0",
            "attachAlgoOrds": self.attached,
            "cTime": str(self.created_ms),
            "callbackRatio": written(self.ratio),
            "callbackSpread": written(self.spread),
            "ccy": "",
            "chaseType": "",
            "chaseVal": "",
            "clOrdId": "",
            "closeFraction": "1" if self.close_whole else "",
            "failCode": self.fail_code,
            "instId": self.listing.id,
            "instType": self.listing.type,
            "isTradeBorrowMode": "",
            "last": plain(self.last),
            "lever": plain(self.leverage) if self.listing.type == "SWAP" else "",
            "linkedOrd": {"ordId": self.from_order},
            "maxChaseType": "",
            "maxChaseVal": "",
            "moveTriggerPx": written(self.moving_trigger),
            "ordId": "" if pending or not self.order_ids else self.order_ids[-1],
            "ordIdList": list(self.order_ids),
            "ordPx": written(self.trigger_price),
            "ordType": self.type,
            "posSide": self.position_side,
            "pxLimit": "",
            "pxSpread": "",
            "pxVar": "",
            "quickMgnType": "",
            "reduceOnly": "true" if self.reduce_only else "false",
            "side": self.side,
            "slOrdPx": written(self.stop_price),
            "slTriggerPx": written(self.stop),
            "slTriggerPxType": self.stop_by if self.stop is not None else "",
            "state": self.state,
            "sz": written(self.size),
            "szLimit": "",
            "tag": self.tag,
            "tdMode": self.mode,
            "tgtCcy": self.target,
            "timeInterval": "",
            "tpOrdPx": written(self.take_price),
            "tpTriggerPx": written(self.take),
            "tpTriggerPxType": self.take_by if self.take is not None else "",
            "tradeQuoteCcy": "",
            "triggerPx": written(self.trigger),
            "triggerPxType": self.trigger_by if self.trigger is not None else "",
            "triggerTime": str(self.triggered_ms) if self.triggered_ms else "",
            "uTime": str(self.changed_ms),
        }
