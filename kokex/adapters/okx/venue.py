"""One account at OKX, as `kokex.ports.Venue`.

What is said here of an order is what OKX said of it, and only that: an accepted cancel is looked up, a lost answer
is `Ambiguous`, a page that failed is an exception. Which answer means what is in outcomes.py, how an order reads at
OKX in requests.py, and what comes by the private streams in account.py.
"""

from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import TypeVar, final

import anyio

from kokex.adapters.okx.answers import accepted
from kokex.adapters.okx.outcomes import State, next_step, worded
from kokex.adapters.okx.private import PrivateRest
from kokex.adapters.okx.public import PublicRest
from kokex.adapters.okx.reports import (
    FUNDING_BILL,
    algo_report,
    became,
    client_id_of,
    fill_report,
    funding_report,
    order_report,
)
from kokex.adapters.okx.requests import (
    amending,
    amending_conditional,
    cancelling,
    cancelling_conditional,
    is_conditional,
    placing,
    placing_conditional,
)
from kokex.adapters.okx.units import AccountMode, signed_size
from kokex.adapters.okx.wire import MS, nanoseconds, number
from kokex.adapters.okx.wire.account import Bill
from kokex.adapters.okx.wire.account import Position as PositionRow
from kokex.adapters.okx.wire.trade import AlgoOrder
from kokex.adapters.okx.wire.trade import Order as Row
from kokex.messages import Instrument, Order, Position
from kokex.ports import Ambiguous, FillReport, FundingReport, OrderReport, Rejected, Touch, VenueState

T = TypeVar("T")

ZERO = Decimal(0)
AGAIN_S = 0.25  # before what was definitely not done is tried once more
RECENT_NS = 3 * 86_400_000_000_000 - 600_000_000_000  # trade/fills reaches back three days
CONDITIONAL = "conditional,oco"


