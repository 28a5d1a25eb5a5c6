"""The venue against the exchange server: real HTTP and WebSockets, and things going wrong on purpose."""

import asyncio
import contextlib
import json
import time
import urllib.request
from collections.abc import Awaitable, Callable, Generator
from decimal import Decimal
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from kokex.adapters.host.chance import Random
from kokex.adapters.okx.account import AccountStreams
from kokex.adapters.okx.hosts import Hosts
from kokex.adapters.okx.limits import Limits
from kokex.adapters.okx.preflight import Check, Standing, examine, listed, set_leverage
from kokex.adapters.okx.private import PrivateRest
from kokex.adapters.okx.public import PublicRest
from kokex.adapters.okx.requests import cancelling, placing
from kokex.adapters.okx.rest import Rest
from kokex.adapters.okx.sign import Credentials
from kokex.adapters.okx.units import AccountMode
from kokex.adapters.okx.venue import OkxVenue
from kokex.adapters.okx.wire.trade import (
    AmendAlgo,
    AmendOrder,
    CancelAlgo,
    CancelOrder,
    ClosePosition,
    PlaceAlgo,
    PlaceOrder,
)
from kokex.market.positions import apply_fill, cash_change, flat
from kokex.messages import Fill, Funding, Link, Message, Order, OrderUpdate
from kokex.ports import Ambiguous, FillReport, Post, Rejected
from tests.adapters.okx.exchange.servers import Running, exchange

SWAP, SPOT = "BTC-USDT-SWAP", "ETH-USDT"


@pytest.fixture(scope="module")
def server() -> Generator[Running, None, None]:
    with exchange("--faults", "--no-limits", "--seed", "7") as running:
        yield running


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kokex.adapters.okx.rest.PAUSE_S", 0.01)


class Desk:
    """One account, its venue and all that was posted to its executor."""

    def __init__(self, rest: Rest, venue: OkxVenue) -> None:
        self.rest = rest
        self.venue = venue
        self.posted: list[Message] = []
        self.hears: Post = lambda actor, message: None  # an executor, if there is one
        self.number = 0

    def post(self, actor: str, message: Message) -> None:
        assert actor == "executor[main]"
        self.posted.append(message)
        self.hears(actor, message)

    def order(self, **fields: Any) -> Order:
        self.number += 1
        plain = Order(
            client_id=f"k{time.time_ns():x}{self.number}", account="main", plan="main", instrument=SWAP, side="buy",
            kind="market", size=Decimal("0.5"), expires_ns=time.time_ns() + 5_000_000_000,
        )  # fmt: skip
        return replace(plain, **fields)

    async def until(self, found: Callable[[], Any], seconds: float = 5.0) -> Any:
        with anyio.fail_after(seconds):
            while not (result := found()):  # noqa: ASYNC110  what is looked at knows no event
                await anyio.sleep(0.01)
        return result

    def fills(self, client_id: str) -> list[Fill]:
        return [each for each in self.posted if isinstance(each, Fill) and each.client_id == client_id]

    def states(self, client_id: str) -> list[str]:
        return [each.state for each in self.posted if isinstance(each, OrderUpdate) and each.client_id == client_id]


def at(server: Running, scenario: Callable[[Desk], Awaitable[None]], *, streams: bool = True) -> None:
    async def run() -> None:
        hosts = Hosts(rest=server.rest, sockets=server.ws, demo=True)
        rest = Rest(hosts, now=time.time_ns, chance=Random(1), limits=Limits(), credentials=Credentials("k", "s", "p"))
        async with rest:
            instruments = {each.symbol: each for each in await listed(PublicRest(rest), [SWAP, SPOT])}
            private = PrivateRest(rest)
            venue = OkxVenue(private, instruments, AccountMode("2"), tag="kokextest", now=time.time_ns)
            desk = Desk(rest, venue)
            told: list[str] = []
            edge = AccountStreams("main", venue, hosts, desk.post, time.time_ns, Random(1), lambda: None, told.append)
            async with anyio.create_task_group() as tasks:
                if streams:
                    tasks.start_soon(edge.run)
                    await desk.until(lambda: venue.up)
                    assert desk.posted == [Link(account="main", edge="venue", up=True)]
                await scenario(desk)
                tasks.cancel_scope.cancel()
            assert not told, told

    asyncio.run(run())


