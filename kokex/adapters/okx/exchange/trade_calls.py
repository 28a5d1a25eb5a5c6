"""Trading endpoints. The same operations come over the WebSocket."""

from collections.abc import Callable, Iterator
from decimal import Decimal

from kokex.adapters.okx.exchange.account_calls import QUARTER_MS, WEEK_MS
from kokex.adapters.okx.exchange.calls import Answer, Call, Endpoint, Handler, instrument_type, matches, page, within
from kokex.adapters.okx.exchange.desk import BATCH_MOST
from kokex.adapters.okx.exchange.envelope import Failure, Params, rows_answer, wrong
from kokex.adapters.okx.exchange.limits import Limit
from kokex.adapters.okx.exchange.listing import Row
from kokex.adapters.okx.exchange.member import Member
from kokex.adapters.okx.exchange.orders import Order

THREE_DAYS_MS = 3 * 86_400_000
UNFILLED_KEPT_MS = 2 * 3_600_000  # a canceled order without a fill is forgotten after this
ALL_ORDERS = Limit(1000)  # placed and amended, of an account

One = Callable[["Operations", Member, Params], Row]


class Operations:
    """On orders, one row each; a refusal is a row too."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.desk = call.venue.desk

    def _row(self, given: Params, order: Order | None, failure: Failure | None, **rest: str) -> Row:
        return {
            "clOrdId": order.client_id if order and failure is None else given.get("clOrdId"),
            "ordId": order.id if order and failure is None else given.get("ordId") if "ordId" in given else "",
            **rest,
            "ts": str(self.desk.now_ms()),
            "sCode": failure.code if failure else "0",
            "sMsg": failure.text if failure else "",
        }

    def place(self, given: Params) -> Row:
        tag = given.get("tag")
        try:
            self.pace()
            return self._row(given, self.desk.place(self.call.member, given), None, tag=tag) | {"sMsg": "Order placed"}
        except Failure as failure:
            return self._row(given, None, failure, tag=tag) | {"ordId": ""}

    def cancel(self, given: Params) -> Row:
        try:
            order = self.desk.pending(self.call.member, given, "51400", neither="51407")
            self.desk.cancel(self.call.member, order)
            return self._row(given, order, None)
        except Failure as failure:
            return self._row(given, None, failure)

    def amend(self, given: Params) -> Row:
        request = given.get("reqId")
        try:
            self.pace()
            return self._row(given, self.desk.amend(self.call.member, given), None, reqId=request)
        except Failure as failure:
            return self._row(given, None, failure, reqId=request)

    def pace(self) -> None:
        """What all orders of an account share. Raises Failure."""
        if not self.call.venue.limits.admit((self.call.member.name, "orders"), ALL_ORDERS, self.call.now_ms):
            raise Failure("50061")

    def deadline(self) -> "Operations":
        """`expTime`: the request must not be done later. Raises Failure."""
        asked = self.call.headers.get("expTime")
        if asked:
            if not str(asked).isdigit():
                raise wrong("expTime")
            if int(asked) < self.call.now_ms:
                raise Failure("50036")
        return self


def several(call: Call, one: Callable[[Params], Row]) -> Row:
    """A batch. Raises Failure where it is none, or too long."""
    items = call.items
    if len(items) > BATCH_MOST:
        raise Failure("51111", f"Maximum {BATCH_MOST} orders can be placed in bulk.")
    return rows_answer([one(Params(item)) for item in items])


def place(call: Call) -> Answer:
    return rows_answer([Operations(call).deadline().place(call.given)])


def batch(call: Call) -> Answer:
    return several(call, Operations(call).deadline().place)


def cancel(call: Call) -> Answer:
    return rows_answer([Operations(call).cancel(call.given)])


def cancel_batch(call: Call) -> Answer:
    return several(call, Operations(call).cancel)


def amend(call: Call) -> Answer:
    return rows_answer([Operations(call).deadline().amend(call.given)])


def amend_batch(call: Call) -> Answer:
    return several(call, Operations(call).deadline().amend)


def order(call: Call) -> Answer:
    listing = call.venue.desk.listing(call.given)
    if not ("ordId" in call.given or "clOrdId" in call.given):
        raise Failure("51003")
    found = call.member.find(call.given.get("ordId"), call.given.get("clOrdId"))
    if found is None or found.listing.id != listing.id or _purged(found, call.now_ms):
        raise Failure("51603")
    return [found.row()]


def _purged(found: Order, now_ms: int) -> bool:
    return found.state == "canceled" and not found.filled and now_ms - found.changed_ms > UNFILLED_KEPT_MS


def pending(call: Call) -> Answer:
    instrument_type(call.given)
    wanted = [order.row() for order in reversed(call.member.live.values())]
    types = call.given.each("ordType")
    return page(
        (
            row
            for row in wanted
            if matches(call.given, row, "instType", "instId", "state") and (not types or row["ordType"] in types)
        ),
        call.given,
        "ordId",
    )


def _history(call: Call, age_ms: int) -> Answer:
    instrument_type(call.given, needed=True)
    types = call.given.each("ordType")

    def rows() -> Iterator[Row]:
        for each in reversed(call.member.orders.values()):
            if not each.final or each.changed_ms < call.now_ms - age_ms or _purged(each, call.now_ms):
                continue
            row = each.row()
            if (
                matches(call.given, row, "instType", "instId", "state", "category")
                and (not types or row["ordType"] in types)
                and within(call.given, row, "cTime")
            ):
                yield row

    return page(rows(), call.given, "ordId")


def history(call: Call) -> Answer:
    return _history(call, WEEK_MS)


def archive(call: Call) -> Answer:
    return _history(call, QUARTER_MS)


def _fills(call: Call, age_ms: int) -> Answer:
    def rows() -> Iterator[Row]:
        for row in reversed(call.member.fills):
            if int(row["ts"]) < call.now_ms - age_ms:
                return
            if matches(call.given, row, "instType", "instId", "ordId", "subType") and within(call.given, row, "ts"):
                yield row

    return page(rows(), call.given, "billId")


def fills(call: Call) -> Answer:
    instrument_type(call.given)
    return _fills(call, THREE_DAYS_MS)


def fills_history(call: Call) -> Answer:
    instrument_type(call.given, needed=True)
    return _fills(call, QUARTER_MS)


def close_position(call: Call) -> Answer:
    """The whole position, at the market."""
    given, member, desk = call.given, call.member, call.venue.desk
    listing = desk.listing(given)
    if listing.type != "SWAP":
        raise Failure("51010")
    mode = given.one_of("mgnMode", "cross", "isolated")
    side = desk.position_side(member, listing, given)
    leg = member.books.leg(listing.id, mode, side)
    if leg is None or not leg.position.size:
        raise Failure("51023")
    size, sells = abs(leg.position.size), leg.position.size > 0
    if given.flag("autoCxl"):
        for each in [one for one in member.live.values() if one.listing is listing and one.mode == mode]:
            if (each.side == "sell") == sells and each.position_side == side:
                desk.cancel(member, each, "17", "Close order was canceled due to position was already closed")
    elif member.closing(listing, mode, side) and member.hedged:
        raise Failure("51115", "Cancel all pending close-orders before liquidation.")
    asked: Row = {
        "instId": listing.id, "tdMode": mode, "side": "sell" if sells else "buy", "ordType": "market", "sz": str(size),
        "posSide": side if member.hedged else "", "reduceOnly": "" if member.hedged else "true",
        "clOrdId": given.get("clOrdId"), "tag": given.get("tag"),
    }  # fmt: skip
    left = Decimal(size)
    while left:  # a large one goes in several market orders
        part = min(left, listing.most_at_market)
        desk.place(member, Params({**asked, "sz": str(part)}))
        if (after := abs(leg.position.size)) >= left:
            break
        left = after
    return [{"clOrdId": given.get("clOrdId"), "instId": listing.id, "posSide": side, "tag": given.get("tag")}]


def cancel_all_after(call: Call) -> Answer:
    """A dead man's switch: everything (with the tag) is canceled unless this is called again in time."""
    seconds, tag = call.given.whole("timeOut"), call.given.get("tag")
    if seconds is None:
        call.given.need("timeOut")
    if seconds is None or (seconds != 0 and not 10 <= seconds <= 120):
        raise wrong("timeOut")
    timers = call.member.cancel_at_ms
    if not seconds:
        timers.pop(tag, None)
    elif tag and tag not in timers and sum(bool(name) for name in timers) >= 20:
        raise Failure("51071", "You've reached the maximum limit for tag level cancel all after timers.")
    else:
        timers[tag] = call.now_ms + seconds * 1000
    return [{"tag": tag, "triggerTime": str(timers.get(tag, 0)), "ts": str(call.now_ms)}]


