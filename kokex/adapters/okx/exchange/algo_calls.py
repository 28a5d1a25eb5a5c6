"""Endpoints of algo orders."""

from collections.abc import Callable, Iterator

from kokex.adapters.okx.exchange.account_calls import QUARTER_MS
from kokex.adapters.okx.exchange.algos import TYPES
from kokex.adapters.okx.exchange.calls import Answer, Call, Endpoint, Handler, instrument_type, matches, page
from kokex.adapters.okx.exchange.envelope import Failure, Params, absent, rows_answer
from kokex.adapters.okx.exchange.limits import Limit
from kokex.adapters.okx.exchange.listing import Row
from kokex.adapters.okx.exchange.orders import Algo

CANCEL_MOST = 10


def _row(given: Params, algo: Algo | None, failure: Failure | None, **rest: str) -> Row:
    return {
        "algoClOrdId": algo.client_id if algo else given.get("algoClOrdId"),
        "algoId": algo.id if algo else given.get("algoId"),
        "clOrdId": "",
        "sCode": failure.code if failure else "0",
        "sMsg": failure.text if failure else "",
        **rest,
    }


def place(call: Call) -> Answer:
    tag = call.given.get("tag")
    try:
        row = _row(call.given, call.venue.algos.place(call.member, call.given), None, tag=tag)
    except Failure as failure:
        row = _row(call.given, None, failure, tag=tag)
    return rows_answer([row])


def cancel(call: Call) -> Answer:
    items = call.items
    if len(items) > CANCEL_MOST:
        raise Failure("51111", f"Maximum {CANCEL_MOST} orders can be placed in bulk.")
    rows: list[Row] = []
    for given in map(Params, items):
        try:
            algo = call.venue.algos.find(call.member, given, "51400")
            call.venue.algos.cancel(call.member, algo)
            rows.append(_row(given, algo, None, tag=algo.tag))
        except Failure as failure:
            rows.append(_row(given, None, failure, tag=""))
    return rows_answer(rows)


def amend(call: Call) -> Answer:
    request = call.given.get("reqId")
    try:
        row = _row(call.given, call.venue.algos.amend(call.member, call.given), None, reqId=request)
    except Failure as failure:
        row = _row(call.given, None, failure, reqId=request)
    return rows_answer([row])


def details(call: Call) -> Answer:
    if not ("algoId" in call.given or "algoClOrdId" in call.given):
        raise Failure("50015", "Either parameter algoId or algoClOrdId is required")
    algo = call.member.find_algo(call.given.get("algoId"), call.given.get("algoClOrdId"))
    if algo is None:
        raise Failure("51603")
    return [algo.row()]


def _list(call: Call, wanted: Callable[[Algo], bool]) -> Answer:
    instrument_type(call.given)
    types = call.given.each("ordType")
    if not types:
        raise absent("ordType")
    if not set(types) <= {*TYPES, "iceberg", "twap", "chase"}:
        raise Failure("51000", "Parameter ordType error")

    def rows() -> Iterator[Row]:
        for algo in reversed(call.member.algos.values()):
            if algo.type in types and wanted(algo):
                row = algo.row()
                if matches(call.given, row, "instType", "instId", "algoId", "algoClOrdId"):
                    yield row

    return page(rows(), call.given, "algoId")


def pending(call: Call) -> Answer:
    return _list(call, lambda algo: not algo.final)


def history(call: Call) -> Answer:
    state, number = call.given.get("state"), call.given.get("algoId")
    if not state and not number:
        raise Failure("51602", "Either order status or order ID is required.")
    if state:
        call.given.one_of("state", "effective", "canceled", "order_failed")
    oldest = call.now_ms - QUARTER_MS
    return _list(call, lambda algo: algo.final and algo.changed_ms >= oldest and (not state or algo.state == state))


def _private(handler: Handler, *, by_instrument: bool = False, batch: bool = False) -> Endpoint:
    return Endpoint(handler, Limit(20, by_instrument=by_instrument), private=True, batch=batch)


ALGO: dict[tuple[str, str], Endpoint] = {
    ("POST", "trade/order-algo"): _private(place, by_instrument=True),
    ("POST", "trade/cancel-algos"): _private(cancel, by_instrument=True, batch=True),
    ("POST", "trade/cancel-advance-algos"): _private(cancel, by_instrument=True, batch=True),
    ("POST", "trade/amend-algos"): _private(amend, by_instrument=True),
    ("GET", "trade/order-algo"): _private(details),
    ("GET", "trade/orders-algo-pending"): _private(pending),
    ("GET", "trade/orders-algo-history"): _private(history),
}