def fault(server: Running, **switch: Any) -> None:
    request = urllib.request.Request(server.rest + "/faults", json.dumps(switch).encode(), method="POST")
    urllib.request.urlopen(request, timeout=5).read()


# ---- the life of an order


def test_a_market_order_trades_and_its_stop_guards_until_cancelled(server: Running) -> None:
    async def scenario(desk: Desk) -> None:
        venue, entry = desk.venue, desk.order()
        assert (await venue.place(entry)).state == "working"
        await desk.until(lambda: "filled" in desk.states(entry.client_id))
        fills = desk.fills(entry.client_id)
        assert sum(fill.size for fill in fills) == entry.size
        reports = [
            each for each in await venue.fills(time.time_ns() - 60_000_000_000) if each.client_id == entry.client_id
        ]
        assert [(r.trade_id, r.size, r.price, r.fee) for r in reports] == [
            (f.trade_id, f.size, f.price, f.fee) for f in fills
        ]
        touch = await venue.touch(SWAP)
        stop = desk.order(side="sell", kind="stop", trigger=touch.bid - 500, reduce_only=True, expires_ns=0)
        await venue.place(stop)
        await desk.until(lambda: desk.states(stop.client_id) == ["working"])
        state = await venue.state()
        assert stop.client_id in {each.client_id for each in state.open_orders}
        assert {p.instrument: p.size for p in state.positions}[SWAP] == entry.size
        report = await venue.lookup(stop)
        assert report
        assert report.state == "working"
        assert report.order
        assert report.order.trigger == stop.trigger
        report = await venue.amend(stop, Decimal("0.3"), touch.bid - 600)
        assert report.order
        assert (report.order.size, report.order.trigger) == (Decimal("0.3"), touch.bid - 600)
        with pytest.raises(Rejected, match="trigger_through"):
            await venue.amend(stop, entry.size, touch.bid + 500)
        assert (await venue.cancel(stop)).state == "cancelled"
        leave = desk.order(side="sell", reduce_only=True)
        await venue.place(leave)
        await desk.until(lambda: "filled" in desk.states(leave.client_id))
        assert SWAP not in {p.instrument for p in (await venue.state()).positions}

    at(server, scenario)


def test_a_stop_that_triggers_fills_under_its_own_name(server: Running) -> None:
    async def scenario(desk: Desk) -> None:
        venue, entry = desk.venue, desk.order()
        await venue.place(entry)
        stop = entry
        for _ in range(20):  # as near as it is taken: the price moves
            bid = (await venue.touch(SWAP)).bid
            stop = desk.order(side="sell", kind="stop", trigger=bid - Decimal("0.1"), reduce_only=True, expires_ns=0)
            with contextlib.suppress(Rejected):
                await venue.place(stop)
                break
        await desk.until(lambda: "filled" in desk.states(stop.client_id), 30)
        assert sum(fill.size for fill in desk.fills(stop.client_id)) == stop.size
        found = await venue.lookup(stop)
        assert found
        assert (found.state, found.filled) == ("filled", stop.size)
        fresh = OkxVenue(venue.rest, venue.instruments, venue.mode, tag="kokextest", now=time.time_ns)  # a restart
        again = [
            each for each in await fresh.fills(time.time_ns() - 60_000_000_000) if each.client_id == stop.client_id
        ]
        assert sum(each.size for each in again) == stop.size

    at(server, scenario)


def test_an_entry_brings_its_stop_along(server: Running) -> None:
    async def scenario(desk: Desk) -> None:
        venue = desk.venue
        touch = await venue.touch(SWAP)
        entry = desk.order()
        stop = desk.order(
            client_id=entry.client_id + "S1", side="sell", kind="stop", trigger=touch.bid - 500, reduce_only=True
        )
        assert await venue.lookup(stop) is None
        await venue.place(replace(entry, attached=stop))
        await desk.until(lambda: desk.states(stop.client_id) == ["working"])
        found = await venue.lookup(stop)
        assert found
        assert found.order
        assert (found.order.trigger, found.order.size) == (stop.trigger, entry.size)
        await venue.cancel(stop)
        await venue.place(desk.order(side="sell", reduce_only=True))

    at(server, scenario)


