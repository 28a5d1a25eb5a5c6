"""The daemon at OKX: over real sockets against `kokex exchange`, its record held against the exchange's own account."""

import asyncio
import json
import signal
import time
import urllib.request
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from actors.executor import NO_ENTRIES, TOO_OLD
from kokex.adapters.host.chance import Random
from kokex.adapters.okx.hosts import Hosts
from kokex.adapters.okx.private import PrivateRest
from kokex.adapters.okx.rest import TRIES, Rest
from kokex.adapters.okx.sign import Credentials
from kokex.adapters.okx.wire import number
from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.reader import Reader, integrity
from kokex.messages import SETTLED, Alert, Fill, Funding, Link, OrderUpdate
from tests.adapters.okx.exchange.servers import Running, exchange
from tests.cli.daemons import Daemon, daemon, kokex

ZERO = Decimal(0)
COINS = ("BTC", "ETH", "SOL", "DOGE", "XRP", "ADA", "AVAX", "LTC")  # so many that there is always something to trade
LIVELY = {
    "KOKEX__MARKET__SOURCE": "okx",
    "KOKEX__MARKET__INSTRUMENTS": ",".join(f"{base}-USDT-SWAP" for base in COINS),
    "KOKEX__STRATEGIES__TREND__FAST": "3",
    "KOKEX__STRATEGIES__TREND__SLOW": "8",
    "KOKEX__STRATEGIES__TREND__BAND": "0.2",
    "KOKEX__FORECAST__KIND": "none",
    "KOKEX__MODE__GRACE_S": "0.5",
    "KOKEX__MODE__COOLDOWN_S": "1",
    "KOKEX__RISK__MAX_ORDER_PCT": "2",
    "KOKEX__VENUE__KIND": "okx",
    "KOKEX__VENUE__ENVIRONMENT": "demo",
}
KEYS = {"KOKEX__VENUE__KEY": "k", "KOKEX__VENUE__SECRET": "s", "KOKEX__VENUE__PASSPHRASE": "p"}


def settings(server: Running) -> dict[str, str]:
    return {**LIVELY, **KEYS, "KOKEX__VENUE__BASE_URL": server.rest}


def fault(server: Running, **switch: Any) -> None:
    request = urllib.request.Request(server.rest + "/faults", json.dumps(switch).encode(), method="POST")
    urllib.request.urlopen(request, timeout=5).read()


def wait_for_fills(running: Daemon, count: int) -> None:
    for _ in range(count):
        running.wait_for("fill")


def wait_until_connected(running: Daemon, times: int = 1) -> None:
    """Until the private streams have stood so often."""
    while sum("connected to OKX" in line and line.split()[2] == "venue" for line in running.lines) < times:
        running.wait_for("venue")


def trade_until_struck(running: Daemon, server: Running) -> None:
    """Until every switch that was turned on has hit something."""
    for _ in range(20):
        running.wait_for("fill")
        with urllib.request.urlopen(server.rest + "/faults", timeout=5) as answer:
            if not json.load(answer)["faults"]:
                return
    raise AssertionError(running.lines[-5:])


async def audit(path: Path, server: Running) -> None:
    """The record against the account at the exchange, to the last digit."""
    assert integrity(path) == []
    with Reader(path) as reader:
        portfolio = reader.ask(queries.portfolio("main"))
        orders = reader.ask(queries.orders(last=1_000_000))
        told = reader.ask(queries.journal(kinds=("Fill", "Funding")))
    fills = [each for each in told if isinstance(each, Fill)]
    assert portfolio
    hosts = Hosts(rest=server.rest, sockets="", demo=True)
    key = Credentials("k", "s", "p")
    async with Rest(hosts, now=time.time_ns, chance=Random(1), credentials=key) as rest:
        private = PrivateRest(rest)
        money = {each.ccy: number(each.cash_bal, ZERO) for each in (await private.balance()).details}
        positions = {each.inst_id: number(each.pos, ZERO) for each in await private.positions()}
        theirs = await private.all_fills(begin_ms=0)
        bills = await private.all_bills(type_="8")
        open_there = {each.cl_ord_id or each.algo_cl_ord_id for each in await private.all_orders_pending()}
        open_there |= {each.algo_cl_ord_id for each in await private.all_orders_algo_pending("conditional,oco")}
    # one order for a decision, protective stops apart; each trade once; nothing there that is not here
    entries = Counter(
        each.order.decision for each in orders if not (each.order.reduce_only and "S" in each.order.client_id)
    )
    assert max(entries.values()) == 1
    trades = Counter((each.instrument, each.trade_id) for each in fills)
    assert max(trades.values()) == 1
    assert trades.keys() == {(each.inst_id, each.trade_id) for each in theirs}
    assert {each.order.client_id for each in orders if each.state not in SETTLED} == open_there
    # fees, funding, cash, positions
    assert sum((each.fee for each in fills), ZERO) == -sum((number(each.fee, ZERO) for each in theirs), ZERO)
    paid = {each.funding_id: each.amount for each in told if isinstance(each, Funding)}
    assert paid == {each.bill_id: number(each.pnl, ZERO) or number(each.bal_chg, ZERO) for each in bills}
    assert portfolio.cash == money["USDT"]
    held = {each.instrument: each.size for each in portfolio.positions if each.size}
    assert held == {symbol: size for symbol, size in positions.items() if size}