def mass_cancel(call: Call) -> Answer:
    """Here for swaps too; on OKX it is for options and those who protect themselves as market makers."""
    kind = call.given.one_of("instType", "SWAP", "OPTION", "SPOT")
    family = call.given.need("instFamily")
    for each in list(call.member.live.values()):
        if each.listing.type == kind and each.listing.pair == family:
            call.venue.desk.cancel(call.member, each)
    return [{"result": True}]


def rate_limit(call: Call) -> Answer:
    return [
        {
            "accRateLimit": "1000",
            "fillRatio": "",
            "mainFillRatio": "",
            "nextAccRateLimit": "1000",
            "ts": str(call.now_ms),
        }
    ]


def precheck(call: Call) -> Answer:
    names = ("adjEq", "adjEqChg", "availBal", "availBalChg", "imr", "imrChg", "liab", "liabChg", "liabChgCcy", "liqPx",
             "liqPxDiff", "liqPxDiffRatio", "mgnRatio", "mgnRatioChg", "mmr", "mmrChg", "posBal", "posBalChg",
             "type")  # fmt: skip
    call.venue.desk.listing(call.given)
    return [dict.fromkeys(names, "")]


def _private(handler: Handler, count: int, window_s: float = 2.0, *, by_instrument: bool = False, stamped: bool = False,
             batch: bool = False) -> Endpoint:  # fmt: skip
    return Endpoint(handler, Limit(count, window_s, by_instrument), private=True, stamped=stamped, batch=batch)


