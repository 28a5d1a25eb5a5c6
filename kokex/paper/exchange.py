"""The paper exchange: accounts, their orders, and what the market does to them.

One account's orders never trade with another's: every order trades with the market alone, whose price it
does not move. All rules are written down in docs/paper.md; those of matching are in matching.py.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from kokex.market.instruments import exact, is_tradable, notional, round_price, size_of
from kokex.market.money import multiply
from kokex.market.positions import mark
from kokex.messages import Candle, Fill, Funding, Instrument, Message, Order, OrderState, OrderUpdate, Side
from kokex.paper.account import Account, AccountKind, Funds, Means
from kokex.paper.matching import (
    RESTING,
    TRIGGERED,
    WOULD_TAKE,
    ZERO,
    Depth,
    End,
    Match,
    Rules,
    Working,
    at_open,
    inside,
    slipped,
    triggered_by,
    walk,
)
from kokex.ports import FillReport, FundingReport, OrderReport, Post, Rejected, VenueState

UNBOUNDED = Decimal("Infinity")
Queued = tuple[Account, Working]


class Exchange:
    """Matches the orders of several accounts against opens, candles and books.

    `changed(account)` is called once for every step that changed an account, before its messages are posted:
    who saves `snapshot(account)` there never has a fill on record that the exchange forgot.
    """

    def __init__(self, instruments: Sequence[Instrument], rules: Rules, now: Callable[[], int], post: Post) -> None:
        self.busy: set[str] = set()  # instruments with a working order: in all others nothing can happen
        self.marks: dict[str, float] = {}  # last prices; a market writes the close of what is not busy itself
        self.changed: Callable[[str], None] = _nobody
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._rules = rules
        self._now = now
        self._post = post
        self._funds = Funds(self._instruments, self.marks, rules)
        self._accounts: dict[str, Account] = {}
        self._means: dict[str, Means] = {}
        self._queues: dict[str, list[Queued]] = {symbol: [] for symbol in self._instruments}  # as they are matched
        self._left: dict[str, dict[str, list[Decimal]]] = {}  # by instrument and account: its share of the open candle
        self._touched: dict[str, list[Message]] = {}  # accounts that this step changed, and what to tell them

    # ---- accounts ---------------------------------------------------------------------------

    def open_account(self, account: str, cash: Decimal, kind: AccountKind) -> None:
        """Raises ValueError when it is open already."""
        if account in self._accounts:
            raise ValueError(f"account {account!r} is open already")
        self.admit(Account(account, kind, cash), self._funds)

    def admit(self, account: Account, means: Means) -> None:
        """Opens an account that keeps other books, or pays otherwise, than the plain ones; its orders work on."""
        self._accounts[account.name] = account
        self._means[account.name] = means
        for working in account.working.values():
            self._enqueue(account, working)

    def snapshot(self, account: str) -> bytes:
        """All that is needed to take an account up again; of settled orders, fills and fundings only the last."""
        return msgspec.msgpack.encode(self._accounts[account].shortened())

    def restore(self, account: str, snapshot: bytes) -> None:
        """Opens, or replaces, an account as it was. Raises ValueError for what is no snapshot of it."""
        try:
            restored = msgspec.msgpack.decode(snapshot, type=Account)
        except msgspec.MsgspecError as error:
            raise ValueError(f"the snapshot of account {account!r} cannot be read: {error}") from None
        if restored.name != account:
            raise ValueError(f"the snapshot is of account {restored.name!r}, not of {account!r}")
        used = {working.order.instrument for working in restored.working.values()}
        used |= {symbol for symbol, position in restored.positions.items() if position.size}
        if unknown := used - self._instruments.keys():
            unlisted = ", ".join(sorted(unknown))
            raise ValueError(f"account {account!r} holds {unlisted}, which the exchange does not list")
        if account in self._accounts:
            for working in tuple(self._accounts[account].working.values()):
                self._unqueue(self._accounts[account], working)
        self.admit(restored, self._funds)

    def state(self, account: str) -> VenueState:
        """Cash, open positions at their last known prices, and working orders."""
        books = self._accounts[account]
        return VenueState(
            cash=books.cash,
            positions=tuple(
                mark(position, exact(self.marks[symbol])) if symbol in self.marks else position
                for symbol, position in books.positions.items()
                if position.size
            ),
            open_orders=tuple(report for report in map(books.report, books.working) if report),
        )

    def fills(self, account: str, since_ns: int) -> list[FillReport]:
        """Trades at or after `since_ns`, oldest first, as far back as the account remembers."""
        return [fill for fill in self._accounts[account].fills if fill.filled_ns >= since_ns]

    def fundings(self, account: str, since_ns: int) -> list[FundingReport]:
        """Funding payments due at or after `since_ns`, oldest first, as far back as the account remembers."""
        return [paid for paid in self._accounts[account].fundings if paid.due_ns >= since_ns]

    def lookup(self, account: str, client_id: str) -> OrderReport | None:
        """What became of an order; None: not known, or settled more than a thousand orders ago."""
        return self._accounts[account].report(client_id)

    def holds(self, instrument: str) -> bool:
        """Whether any account has a position in it."""
        return any(account.position(instrument).size for account in self._accounts.values())

    # ---- orders -----------------------------------------------------------------------------

    def place(self, account: str, order: Order) -> OrderReport:
        """Accepts an order; it trades with the next open at the earliest. Raises Rejected (see docs/paper.md)."""
        books = self._accounts[account]
        if books.report(order.client_id):
            raise Rejected("duplicate", f"there is an order {order.client_id} already")
        now = self._now()
        if order.expires_ns and now > order.expires_ns:
            raise Rejected("expired", "the request came after its deadline")
        self._check_form(order)
        self._check_means(books, order, order.size)
        level = order.trigger if order.kind in TRIGGERED else order.price
        working = Working(order, now, float(level or 0))
        books.working[order.client_id] = working
        self._enqueue(books, working)
        self.changed(account)
        return OrderReport(client_id=order.client_id, state="working")

    def cancel(self, account: str, instrument: str, client_id: str) -> OrderReport:
        """Cancels a working order; of a settled one, says how it ended. Raises Rejected for an unknown one."""
        books = self._accounts[account]
        report = books.report(client_id)
        if report is None:
            raise Rejected("unknown_order", f"no order {client_id} in {instrument}")
        if client_id not in books.working:
            return report
        self._unqueue(books, books.working[client_id])
        report = books.settle(client_id, "cancelled", "by its owner")
        self.changed(account)
        return report

    def amend(self, account: str, client_id: str, size: Decimal, price: Decimal | None) -> OrderReport:
        """Another size, what is filled included, and price or trigger. Raises Rejected: it then stands as it stood."""
        books = self._accounts[account]
        working = books.working.get(client_id)
        if working is None:
            raise Rejected("unknown_order", f"no order {client_id} works")
        if working.triggered:
            raise Rejected("triggered", "it is a market order by now")
        conditional = working.order.kind in TRIGGERED
        order = replace(working.order, size=size, expires_ns=0, **{"trigger" if conditional else "price": price})
        self._check_form(order)
        if size <= working.filled:
            raise Rejected("below_minimum", f"size {size}, of which {working.filled} is filled")
        del books.working[client_id]
        try:
            self._check_means(books, order, size - working.filled)
        except Rejected:
            books.working[client_id] = working
            raise
        working.order, working.level, books.working[client_id] = order, float(price or 0), working
        if not conditional:  # it stands anew; one that waits for its trigger has waited all along
            working.arrived_ns, working.opened_ns, working.rests = self._now(), -1, False
            self._unqueue(books, working)
            self._enqueue(books, working)
        self.changed(account)
        return OrderReport(client_id=client_id, state=working.state, filled=working.filled, order=order)

    def _check_form(self, order: Order) -> None:
        """What is wrong with an order by itself."""
        instrument = self._instruments.get(order.instrument)
        if instrument is None:
            raise Rejected("unknown_instrument", f"{order.instrument} is not listed")
        if not (1 <= len(order.client_id) <= 32 and order.client_id.isascii() and order.client_id.isalnum()):
            raise Rejected("bad_client_id", "1 to 32 letters and digits")
        if order.size < instrument.minimum:
            raise Rejected("below_minimum", f"size {order.size}, the minimum is {instrument.minimum}")
        if not is_tradable(instrument, order.size):
            raise Rejected("bad_lot", f"size {order.size} is no multiple of the lot {instrument.lot}")
        if order.kind in RESTING and order.price is None:
            raise Rejected("bad_price", f"a {order.kind} order needs a price")
        if order.kind in TRIGGERED and order.trigger is None:
            raise Rejected("bad_price", f"a {order.kind} order needs a trigger")
        if order.price is not None and (order.kind == "market" or order.kind in TRIGGERED):
            raise Rejected("bad_price", f"a {order.kind} order has no limit price")
        for price in (order.price, order.trigger):
            if price is None:
                continue
            if price <= 0:
                raise Rejected("bad_price", f"price {price} is not above zero")
            if round_price(instrument, price, "nearest") != price:
                raise Rejected("bad_tick", f"price {price} is no multiple of the tick {instrument.tick}")

    def _check_means(self, books: Account, order: Order, size: Decimal) -> None:
        """What the account lacks to trade `size` of an order."""
        instrument = self._instruments[order.instrument]
        reducible = books.reducible(order)
        if order.reduce_only:
            if not reducible:
                raise Rejected("nothing_to_reduce", f"no position that a {order.side} reduces")
            return
        if order.side == "sell" and not books.may_short(instrument) and size > reducible:
            raise Rejected(
                "no_short", f"a {books.kind} account cannot sell {size} {instrument.symbol}, it has {reducible}"
            )
        if order.kind in TRIGGERED:
            return
        price = order.price
        if price is None:
            if order.instrument not in self.marks:
                return  # no price yet: checked when it fills
            price = slipped(order.side, self.marks[order.instrument], instrument, self._rules)
        if lack := self._means[books.name].lack(books, order, size, price, beside_orders=True):
            raise Rejected("insufficient_funds", lack)

    # ---- what the market does ---------------------------------------------------------------

    def awaits(self, instrument: str, open_ns: int) -> bool:
        """Whether an order is to see the open of the candle that opens at `open_ns`."""
        for _, working in self._queues[instrument]:  # noqa: SIM110  any() costs a resting order more than its match
            if working.arrived_ns <= open_ns > working.opened_ns:
                return True
        return False

    def on_open(self, instrument: str, price: float, volume: float, at: int) -> None:
        """A candle opened at `at`. `volume` (base currency) is what the whole candle will have traded."""
        self.marks[instrument] = price
        self._left[instrument] = {}
        for account, working in tuple(self._queues[instrument]):
            if working.arrived_ns <= at:
                outcome = at_open(working, price, self._instruments[instrument], self._rules)
                working.opened_ns = at
                if outcome:
                    self._act(account, working, outcome, volume, at)
                elif working.order.kind in RESTING and not working.rests:
                    self._rest(account, working)
        self._publish()

    def on_candle(self, candle: Candle, at: int) -> None:
        """A candle closed at `at`: it concerns the orders that saw its open."""
        instrument = candle.instrument
        for account, working in tuple(self._queues[instrument]):
            if working.opened_ns == candle.open_ns:
                outcome = inside(working, candle, self._instruments[instrument], self._rules)
                if outcome:
                    self._act(account, working, outcome, candle.volume, at)
        self.marks[instrument] = candle.close
        self._publish()

    def on_book(self, book: Depth, at: int) -> None:
        """Orders trade with the depth that the book shows; each account finds it whole."""
        depth: dict[tuple[str, Side], list[Decimal]] = {}
        for account, working in tuple(self._queues[book.instrument]):
            order = working.order
            if working.arrived_ns > at:
                continue
            if order.kind in TRIGGERED and not (working.triggered or triggered_by(working, book)):
                continue
            levels = book.asks if order.side == "buy" else book.bids
            reach = list(walk(working, book))
            if reach and order.kind == "post_only" and not working.rests:
                self._end(account, working, "cancelled", WOULD_TAKE.reason)
                continue
            left = depth.setdefault((account.name, order.side), [size for _, size in levels])
            self._take(account, working, reach, left, at)
            # One that wants more than the whole depth shown goes on taking.
            if order.kind in RESTING and not working.rests and len(reach) < len(levels):
                self._rest(account, working)
        self._publish()

    def on_funding(self, instrument: str, rate: Decimal, at: int) -> None:
        """Funding is due: at a positive rate longs pay shorts, on the worth of the position at the last price."""
        listed = self._instruments[instrument]
        for account in self._accounts.values():
            position = account.position(instrument)
            if not position.size:
                continue
            price = exact(self.marks[instrument]) if instrument in self.marks else position.mark
            amount = multiply(notional(listed, position.size, price), rate.copy_negate())
            paid = FundingReport(
                instrument=instrument, funding_id=f"{instrument}-{at}", rate=rate, amount=amount, due_ns=at
            )
            account.fund(paid)
            funding = Funding(
                account=account.name,
                instrument=instrument,
                funding_id=paid.funding_id,
                rate=rate,
                amount=amount,
                due_ns=at,
            )
            self._tell(account, funding)
        self._publish()

    # ---- one order --------------------------------------------------------------------------

    def _act(self, account: Account, working: Working, outcome: Match | End, volume: float, at: int) -> None:
        """What a candle's open or range means happens, within the account's share of the candle's volume."""
        if isinstance(outcome, End):
            self._end(account, working, "cancelled", outcome.reason)
            return
        instrument = working.order.instrument
        left = self._left.setdefault(instrument, {})
        if account.name not in left:
            left[account.name] = [self._share(self._instruments[instrument], volume)]
        self._take(account, working, [(0, outcome)], left[account.name], at)

    def _take(
        self, account: Account, working: Working, reach: Sequence[tuple[int, Match]], left: list[Decimal], at: int
    ) -> None:
        """The order takes what it may of each level in reach; `left` is what each level still has."""
        order = working.order
        if order.kind in TRIGGERED:
            working.triggered = True
            self._touch(account)
        if order.kind == "fok":
            wanted = min(order.size, self._room(account, order))
            if sum((left[index] for index, _ in reach), ZERO) < wanted:
                self._end(account, working, "cancelled", "not fillable at once")
                return
        for index, match in reach:
            left[index] -= self._fill(account, working, match, left[index], at)
            if order.client_id not in account.working:
                return
        if order.kind in {"ioc", "fok"}:
            self._end(account, working, "cancelled", "the rest is not fillable at once")

    def _fill(self, account: Account, working: Working, match: Match, left: Decimal, at: int) -> Decimal:
        """Fills at most `left` and returns how much it was."""
        order, listed = working.order, self._instruments[working.order.instrument]
        room = self._room(account, order)
        size = min(order.size - working.filled, room, left)
        if not room:
            self._end(account, working, "cancelled", "nothing left to reduce")
        if not size:
            return ZERO
        means = self._means[account.name]
        if means.lack(account, order, size, match.price, beside_orders=False):
            self._end(account, working, "cancelled", "insufficient funds")
            return ZERO
        account.trades += 1
        fill = Fill(
            account=account.name,
            plan=order.plan,
            instrument=order.instrument,
            client_id=order.client_id,
            trade_id=str(account.trades),
            side=order.side,
            size=size,
            price=match.price,
            fee=means.fee(order, size, match.price, match.liquidity),
            liquidity=match.liquidity,
            filled_ns=at,
            decision=order.decision,
        )
        account.book(fill, listed)
        working.filled += size
        self._tell(account, fill)
        if working.filled == order.size:  # the fill says so
            self._unqueue(account, working)
            account.settle(order.client_id, "filled", "")
        elif size == room:
            self._end(account, working, "cancelled", "nothing left to reduce")
        return size

    def _end(self, account: Account, working: Working, state: OrderState, reason: str = "") -> None:
        self._unqueue(account, working)
        account.settle(working.order.client_id, state, reason)
        self._tell(account, _update(working.order, state, working.filled, reason))

    def _rest(self, account: Account, working: Working) -> None:
        working.rests = True
        self._touch(account)

    def _room(self, account: Account, order: Order) -> Decimal:
        """What an order may trade without opening what it must not."""
        listed = self._instruments[order.instrument]
        if order.reduce_only or (order.side == "sell" and not account.may_short(listed)):
            return account.reducible(order)
        return UNBOUNDED

    def _share(self, instrument: Instrument, volume: float) -> Decimal:
        """What an account may fill in a candle of this volume, in whole lots."""
        share = self._rules.volume_share
        return size_of(instrument, multiply(exact(volume), share)) if share else UNBOUNDED

    # ---- queues and messages ----------------------------------------------------------------

    def _enqueue(self, account: Account, working: Working) -> None:
        """Stops stand before everything else; among themselves orders stand as they came."""
        queue = self._queues[working.order.instrument]
        queue.append((account, working))
        if len(queue) > 1:
            queue.sort(key=_after_stops)
        self.busy.add(working.order.instrument)

    def _unqueue(self, account: Account, working: Working) -> None:
        queue = self._queues[working.order.instrument]
        queue.remove((account, working))
        if not queue:
            self.busy.discard(working.order.instrument)

    def _touch(self, account: Account) -> None:
        self._touched.setdefault(account.name, [])

    def _tell(self, account: Account, message: Message) -> None:
        self._touched.setdefault(account.name, []).append(message)

    def _publish(self) -> None:
        """Ends a step: what changed can be saved before anybody hears of it."""
        if not self._touched:
            return
        touched, self._touched = self._touched, {}
        for account, messages in touched.items():
            self.changed(account)
            for message in messages:
                self._post(f"executor[{account}]", message)


def _after_stops(queued: Queued) -> bool:
    return queued[1].order.kind != "stop"


def _update(order: Order, state: OrderState, filled: Decimal, reason: str = "") -> OrderUpdate:
    return OrderUpdate(
        account=order.account, plan=order.plan, instrument=order.instrument, client_id=order.client_id,
        state=state, filled=filled, reason=reason, decision=order.decision,
    )  # fmt: skip


def _nobody(account: str) -> None:
    """Nobody keeps the exchange's state."""
