"""The private REST endpoints, by OKX's names: the account, its orders, and how all pages of a list are read.

What has an effect is sent once and raises Rejected or Ambiguous (`kokex.adapters.okx.answers`). A list is whole or
an exception: a page that failed is never taken for the end.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, final

from kokex.adapters.okx.answers import accepted
from kokex.adapters.okx.rest import Rest
from kokex.adapters.okx.wire.account import (
    AccountConfig,
    Balance,
    Bill,
    Leverage,
    MaxAvailSize,
    MaxSize,
    Position,
    PositionMode,
    TradeFee,
)
from kokex.adapters.okx.wire.frames import Ack
from kokex.adapters.okx.wire.market import Instrument
from kokex.adapters.okx.wire.trade import (
    AlgoOrder,
    AmendAlgo,
    AmendOrder,
    CancelAlgo,
    CancelAllAfter,
    CancelOrder,
    Closed,
    ClosePosition,
    Fill,
    MassCancelled,
    Order,
    PlaceAlgo,
    PlaceOrder,
    PreCheck,
)
from kokex.ports import Ambiguous

T = TypeVar("T")

PAGE = 100
MOST_PAGES = 1000


async def all_pages(fetch: Callable[[str], Awaitable[list[T]]], key: Callable[[T], str], page: int = PAGE) -> list[T]:
    """All rows: `fetch(after)` page by page, newest first, until one is not full. Raises what `fetch` raises."""
    rows: list[T] = []
    after = ""
    for _ in range(MOST_PAGES):
        got = await fetch(after)
        rows.extend(got)
        if len(got) < page:
            return rows
        if (last := key(got[-1])) == after:
            break
        after = last
    raise Ambiguous(f"a list that does not end after {len(rows)} rows")


@final
class PrivateRest:
    """What the holder of the key may ask and do. `rest` has credentials."""

    def __init__(self, rest: Rest) -> None:
        self.rest = rest

    # ---- the account

    async def config(self) -> AccountConfig:
        """account/config."""
        return _one(await self.rest.get("account/config", AccountConfig, private=True))

    async def balance(self, ccy: str = "") -> Balance:
        return _one(await self.rest.get("account/balance", Balance, {"ccy": ccy}, private=True))

    async def positions(self, inst_type: str = "", inst_id: str = "") -> list[Position]:
        params = {"instType": inst_type, "instId": inst_id}
        return await self.rest.get("account/positions", Position, params, private=True)

    async def account_instruments(self, inst_type: str, inst_id: str = "") -> list[Instrument]:
        params = {"instType": inst_type, "instId": inst_id}
        return await self.rest.get("account/instruments", Instrument, params, private=True)

    async def leverage_info(self, inst_id: str, mgn_mode: str) -> list[Leverage]:
        params = {"instId": inst_id, "mgnMode": mgn_mode}
        return await self.rest.get("account/leverage-info", Leverage, params, private=True)

    async def set_leverage(self, lever: str, mgn_mode: str, inst_id: str, pos_side: str = "") -> list[Leverage]:
        body = {"lever": lever, "mgnMode": mgn_mode, "instId": inst_id} | ({"posSide": pos_side} if pos_side else {})
        return await self.rest.post("account/set-leverage", Leverage, body)

    async def set_position_mode(self, pos_mode: str) -> list[PositionMode]:
        return await self.rest.post("account/set-position-mode", PositionMode, {"posMode": pos_mode})

    async def max_size(self, inst_id: str, td_mode: str, px: str = "") -> list[MaxSize]:
        params = {"instId": inst_id, "tdMode": td_mode, "px": px}
        return await self.rest.get("account/max-size", MaxSize, params, private=True)

    async def max_avail_size(self, inst_id: str, td_mode: str, *, reduce_only: bool = False) -> list[MaxAvailSize]:
        params = {"instId": inst_id, "tdMode": td_mode, "reduceOnly": "true" if reduce_only else ""}
        return await self.rest.get("account/max-avail-size", MaxAvailSize, params, private=True)

    async def trade_fee(self, inst_type: str, inst_id: str = "", inst_family: str = "") -> TradeFee:
        params = {"instType": inst_type, "instId": inst_id, "instFamily": inst_family}
        return _one(await self.rest.get("account/trade-fee", TradeFee, params, private=True))

    async def bills(self, *, type_: str = "", begin_ms: int | None = None, after: str = "") -> list[Bill]:
        """One page, newest first; see `all_bills`."""
        params = {"type": type_, "begin": begin_ms, "after": after, "limit": PAGE}
        return await self.rest.get("account/bills", Bill, params, private=True)

    async def all_bills(self, *, type_: str = "", begin_ms: int | None = None) -> list[Bill]:
        """Newest first, of at most seven days."""
        return await all_pages(
            lambda after: self.bills(type_=type_, begin_ms=begin_ms, after=after), lambda bill: bill.bill_id
        )

    # ---- orders: doing

    async def place_order(self, order: PlaceOrder, *, expires_ns: int = 0) -> Ack:
        """trade/order: accepted, which is not yet done."""
        await self.rest.limits.take("orders", self.rest.user)
        return accepted(await self._act("trade/order", [order], order, expires_ns))

    async def batch_orders(self, orders: Sequence[PlaceOrder], *, expires_ns: int = 0) -> list[Ack]:
        """At most 20; each row says how it went, in the order of `orders`."""
        await self.rest.limits.take("orders", self.rest.user, len(orders))
        return await self._act("trade/batch-orders", orders, list(orders), expires_ns, single="trade/order")

    async def amend_order(self, order: AmendOrder, *, expires_ns: int = 0) -> Ack:
        await self.rest.limits.take("orders", self.rest.user)
        return accepted(await self._act("trade/amend-order", [order], order, expires_ns))

    async def amend_batch_orders(self, orders: Sequence[AmendOrder], *, expires_ns: int = 0) -> list[Ack]:
        """At most 20; each row says how it went."""
        await self.rest.limits.take("orders", self.rest.user, len(orders))
        return await self._act("trade/amend-batch-orders", orders, list(orders), expires_ns, single="trade/amend-order")

    async def cancel_order(self, order: CancelOrder) -> Ack:
        return accepted(await self._act("trade/cancel-order", [order], order))

    async def cancel_batch_orders(self, orders: Sequence[CancelOrder]) -> list[Ack]:
        """At most 20; each row says how it went."""
        return await self._act("trade/cancel-batch-orders", orders, list(orders), single="trade/cancel-order")

    async def close_position(self, request: ClosePosition) -> list[Closed]:
        return await self.rest.post("trade/close-position", Closed, request, instrument=request.inst_id)

    async def cancel_all_after(self, time_out_s: int, tag: str = "") -> CancelAllAfter:
        """All pending orders go unless this is called again within 10..120 s; 0 ends it."""
        body = {"timeOut": str(time_out_s)} | ({"tag": tag} if tag else {})
        return _one(await self.rest.post("trade/cancel-all-after", CancelAllAfter, body))

    async def mass_cancel(self, inst_type: str, inst_family: str) -> list[MassCancelled]:
        return await self.rest.post(
            "trade/mass-cancel", MassCancelled, {"instType": inst_type, "instFamily": inst_family}
        )

    async def order_precheck(self, order: PlaceOrder) -> list[PreCheck]:
        return await self.rest.post("trade/order-precheck", PreCheck, order)

    async def order_algo(self, order: PlaceAlgo) -> Ack:
        """trade/order-algo: conditional, oco, trigger or move_order_stop."""
        return accepted(await self._act("trade/order-algo", [order], order))

    async def amend_algos(self, order: AmendAlgo) -> Ack:
        return accepted(await self._act("trade/amend-algos", [order], order))

    async def cancel_algos(self, orders: Sequence[CancelAlgo]) -> list[Ack]:
        """At most ten; each row says how it went."""
        return await self._act("trade/cancel-algos", orders, list(orders))

    async def _act(
        self,
        endpoint: str,
        orders: Sequence[PlaceOrder | AmendOrder | CancelOrder | PlaceAlgo | AmendAlgo | CancelAlgo],
        body: object,
        expires_ns: int = 0,
        single: str = "",
    ) -> list[Ack]:
        """`single`: the endpoint whose bucket a batch of one draws from."""
        return await self.rest.post(
            endpoint,
            Ack,
            body,
            limit=single if single and len(orders) == 1 else "",
            instrument=orders[0].inst_id or "",
            count=len(orders),
            expires_ns=expires_ns,
            rows_tell=True,
        )

    # ---- orders: asking

    async def order(self, inst_id: str, *, ord_id: str = "", cl_ord_id: str = "") -> Order:
        """GET trade/order. Raises Rejected 51603 when there is none (cancelled ones go after two hours)."""
        params = {"instId": inst_id, "ordId": ord_id, "clOrdId": cl_ord_id}
        return _one(await self.rest.get("trade/order", Order, params, limit="trade/order-details", private=True))

    async def orders_pending(self, *, inst_type: str = "", inst_id: str = "", after: str = "") -> list[Order]:
        """One page, newest first; see `all_orders_pending`."""
        params = {"instType": inst_type, "instId": inst_id, "after": after, "limit": PAGE}
        return await self.rest.get("trade/orders-pending", Order, params, private=True)

    async def all_orders_pending(self, *, inst_type: str = "", inst_id: str = "") -> list[Order]:
        return await all_pages(
            lambda after: self.orders_pending(inst_type=inst_type, inst_id=inst_id, after=after),
            lambda order: order.ord_id,
        )

    async def orders_history(self, inst_type: str, *, begin_ms: int | None = None, after: str = "") -> list[Order]:
        """One page of seven days, newest first; what was cancelled without a fill is gone after two hours."""
        params = {"instType": inst_type, "begin": begin_ms, "after": after, "limit": PAGE}
        return await self.rest.get("trade/orders-history", Order, params, private=True)

    async def fills(self, *, inst_type: str = "", begin_ms: int | None = None, after: str = "") -> list[Fill]:
        """One page of three days, newest first; see `all_fills`."""
        params = {"instType": inst_type, "begin": begin_ms, "after": after, "limit": PAGE}
        return await self.rest.get("trade/fills", Fill, params, private=True)

    async def all_fills(self, *, inst_type: str = "", begin_ms: int | None = None) -> list[Fill]:
        """Newest first, of at most three days."""
        return await all_pages(
            lambda after: self.fills(inst_type=inst_type, begin_ms=begin_ms, after=after),
            lambda fill: fill.bill_id or "",
        )

    async def fills_history(self, inst_type: str, *, begin_ms: int | None = None, after: str = "") -> list[Fill]:
        """One page of three months, newest first."""
        params = {"instType": inst_type, "begin": begin_ms, "after": after, "limit": PAGE}
        return await self.rest.get("trade/fills-history", Fill, params, private=True)

    async def all_fills_history(self, inst_type: str, *, begin_ms: int | None = None) -> list[Fill]:
        return await all_pages(
            lambda after: self.fills_history(inst_type, begin_ms=begin_ms, after=after),
            lambda fill: fill.bill_id or "",
        )

    async def algo_order(self, *, algo_id: str = "", algo_cl_ord_id: str = "") -> AlgoOrder:
        """GET trade/order-algo. Raises Rejected when there is none."""
        params = {"algoId": algo_id, "algoClOrdId": algo_cl_ord_id}
        return _one(
            await self.rest.get("trade/order-algo", AlgoOrder, params, limit="trade/order-algo-details", private=True)
        )

    async def orders_algo_pending(self, ord_type: str, *, inst_id: str = "", after: str = "") -> list[AlgoOrder]:
        """One page; `ord_type` is mandatory (conditional,oco may stand together)."""
        params = {"ordType": ord_type, "instId": inst_id, "after": after, "limit": PAGE}
        return await self.rest.get("trade/orders-algo-pending", AlgoOrder, params, private=True)

    async def all_orders_algo_pending(self, ord_type: str, *, inst_id: str = "") -> list[AlgoOrder]:
        return await all_pages(
            lambda after: self.orders_algo_pending(ord_type, inst_id=inst_id, after=after),
            lambda order: order.algo_id,
        )

    async def orders_algo_history(
        self, ord_type: str, *, state: str = "", algo_id: str = "", after: str = ""
    ) -> list[AlgoOrder]:
        """One page; one of `state` (effective, canceled, order_failed) and `algo_id` is wanted."""
        params = {"ordType": ord_type, "state": state, "algoId": algo_id, "after": after, "limit": PAGE}
        return await self.rest.get("trade/orders-algo-history", AlgoOrder, params, private=True)


def _one(rows: Sequence[T]) -> T:
    if not rows:
        raise Ambiguous("an empty answer where one row belongs")
    return rows[0]
