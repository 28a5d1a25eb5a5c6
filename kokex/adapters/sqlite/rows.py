"""What each row writes: the one place that decides it, for both stores.

A batch becomes a few statements with many parameters each, because `executemany` costs a third of as
many `execute`s. Within one transaction the order across tables does not matter; within a table it is
kept, but for orders, where every intent of the batch is inserted before any is updated.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from kokex.messages import (
    SETTLED,
    Alert,
    Approved,
    Briefing,
    Command,
    Cycle,
    Decision,
    Edge,
    Fill,
    Forecast,
    Funding,
    Lifecycle,
    Link,
    Message,
    OrderUpdate,
    Portfolio,
    Refused,
)
from kokex.ports import CandleRow, Input, Row, Saved

Params = tuple[Any, ...]
Statement = tuple[str, list[Params]]


def _unless_settled(column: str) -> str:
    # CASE, because an IN list would be built anew for each row, at twice the price of the update itself
    cases = " ".join(f"WHEN '{state}' THEN {column}" for state in sorted(SETTLED))
    return f"CASE state {cases} ELSE ? END"


JOURNAL = "INSERT INTO journal(id, cause, at, kind, plan, account, instrument, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
DECISION = "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
VERDICT = "INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?)"
# No "or ignore": a second intent under one client order id would be a second order for one decision.
INTENT = """INSERT INTO orders(client_id, id, last, decision, at, updated, plan, account, instrument, side, kind,
        size, price, "trigger", reduce_only, state, filled, reason)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
# A settled order stays settled; what filled is never taken back. The comparison as REAL is safe: conversion keeps
# the order of decimals, so at most a step beyond the 15th digit goes unseen, far below any lot.
UPDATE = f"""UPDATE orders SET
        last = ?, updated = ?,
        reason = {_unless_settled("reason")},
        state = {_unless_settled("state")},
        filled = CASE WHEN CAST(? AS REAL) > CAST(filled AS REAL) THEN ? ELSE filled END
    WHERE client_id = ?"""
FILL = "INSERT INTO fills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
FUNDING = "INSERT INTO fundings VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
PORTFOLIO = "INSERT INTO portfolios VALUES (?, ?, ?, ?, ?)"
SAVED = "INSERT INTO saved VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET body = excluded.body"
INPUT = "INSERT INTO inputs(session, turn, at, actor, kind, ref, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
# The same candle again costs no write; a corrected one replaces it.
CANDLE = """INSERT INTO candles VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (instrument, span_ns, open_ns) DO UPDATE SET
        open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close, volume = excluded.volume
    WHERE (open, high, low, close, volume)
        IS NOT (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume)"""

_ORDER = (JOURNAL, DECISION, VERDICT, INTENT, UPDATE, FILL, FUNDING, PORTFOLIO, SAVED, INPUT, CANDLE)

_encode = msgspec.json.Encoder().encode


def _decision(m: Decision) -> tuple[str, Params]:
    reasons = "\n".join(m.reasons)
    return DECISION, (
        m.id, m.cause, m.at, m.plan, m.account, m.instrument,
        m.act, m.conviction, m.horizon_s, m.invalidation, m.price, reasons, m.by,
    )  # fmt: skip


def _approved(m: Approved) -> tuple[str, Params]:
    return VERDICT, (m.decision, m.id, m.at, 1, "", m.note, None if m.order is None else m.order.client_id)


def _refused(m: Refused) -> tuple[str, Params]:
    return VERDICT, (m.decision, m.id, m.at, 0, m.rule, m.reason, None)


def _order_update(m: OrderUpdate) -> tuple[str, Params]:
    o = m.order
    if m.state != "intent" or o is None:
        filled = str(m.filled)
        return UPDATE, (m.id, m.at, m.reason, m.state, filled, filled, m.client_id)
    price = None if o.price is None else str(o.price)
    trigger = None if o.trigger is None else str(o.trigger)
    return INTENT, (
        o.client_id, m.id, m.id, o.decision, m.at, m.at, o.plan, o.account, o.instrument, o.side, o.kind,
        str(o.size), price, trigger, o.reduce_only, "intent", str(m.filled), m.reason,
    )  # fmt: skip


def _fill(m: Fill) -> tuple[str, Params]:
    return FILL, (
        m.id, m.trade_id, m.client_id, m.at, m.filled_ns, m.decision, m.plan, m.account, m.instrument,
        m.side, str(m.size), str(m.price), str(m.fee), m.liquidity,
    )  # fmt: skip


def _funding(m: Funding) -> tuple[str, Params]:
    return FUNDING, (m.id, m.funding_id, m.at, m.due_ns, m.account, m.instrument, str(m.rate), str(m.amount))


def _portfolio(m: Portfolio) -> tuple[str, Params]:
    return PORTFOLIO, (m.id, m.at, m.account, str(m.cash), str(m.equity))


def _saved(row: Saved) -> tuple[str, Params]:
    return SAVED, (row.key, row.body)


def _candle(row: CandleRow) -> tuple[str, Params]:
    c = row.candle
    return CANDLE, (c.instrument, row.span_ns, c.open_ns, c.open, c.high, c.low, c.close, c.volume)


Place = Callable[[Any], tuple[str, str, str]]
Table = Callable[[Any], tuple[str, Params]]

# A message's (plan, account, instrument) in the journal, "" where it has none, and the row of its own table, if any.
_MESSAGES: dict[type, tuple[Place, Table | None]] = {
    Edge: (lambda m: (m.plan, "", m.instrument), None),
    Cycle: (lambda m: (m.plan, "", ""), None),
    Forecast: (lambda m: (m.plan, "", m.instrument), None),
    Briefing: (lambda m: (m.plan, m.account, ""), None),
    Decision: (lambda m: (m.plan, m.account, m.instrument), _decision),
    Approved: (lambda m: (m.plan, m.account, m.instrument), _approved),
    Refused: (lambda m: (m.plan, m.account, m.instrument), _refused),
    OrderUpdate: (lambda m: (m.plan, m.account, m.instrument), _order_update),
    Fill: (lambda m: (m.plan, m.account, m.instrument), _fill),
    Funding: (lambda m: ("", m.account, m.instrument), _funding),
    Portfolio: (lambda m: ("", m.account, ""), _portfolio),
    Alert: (lambda m: (m.plan, m.account, ""), None),
    Command: (lambda _: ("", "", ""), None),
    Lifecycle: (lambda _: ("", "", ""), None),
    Link: (lambda m: ("", m.account, ""), None),
}

_VALUES: dict[type, Table] = {Saved: _saved, CandleRow: _candle}

WRITTEN: frozenset[type] = frozenset({*_MESSAGES, *_VALUES, Input})
"""What a store keeps. Other messages (market data on its way, alarms) it drops at `append`."""


def statements(rows: Iterable[Row], session: int) -> list[Statement]:
    """The (sql, many params) that write these rows, for one transaction. `session` is that of the inputs."""
    groups: defaultdict[str, list[Params]] = defaultdict(list)
    journal = groups[JOURNAL]
    for row in rows:
        kind = type(row)
        if isinstance(row, Message):
            place, table = _MESSAGES[kind]
            journal.append((row.id, row.cause, row.at, kind.__name__, *place(row), _encode(row).decode()))
            if table is None:
                continue
            sql, params = table(row)
        elif isinstance(row, Input):
            sql, params = INPUT, (session, row.turn, row.at, row.actor, row.kind, row.ref, row.body)
        else:
            sql, params = _VALUES[kind](row)
        groups[sql].append(params)
    return [(sql, groups[sql]) for sql in _ORDER if groups[sql]]
