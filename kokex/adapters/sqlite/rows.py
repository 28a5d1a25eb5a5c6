"""What each row writes: the one place that decides it, for both stores.

A batch becomes a few statements with many parameters each, because `executemany` costs a third of as many
`execute`s. Within one transaction the order across tables does not matter, so what a batch says twice of one thing
is written once: updates of an order whose intent is in the same batch are told in its insert, and of what is saved
under a key only the newest counts. A backtest, whose batches are large, so writes an order once and not four times.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any, final

import msgspec
from msgspec.structs import replace

from kokex.adapters.sqlite import conversations, llm_calls, models
from kokex.messages import (
    SETTLED,
    Alert,
    Answer,
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
    LlmCall,
    Message,
    NewsItem,
    OrderUpdate,
    Paused,
    Portfolio,
    Refused,
    Reloaded,
    Remark,
    Reply,
    Trained,
)
from kokex.ports import CandleRow, Input, Row, Saved
from kokex.ports.chat import Letter, Posted

Params = Sequence[Any]
Statement = tuple[str, list[Params]]


def _unless_settled(column: str) -> str:
    # CASE, because an IN list would be built anew for each row, at twice the price of the update itself
    cases = " ".join(f"WHEN '{state}' THEN {column}" for state in sorted(SETTLED))
    return f"CASE state {cases} ELSE ? END"


JOURNAL = "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)"
DECISION = "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
VERDICT = "INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?)"
# NULLIF, because Python's sqlite3 binds a None, like a bool, a hundred times slower than a text.
# No "or ignore": a second intent under one client order id would be a second order for one decision.
INTENT = """INSERT INTO orders(client_id, id, last, decision, at, updated, plan, account, instrument, side, kind,
        size, price, "trigger", reduce_only, state, filled, reason)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULLIF(?, ''), NULLIF(?, ''), ?, ?, ?, ?)"""
# A settled order stays settled; what filled is never taken back. The comparison as REAL is safe: conversion keeps
# the order of decimals, so at most a step beyond the 15th digit goes unseen, far below any lot.
UPDATE = f"""UPDATE orders SET
        last = ?, updated = ?,
        reason = {_unless_settled("reason")},
        state = {_unless_settled("state")},
        filled = CASE WHEN CAST(? AS REAL) > CAST(filled AS REAL) THEN ? ELSE filled END
    WHERE client_id = ?"""
AMEND = """UPDATE orders SET size = ?, "trigger" = NULLIF(?, '') WHERE client_id = ?"""
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

LETTER = "INSERT INTO outbox(id, at, lane, kind, silent, words, expires_ns) VALUES (?, ?, ?, ?, ?, ?, ?)"
POSTED = "UPDATE outbox SET settled_ns = ?, why = ? WHERE id = ?"

_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines
_account = attrgetter("account")
_reply = msgspec.json.Decoder(Reply)


@final
class Batch:
    """The parameters of each statement."""

    __slots__ = (
        "amends", "calls", "candles", "decisions", "fills", "fundings", "inputs", "intents", "journal", "letters",
        "models", "portfolios", "posted", "remarks", "resolutions", "said", "saved", "unwritten", "updates", "verdicts",
    )  # fmt: skip

    def __init__(self) -> None:
        self.journal: list[Message] = []
        self.decisions: list[Params] = []
        self.verdicts: list[Params] = []
        self.intents: list[Params] = []
        self.unwritten: dict[str, list[Any]] = {}  # client id -> its parameters among the intents
        self.updates: list[Params] = []
        self.amends: list[Params] = []
        self.fills: list[Params] = []
        self.fundings: list[Params] = []
        self.portfolios: list[Params] = []
        self.calls: list[Params] = []
        self.resolutions: list[Params] = []
        self.models: list[Params] = []
        self.remarks: list[Params] = []
        self.said: list[Params] = []
        self.saved: dict[str, Params] = {}
        self.inputs: list[Params] = []
        self.candles: list[Params] = []
        self.letters: list[Params] = []
        self.posted: list[Params] = []

    def statements(self, session: int) -> list[Statement]:
        """What writes it, in one transaction. `session` is that of the inputs."""
        written: list[Statement] = [
            (JOURNAL, _journal(self.journal)),
            (DECISION, self.decisions),
            (VERDICT, self.verdicts),
            (INTENT, self.intents),
            (UPDATE, self.updates),
            (AMEND, self.amends),
            (FILL, self.fills),
            (FUNDING, self.fundings),
            (PORTFOLIO, self.portfolios),
            (llm_calls.RESERVE, self.calls),
            (llm_calls.RESOLVE, self.resolutions),
            (models.INSERT, self.models),
            (conversations.INSERT, self.remarks),
            (conversations.INDEX, self.said),
            (SAVED, list(self.saved.values())),
            (INPUT, [(session, *params) for params in self.inputs]),
            (CANDLE, self.candles),
            (LETTER, self.letters),
            (POSTED, self.posted),
        ]
        return [(sql, params) for sql, params in written if params]


def _journal(messages: list[Message]) -> list[Params]:
    """Encoded in one go, which is quicker than one by one; in JSON no message has a line break."""
    bodies = _encode_lines(messages).decode().split("\n")[:-1]
    return [
        (m.id, m.cause, m.at, _NAMES[type(m)], _account(m) if type(m) in _OF_ACCOUNT else "", body)
        for m, body in zip(messages, bodies, strict=True)
    ]


def _only_told(b: Batch, m: Message) -> None:
    """A message with no table of its own."""
    b.journal.append(m)


def _decision(b: Batch, m: Decision) -> None:
    b.journal.append(m)
    b.decisions.append(
        (
            m.id, m.cause, m.at, m.plan, m.account, m.instrument,
            m.act, m.conviction, m.horizon_s, m.invalidation, m.price, "\n".join(m.reasons), m.by,
        )
    )  # fmt: skip


def _approved(b: Batch, m: Approved) -> None:
    b.journal.append(m)
    b.verdicts.append((m.decision, m.id, m.at, 1, "", m.note, None if m.order is None else m.order.client_id))


def _refused(b: Batch, m: Refused) -> None:
    b.journal.append(m)
    b.verdicts.append((m.decision, m.id, m.at, 0, m.rule, m.reason, None))


_LAST, _UPDATED, _STATE, _FILLED, _REASON = 2, 5, 15, 16, 17  # of INTENT's parameters, those that UPDATE sets


def _order_update(b: Batch, m: OrderUpdate) -> None:
    b.journal.append(m)
    o, filled = m.order, str(m.filled)
    if m.state == "intent" and o is not None:
        price = "" if o.price is None else str(o.price)
        trigger = "" if o.trigger is None else str(o.trigger)
        intent = [
            o.client_id, m.id, m.id, o.decision, m.at, m.at, o.plan, o.account, o.instrument, o.side, o.kind,
            str(o.size), price, trigger, int(o.reduce_only), "intent", filled, m.reason,
        ]  # fmt: skip
        b.intents.append(intent)
        b.unwritten[o.client_id] = intent
    elif (intent := b.unwritten.get(m.client_id)) is None:
        b.updates.append((m.id, m.at, m.reason, m.state, filled, filled, m.client_id))
    else:  # as UPDATE does
        intent[_LAST], intent[_UPDATED] = m.id, m.at
        if intent[_STATE] not in SETTLED:
            intent[_STATE], intent[_REASON] = m.state, m.reason
        if m.filled > Decimal(intent[_FILLED]):
            intent[_FILLED] = filled
    if o is not None and m.state not in {"intent", "amending"}:  # what an amend came to
        b.amends.append((str(o.size), "" if o.trigger is None else str(o.trigger), m.client_id))


def _fill(b: Batch, m: Fill) -> None:
    b.journal.append(m)
    b.fills.append(
        (
            m.id, m.trade_id, m.client_id, m.at, m.filled_ns, m.decision, m.plan, m.account, m.instrument,
            m.side, str(m.size), str(m.price), str(m.fee), m.liquidity,
        )
    )  # fmt: skip


def _funding(b: Batch, m: Funding) -> None:
    b.journal.append(m)
    b.fundings.append((m.id, m.funding_id, m.at, m.due_ns, m.account, m.instrument, str(m.rate), str(m.amount)))


def _portfolio(b: Batch, m: Portfolio) -> None:
    b.journal.append(m)
    b.portfolios.append((m.id, m.at, m.account, str(m.cash), str(m.equity)))


def _llm_call(b: Batch, m: LlmCall) -> None:
    """The long texts stand in the table alone."""
    b.journal.append(replace(m, request="", answer=""))
    if m.call:
        b.resolutions.append(llm_calls.resolved(m))
        if m.state == "ok" and m.purpose != "chat":  # of a chat, the remarks have the words
            b.said.append((m.call, _reply.decode(m.answer).text))
    else:
        b.calls.append(llm_calls.reserved(m))


def _trained(b: Batch, m: Trained) -> None:
    _only_told(b, m)
    b.models.append(models.params(m))


def _told_remark(b: Batch, m: Remark) -> None:
    _only_told(b, m)
    b.remarks.append(conversations.params(m))
    b.said.append((m.id, m.turn.text))


def _saved(b: Batch, row: Saved) -> None:
    b.saved[row.key] = (row.key, row.body)


def _input(b: Batch, row: Input) -> None:
    b.inputs.append((row.turn, row.at, row.actor, row.kind, row.ref, row.body))


def _candle(b: Batch, row: CandleRow) -> None:
    c = row.candle
    b.candles.append((c.instrument, row.span_ns, c.open_ns, c.open, c.high, c.low, c.close, c.volume))


def _letter(b: Batch, row: Letter) -> None:
    words = _encode(row.words).decode()
    b.letters.append((row.id, row.at, row.lane, row.kind, row.silent, words, row.expires_ns))


def _posted(b: Batch, row: Posted) -> None:
    b.posted.append((row.at, row.why, row.letter))


# What a store keeps. Other messages (market data on its way, alarms) it drops at `append`.
WRITERS: dict[type, Callable[[Batch, Any], None]] = {
    Edge: _only_told,
    Cycle: _only_told,
    Forecast: _only_told,
    Trained: _trained,
    Briefing: _only_told,
    Decision: _decision,
    Approved: _approved,
    Refused: _refused,
    OrderUpdate: _order_update,
    Fill: _fill,
    Funding: _funding,
    Portfolio: _portfolio,
    Alert: _only_told,
    Command: _only_told,
    LlmCall: _llm_call,
    Answer: _only_told,
    Reloaded: _only_told,
    Paused: _only_told,
    Lifecycle: _only_told,
    Link: _only_told,
    NewsItem: _only_told,
    Remark: _told_remark,
    Saved: _saved,
    Input: _input,
    CandleRow: _candle,
    Letter: _letter,
    Posted: _posted,
}

_NAMES = {kind: kind.__name__ for kind in WRITERS}
_OF_ACCOUNT = frozenset({Alert, Approved, Briefing, Decision, Fill, Funding, Link, OrderUpdate, Portfolio, Refused})


def statements(rows: Iterable[Row], session: int) -> list[Statement]:
    """The (sql, many params) that write these rows, for one transaction. `session` is that of the inputs."""
    batch = Batch()
    for row in rows:
        WRITERS[type(row)](batch, row)
    return batch.statements(session)
