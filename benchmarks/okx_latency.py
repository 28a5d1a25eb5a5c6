"""Tick to order: from a candle that changes a signal to the order's bytes at the exchange, over loopback.

The daemon's whole graph on asyncio with its real store: candle, edge, cycle, briefing, decision, verdict, intent on
disk and synced, request signed and sent by the OKX adapter. The exchange is a process of its own that reads a request,
writes down when, and accepts it. Beside it, in the same run: a commit of one row by itself, because the sync is a part
of it that no program can make quicker, and one bare request on the same connection.

    python -m benchmarks.okx_latency [--ticks N] [--json]
"""

import argparse
import asyncio
import gc
import json
import multiprocessing
import tempfile
import time
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar

import anyio
from msgspec.structs import replace

from kokex.adapters.host.chance import Random
from kokex.adapters.host.clock import TradingClock
from kokex.adapters.okx.hosts import Hosts
from kokex.adapters.okx.private import PrivateRest
from kokex.adapters.okx.rest import Rest
from kokex.adapters.okx.sign import Credentials
from kokex.adapters.okx.units import AccountMode
from kokex.adapters.okx.venue import OkxVenue
from kokex.adapters.sqlite.live import open_live
from kokex.adapters.sqlite.recorder import recorder
from kokex.config import Account, Config
from kokex.kernel.system import Hooks, System
from kokex.kernel.tasks import Tasks
from kokex.market.instruments import parse_symbol
from kokex.messages import Candle, Candles, Fill, Message, Order
from kokex.ports import OrderReport, Saved
from kokex.simulation.backtest import signals_only
from kokex.topology import JOURNALED, JOURNALED_POSTS, Ports, Variant, build
from tests.actors.desk import Deaf

SPAN_NS = 1_000_000_000
SPEED = 20.0  # twenty candles of a second in a second
AIM_MS = 5.0
INSTRUMENT = parse_symbol("BTC-USDT-SWAP")
EMPTY = b'{"code":"0","msg":"","data":[]}'
BALANCE = b'{"code":"0","msg":"","data":[{"details":[]}]}'
ACCEPTED = b'{"code":"0","msg":"","data":[{"ordId":"1","sCode":"0","sMsg":""}]}'


class Exchange(asyncio.Protocol):
    """Accepts every order, and remembers when it was there."""

    seen: ClassVar[list[int]] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"POST /api/v5/trade/order"):
            Exchange.seen.append(time.monotonic_ns())
            body = ACCEPTED
        else:
            body = BALANCE if b"/account/balance" in data else EMPTY
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.transport.write(head + body)


def exchange(line: Connection) -> None:
    """A process of its own: tells its port, and at the end what it saw."""

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Exchange, "127.0.0.1", 0)
        line.send(server.sockets[0].getsockname()[1])
        await loop.run_in_executor(None, line.recv)
        line.send(Exchange.seen)

    asyncio.run(serve())


class Filled:
    """The venue; what it placed is filled at once, so that the next tick finds the way free."""

    def __init__(self, venue: OkxVenue, post: Any) -> None:
        self._venue = venue
        self._post = post
        self._trades = 0

    async def place(self, order: Order) -> OrderReport:
        report = await self._venue.place(order)
        self._trades += 1
        fill = Fill(
            account="main", plan="main", instrument=order.instrument, client_id=order.client_id,
            trade_id=str(self._trades), side=order.side, size=order.size, price=Decimal(60_000), fee=Decimal(0),
            liquidity="taker", filled_ns=0,
        )  # fmt: skip
        self._post("executor[main]", fill)
        return report

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)


