"""kill -9 at random moments of a lively paper session, with real processes: nothing is doubled, nothing is lost."""

import random
import signal
import time
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path

import msgspec

from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.reader import Reader, integrity
from kokex.messages import SETTLED, Fill
from kokex.paper.account import Account
from kokex.paper.durable import key
from tests.cli.daemons import daemon

KILLS = 20


def test_a_session_killed_twenty_times_doubles_no_order_and_loses_no_fill(tmp_path: Path) -> None:
    moments = random.Random(20)
    for _ in range(KILLS):
        with daemon(tmp_path) as running:
            if moments.random() < 0.8:  # else while it starts
                running.wait_for("price")
            time.sleep(moments.uniform(0.05, 1.5))
            running.end(signal.SIGKILL)
    with daemon(tmp_path, "--for", "2s") as running:
        assert running.finish() == 0, running.lines[-5:]
    audit(tmp_path / "data" / "kokex.db")


def audit(path: Path) -> None:
    """The record against itself and against the books of the exchange."""
    assert integrity(path) == []
    with Reader(path) as reader:
        body = reader.ask(queries.saved(key("main")))
        portfolio = reader.ask(queries.portfolio("main"))
        orders = reader.ask(queries.orders(last=1_000_000))
        fills = [each for each in reader.ask(queries.journal(kinds=("Fill",))) if isinstance(each, Fill)]
        sessions = reader.ask(queries.sessions())
    assert body is not None
    assert portfolio is not None
    venue = msgspec.msgpack.decode(body, type=Account)
    assert len(sessions) > KILLS // 2
    assert len(fills) > KILLS

    # at most one order for a decision, its protective stops apart, and none at the exchange that is not on record
    entries = Counter(each.order.decision for each in orders if each.order.kind != "stop")
    assert max(entries.values()) == 1
    known = {each.order.client_id: each for each in orders}
    assert venue.working.keys() | venue.settled.keys() <= known.keys()

    # every fill of the exchange on record, once, and none besides
    assert [each.trade_id for each in fills] == [str(number + 1) for number in range(venue.trades)]
    recent = {each.trade_id: each for each in fills}
    for report in venue.fills:
        assert (recent[report.trade_id].client_id, recent[report.trade_id].size) == (report.client_id, report.size)
    filled: defaultdict[str, Decimal] = defaultdict(Decimal)
    position: defaultdict[str, Decimal] = defaultdict(Decimal)
    for each in fills:
        filled[each.client_id] += each.size
        position[each.instrument] += each.size if each.side == "buy" else -each.size
    assert all(record.filled == filled[client_id] for client_id, record in known.items())

    # the sum of fills is the position, here, at the exchange and plan by plan
    held = {symbol: size for symbol, size in position.items() if size}
    assert {symbol: each.size for symbol, each in venue.positions.items() if each.size} == held
    assert {each.instrument: each.size for each in portfolio.positions if each.size} == held
    assert portfolio.held.get("main", {}) == held
    assert portfolio.cash == venue.cash

    # every order is settled, or works at the exchange
    assert {client_id for client_id, each in known.items() if each.state not in SETTLED} == venue.working.keys()
