"""What is on record: fills, bills and funding, booked from what the matching engine says happened."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from kokex.adapters.okx.exchange.desk import REASONS, Desk
from kokex.adapters.okx.exchange.listing import Listing, Row, plain
from kokex.adapters.okx.exchange.member import Member
from kokex.adapters.okx.exchange.orders import Order
from kokex.market.instruments import exact, notional
from kokex.market.money import EXACT
from kokex.messages import Fill, Message, OrderUpdate
from kokex.paper.margin import Booked, Leg

ZERO = Decimal(0)


def bill(
    number: str, kind: str, sub: str, currency: str, change: Decimal, balance: Decimal, ts: int, **rest: str
) -> Row:
    row: Row = dict.fromkeys((
        "clOrdId", "earnAmt", "earnApr", "execType", "fillFwdPx", "fillIdxPx", "fillMarkPx", "fillMarkVol", "fillPxUsd",
        "fillPxVol", "fillTime", "from", "instId", "instType", "mgnMode", "notes", "ordId", "px", "tag", "to",
        "tradeId",
    ), "")  # fmt: skip
    row.update(
        bal=plain(balance), balChg=plain(change), billId=number, ccy=currency, fee="0", interest="0", pnl="0",
        posBal="0", posBalChg="0", subType=sub, sz="0", ts=str(ts), type=kind,
    )  # fmt: skip
    row.update(rest)
    return row


class Ledger:
    """`filled(member, order)` is called once an order is completely filled; `moved(member, ...)` after each booking."""

    def __init__(self, desk: Desk, members: dict[str, Member]) -> None:
        self._desk = desk
        self._members = members
        self.filled: Callable[[Member, Order], None]  # both are set by whoever tells
        self.moved: Callable[..., None]

    def heard(self, actor: str, message: Message) -> None:
        """What the engine posts to `executor[ACCOUNT]`."""
        member = self._members[actor[len("executor[") : -1]]
        if isinstance(message, Fill):
            self._fill(member, message)
        elif isinstance(message, OrderUpdate) and message.state == "cancelled":
            order = member.orders[message.client_id]
            if order.state == "filled":
                return
            source, reason = REASONS.get(message.reason, ("0", message.reason))
            if order.type in {"market", "optimal_limit_ioc"} and source == "14":
                source, reason = "14", "Market order was partially canceled due to insufficient depth"
            self._desk.ended(member, order, source, reason)

    # ---- trades ---------------------------------------------------------------------------------

    def _fill(self, member: Member, fill: Fill) -> None:
        order = member.orders[fill.client_id]
        booked = member.books.booked.pop(fill.trade_id)
        listing = order.listing
        board = self._desk.floor.boards[listing.id]
        ts = fill.filled_ns // 1_000_000
        taker = fill.liquidity == "taker"
        if taker:
            board.take(fill.side, fill.price, fill.size)
        opposite = "sell" if fill.side == "buy" else "buy"
        trade = board.print(fill.price, fill.size, fill.side if taker else opposite, ts)
        before = booked.held - (fill.size if fill.side == "buy" else -fill.size)
        sub = self._sub_type(order, before)
        mark = plain(exact(self._desk.floor.price(listing.id)).quantize(listing.inst.tick))
        bill_id = self._desk.numbers()
        order.filled += fill.size
        order.worth = EXACT.add(order.worth, EXACT.multiply(fill.size, fill.price))
        if fill.fee >= 0:
            order.fee = EXACT.add(order.fee, fill.fee)
        else:
            order.rebate = EXACT.add(order.rebate, -fill.fee)
        order.pnl = EXACT.add(order.pnl, booked.pnl)
        whole = member.books.working.get(order.id) is None and order.filled == order.size
        order.state = "filled" if whole else "partially_filled"
        order.changed_ms = ts
        row: Row = {
            "billId": bill_id,
            "clOrdId": order.client_id,
            "execType": "T" if taker else "M",
            "fee": plain(-fill.fee),
            "feeCcy": order.fee_currency,
            "feeRate": plain(-(listing.rates.taker if taker else listing.rates.maker))
            if listing.type == "SPOT"
            else "",
            "fillFwdPx": "",
            "fillIdxPx": mark,
            "fillMarkPx": mark if listing.type == "SWAP" else "",
            "fillMarkVol": "",
            "fillPnl": plain(booked.pnl),
            "fillPx": plain(fill.price),
            "fillPxUsd": "",
            "fillPxVol": "",
            "fillSz": plain(fill.size),
            "fillTime": str(ts),
            "instId": listing.id,
            "instType": listing.type,
            "ordId": order.id,
            "posSide": order.position_side,
            "side": order.side,
            "subType": sub,
            "tag": order.tag,
            "tradeId": str(trade.number),
            "tradeQuoteCcy": listing.inst.quote if listing.type == "SPOT" else "",
            "ts": str(ts),
        }
        order.last_fill = row
        if booked.leg is not None:
            booked.leg.trade_id = row["tradeId"]
        member.record_fill(row)
        self._trade_bills(member, order, fill, booked, row)
        if order.state == "filled":
            member.live.pop(order.id, None)
        self._desk.told(member, order, row)
        self.moved(member, leg=booked.leg, currencies=booked.change, trade=(listing.id, row["tradeId"]))
        if order.state == "filled":
            self.filled(member, order)

    @staticmethod
    def _sub_type(order: Order, before: Decimal) -> str:
        buys = order.side == "buy"
        if order.listing.type == "SPOT":
            return "1" if buys else "2"
        if order.position_side in {"long", "short"}:
            opens = buys == (order.position_side == "long")
            return {(True, True): "3", (True, False): "5"}.get(
                (order.position_side == "long", opens), "4" if opens else "6"
            )
        if before and (before < 0) == buys:
            return "6" if buys else "5"
        return "3" if buys else "4"

    def _trade_bills(self, member: Member, order: Order, fill: Fill, booked: Booked, row: Row) -> None:
        inst = order.listing.inst
        changes = booked.change or {inst.quote: ZERO}
        for index, (currency, change) in enumerate(changes.items()):
            charged = currency == order.fee_currency
            size = (
                fill.size if booked.leg is not None or currency == inst.base else EXACT.multiply(fill.size, fill.price)
            )
            rest: Row = {
                "instId": order.listing.id, "instType": order.listing.type, "ordId": order.id,
                "clOrdId": order.client_id,
                "tag": order.tag, "execType": row["execType"], "tradeId": row["tradeId"], "fillTime": row["fillTime"],
                "px": row["fillPx"], "sz": plain(size), "fee": row["fee"] if charged else "0",
                "fillIdxPx": row["fillIdxPx"], "fillMarkPx": row["fillMarkPx"],
            }  # fmt: skip
            if booked.leg is not None:
                rest["pnl"] = plain(booked.pnl)
                rest["mgnMode"] = booked.leg.mode
                rest["posBal"] = plain(booked.held)
                rest["posBalChg"] = plain(fill.size if fill.side == "buy" else -fill.size)
            number = row["billId"] if index == 0 else self._desk.numbers()
            balance = booked.balance.get(currency, ZERO)
            ts = int(row["ts"])
            member.record_bill(bill(number, "2", row["subType"], currency, change, balance, ts, **rest))

    # ---- funding --------------------------------------------------------------------------------

    def fund(self, symbol: str, rate: float, due_s: int) -> None:
        """A funding rate falls due: at a positive one longs pay shorts."""
        listing = self._desk.floor.listings[symbol]
        price = exact(self._desk.floor.price(symbol)).quantize(listing.inst.tick)
        for member in self._members.values():
            for leg in [leg for leg in member.books.legs.values() if leg.instrument == symbol and leg.position.size]:
                self._fund(member, listing, leg, exact(rate), price, due_s)

    def _fund(self, member: Member, listing: Listing, leg: Leg, rate: Decimal, price: Decimal, due_s: int) -> None:
        amount = EXACT.multiply(notional(listing.inst, leg.position.size, price), -rate)
        currency = listing.inst.quote
        member.books.pay_funding(leg, amount, currency)
        leg.changed_ns = due_s * 1_000_000_000
        member.record_bill(
            bill(
                self._desk.numbers(), "8", "173" if amount < 0 else "174", currency, amount,
                member.books.balance(currency), self._desk.now_ms(), instId=listing.id, instType="SWAP",
                mgnMode=leg.mode,
                px=plain(price), sz=plain(abs(leg.position.size)), pnl=plain(amount), posBal=plain(leg.position.size),
                fillMarkPx=plain(price), notes="", fillTime=str(due_s * 1000),
            ),
        )  # fmt: skip
        self.moved(member, leg=leg, currencies={currency: amount}, event="funding_fee")

    def transfer(self, member: Member, currency: str, amount: Decimal, sub: str) -> None:
        """Money in (11) or out (12)."""
        member.move(currency, amount)
        balance = member.books.balance(currency)
        extra: dict[str, Any] = {"notes": "", "from": "6" if sub == "11" else "18", "to": "18" if sub == "11" else "6"}
        row = bill(
            self._desk.numbers(), "1", sub, currency, amount, balance, self._desk.now_ms(), sz=plain(amount), **extra
        )
        member.record_bill(row)
        self.moved(member, leg=None, currencies={currency: amount}, event="transferred")