async def ticks(port: int, home: str, count: int) -> dict[str, list[int]]:
    """Monotonic times: of each tick, of each bare commit, of each bare request."""
    config = replace(Config(), risk=replace(Config().risk, max_orders_per_minute=100_000))
    plan = replace(
        signals_only(config.resolved_plans()[0]), instruments=(INSTRUMENT.symbol,),
        brain=replace(config.brain, strategies=("sma_cross",), min_conviction=1),
        mode=replace(signals_only(config.resolved_plans()[0]).mode, grace_s=0.0001, cooldown_s=0.0001),
        parameters={"sma_cross": {"fast": 1, "slow": 2}}, timeframe_ns=SPAN_NS,
    )  # fmt: skip
    account = Account(name="main", cash=Decimal(10_000_000))
    clock = TradingClock(speed=SPEED)
    store = await open_live(
        Path(home, "kokex.db"),
        now_ns=clock.now(),
        mode="run",
        version="0",
        config_json="{}",
        tag_factory=lambda: "bench",
    )
    began: list[int] = []
    commits: list[int] = []
    requests: list[int] = []
    system: System

    def post(actor: str, message: Message) -> None:
        system.post(actor, message)

    hosts = Hosts(rest=f"http://127.0.0.1:{port}", sockets="", demo=True)
    async with Rest(hosts, now=clock.now, chance=Random(1), credentials=Credentials("k", "s", "p")) as rest:
        venue = OkxVenue(PrivateRest(rest), {INSTRUMENT.symbol: INSTRUMENT}, AccountMode(), tag="bench", now=clock.now)
        venue.up = True
        system = build(
            config, [plan], [account], [INSTRUMENT],
            Ports(store=store, venues={"main": Filled(venue, post)}, chance=Random, control=Deaf()),
            base_ns=SPAN_NS,
            # The journal is written every second of the machine, as live. No sweeps: this exchange knows no positions,
            # and where two in a row find nothing of what is held, trading ends.
            variant=Variant(
                commit_s=SPEED, watch=False, keep_candles=False, fixed_size=Decimal(1), stale_s=0, sweep_s=0
            ),
            hooks=Hooks(
                tap=store.append, journaled=JOURNALED, journaled_posts=JOURNALED_POSTS, record=recorder(store)
            ),
            start_ns=clock.now(),
        )  # fmt: skip
        driver = Tasks(system, Pace(clock))
        gc.collect()
        gc.freeze()  # as the daemon does

        async def tick() -> None:
            at = clock.now() // SPAN_NS * SPAN_NS
            for number in range(count):
                at += SPAN_NS
                await anyio.sleep(max(0.0, (at - clock.now()) / 1e9 / SPEED))
                price = 60_000.0 + 100 * (number % 2)
                row = Candle(INSTRUMENT.symbol, at - SPAN_NS, price, price, price, price, 1.0)
                began.append(time.monotonic_ns())
                post("feed", Candles(close_ns=at, span_ns=SPAN_NS, rows=(row,)))
            await anyio.sleep(0.5)
            driver.stop()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tick)
            await driver.run()
        for number in range(count):
            before = time.monotonic_ns()
            store.append(Saved(key="x", body=str(number).encode()))
            await store.commit()
            commits.append(time.monotonic_ns() - before)
            before = time.monotonic_ns()
            await venue.rest.orders_pending()
            requests.append(time.monotonic_ns() - before)
            await anyio.sleep(0.05)
    await store.commit()
    await store.close()
    return {"began": began, "commits": commits, "requests": requests}


class Pace:
    def __init__(self, clock: TradingClock) -> None:
        self.now = clock.now

    def delay_s(self, at: int) -> float:
        return max(0.0, (at - self.now()) / 1e9 / SPEED)


def spread(times_ns: list[int]) -> dict[str, float]:
    ordered = sorted(times_ns)
    return {
        "p50_ms": round(ordered[len(ordered) // 2] / 1e6, 3),
        "p99_ms": round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] / 1e6, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=400)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=exchange, args=(there,))
    process.start()
    port = here.recv()
    with tempfile.TemporaryDirectory() as home:
        told = asyncio.run(ticks(port, home, options.ticks))
    here.send(None)
    seen: list[int] = here.recv()
    process.join()
    ends = [*told["began"][1:], told["began"][-1] + SPAN_NS]
    pairs = zip(told["began"], ends, strict=True)
    orders = [next((at - began for at in seen if began <= at < end), None) for began, end in pairs]
    taken = [each for each in orders if each is not None]
    found = {
        "orders": len(taken),
        "tick_to_order": spread(taken),
        "commit": spread(told["commits"]),
        "request": spread(told["requests"]),
        "ratios": {"p99_of_aim": round(spread(taken)["p99_ms"] / AIM_MS, 2)},
    }
    if options.json:
        print(json.dumps(found))
        return
    print(f"{len(taken)} orders of {len(told['began'])} ticks           p50        p99")
    for name, what in (
        ("tick_to_order", "tick to order"),
        ("commit", "of that, a commit"),
        ("request", "a bare request"),
    ):
        times = found[name]
        print(f"{what:24}  {times['p50_ms']:8.3f}   {times['p99_ms']:8.3f} ms")
    print(f"aim: p99 below {AIM_MS:g} ms")


if __name__ == "__main__":
    main()