TRADE: dict[tuple[str, str], Endpoint] = {
    ("POST", "trade/order"): _private(place, 60, by_instrument=True, stamped=True),
    ("POST", "trade/batch-orders"): _private(batch, 300, by_instrument=True, stamped=True, batch=True),
    ("POST", "trade/cancel-order"): _private(cancel, 60, by_instrument=True, stamped=True),
    ("POST", "trade/cancel-batch-orders"): _private(cancel_batch, 300, by_instrument=True, stamped=True, batch=True),
    ("POST", "trade/amend-order"): _private(amend, 60, by_instrument=True, stamped=True),
    ("POST", "trade/amend-batch-orders"): _private(amend_batch, 300, by_instrument=True, stamped=True, batch=True),
    ("POST", "trade/close-position"): _private(close_position, 20, by_instrument=True),
    ("GET", "trade/order"): _private(order, 60, by_instrument=True),
    ("GET", "trade/orders-pending"): _private(pending, 60),
    ("GET", "trade/orders-history"): _private(history, 40),
    ("GET", "trade/orders-history-archive"): _private(archive, 20),
    ("GET", "trade/fills"): _private(fills, 60),
    ("GET", "trade/fills-history"): _private(fills_history, 10),
    ("POST", "trade/cancel-all-after"): _private(cancel_all_after, 1, 1.0),
    ("POST", "trade/mass-cancel"): _private(mass_cancel, 5),
    ("GET", "trade/account-rate-limit"): _private(rate_limit, 1, 1.0),
    ("POST", "trade/order-precheck"): _private(precheck, 5),
}
