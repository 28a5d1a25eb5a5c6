"""Where orders come in: what OKX checks of them, and what becomes of them at the matching engine.

An order's number is its client id at the engine, where no account's clOrdId can be in the way of another's.
"""

import re
from collections.abc import Callable
from decimal import ROUND_FLOOR, Decimal
from typing import Any, cast

from kokex.adapters.okx.exchange.envelope import Failure, Params, absent, wrong
from kokex.adapters.okx.exchange.floor import Floor
from kokex.adapters.okx.exchange.listing import BAND, Listing, Row, plain
from kokex.adapters.okx.exchange.member import Member, Numbers
from kokex.adapters.okx.exchange.orders import WITHOUT_PRICE, Order
from kokex.market.instruments import exact, floor_size
from kokex.market.money import EXACT
from kokex.messages import Order as EngineOrder
from kokex.messages import OrderKind
from kokex.paper.exchange import Exchange
from kokex.ports import Rejected

ZERO = Decimal(0)
PENDING_MOST, PENDING_MOST_OF_ONE = 4000, 500
BATCH_MOST = 20
KINDS: dict[str, OrderKind] = {
    "market": "ioc", "optimal_limit_ioc": "ioc", "limit": "limit", "post_only": "post_only", "fok": "fok", "ioc": "ioc",
}  # fmt: skip
_CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_TAG = re.compile(r"[A-Za-z0-9]{1,16}")
REASONS = {  # the engine's: cancelSource, and what OKX says
    "by its owner": ("1", "Order canceled by user."),
    "would take": ("31", "The post-only order will take liquidity in taker orders"),
    "not fillable at once": ("13", "FOK order was canceled due to incompletely filled"),
    "the rest is not fillable at once": ("14", "IOC order was partially canceled due to incompletely filled"),
    "not marketable": ("14", "IOC order was partially canceled due to incompletely filled"),
    "insufficient funds": ("0", "Order canceled by system: insufficient balance"),
    "nothing left to reduce": ("17", "Close order was canceled due to position was already closed"),
}


