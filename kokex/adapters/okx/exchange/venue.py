"""The exchange put together: floor, engine, accounts, and who tells whom."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, cast

from kokex.adapters.okx.exchange.algos import Algos
from kokex.adapters.okx.exchange.calls import Call
from kokex.adapters.okx.exchange.channels import wants
from kokex.adapters.okx.exchange.course import Course
from kokex.adapters.okx.exchange.desk import Desk
from kokex.adapters.okx.exchange.envelope import Failure, Params
from kokex.adapters.okx.exchange.faults import Faults
from kokex.adapters.okx.exchange.floor import Floor
from kokex.adapters.okx.exchange.holdings import Holdings
from kokex.adapters.okx.exchange.hub import Hub
from kokex.adapters.okx.exchange.keeping import Keeping
from kokex.adapters.okx.exchange.ledger import Ledger
from kokex.adapters.okx.exchange.limits import Limits
from kokex.adapters.okx.exchange.line import Topic
from kokex.adapters.okx.exchange.listing import Listing, Row, plain
from kokex.adapters.okx.exchange.member import Member, Numbers
from kokex.adapters.okx.exchange.orders import Algo, Order
from kokex.adapters.okx.exchange.signing import Key, Keys
from kokex.adapters.okx.exchange.streams import Streams
from kokex.adapters.okx.exchange.trade_calls import TRADE
from kokex.market.instruments import exact
from kokex.paper.exchange import Exchange
from kokex.paper.margin import Leg, MarginAccount, MarginFunds
from kokex.paper.matching import Rules
from kokex.ports import Chance

CASH = {"USDT": Decimal(100_000)}
REGULAR_MS = 5000
BRIEF = (
    "posId",
    "tradeId",
    "instId",
    "instType",
    "mgnMode",
    "avgPx",
    "ccy",
    "posSide",
    "pos",
    "baseBal",
    "quoteBal",
    "posCcy",
    "nonSettleAvgPx",
    "settledPnl",
    "uTime",
)  # fmt: skip  what balance_and_position tells of a position


class Owner(NamedTuple):
    """An account to open, and its key."""

    key: Key
    cash: Mapping[str, Decimal] = CASH
    level: str = "2"
    position_mode: str = "net_mode"


class Venue:
    """`tick` lets a quarter of a second pass; endpoints and operations do the rest."""

    def __init__(
        self,
        listings: list[Listing],
        courses: Mapping[str, Course],
        owners: Iterable[Owner],
        chance: Chance,
        now_ns: Callable[[], int],
        *,
        funding_s: int = 8 * 3600,
        limited: bool = True,
        keeping: Keeping | None = None,
    ) -> None:
        """`keeping`: where it goes on from, and what outlives it. Raises KeepingError."""
        owners = list(owners)
        self._keeping = keeping
        self.now_ns = now_ns
        self.floor = Floor(listings, courses, chance, funding_s, now_ns() // 1_000_000_000)
        if keeping and (market := keeping.market()):
            self.floor.resume(market)
        instruments = {each.id: each.inst for each in listings}
        self.exchange = Exchange(list(instruments.values()), Rules(), now_ns, self._heard)
        self.exchange.marks.update(
            {each.id: float(self.floor.boards[each.id].text(self.floor.price(each.id))) for each in listings}
        )
        self.funds = MarginFunds(instruments, self.exchange.marks, {each.id: each.rates for each in listings})
        self.numbers = Numbers(self.now_ms())
        self.desk = Desk(self.floor, self.exchange, self.numbers, now_ns)
        self.members: dict[str, Member] = {}
        for index, owner in enumerate(owners):
            self._open(owner, str(446_556_000_000_000 + index))
        self.keys = Keys([owner.key for owner in owners])
        self.holdings = Holdings(self.floor, self.funds)
        self.ledger = Ledger(self.desk, self.members)
        self.algos = Algos(self.desk, self.members)
        self.limits = Limits(enforced=limited)
        self.faults = Faults()
        self.streams = Streams(self.floor)
        self.hub = Hub(self.streams, self.keys, self.members, self.faults, self.now_ms)
        self.hub.operate, self.hub.snapshot = self._operate, self._snapshot
        self.desk.told, self.algos.told = self._tell_order, self._tell_algo
        self.ledger.filled, self.ledger.moved = self.algos.attach, self._moved
        self._regular_ms = 0

    def _open(self, owner: Owner, uid: str) -> None:
        """An account as it was, or a new one."""
        name, keeping = owner.key.account, self._keeping
        kept = keeping.settings(name, self.floor.listings) if keeping else None
        if kept:
            member = Member(name, kept.uid, kept.books, level=kept.level, mode=kept.position_mode)
            member.leverage, member.cancel_at_ms = kept.leverage, kept.cancel_at_ms
            member.funding_balance, member.changed_ms = kept.funding_balance, kept.changed_ms
        else:
            books = MarginAccount(name, "margin", Decimal(0), balances=dict(owner.cash))
            member = Member(name, uid, books, level=owner.level, mode=owner.position_mode)
            member.changed_ms = self.now_ms()
        if keeping:
            keeping.take_up(member, self.floor.listings)
        self.exchange.admit(member.books, self.funds)
        self.members[name] = member

    def keep(self) -> None:
        """Once a request or a tick is through, before anybody hears of it."""
        if self._keeping:
            self._keeping.flush(self.floor)

    def now_ms(self) -> int:
        return self.now_ns() // 1_000_000

    def _heard(self, actor: str, message: Any) -> None:
        self.ledger.heard(actor, message)

    # ---- time -----------------------------------------------------------------------------------

    def tick(self) -> None:
        """A quarter of a second of the market."""
        for symbol, due_s, rate in self.floor.tick(self.exchange, self.now_ns):
            self.ledger.fund(symbol, rate, due_s)
        self.algos.tick()
        self._dead_men()
        self.hub.publish()
        now = self.now_ms()
        if now - self._regular_ms >= REGULAR_MS:
            self._regular_ms = now
            for member in self.members.values():
                self.hub.regular(member)
            self.limits.sweep(now)
        self.keep()

    def _dead_men(self) -> None:
        now = self.now_ms()
        for member in self.members.values():
            for tag, at in list(member.cancel_at_ms.items()):
                if now >= at:
                    del member.cancel_at_ms[tag]
                    for order in [each for each in member.live.values() if not tag or each.tag == tag]:
                        self.desk.cancel(member, order, "20", "Cancel all after triggered")

    # ---- what is told ---------------------------------------------------------------------------

    def _tell_order(self, member: Member, order: Order, fill: Row | None, **what: str) -> None:
        member.noted(member, "order", order.id, order)
        last = exact(round(self.floor.boards[order.listing.id].last, 10))
        row = order.push(last, fill=fill, **what)
        listing = order.listing
        self.hub.tell(member, "orders", lambda topic: wants(topic, listing.type, listing.id), [row])
        if fill is not None:
            told: Row = {
                name: row[name]
                for name in ("instId", "fillSz", "fillPx", "side", "ordId", "clOrdId", "tradeId", "execType")
            }
            told.update(ts=row["fillTime"], count="1")
            self.hub.tell(member, "fills", lambda topic: not topic[2] or topic[2] == listing.id, [told])
        elif not order.final or not order.filled:
            self._tell_account(member)  # what it holds changed

    def _tell_algo(self, member: Member, algo: Algo, *, request: str = "", amended: str = "") -> None:
        member.noted(member, "algo", algo.id, algo)
        row = algo.row() | {"amendResult": amended, "count": "1", "notionalUsd": "", "reqId": request}
        listing = algo.listing
        for channel in ("orders-algo", "algo-advance") if algo.type == "move_order_stop" else ("orders-algo",):
            self.hub.tell(member, channel, lambda topic: wants(topic, listing.type, listing.id), [row])

    def _tell_account(self, member: Member) -> None:
        member.changed_ms = self.now_ms()
        if not self.hub.private[member.name]:
            return
        row = self.holdings.balance(member, (), member.changed_ms)
        self.hub.tell(member, "account", lambda topic: not topic[1], [row], "event_update")

    def _moved(self, member: Member, *, leg: Leg | None, currencies: Mapping[str, Decimal], event: str = "filled",
               trade: tuple[str, str] | None = None) -> None:  # fmt: skip
        """Money or a position changed."""
        member.noted(member, "", "", None)
        if leg is not None and not leg.position.size:
            self.algos.position_closed(member, leg)
        self._tell_account(member)
        if self.hub.private[member.name]:
            now = str(self.now_ms())
            legs = [] if leg is None else [self.holdings.position(member, leg)]
            row: Row = {
                "balData": [
                    {"cashBal": plain(member.books.balance(currency)), "ccy": currency, "uTime": now}
                    for currency in currencies
                ],
                "eventType": event,
                "pTime": now,
                "posData": [{name: row[name] for name in BRIEF} for row in legs],
                "trades": [{"instId": trade[0], "tradeId": trade[1]}] if trade else [],
            }
            self.hub.tell(member, "balance_and_position", lambda _: True, [row])
        if leg is not None:
            self._tell_positions(member, [leg])

    def moved(self, member: Member, *, legs: list[Leg]) -> None:
        """A setting changed what positions need."""
        self._tell_account(member)
        if legs:
            self._tell_positions(member, legs)

    def _tell_positions(self, member: Member, legs: list[Leg]) -> None:
        for leg in legs:
            row = self.holdings.position(member, leg, event=True)
            symbol = leg.instrument
            self.hub.tell(
                member, "positions", lambda topic, symbol=symbol: wants(topic, "SWAP", symbol), [row], "event_update"
            )

    def _snapshot(self, member: Member, topic: Topic) -> list[Row] | None:
        if topic[0] == "account":
            return [self.holdings.balance(member, [topic[1]] if topic[1] else (), self.now_ms())]
        if topic[0] == "positions":
            return [
                self.holdings.position(member, leg, event=True)
                for leg, listing in self.holdings.positions(member)
                if wants(topic, "SWAP", listing.id)
            ]
        if topic[0] == "balance_and_position":
            now = str(self.now_ms())
            rows = [self.holdings.position(member, leg) for leg, _ in self.holdings.positions(member)]
            return [{
                "balData": [
                    {"cashBal": plain(amount), "ccy": currency, "uTime": now}
                    for currency, amount in member.books.balances.items()
                ],
                "eventType": "snapshot", "pTime": now,
                "posData": [{name: row[name] for name in BRIEF} for row in rows], "trades": [],
            }]  # fmt: skip
        return None

    # ---- operations over the WebSocket ----------------------------------------------------------

    def _operate(self, member: Member, op: str, args: list[Any], said: Row) -> Row:
        route = "POST", OPERATIONS[op]
        endpoint = TRADE[route]
        batch = endpoint.batch
        first = cast("Row", args[0]) if isinstance(args[0], dict) else {}
        body: Any = args if batch else first
        call = Call(self, Params(first), body, self.now_ms(), {"expTime": said.get("expTime", "")}, member)
        if not self.admit(call, route, weight=len(args)):
            return {
                "code": "50011",
                "msg": "Rate limit reached. Please refer to API documentation and throttle requests accordingly.",
                "data": [],
            }
        try:
            answer = endpoint.handler(call)
        except Failure as failure:
            return {"code": failure.code, "msg": failure.text, "data": []}
        finally:
            self.keep()
        row = answer if isinstance(answer, dict) else {"code": "0", "data": answer}
        return {"code": row["code"], "msg": "", "data": row["data"]}

    def admit(self, call: Call, route: tuple[str, str], weight: int, address: str = "") -> bool:
        """Whether an account's (or, for public endpoints, an address') request is within its limit."""
        if weight == 1:
            route = SINGLE.get(route, route)
        limit = self.table[route].limit
        what = ""
        if limit.by_instrument:
            code = call.given.get("instIdCode")
            listing = self.floor.codes.get(int(code)) if code.isdigit() else None
            what = call.given.get("instId") or (listing.id if listing else call.given.get("instType"))
        return self.limits.admit((call.who.name if call.who else address, *route, what), limit, call.now_ms, weight)

    table: Mapping[tuple[str, str], Any] = TRADE


OPERATIONS = {
    "order": "trade/order", "batch-orders": "trade/batch-orders", "cancel-order": "trade/cancel-order",
    "batch-cancel-orders": "trade/cancel-batch-orders", "amend-order": "trade/amend-order",
    "batch-amend-orders": "trade/amend-batch-orders", "mass-cancel": "trade/mass-cancel",
}  # fmt: skip
SINGLE = {  # what a batch of one counts as
    ("POST", "trade/batch-orders"): ("POST", "trade/order"),
    ("POST", "trade/cancel-batch-orders"): ("POST", "trade/cancel-order"),
    ("POST", "trade/amend-batch-orders"): ("POST", "trade/amend-order"),
}