def calm(place: Path, server: Running) -> None:
    """The audit after a run without entries. The exchange goes on: what comes after the run, the next one books."""
    for last in (False, False, True):
        with daemon(place, "--for", "7s", settings=settings(server) | {"KOKEX__BRAIN__MIN_CONVICTION": "5"}) as running:
            assert running.finish() == 0, running.lines[-5:]
        try:
            asyncio.run(audit(place / "data" / "kokex.db", server))
            return
        except AssertionError:
            if last:
                raise


def told_of_the_stream(place: Path) -> list[str]:
    """What people heard of the venue's private stream, in order."""
    with Reader(place / "data" / "kokex.db") as reader:
        alerts = [each for each in reader.ask(queries.journal(kinds=("Alert",))) if isinstance(each, Alert)]
    texts = [each.text for each in alerts if "private stream" in each.text]
    return ["down" if "is down" in text else "back" for text in texts]


def entries_while_down(place: Path) -> list[str]:
    """Orders that were sent to open something while the private stream was down."""
    up, found = True, dict[str, None]()
    with Reader(place / "data" / "kokex.db") as reader:
        for each in reader.ask(queries.journal(kinds=("Link", "OrderUpdate"))):
            if isinstance(each, Link) and each.edge == "venue":
                up = each.up
            elif isinstance(each, OrderUpdate) and each.order and not each.order.reduce_only and not up:
                found[each.client_id] = None
            elif isinstance(each, OrderUpdate) and each.reason in {NO_ENTRIES, TOO_OLD}:  # never sent
                found.pop(each.client_id, None)
    return list(found)


def test_lost_replies_and_kills_of_either_side_double_nothing_and_lose_nothing(tmp_path: Path) -> None:
    options = ("--faults", "--no-limits", "--funding-every", "15s", "--data", str(tmp_path / "exchange.db"))
    with exchange(*options, "--seed", "3") as server:
        with daemon(tmp_path, settings=settings(server)) as running:
            wait_for_fills(running, 2)
            fault(server, kind="drop", on="/trade/order", over="rest", count=2)
            trade_until_struck(running, server)
            running.end(signal.SIGKILL)
        for question in ("/trade/fills", "/trade/orders-pending"):  # what the next start has to know
            fault(server, kind="error", on=question, over="rest", count=TRIES)  # fails as a whole: it is asked again
        with daemon(tmp_path, settings=settings(server)) as running:
            wait_until_connected(running)  # what fills before that may be what the kill left behind
            wait_for_fills(running, 2)
            trade_until_struck(running, server)
            fault(server, kind="drop", on="/trade/order", over="rest", count=1)
            fault(server, kind="sockets", abrupt=True)
            trade_until_struck(running, server)
            wait_until_connected(running, 2)
            server.kill()
            with exchange(*options, port=server.port) as again:
                wait_until_connected(running, 3)
                wait_for_fills(running, 2)
                assert running.end() == 0, running.lines[-5:]
                calm(tmp_path, again)
    assert told_of_the_stream(tmp_path) == ["down", "back", "down", "back"]
    assert entries_while_down(tmp_path) == []


def test_what_is_not_fit_is_refused_with_its_remedy(tmp_path: Path) -> None:
    with exchange("--no-limits") as server:
        no_key = kokex(tmp_path, "run", settings={**LIVELY, "KOKEX__VENUE__BASE_URL": server.rest})
        assert no_key.code == 2
        assert "kokex secrets set venue.key" in no_key.err
        wrong = kokex(tmp_path, "run", settings=settings(server) | {"KOKEX__VENUE__SECRET": "no-such-secret"})
        assert wrong.code == 2
        assert "correct venue.secret" in wrong.err
        assert "no-such-secret" not in wrong.err
        found = kokex(tmp_path, "doctor", "--json", settings=settings(server)).json()["findings"]
        named = {each["what"]: each["state"] for each in found}
        assert named["permissions of main"] == named["account mode of main"] == named["position mode of main"] == "ok"
    assert not (tmp_path / "data" / "kokex.db").exists()