class Desk:
    """`told(member, order, fill, ...)` is called for everything the orders channel should tell."""

    def __init__(self, floor: Floor, exchange: Exchange, numbers: Numbers, now_ns: Callable[[], int]) -> None:
        self.floor = floor
        self.exchange = exchange
        self.numbers = numbers
        self._now_ns = now_ns
        self.told: Callable[..., None] = lambda *_, **__: None

    def now_ms(self) -> int:
        return self._now_ns() // 1_000_000

    def listing(self, given: Params) -> Listing:
        """By instId or instIdCode. Raises Failure 51001."""
        if "instId" in given:
            found = self.floor.listings.get(given.get("instId"))
        elif "instIdCode" in given:
            found = self.floor.codes.get(given.whole("instIdCode") or 0)
        else:
            raise absent("instId")
        if found is None:
            raise Failure("51001")
        return found

    # ---- new orders -----------------------------------------------------------------------------

    def place(self, member: Member, given: Params, **extra: Any) -> Order:
        """Takes an order; it has met the book when this returns. Raises Failure."""
        order = self._read(member, given)
        for name, value in extra.items():
            setattr(order, name, value)
        self._check_pending(member, order)
        self.enter(member, order)
        return order

    def enter(self, member: Member, order: Order) -> None:
        """Hands an order to the engine. Raises Failure."""
        terms = member.terms(order.listing, order.mode, order.position_side)
        member.books.terms[order.id] = terms
        kind = KINDS[order.type]
        closing = order.reduce_only or self._closes(member, order)
        try:
            self.exchange.place(
                member.name,
                EngineOrder(
                    client_id=order.id, account=member.name, plan="", instrument=order.listing.id,
                    side="buy" if order.side == "buy" else "sell", kind=kind, size=order.size, price=order.price,
                    reduce_only=closing,
                ),
            )  # fmt: skip
        except Rejected as error:
            del member.books.terms[order.id]
            raise self._refusal(error, order) from None
        member.add(order)
        self.told(member, order, None)
        self.exchange.on_book(self.floor.boards[order.listing.id].book(400), self._now_ns())

    def _closes(self, member: Member, order: Order) -> bool:
        return (
            member.hedged and order.listing.type == "SWAP" and (order.position_side == "long") == (order.side == "sell")
        )

    def _refusal(self, error: Rejected, order: Order) -> Failure:
        swap = order.listing.type == "SWAP"
        match error.code:
            case "below_minimum":
                return Failure("51020")
            case "bad_lot":
                return Failure("51121")
            case "bad_tick" | "bad_price":
                return wrong("px")
            case "nothing_to_reduce":
                return Failure("51169")
            case "no_short":
                return Failure("51008", f"Order failed. Insufficient {order.listing.inst.base} balance in account")
            case _:
                what = "margin" if swap else "balance"
                return Failure("51008", f"Order failed. Insufficient {order.listing.inst.quote} {what} in account")

    def _read(self, member: Member, given: Params) -> Order:
        listing = self.listing(given)
        swap = listing.type == "SWAP"
        for name, form in (("clOrdId", _CLIENT_ID), ("tag", _TAG)):
            if name in given and not form.fullmatch(given.get(name)):
                raise wrong(name)
        mode = given.one_of("tdMode", "cash", "cross", "isolated", "spot_isolated")
        if swap and member.level == "1":
            raise Failure("51010")
        if swap and mode not in {"cross", "isolated"}:
            raise wrong("tdMode")
        if not swap and mode != "cash":
            raise Failure("51010") if member.level in {"1", "2"} and mode == "cross" else wrong("tdMode")
        side = given.one_of("side", "buy", "sell")
        type_ = given.one_of("ordType", *KINDS)
        if type_ == "optimal_limit_ioc" and not swap:
            raise wrong("ordType")
        position_side = self.position_side(member, listing, given)
        asked = given.number("sz")
        if asked is None:
            raise absent("sz")
        if asked <= 0:
            raise wrong("sz")
        price = None
        if type_ not in WITHOUT_PRICE:
            price = given.number("px")
            if price is None:
                raise Failure("51204")
            self.check_price(listing, side, price)
        target = given.get("tgtCcy")
        if target and (target not in {"base_ccy", "quote_ccy"}):
            raise wrong("tgtCcy")
        quoted = (
            not swap and type_ == "market" and (target or ("quote_ccy" if side == "buy" else "base_ccy")) == "quote_ccy"
        )
        size = self._quoted(listing, side, asked) if quoted else asked
        reduce_only = swap and not member.hedged and given.flag("reduceOnly")
        attached = self.attached(given, listing, side, price, reduce_only=reduce_only)
        now = self.now_ms()
        order = Order(
            id=self.numbers(), client_id=given.get("clOrdId"), tag=given.get("tag"), listing=listing, mode=mode,
            side=side,
            position_side=position_side, type=type_, asked=asked, size=size, price=price,
            target=(target or ("quote_ccy" if side == "buy" else "base_ccy")) if not swap and type_ == "market" else "",
            currency=given.get("ccy"), reduce_only=reduce_only,
            leverage=member.lever(listing, mode, position_side) if swap else Decimal(1), created_ms=now, changed_ms=now,
            fee_currency=listing.inst.base if not swap and side == "buy" else listing.inst.quote, attached=attached,
            stp_mode=given.get("stpMode", "cancel_maker"),
        )  # fmt: skip
        self._check_size(order, quoted=quoted)
        if reduce_only or self._closes(member, order):
            self._clip(member, order)
        return order

    def position_side(self, member: Member, listing: Listing, given: Params) -> str:
        """Raises Failure 51000 where it is missing, or is not for this position mode."""
        if listing.type == "SPOT":
            return "net" if not member.hedged else ""
        asked = given.get("posSide")
        allowed = {"long", "short"} if member.hedged else {"", "net"}
        if asked not in allowed:
            raise Failure("51000", "Parameter posSide error ")
        return asked or "net"

    def check_price(self, listing: Listing, side: str, price: Decimal) -> None:
        """Raises Failure: not above zero, not on the tick, or too far through the market."""
        if price <= 0:
            raise wrong("px")
        if EXACT.remainder(price, listing.inst.tick):
            raise Failure("51150", "The precision of the number of trades or the price exceeds the limit.")
        low, high = self.band(listing)
        if side == "buy" and price > high:
            raise Failure("51137", f"The highest price limit for buy orders is {plain(high)}.")
        if side == "sell" and price < low:
            raise Failure("51138", f"The lowest price limit for sell orders is {plain(low)}.")

    def band(self, listing: Listing) -> tuple[Decimal, Decimal]:
        """The lowest price to sell at, and the highest to buy at."""
        tick = listing.inst.tick
        last = exact(self.floor.price(listing.id))

        def on_tick(price: Decimal) -> Decimal:
            return (price / tick).quantize(Decimal(1), ROUND_FLOOR) * tick

        return on_tick(last * (1 - BAND)), on_tick(last * (1 + BAND))

    def _quoted(self, listing: Listing, side: str, worth: Decimal) -> Decimal:
        """Base currency that so much quote currency buys (or a sale brings), walking the book. Raises Failure 51020."""
        book = self.floor.boards[listing.id].book(400)
        left, size = worth, ZERO
        for price, shown in book.asks if side == "buy" else book.bids:
            take = min(shown, EXACT.divide(left, price))
            size += take
            left = EXACT.subtract(left, EXACT.multiply(take, price))
            if left <= 0:
                break
        size = floor_size(listing.inst, size)
        if size < listing.inst.minimum:
            raise Failure("51020")
        return size

    @staticmethod
    def rounded(listing: Listing, size: Decimal) -> Decimal:
        """In whole lots, never more."""
        return floor_size(listing.inst, size)

    def _check_size(self, order: Order, *, quoted: bool) -> None:
        inst = order.listing.inst
        if not quoted and EXACT.remainder(order.size, inst.lot):
            raise Failure("51121")
        if order.size < inst.minimum:
            raise Failure("51020")
        if order.type in WITHOUT_PRICE:
            worth = order.size * exact(self.floor.price(order.listing.id))
            most = order.listing.most_at_market
            if (order.size if order.listing.type == "SWAP" else worth) > most:
                raise Failure("51202")
        elif order.size > order.listing.most:
            raise Failure("51005")

    def _clip(self, member: Member, order: Order) -> None:
        """A closing order: what it may close at most. Raises Failure."""
        leg = member.books.leg(order.listing.id, order.mode, order.position_side)
        held = leg.position.size if leg else ZERO
        if not held:
            raise Failure("51169")
        if (held > 0) == (order.side == "buy"):
            raise Failure("51170") if order.reduce_only else Failure("51169")
        if order.reduce_only:
            if order.size > abs(held):
                order.size, order.asked, order.amend_source = abs(held), abs(held), "3"
        elif order.size > abs(held) - member.closing(order.listing, order.mode, order.position_side):
            raise Failure("51112")

    def _check_pending(self, member: Member, order: Order) -> None:
        known = member.by_client.get(order.client_id) if order.client_id else None
        if known is not None and not known.final:
            raise Failure("51016")
        if len(member.live) >= PENDING_MOST:
            raise Failure("51025", f"Order count exceeds the limit {PENDING_MOST}")
        same = sum(each.listing is order.listing for each in member.live.values())
        if same >= PENDING_MOST_OF_ONE:
            raise Failure(
                "51174",
                f"Order failed, number of pending orders for {order.listing.id} exceed the limit of "
                f"{PENDING_MOST_OF_ONE}.",
            )

    def attached(
        self, given: Params, listing: Listing, side: str, price: Decimal | None, *, reduce_only: bool
    ) -> list[Row]:
        """The take-profits and stop-losses that come with an order, as its row tells them. Raises Failure."""
        asked = _rows(given.raw("attachAlgoOrds"))
        legacy = {name: given.get(name) for name in LEGACY if name in given}
        if legacy and not asked:
            asked = [legacy]
        rows: list[Row] = []
        for each in asked:
            one = Params(each)
            if not ("tpTriggerPx" in one or "slTriggerPx" in one):
                continue
            if reduce_only:
                raise Failure("51100")
            reference = price or exact(self.floor.price(listing.id))
            for kind, limit_code in (("tp", ("51046", "51048")), ("sl", ("51047", "51049"))):
                trigger = one.number(f"{kind}TriggerPx")
                if trigger is None:
                    continue
                if trigger <= 0:
                    raise wrong(f"{kind}TriggerPx")
                above = (side == "buy") == (kind == "tp")
                if (trigger <= reference) if above else (trigger >= reference):
                    code = limit_code[0 if side == "buy" else 1]
                    what = "take profit" if kind == "tp" else "stop loss"
                    raise Failure(
                        code, f"The {what} trigger price must be {'higher' if above else 'lower'} than the order price"
                    )
                if f"{kind}OrdPx" not in one:
                    raise absent(f"{kind}OrdPx")
            rows.append(
                {
                    "amendPxOnTriggerType": one.get("amendPxOnTriggerType", "0"),
                    "attachAlgoClOrdId": one.get("attachAlgoClOrdId"),
                    "attachAlgoId": self.numbers(),
                    "failCode": "",
                    "failReason": "",
                    "slOrdPx": one.get("slOrdPx"),
                    "slTriggerPx": one.get("slTriggerPx"),
                    "slTriggerPxType": one.get("slTriggerPxType", "last") if "slTriggerPx" in one else "",
                    "sz": one.get("sz"),
                    "tpOrdKind": one.get("tpOrdKind", "condition") if "tpTriggerPx" in one else "",
                    "tpOrdPx": one.get("tpOrdPx"),
                    "tpTriggerPx": one.get("tpTriggerPx"),
                    "tpTriggerPxType": one.get("tpTriggerPxType", "last") if "tpTriggerPx" in one else "",
                }
            )
        return rows

    # ---- what is there --------------------------------------------------------------------------

    def pending(self, member: Member, given: Params, gone: str, neither: str = "51003") -> Order:
        """The live order that a request names. Raises Failure `gone`."""
        listing = self.listing(given)
        if not ("ordId" in given or "clOrdId" in given):
            raise Failure(neither)
        order = member.find(given.get("ordId"), given.get("clOrdId"))
        if order is None or order.final or order.listing.id != listing.id:
            raise Failure(gone)
        return order

    def cancel(self, member: Member, order: Order, source: str = "1", reason: str = "Order canceled by user.") -> None:
        self.exchange.cancel(member.name, order.listing.id, order.id)
        self.ended(member, order, source, reason)

    def ended(self, member: Member, order: Order, source: str, reason: str) -> None:
        order.state, order.cancel_source, order.cancel_reason = "canceled", source, reason
        order.changed_ms = self.now_ms()
        member.live.pop(order.id, None)
        self.told(member, order, None)

    def amend(self, member: Member, given: Params) -> Order:
        """Changes size (what is filled included) and price. Raises Failure."""
        order = self.pending(member, given, "51503")
        size, price = given.number("newSz"), given.number("newPx")
        attached = _rows(given.raw("attachAlgoOrds"))
        if size is None and price is None and not attached:
            raise Failure("51500")
        if order.type not in {"limit", "post_only"}:
            raise Failure("51506")
        request = given.get("reqId")
        try:
            self._amend(member, order, size, price)
            self._amend_attached(order, attached)
        except Failure as failure:
            self.told(member, order, None, request=request, amended="-1", code=failure.code, text=failure.text)
            if given.flag("cxlOnFail") and not order.final:
                self.cancel(member, order, "1")
            raise
        self.told(member, order, None, request=request, amended="0")
        self.exchange.on_book(self.floor.boards[order.listing.id].book(400), self._now_ns())
        return order

    def _amend(self, member: Member, order: Order, size: Decimal | None, price: Decimal | None) -> None:
        inst = order.listing.inst
        if price is not None:
            self.check_price(order.listing, order.side, price)
        if size is not None:
            if EXACT.remainder(size, inst.lot):
                raise Failure("51121")
            if size < inst.minimum:
                raise Failure("51020")
            if size > order.listing.most:
                raise Failure("51005")
        if size is not None and size <= order.filled:
            raise wrong("newSz")
        if order.type == "post_only" and price is not None:
            board = self.floor.boards[order.listing.id]
            if (price >= board.ask()) if order.side == "buy" else (price <= board.bid()):
                raise Failure("51511")
        if size is None and price is None:
            return
        new_size, new_price = size or order.size, price or order.price
        try:
            self.exchange.amend(member.name, order.id, new_size, new_price)
        except Rejected as error:
            failure = self._refusal(error, order)
            raise Failure("51502", failure.text) if failure.code == "51008" else failure from None
        order.size, order.asked, order.price, order.changed_ms = new_size, new_size, new_price, self.now_ms()

    def _amend_attached(self, order: Order, changes: list[dict[str, Any]]) -> None:
        for change in map(Params, changes):
            row = next(
                (
                    each
                    for each in order.attached
                    if change.get("attachAlgoId", each["attachAlgoId"]) == each["attachAlgoId"]
                    and change.get("attachAlgoClOrdId", each["attachAlgoClOrdId"]) == each["attachAlgoClOrdId"]
                ),
                None,
            )
            if row is None:
                raise Failure(
                    "51527", "Order modification failed. At least 1 of the attached TP/SL orders does not exist."
                )
            for name in ("tpTriggerPx", "tpOrdPx", "tpTriggerPxType", "slTriggerPx", "slOrdPx", "slTriggerPxType"):
                new = change.text("new" + name[0].upper() + name[1:])
                if new is not None:
                    row[name] = "" if new == "0" and name.endswith("TriggerPx") else new


LEGACY = (
    "attachAlgoClOrdId", "tpTriggerPx", "tpOrdPx", "tpTriggerPxType", "slTriggerPx", "slOrdPx", "slTriggerPxType",
)  # fmt: skip


def _rows(given: Any) -> list[Row]:
    """One object or a list of them. Raises Failure."""
    rows = cast("list[Any]", given) if isinstance(given, list) else [given] if given else []
    if not all(isinstance(row, dict) for row in rows):
        raise wrong("attachAlgoOrds")
    return rows