def test_a_limit_order_is_amended_and_cancelled_and_what_holds_is_told(server: Running) -> None:
    async def scenario(desk: Desk) -> None:
        venue = desk.venue
        touch = await venue.touch(SPOT)
        low = (touch.bid * Decimal("0.98")).quantize(Decimal("0.01"))
        order = desk.order(instrument=SPOT, kind="limit", price=low, size=Decimal("0.2"))
        await venue.place(order)
        report = await venue.amend(order, Decimal("0.15"), low - 1)
        assert report.order
        assert (report.order.size, report.order.price) == (Decimal("0.15"), low - 1)
        assert (await venue.cancel(order)).state == "cancelled"
        assert (await venue.cancel(order)).state == "cancelled"  # and again: what is over is looked up
        await desk.until(lambda: desk.states(order.client_id)[-1:] == ["cancelled"])
        crossing = desk.order(instrument=SPOT, kind="post_only", price=touch.ask * 2 // 1, size=Decimal("0.1"))
        with pytest.raises(Rejected, match="price limit"):
            await venue.place(crossing)

    at(server, scenario)


def test_coins_bought_are_booked_less_the_fee_that_was_kept_of_them(server: Running) -> None:
    async def scenario(desk: Desk) -> None:
        venue = desk.venue
        before = {each.instrument: each.size for each in (await venue.state()).positions}.get(SPOT, Decimal(0))
        money = (await venue.state()).cash
        buy = desk.order(instrument=SPOT, size=Decimal("0.3"))
        await venue.place(buy)
        await desk.until(lambda: "filled" in desk.states(buy.client_id))
        sell = desk.order(instrument=SPOT, side="sell", size=Decimal("0.1"))
        await venue.place(sell)
        await desk.until(lambda: "filled" in desk.states(sell.client_id))
        position, paid = flat(SPOT), Decimal(0)
        for fill in desk.fills(buy.client_id) + desk.fills(sell.client_id):
            assert fill.base_fee > 0 if fill.side == "buy" else fill.base_fee == 0
            was, position = position, apply_fill(position, fill, venue.instruments[SPOT])
            paid += cash_change(was, position, venue.instruments[SPOT])
        after = await venue.state()
        assert {each.instrument: each.size for each in after.positions}[SPOT] == before + position.size
        assert after.cash == money + paid

    at(server, scenario)


# ---- doubt


def test_an_order_whose_reply_was_dropped_is_in_doubt_and_found_by_its_client_id(server: Running) -> None:
    async def scenario(desk: Desk) -> None:
        order = desk.order()
        fault(server, kind="drop", on="/trade/order", over="rest", count=1)
        with pytest.raises(Ambiguous):
            await desk.venue.place(order)
        found = await desk.venue.lookup(order)
        assert found
        assert (found.state, found.filled) == ("filled", order.size)
        with pytest.raises(Rejected):  # its deadline has passed: an old request does nothing
            await desk.venue.place(replace(desk.order(), expires_ns=time.time_ns() - 2_000_000))
        await desk.venue.place(desk.order(side="sell", reduce_only=True))

    at(server, scenario, streams=False)


@pytest.mark.parametrize("kind", ["busy", "error", "close"])
def test_what_was_not_done_is_never_taken_for_done(server: Running, kind: str) -> None:
    async def scenario(desk: Desk) -> None:
        order = desk.order()
        fault(server, kind=kind, on="/trade/order", over="rest", count=1)
        if kind == "busy":  # definitely not done: done now
            await desk.venue.place(order)
            await desk.venue.place(desk.order(side="sell", reduce_only=True))
        else:
            with pytest.raises(Ambiguous):
                await desk.venue.place(order)
            assert await desk.venue.lookup(order) is None

    at(server, scenario, streams=False)


def test_batches_tell_of_each_order_by_itself(server: Running) -> None:
    async def scenario(desk: Desk) -> None:
        rest = desk.venue.rest
        bid = (await desk.venue.touch(SWAP)).bid
        ids = [desk.order().client_id for _ in range(3)]
        common: Any = {"inst_id": SWAP, "td_mode": "cross", "side": "buy", "ord_type": "limit", "px": str(bid - 1000)}
        wanted = [
            PlaceOrder(**common, cl_ord_id=each, sz=sz) for each, sz in zip(ids, ("1", "0.001", "2"), strict=True)
        ]
        placed = await rest.batch_orders(wanted, expires_ns=time.time_ns() + 5_000_000_000)
        assert [row.s_code for row in placed] == ["0", "51121", "0"]  # no whole lot
        assert [row.cl_ord_id for row in placed] == ids
        amended = await rest.amend_batch_orders(
            [AmendOrder(inst_id=SWAP, cl_ord_id=each, new_sz="3", req_id=each) for each in ids]
        )
        assert [(row.s_code, row.req_id) for row in amended] == [("0", ids[0]), ("51503", ids[1]), ("0", ids[2])]
        there = {row.cl_ord_id: row.sz for row in await rest.all_orders_pending(inst_id=SWAP)}
        assert there == {ids[0]: "3", ids[2]: "3"}
        gone = await rest.cancel_batch_orders([CancelOrder(inst_id=SWAP, cl_ord_id=each) for each in ids])
        assert [row.s_code for row in gone] == ["0", "51400", "0"]
        assert await rest.all_orders_pending(inst_id=SWAP) == []

    at(server, scenario, streams=False)


def test_a_position_is_closed_whole_under_a_client_id(server: Running) -> None:
    async def scenario(desk: Desk) -> None:
        rest, entry = desk.venue.rest, desk.order()
        await desk.venue.place(entry)
        assert [row.pos for row in await rest.positions(inst_id=SWAP)] == ["0.5"]
        close = ClosePosition(inst_id=SWAP, mgn_mode="cross", auto_cxl=True, cl_ord_id=f"{entry.client_id}c", tag="t")
        assert [row.cl_ord_id for row in await rest.close_position(close)] == [close.cl_ord_id]
        assert await rest.positions(inst_id=SWAP) == []
        order = await rest.order(SWAP, cl_ord_id=close.cl_ord_id or "")
        assert (order.state, order.side, order.acc_fill_sz, order.reduce_only) == ("filled", "sell", "0.5", "true")
        with pytest.raises(Rejected, match="51023"):  # there is nothing to close a second time
            await rest.close_position(close)

    at(server, scenario, streams=False)


@pytest.mark.parametrize("kind", ["conditional", "oco", "trigger", "move_order_stop"])
def test_algo_orders_of_every_kind_are_placed_amended_told_and_cancelled(server: Running, kind: str) -> None:
    async def scenario(desk: Desk) -> None:
        venue, rest = desk.venue, desk.venue.rest
        entry = desk.order()
        await venue.place(entry)
        touch, name = await venue.touch(SWAP), f"{entry.client_id}a"
        low, lower, high = str(touch.bid - 2000), str(touch.bid - 3000), str(touch.ask + 2000)
        stop: Any = {"sl_trigger_px": low, "sl_trigger_px_type": "mark", "sl_ord_px": "-1"}
        terms: dict[str, Any] = {
            "conditional": stop,
            "oco": {**stop, "tp_trigger_px": high, "tp_ord_px": "-1"},
            "trigger": {"trigger_px": low, "order_px": lower},
            "move_order_stop": {"callback_ratio": "0.05", "active_px": high},
        }[kind]
        common: Any = {"inst_id": SWAP, "td_mode": "cross", "side": "sell", "sz": "0.5", "reduce_only": True}
        ack = await rest.order_algo(PlaceAlgo(**common, ord_type=kind, algo_cl_ord_id=name, tag="kokextest", **terms))
        assert ack.s_code == "0"
        [row] = [each for each in await rest.all_orders_algo_pending(kind) if each.algo_cl_ord_id == name]
        assert {field: getattr(row, "ord_px" if field == "order_px" else field) for field in terms} == terms
        moved: Any = (
            {"new_trigger_px": lower, "new_ord_px": lower} if kind == "trigger" else {"new_sl_trigger_px": lower}
        )
        amend = AmendAlgo(inst_id=SWAP, algo_cl_ord_id=name, new_sz="0.4", **moved)
        if kind == "move_order_stop":  # which OKX does not amend
            with pytest.raises(Rejected, match="51506"):
                await rest.amend_algos(amend)
        else:
            await rest.amend_algos(amend)
            row = await rest.algo_order(algo_cl_ord_id=name)
            assert (row.sz, row.trigger_px if kind == "trigger" else row.sl_trigger_px) == ("0.4", lower)
        cancel = CancelAlgo(inst_id=SWAP, algo_cl_ord_id=name)
        assert [each.s_code for each in await rest.cancel_algos([cancel])] == ["0"]
        assert (await rest.algo_order(algo_cl_ord_id=name)).state == "canceled"
        assert [each.s_code for each in await rest.cancel_algos([cancel])] == ["51400"]
        await rest.close_position(ClosePosition(inst_id=SWAP, mgn_mode="cross"))

    at(server, scenario, streams=False)


def test_more_than_a_page_of_pending_orders_is_told_whole_or_not_at_all(server: Running) -> None:
    async def scenario(desk: Desk) -> None:
        venue = desk.venue
        touch = await venue.touch(SPOT)
        low = (touch.bid * Decimal("0.97")).quantize(Decimal("0.01"))
        orders = [
            desk.order(instrument=SPOT, kind="limit", price=low, size=Decimal("0.001"), expires_ns=0)
            for _ in range(130)
        ]
        wanted = [placing(order, venue.instruments[SPOT], venue.mode, "kokextest") for order in orders]
        for begin in range(0, len(wanted), 20):
            assert {row.s_code for row in await venue.rest.batch_orders(wanted[begin : begin + 20])} == {"0"}
        known = {each.client_id for each in (await venue.state()).open_orders}
        assert known >= {order.client_id for order in orders}
        fault(server, kind="error", on="orders-pending", over="rest", count=4)  # as many as a read is tried
        with pytest.raises(Ambiguous):
            await venue.state()
        await venue.keep_alive(10)  # seconds from now they are gone, unless it is heard again
        await venue.keep_alive(0)
        gone = [cancelling(order) for order in orders]
        for begin in range(0, len(gone), 20):
            assert {row.s_code for row in await venue.rest.cancel_batch_orders(gone[begin : begin + 20])} == {"0"}
        assert not {each.client_id for each in (await venue.state()).open_orders} & {o.client_id for o in orders}

    at(server, scenario, streams=False)


def test_a_gap_in_the_streams_is_told_once_each_way(server: Running) -> None:
    async def scenario(desk: Desk) -> None:
        desk.posted.clear()
        fault(server, kind="sockets", abrupt=True)
        await desk.until(lambda: len(desk.posted) == 2, 15)
        down, up = desk.posted
        assert isinstance(down, Link)
        assert isinstance(up, Link)
        assert (down.up, up.up, desk.venue.up) == (False, True, True)

    at(server, scenario)


# ---- preflight and funding


def test_an_account_is_examined_before_anything_is_sent(server: Running) -> None:
    async def scenario(desk: Desk) -> None:
        private, instruments = desk.venue.rest, list(desk.venue.instruments.values())
        found = [each async for each in examine(private, instruments)]
        standing = found.pop()
        assert isinstance(standing, Standing)
        assert standing.mode == AccountMode("2")
        assert standing.cash > 90_000
        assert {each.state for each in found if isinstance(each, Check)} == {"ok"}
        await set_leverage(private, instruments, 5)
        assert {row.lever for row in await private.leverage_info(SWAP, "cross")} == {"5"}
        await private.set_position_mode("long_short_mode")
        bad = [each async for each in examine(private, instruments)]
        assert isinstance(bad[-1], Check)
        assert (bad[-1].state, "net (one-way) mode" in bad[-1].remedy) == ("fail", True)
        await private.set_position_mode("net_mode")
        wrong = Rest(desk.rest.hosts, now=time.time_ns, chance=Random(1), credentials=Credentials("k", "other", "p"))
        async with wrong:
            (check,) = [each async for each in examine(PrivateRest(wrong), instruments)]
        assert isinstance(check, Check)
        assert check.remedy == "correct venue.secret"

    at(server, scenario, streams=False)


def test_a_funding_payment_is_told_with_what_was_booked() -> None:
    with exchange("--no-limits", "--funding-every", "4s") as quick:

        async def scenario(desk: Desk) -> None:
            await desk.venue.place(desk.order())
            paid = await desk.until(lambda: [each for each in desk.posted if isinstance(each, Funding)], 15)
            bills = await desk.venue.rest.all_bills(type_="8")
            assert paid[0].funding_id in {bill.bill_id for bill in bills}
            assert paid[0].amount != 0

        at(quick, scenario)


def test_a_report_reads_the_same_pushed_and_asked_for() -> None:
    """The two shapes of a trade carry the same fields (a guard for FillReport and Fill drifting apart)."""
    assert set(FillReport.__struct_fields__) <= set(Fill.__struct_fields__)
