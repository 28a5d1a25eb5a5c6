"""Algo orders: they hold nothing, wait for a price, and then place an ordinary order."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from kokex.adapters.okx.exchange.desk import Desk
from kokex.adapters.okx.exchange.envelope import Failure, Params, absent, wrong
from kokex.adapters.okx.exchange.listing import Listing, Row, plain
from kokex.adapters.okx.exchange.member import Member
from kokex.adapters.okx.exchange.orders import Algo, Order
from kokex.market.instruments import exact
from kokex.market.money import EXACT
from kokex.paper.margin import Leg

ZERO, MARKET = Decimal(0), Decimal(-1)
TYPES = ("conditional", "oco", "trigger", "move_order_stop")
SOURCES = {"conditional": "7", "oco": "7", "trigger": "6", "move_order_stop": "25"}
PRICES = ("last", "index", "mark")


class Algos:
    """`told(member, algo)` is called for everything the orders-algo channel should tell."""

    def __init__(self, desk: Desk, members: dict[str, Member]) -> None:
        self._desk = desk
        self._members = members
        self.told: Callable[..., None] = lambda *_, **__: None

    # ---- new ones -------------------------------------------------------------------------------

    def place(self, member: Member, given: Params) -> Algo:
        """Raises Failure."""
        desk = self._desk
        listing = desk.listing(given)
        swap = listing.type == "SWAP"
        kind = given.one_of("ordType", *TYPES)
        mode = given.one_of("tdMode", "cash", "cross", "isolated")
        if (swap and member.level == "1") or (not swap and mode == "cross"):
            raise Failure("51010")
        if swap == (mode == "cash"):
            raise wrong("tdMode")
        side = given.one_of("side", "buy", "sell")
        position_side = desk.position_side(member, listing, given)
        whole = given.get("closeFraction") == "1"
        reduce_only = swap and given.flag("reduceOnly")
        if whole:
            if not swap:
                raise Failure("51327", "closeFraction is only available for Expiry Futures and Perpetual Futures")
            if not member.hedged and not reduce_only:
                raise Failure("51328")
        client = given.get("algoClOrdId")
        known = member.algo_by_client.get(client) if client else None
        if known is not None and not known.final:
            raise Failure("51065")
        now = desk.now_ms()
        algo = Algo(
            id=desk.numbers(), client_id=client, tag=given.get("tag"), listing=listing, mode=mode, side=side,
            position_side=position_side, type=kind, size=None if whole else self._size(listing, given),
            target=given.get("tgtCcy"), reduce_only=reduce_only, leverage=member.lever(listing, mode, position_side),
            created_ms=now, changed_ms=now, close_whole=whole, with_position=given.flag("cxlOnClosePos"),
        )  # fmt: skip
        self._read(algo, given)
        if kind == "trigger":
            algo.attached = desk.attached(given, listing, side, algo.trigger, reduce_only=reduce_only)
        self.add(member, algo)
        return algo

    @staticmethod
    def _size(listing: Listing, given: Params) -> Decimal:
        size = given.number("sz")
        if size is None:
            raise absent("sz")
        if listing.type == "SWAP" or given.get("tgtCcy") == "base_ccy" or given.get("side") == "sell":
            if size < listing.inst.minimum:
                raise Failure("51020")
            if EXACT.remainder(size, listing.inst.lot):
                raise Failure("51121")
        return size

    def _read(self, algo: Algo, given: Params) -> None:
        if algo.type in {"conditional", "oco"}:
            self._read_stops(algo, given)
        elif algo.type == "trigger":
            algo.trigger, algo.trigger_price = self._positive(given, "triggerPx"), given.number("orderPx")
            if algo.trigger is None:
                raise absent("triggerPx")
            if algo.trigger_price is None:
                raise absent("orderPx")
            algo.trigger_by = given.one_of("triggerPxType", *PRICES, default="last")
            algo.rising = algo.trigger >= self._price(algo.listing, algo.trigger_by)
        else:
            algo.ratio, algo.spread = self._positive(given, "callbackRatio"), self._positive(given, "callbackSpread")
            if (algo.ratio is None) == (algo.spread is None):
                raise Failure("50015", "Either parameter callbackRatio or callbackSpread is required")
            if algo.ratio is not None and not Decimal("0.001") <= algo.ratio <= 1:
                raise Failure(
                    "51311", "Failed to place trailing stop order. Callback rate should be within 0.1%<x<=100%"
                )
            algo.active = self._positive(given, "activePx")
            self._start_following(algo)

    def _read_stops(self, algo: Algo, given: Params) -> None:
        for kind in ("tp", "sl"):
            trigger = self._positive(given, f"{kind}TriggerPx")
            if trigger is None and kind == "tp" and given.get("tpOrdKind") == "limit":
                trigger = given.number("tpOrdPx")
            if trigger is None:
                continue
            price = given.number(f"{kind}OrdPx")
            if price is None:
                raise absent(f"{kind}OrdPx")
            by = given.one_of(f"{kind}TriggerPxType", *PRICES, default="last")
            now = self._price(algo.listing, by)
            above = (algo.side == "sell") == (kind == "tp")
            if (trigger < now) if above else (trigger > now):
                raise Failure(
                    {("tp", True): "51279", ("sl", True): "51278", ("tp", False): "51277"}.get((kind, above), "51280")
                )
            if kind == "tp":
                algo.take, algo.take_price, algo.take_by = trigger, price, by
            else:
                algo.stop, algo.stop_price, algo.stop_by = trigger, price, by
        if algo.take is None and algo.stop is None:
            raise Failure("50015", "Either parameter tpTriggerPx or slTriggerPx is required")
        if algo.type == "oco" and (algo.take is None or algo.stop is None):
            raise absent("slTriggerPx" if algo.stop is None else "tpTriggerPx")
        if algo.close_whole and any(price not in {None, MARKET} for price in (algo.take_price, algo.stop_price)):
            raise Failure("51330")

    @staticmethod
    def _positive(given: Params, name: str) -> Decimal | None:
        value = given.number(name)
        if value is not None and value <= 0:
            raise wrong(name)
        return value

    def add(self, member: Member, algo: Algo) -> None:
        member.algos[algo.id] = member.live_algos[algo.id] = algo
        if algo.client_id:
            member.algo_by_client[algo.client_id] = algo
        algo.last = self._price(algo.listing, "last")
        self.told(member, algo)

    def attach(self, member: Member, order: Order) -> None:
        """The take-profit and stop-loss that came with an order, once it is completely filled."""
        for row in order.attached:
            given = Params(row)
            both = "tpTriggerPx" in given and "slTriggerPx" in given
            swap = order.listing.type == "SWAP"
            now = self._desk.now_ms()
            size = given.number("sz") or order.filled
            if not swap and order.side == "buy":
                size = self._desk.rounded(order.listing, min(size, order.filled - order.fee))
            algo = Algo(
                id=self._desk.numbers(), client_id=given.get("attachAlgoClOrdId"), tag=order.tag, listing=order.listing,
                mode=order.mode, side="sell" if order.side == "buy" else "buy", position_side=order.position_side,
                type="oco" if both else "conditional", size=size, target="base_ccy" if not swap else "",
                reduce_only=swap and not member.hedged, leverage=order.leverage, created_ms=now, changed_ms=now,
                take=given.number("tpTriggerPx"), take_price=given.number("tpOrdPx"),
                take_by=given.get("tpTriggerPxType", "last"),
                stop=given.number("slTriggerPx"), stop_price=given.number("slOrdPx"),
                stop_by=given.get("slTriggerPxType", "last"),
                from_order=order.id,
            )  # fmt: skip
            self.add(member, algo)

    # ---- what is there --------------------------------------------------------------------------

    def find(self, member: Member, given: Params, gone: str) -> Algo:
        if not ("algoId" in given or "algoClOrdId" in given):
            raise Failure("50015", "Either parameter algoId or algoClOrdId is required")
        algo = member.find_algo(given.get("algoId"), given.get("algoClOrdId"))
        if algo is None or algo.final or ("instId" in given and algo.listing.id != given.get("instId")):
            raise Failure(gone)
        return algo

    def cancel(self, member: Member, algo: Algo) -> None:
        self._end(member, algo, "canceled")

    def amend(self, member: Member, given: Params) -> Algo:
        """Raises Failure."""
        algo = self.find(member, given, "51503")
        if algo.type == "move_order_stop":
            raise Failure("51506")
        changes: dict[str, Any] = {}
        for name, field in (
            ("newTpTriggerPx", "take"), ("newTpOrdPx", "take_price"), ("newSlTriggerPx", "stop"),
            ("newSlOrdPx", "stop_price"), ("newTriggerPx", "trigger"), ("newOrdPx", "trigger_price"), ("newSz", "size"),
        ):  # fmt: skip
            value = given.number(name)
            if value is not None:
                changes[field] = value
        for name, field in (
            ("newTpTriggerPxType", "take_by"),
            ("newSlTriggerPxType", "stop_by"),
            ("newTriggerPxType", "trigger_by"),
        ):
            if name in given:
                changes[field] = given.one_of(name, *PRICES)
        if not changes:
            raise Failure("51500")
        if "size" in changes:
            if algo.close_whole:
                raise Failure("51524")
            if EXACT.remainder(changes["size"], algo.listing.inst.lot):
                raise Failure("51121")
        self._check_amended(algo, changes)
        for field, value in changes.items():
            setattr(algo, field, None if field in {"take", "stop"} and not value else value)
        algo.changed_ms = self._desk.now_ms()
        if algo.type == "trigger" and "trigger" in changes:
            algo.rising = changes["trigger"] >= self._price(algo.listing, algo.trigger_by)
        self.told(member, algo, request=given.get("reqId"), amended="0")
        return algo

    def _check_amended(self, algo: Algo, changes: dict[str, Any]) -> None:
        for field, kind, by in (("take", "tp", algo.take_by), ("stop", "sl", algo.stop_by)):
            value = changes.get(field)
            if not value:
                continue
            now = self._price(algo.listing, changes.get(f"{field}_by", by))
            above = (algo.side == "sell") == (kind == "tp")
            if (value < now) if above else (value > now):
                raise Failure(
                    {("tp", True): "51279", ("sl", True): "51278", ("tp", False): "51277"}.get((kind, above), "51280")
                )

    def position_closed(self, member: Member, leg: Leg) -> None:
        """Those that were bound to it end."""
        for algo in list(member.live_algos.values()):
            bound = algo.close_whole or algo.with_position
            if bound and (algo.listing.id, algo.mode, algo.position_side) == (leg.instrument, leg.mode, leg.side):
                self.cancel(member, algo)

    # ---- what the market does -------------------------------------------------------------------

    def tick(self) -> None:
        for member in self._members.values():
            for algo in list(member.live_algos.values()):
                if not algo.final:
                    self._look(member, algo)

    def _look(self, member: Member, algo: Algo) -> None:
        if algo.type == "trigger":
            price = self._price(algo.listing, algo.trigger_by)
            if algo.trigger is not None and ((price >= algo.trigger) if algo.rising else (price <= algo.trigger)):
                self._fire(member, algo, "", algo.trigger_price or MARKET)
        elif algo.type == "move_order_stop":
            self._follow(member, algo)
        else:
            sells = algo.side == "sell"
            for level, price, by, name, up in (
                (algo.stop, algo.stop_price, algo.stop_by, "sl", not sells),
                (algo.take, algo.take_price, algo.take_by, "tp", sells),
            ):
                now = self._price(algo.listing, by)
                if level is not None and ((now >= level) if up else (now <= level)):
                    self._fire(member, algo, name, price if price is not None else MARKET)
                    return

    def _start_following(self, algo: Algo) -> None:
        last = self._price(algo.listing, "last")
        if algo.active is None or ((last >= algo.active) if algo.side == "sell" else (last <= algo.active)):
            algo.following, algo.extreme = True, last

    def _follow(self, member: Member, algo: Algo) -> None:
        if not algo.following:
            self._start_following(algo)
            if algo.following:
                member.noted(member, "algo", algo.id, algo)
            return
        last = self._price(algo.listing, "last")
        extreme = max(algo.extreme, last) if algo.side == "sell" else min(algo.extreme, last)
        if extreme != algo.extreme:
            algo.extreme = extreme
            member.noted(member, "algo", algo.id, algo)
        level = algo.moving_trigger
        if level is not None and ((last <= level) if algo.side == "sell" else (last >= level)):
            self._fire(member, algo, "", MARKET)

    def _fire(self, member: Member, algo: Algo, actual: str, price: Decimal) -> None:
        algo.actual_side, algo.triggered_ms = actual, self._desk.now_ms()
        leg = member.books.leg(algo.listing.id, algo.mode, algo.position_side)
        held = abs(leg.position.size) if leg else ZERO
        size = algo.size if algo.size is not None else held
        at_market = price == MARKET
        asked: Row = {
            "instId": algo.listing.id, "tdMode": algo.mode, "side": algo.side, "posSide": algo.position_side,
            "ordType": "market" if at_market else "limit", "sz": plain(size), "px": "" if at_market else plain(price),
            "reduceOnly": "true" if algo.reduce_only and not member.hedged else "", "tag": algo.tag,
            "tgtCcy": algo.target if at_market else "", "attachAlgoOrds": [_asked(row) for row in algo.attached],
        }  # fmt: skip
        if algo.listing.type == "SPOT":
            asked["posSide"] = ""
        try:
            order = self._desk.place(
                member, Params(asked), algo_id=algo.id, algo_client_id=algo.client_id, source=SOURCES[algo.type]
            )
        except Failure as failure:
            algo.fail_code = failure.code
            self._end(member, algo, "order_failed")
            return
        algo.order_ids.append(order.id)
        algo.actual_size = plain(order.size)
        algo.actual_price = order.average if at_market else plain(price)
        self._end(member, algo, "effective")

    def _end(self, member: Member, algo: Algo, state: str) -> None:
        algo.state, algo.changed_ms = state, self._desk.now_ms()
        algo.last = self._price(algo.listing, "last")
        member.live_algos.pop(algo.id, None)
        self.told(member, algo)

    def _price(self, listing: Listing, by: str) -> Decimal:
        board = self._desk.floor.boards[listing.id]
        return exact(round(board.last if by == "last" else board.price, 10))


def _asked(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in {"attachAlgoId", "failCode", "failReason"}}
