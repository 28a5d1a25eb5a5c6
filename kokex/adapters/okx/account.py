"""An account's private streams: orders and their trades, conditional orders, funding, told to its executor.

Two connections (private, business) are one edge: it is up while both are. What a gap swallowed is not guessed at:
the executor asks for it when `Link` says that the streams are back.
"""

from collections.abc import Callable
from typing import final

import anyio
import msgspec
from msgspec import Raw, Struct

from kokex.adapters.okx.hosts import Hosts
from kokex.adapters.okx.reports import algo_report, client_id_of, order_report, pushed_fill
from kokex.adapters.okx.stream import Stream
from kokex.adapters.okx.transport import websocket
from kokex.adapters.okx.venue import OkxVenue
from kokex.adapters.okx.wire.account import BalanceAndPosition
from kokex.adapters.okx.wire.frames import Arg
from kokex.adapters.okx.wire.trade import AlgoOrder, Order
from kokex.messages import SETTLED, Fill, Funding, Link, OrderUpdate
from kokex.ports import Ambiguous, Chance, OrderReport, Post, Rejected

FUNDED_S = 3600.0  # a payment that is told is looked for so far back
LOOKS = 5  # at the bills, which may be behind what is told
LOOK_S = 2.0


class Frame(Struct, frozen=True):
    """A push before its rows are read."""

    arg: Arg
    data: Raw


_frame = msgspec.json.Decoder(Frame)
_orders = msgspec.json.Decoder(list[Order])
_algos = msgspec.json.Decoder(list[AlgoOrder])
_changes = msgspec.json.Decoder(list[BalanceAndPosition])


@final
class AccountStreams:
    """`run` it in a task of its own. `connected` is called whenever both stand; `trouble` is told what a person may
    want to know.
    """

    def __init__(
        self,
        account: str,
        venue: OkxVenue,
        hosts: Hosts,
        post: Post,
        now: Callable[[], int],
        chance: Chance,
        connected: Callable[[], None],
        trouble: Callable[[str], None],
    ) -> None:
        self._account = account
        self._actor = f"executor[{account}]"
        self._venue = venue
        self._post = post
        self._now = now
        self._connected = connected
        self._trouble = trouble
        self._down = {"private", "business"}
        self._funded = anyio.Event()
        self._told: set[str] = set()  # funding payments
        rest = venue.rest.rest
        self._streams = [
            Stream(name, websocket(hosts, name), _Ear(name, self), chance=chance, limits=rest.limits, login=rest.login)
            for name in ("private", "business")
        ]
        any_ = {"inst_type": "ANY"}
        self._streams[0].subscribe([Arg(channel="orders", **any_), Arg(channel="balance_and_position")])
        self._streams[1].subscribe([Arg(channel="orders-algo", **any_)])

    async def run(self) -> None:
        """Keeps both connections up until cancelled."""
        async with anyio.create_task_group() as tasks:
            for stream in self._streams:
                tasks.start_soon(stream.run)
            while True:
                await self._funded.wait()
                self._funded = anyio.Event()
                await self._tell_funding()

    # ---- the edge

    def restored(self, name: str) -> None:
        self._down.discard(name)
        if not self._down and not self._venue.up:
            self._venue.up = True
            self._connected()
            self._post(self._actor, Link(account=self._account, edge="venue", up=True))

    def lost(self, name: str, reason: str) -> None:
        self._down.add(name)
        if self._venue.up:
            self._venue.up = False
            self._post(self._actor, Link(account=self._account, edge="venue", up=False, reason=f"{name}: {reason}"))

    def trouble(self, what: str) -> None:
        self._trouble(f"account {self._account}: {what}")

    # ---- rows

    def received(self, frame: bytes) -> None:
        """Raises ValueError for what cannot be read."""
        push = _frame.decode(frame)
        match push.arg.channel:
            case "orders":
                for row in _orders.decode(push.data):
                    self._order(row)
            case "orders-algo":
                for row in _algos.decode(push.data):
                    self._algo(row)
            case "balance_and_position":
                if any(row.event_type == "funding_fee" for row in _changes.decode(push.data)):
                    self._funded.set()
            case _:
                pass

    def _order(self, row: Order) -> None:
        """A trade first, then what it made of the order."""
        client_id = client_id_of(row)
        if not client_id or row.inst_id not in self._venue.instruments:
            return
        self._venue.names[row.ord_id] = client_id
        if fill := pushed_fill(row, self._venue.instruments):
            self._post(
                self._actor,
                Fill(
                    account=self._account, plan="", instrument=fill.instrument, client_id=client_id,
                    trade_id=fill.trade_id, side="buy" if fill.side == "buy" else "sell", size=fill.size,
                    price=fill.price, fee=fill.fee, base_fee=fill.base_fee,
                    liquidity="maker" if fill.liquidity == "maker" else "taker", filled_ns=fill.filled_ns,
                ),
            )  # fmt: skip
        self._report(row.inst_id, order_report(row, client_id))

    def _algo(self, row: AlgoOrder) -> None:
        if not row.algo_cl_ord_id or row.inst_id not in self._venue.instruments:
            return
        self._venue.learn(row)
        if report := algo_report(row):
            self._report(row.inst_id, report)

    def _report(self, instrument: str, report: OrderReport) -> None:
        if report.state in SETTLED or report.state == "working":
            self._post(
                self._actor,
                OrderUpdate(
                    account=self._account, plan="", instrument=instrument, client_id=report.client_id,
                    state=report.state, filled=report.filled, reason=report.reason,
                ),
            )  # fmt: skip

    async def _tell_funding(self) -> None:
        """The push says that there was a payment; its bill says how much, a moment later."""
        since_ns = self._now() - round(FUNDED_S * 1e9)
        for _ in range(LOOKS):
            before = len(self._told)
            try:
                for report in await self._venue.fundings(since_ns):
                    if report.funding_id not in self._told:
                        self._told.add(report.funding_id)
                        self._post(
                            self._actor,
                            Funding(
                                account=self._account, instrument=report.instrument, funding_id=report.funding_id,
                                rate=report.rate, amount=report.amount, due_ns=report.due_ns,
                            ),
                        )  # fmt: skip
            except (Rejected, Ambiguous) as error:
                self.trouble(f"the bill of a funding payment: {error}")
            if len(self._told) > before:
                return
            await anyio.sleep(LOOK_S)


@final
class _Ear:
    """`stream.Listener` of one of the two."""

    def __init__(self, name: str, streams: AccountStreams) -> None:
        self._name = name
        self._streams = streams

    def received(self, frame: bytes) -> None:
        self._streams.received(frame)

    def restored(self) -> None:
        self._streams.restored(self._name)

    def lost(self, reason: str) -> None:
        self._streams.lost(self._name, reason)

    def trouble(self, what: str) -> None:
        self._streams.trouble(what)