@final
class OkxVenue:
    """Raises Rejected or Ambiguous, nothing else. `up` is set by the account's streams."""

    latency_ns = 0  # it takes what it takes

    def __init__(
        self,
        rest: PrivateRest,
        instruments: Mapping[str, Instrument],
        mode: AccountMode,
        *,
        tag: str,
        now: Callable[[], int],
    ) -> None:
        """`tag` marks our orders at OKX, so that the dead-man's switch leaves a person's alone."""
        self.up = False
        self.rest = rest
        self.instruments = instruments
        self.mode = mode
        self.names: dict[str, str] = {}  # order number -> client id; "" for one that is not ours
        self._public = PublicRest(rest.rest)
        self._tag = tag
        self._now = now
        self._rates: dict[tuple[str, int], Decimal] = {}

    # ---- doing

    async def place(self, order: Order) -> OrderReport:
        instrument = self.instruments[order.instrument]
        if is_conditional(order):
            wanted = placing_conditional(order, instrument, self.mode, self._tag)
            await self._act("placing", order, lambda: self.rest.order_algo(wanted))
        else:
            plain = placing(order, instrument, self.mode, self._tag)
            ack = await self._act("placing", order, lambda: self.rest.place_order(plain, expires_ns=order.expires_ns))
            if ack and ack.ord_id:
                self.names[ack.ord_id] = order.client_id
        return OrderReport(client_id=order.client_id, state="working")

    async def amend(self, order: Order, size: Decimal, price: Decimal) -> OrderReport:
        """To this size (what is filled included), and price or trigger; the report says what holds now."""
        instrument = self.instruments[order.instrument]
        if is_conditional(order):
            conditional = amending_conditional(order, instrument, size, price)
            await self._act("amending", order, lambda: self.rest.amend_algos(conditional))
        else:
            wanted = amending(order, instrument, size, price)
            await self._act("amending", order, lambda: self.rest.amend_order(wanted))
        return await self._certain(order)

    async def cancel(self, order: Order) -> OrderReport:
        async def ask() -> object:
            if is_conditional(order):
                return accepted(await self.rest.cancel_algos([cancelling_conditional(order)]))
            return await self.rest.cancel_order(cancelling(order))

        await self._act("cancelling", order, ask)
        report = await self._certain(order)
        if report.state in ("working", "partial"):
            raise Ambiguous("the cancel was accepted, but the order is still there")
        return report

    async def touch(self, instrument: str) -> Touch:
        rows = await self._public.ticker(instrument)
        with _readable():
            bid, ask = number(rows[0].bid_px), number(rows[0].ask_px)
        if bid is None or ask is None:
            raise Rejected("no_price", f"the book of {instrument} is empty on a side")
        return Touch(bid=bid, ask=ask)

    async def keep_alive(self, timeout_s: int) -> None:
        """OKX cancels our pending orders unless it hears from us again in time; 0: never mind."""
        await self.rest.cancel_all_after(timeout_s, self._tag)

    async def _act(self, state: State, order: Order, ask: Callable[[], Awaitable[T]]) -> T | None:
        """None: it may have been done, look. Raises Rejected or, when placing leaves doubt, Ambiguous."""
        while True:
            answer: Rejected | Ambiguous | None = None
            result: T | None = None
            try:
                result = await ask()
            except (Rejected, Ambiguous) as error:
                answer = error
            match next_step(state, answer):
                case "done":
                    return result
                case "again" if not 0 < order.expires_ns < self._now() + round(AGAIN_S * 1e9):
                    await anyio.sleep(AGAIN_S)
                case "look" if state != "placing":
                    return None
                case "look":
                    assert answer
                    raise Ambiguous(str(answer)) from answer
                case _:
                    assert answer
                    raise worded(answer) if isinstance(answer, Rejected) else Rejected("not_sent", str(answer))

    async def _certain(self, order: Order) -> OrderReport:
        report = await self.lookup(order)
        if report is None:
            raise Ambiguous("OKX does not know the order")
        return report

    # ---- asking for one order

    async def lookup(self, order: Order) -> OrderReport | None:
        if is_conditional(order):
            return await self._lookup_conditional(order)
        try:
            row = await self.rest.order(order.instrument, cl_ord_id=order.client_id)
        except Rejected as error:
            if next_step("asking", error) == "absent":
                return None
            raise
        self.names[row.ord_id] = order.client_id
        with _readable():
            return order_report(row, order.client_id)

    async def _lookup_conditional(self, order: Order) -> OrderReport | None:
        try:
            row = await self.rest.algo_order(algo_cl_ord_id=order.client_id)
        except Rejected as error:
            if next_step("asking", error) == "absent":
                return None
            raise
        return await self._of_conditional(row, order.client_id)

    async def _of_conditional(self, row: AlgoOrder, client_id: str) -> OrderReport:
        """Its own state, or that of the order it became."""
        self.learn(row)
        with _readable():
            report = algo_report(row)
        if report:
            return report
        numbers = became(row)
        if not numbers:
            raise Ambiguous(f"conditional order {client_id} was set free, but its order is not told yet")
        try:
            free = await self.rest.order(row.inst_id, ord_id=numbers[-1])
        except Rejected as error:  # it triggered, so its order must be somewhere
            raise Ambiguous(f"the order that {client_id} became: {error}") from error
        with _readable():
            return order_report(free, client_id)

    def learn(self, row: AlgoOrder) -> None:
        """The trades of what it sets free come under a number that nobody here gave."""
        for number_ in became(row):
            self.names[number_] = row.algo_cl_ord_id or ""

    # ---- lists: whole, or an exception

    async def fills(self, since_ns: int) -> list[FillReport]:
        begin_ms = since_ns // MS
        if since_ns > self._now() - RECENT_NS:
            rows = await self.rest.all_fills(begin_ms=begin_ms)
        else:
            rows = [
                row
                for kind in sorted({"SWAP" if each.kind == "swap" else "SPOT" for each in self.instruments.values()})
                for row in await self.rest.all_fills_history(kind, begin_ms=begin_ms)
            ]
        reports: list[FillReport] = []
        for row in rows:
            if row.inst_id not in self.instruments or nanoseconds(row.ts) < since_ns:
                continue
            if client_id := await self._client_id(row.inst_id, row.ord_id, row.cl_ord_id or ""):
                with _readable():
                    reports.append(fill_report(row, client_id, self.instruments))
        return sorted(reports, key=lambda report: report.filled_ns)

    async def _client_id(self, instrument: str, number_: str, given: str) -> str:
        """Whose trade it is; "" for a person's own."""
        if number_ not in self.names:
            try:
                self.names[number_] = client_id_of(await self.rest.order(instrument, ord_id=number_))
            except Rejected as error:
                if next_step("asking", error) != "absent":
                    raise
                self.names[number_] = given
        return self.names[number_]

    async def fundings(self, since_ns: int) -> list[FundingReport]:
        """Of the last seven days at most."""
        bills = await self.rest.all_bills(type_=FUNDING_BILL, begin_ms=max(0, since_ns // MS))
        reports: list[FundingReport] = []
        for bill in reversed(bills):
            if bill.inst_id in self.instruments and nanoseconds(bill.ts) >= since_ns:
                rate = await self._rate(bill)
                with _readable():
                    reports.append(funding_report(bill, rate))
        return reports

    async def _rate(self, bill: Bill) -> Decimal:
        """The rate that was paid; 0 where OKX no longer tells. For people: the amount is what is booked."""
        symbol, due_ns = bill.inst_id or "", nanoseconds(bill.ts)
        for (of, at), rate in self._rates.items():
            if of == symbol and abs(at - due_ns) < 60_000_000_000:
                return rate
        try:
            for row in await self._public.funding_rate_history(symbol):
                at = nanoseconds(row.funding_time)
                self._rates[symbol, at] = number(row.realized_rate, ZERO) or number(row.funding_rate, ZERO)
        except (Rejected, Ambiguous, ValueError):
            return ZERO
        near = [at for of, at in self._rates if of == symbol and abs(at - due_ns) < 60_000_000_000]
        return self._rates[symbol, near[-1]] if near else ZERO

    async def state(self) -> VenueState:
        """All of it, or an exception: what is open first, so that nothing falls between."""
        pending = await self.rest.all_orders_pending()
        conditional = await self.rest.all_orders_algo_pending(CONDITIONAL)
        positions = await self.rest.positions()
        balance = await self.rest.balance()
        with _readable():
            money = {row.ccy: number(row.cash_bal, ZERO) for row in balance.details}
            return VenueState(
                cash=money.get("USDT", ZERO),
                positions=self._held(positions, money),
                open_orders=tuple(self._open(pending, conditional)),
            )

    def _open(self, pending: list[Row], conditional: list[AlgoOrder]) -> Iterator[OrderReport]:
        for row in pending:
            if row.inst_id in self.instruments and (client_id := client_id_of(row)):
                self.names[row.ord_id] = client_id
                yield order_report(row, client_id)
        for row in conditional:
            if row.inst_id in self.instruments and row.algo_cl_ord_id:
                self.learn(row)
                if report := algo_report(row):
                    yield report

    def _held(self, positions: list[PositionRow], money: Mapping[str, Decimal]) -> tuple[Position, ...]:
        held: dict[str, Decimal] = {}
        for row in positions:
            if row.inst_id in self.instruments:
                size = signed_size(number(row.pos, ZERO), row.pos_side or "")
                held[row.inst_id] = held.get(row.inst_id, ZERO) + size
        for symbol, each in self.instruments.items():
            if each.kind == "spot":
                held[symbol] = money.get(each.base, ZERO)
        return tuple(Position(instrument=symbol, size=size, cost=ZERO) for symbol, size in held.items() if size)


@contextmanager
def _readable() -> Generator[None, None, None]:
    """What cannot be read proves nothing."""
    try:
        yield
    except (ValueError, LookupError) as error:
        raise Ambiguous(f"an answer that cannot be read: {error}") from error
