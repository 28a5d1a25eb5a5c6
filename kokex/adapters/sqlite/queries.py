"""What is asked of the database: the SQL, and how its answer reads. Both stores and the reader ask the same."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from kokex.messages import (
    SETTLED,
    AnyMessage,
    Approved,
    Candle,
    Fill,
    Instrument,
    Message,
    NewsItem,
    Order,
    OrderState,
    OrderUpdate,
    Portfolio,
)
from kokex.ports import Entry, Input

T = TypeVar("T")
Cells = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Query(Generic[T]):
    """A question; `decode` turns the rows of the answer into T."""

    sql: str
    params: Cells
    decode: Callable[[list[Cells]], T]


class OrderRecord(Struct, frozen=True, kw_only=True):
    """An order with where it stands."""

    order: Order
    state: OrderState
    filled: Decimal
    reason: str
    placed_ns: int
    updated_ns: int


class Session(Struct, frozen=True, kw_only=True):
    """One run; its messages have the ids from `id << 40` on."""

    id: int
    started_ns: int
    mode: str
    version: str
    config: str  # JSON


class Holding(Struct, frozen=True, kw_only=True):
    """Candles of one instrument and span on record."""

    instrument: str
    span_ns: int
    first_ns: int  # open of the oldest
    last_ns: int  # open of the newest
    count: int


_message: msgspec.json.Decoder[Any] = msgspec.json.Decoder(AnyMessage)
_update = msgspec.json.Decoder(OrderUpdate)
_approved = msgspec.json.Decoder(Approved)
_fill = msgspec.json.Decoder(Fill)
_portfolio = msgspec.json.Decoder(Portfolio)
_news_item = msgspec.json.Decoder(NewsItem)

_RECORD = 'j.body, o.size, o."trigger", o.state, o.filled, o.reason, o.at, o.updated'
_SETTLED = "(" + ", ".join(f"'{state}'" for state in sorted(SETTLED)) + ")"


def _messages(rows: list[Cells]) -> list[Message]:
    return [_message.decode(body) for (body,) in rows]


def _order(body: str, size: str, trigger: str | None) -> Order:
    """As it was intended, and amended since."""
    order = _update.decode(body).order
    if order is None:
        raise msgspec.ValidationError("the intent on record carries no order")
    return replace(order, size=Decimal(size), trigger=None if trigger is None else Decimal(trigger))


def _candles(rows: list[Cells]) -> list[Candle]:
    return [Candle(*row) for row in rows]


# ---- what the actors ask (kokex.ports.Store) ------------------------------------------------


def saved(key: str) -> Query[bytes | None]:
    return Query("SELECT body FROM saved WHERE key = ?", (key,), lambda rows: rows[0][0] if rows else None)


def candles(instrument: str, span_ns: int, last: int) -> Query[list[Candle]]:
    return Query(
        """SELECT instrument, open_ns, open, high, low, close, volume FROM candles
        WHERE instrument = ? AND span_ns = ? ORDER BY open_ns DESC LIMIT ?""",
        (instrument, span_ns, max(last, 0)),  # a negative LIMIT would mean none
        lambda rows: _candles(rows[::-1]),
    )


def unsettled(account: str) -> Query[list[Order]]:
    return Query(
        f"""SELECT j.body, o.size, o."trigger" FROM orders o JOIN journal j ON j.id = o.id
        WHERE o.account = ? AND o.state NOT IN {_SETTLED} ORDER BY o.id""",
        (account,),
        lambda rows: [_order(*row) for row in rows],
    )


def amending(account: str) -> Query[list[str]]:
    return Query(
        "SELECT client_id FROM orders WHERE account = ? AND state = 'amending' ORDER BY id",
        (account,),
        lambda rows: [client_id for (client_id,) in rows],
    )


def fills_of_unsettled(account: str) -> Query[list[Fill]]:
    """None of them is older than the oldest of these orders: that spares reading all the fills there ever were."""
    return Query(
        f"""WITH open AS (SELECT client_id, id FROM orders WHERE account = ? AND state NOT IN {_SETTLED})
        SELECT j.body FROM fills f JOIN open o ON o.client_id = f.client_id JOIN journal j ON j.id = f.id
        WHERE f.id > (SELECT min(id) FROM open) AND f.account = ? ORDER BY f.id""",
        (account, account),
        lambda rows: [_fill.decode(body) for (body,) in rows],
    )


def entries(account: str) -> Query[list[Entry]]:
    """The orders at an entry's protection have its client order id, an S, and a number."""
    return Query(
        f"""SELECT j.body, (
            SELECT count(*) FROM orders g WHERE g.client_id > o.client_id || 'S' AND g.client_id < o.client_id || 'T'
        ) FROM orders o JOIN verdicts v ON v.decision = o.decision JOIN journal j ON j.id = v.id
        WHERE o.account = ? AND NOT o.reduce_only AND (o.state NOT IN {_SETTLED} OR o.id IN (
            SELECT max(id) FROM orders WHERE account = ? AND NOT reduce_only AND CAST(filled AS REAL) > 0
            GROUP BY plan, instrument, side
        )) ORDER BY o.id""",
        (account, account),
        lambda rows: [Entry(approved=_approved.decode(body), guards=guards) for body, guards in rows],
    )


def fundings_since(account: str, due_ns: int) -> Query[list[str]]:
    return Query(
        "SELECT funding_id FROM fundings WHERE account = ? AND due_ns >= ? ORDER BY id",
        (account, due_ns),
        lambda rows: [funding_id for (funding_id,) in rows],
    )


def open_verdicts(account: str) -> Query[list[Message]]:
    """Decisions without a verdict, then approvals whose order has no intent; by id."""
    return Query(
        """SELECT body FROM journal WHERE id IN (
            SELECT id FROM decisions d
                WHERE account = ? AND NOT EXISTS (SELECT 1 FROM verdicts v WHERE v.decision = d.id)
            UNION ALL
            SELECT id FROM verdicts v
                WHERE client_id IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.client_id = v.client_id)
        ) AND account = ? ORDER BY id""",
        (account, account),
        _messages,
    )


def fills_after(account: str, fill: int) -> Query[list[Message]]:
    return Query(
        """SELECT body FROM journal WHERE id IN (
            SELECT id FROM fills WHERE account = ? AND id > ?
            UNION ALL SELECT id FROM fundings WHERE account = ? AND id > ?
        ) ORDER BY id""",
        (account, fill, account, fill),
        _messages,
    )


def portfolio(account: str) -> Query[Portfolio | None]:
    return Query(
        """SELECT j.body FROM portfolios p JOIN journal j ON j.id = p.id
        WHERE p.account = ? ORDER BY p.id DESC LIMIT 1""",
        (account,),
        lambda rows: _portfolio.decode(rows[0][0]) if rows else None,
    )


# ---- what people ask ------------------------------------------------------------------------


def sessions() -> Query[list[Session]]:
    return Query(
        "SELECT id, started_ns, mode, version, config FROM sessions ORDER BY id",
        (),
        lambda rows: [
            Session(id=number, started_ns=started, mode=mode, version=version, config=config)
            for number, started, mode, version, config in rows
        ],
    )


class _Listing(Struct, frozen=True):
    listing: tuple[Instrument, ...] = ()


def listed() -> Query[dict[str, Instrument]]:
    """The instruments as an exchange listed them, by symbol, the newest word on each; empty where none did."""
    return Query(
        "SELECT config FROM sessions ORDER BY id",
        (),
        lambda rows: {
            each.symbol: each for (body,) in rows for each in msgspec.json.decode(body, type=_Listing).listing
        },
    )


class _Fees(Struct, frozen=True):
    fees: dict[str, dict[str, Decimal]] = {}


def fees() -> Query[dict[str, dict[str, Decimal]]]:
    """What exchanges last said each account pays as taker, by kind of instrument; empty where none did."""
    return Query(
        "SELECT config FROM sessions ORDER BY id",
        (),
        lambda rows: {
            account: paid for (body,) in rows for account, paid in msgspec.json.decode(body, type=_Fees).fees.items()
        },
    )


def accounts() -> Query[list[str]]:
    return Query(
        "SELECT account FROM portfolios UNION SELECT account FROM orders ORDER BY account",
        (),
        lambda rows: [account for (account,) in rows],
    )


def orders(account: str | None = None, *, open_only: bool = False, last: int = 100) -> Query[list[OrderRecord]]:
    """The newest `last` orders, oldest first; of one account, or of all."""
    return Query(
        f"""SELECT {_RECORD} FROM orders o JOIN journal j ON j.id = o.id
        WHERE (? IS NULL OR o.account = ?) AND (NOT ? OR o.state NOT IN {_SETTLED})
        ORDER BY o.id DESC LIMIT ?""",
        (account, account, open_only, max(last, 0)),
        lambda rows: [_record(row) for row in reversed(rows)],
    )


def order(client_id: str) -> Query[OrderRecord | None]:
    return Query(
        f"""SELECT {_RECORD} FROM orders o JOIN journal j ON j.id = o.id
        WHERE o.client_id = ?""",
        (client_id,),
        lambda rows: _record(rows[0]) if rows else None,
    )


def _record(row: Cells) -> OrderRecord:
    body, size, trigger, state, filled, reason, at, updated = row
    return OrderRecord(
        order=_order(body, size, trigger),
        state=state,
        filled=Decimal(filled),
        reason=reason,
        placed_ns=at,
        updated_ns=updated,
    )


def journal(
    *, kinds: tuple[str, ...] = (), account: str | None = None, after: int = 0, last: int = -1
) -> Query[list[Message]]:
    """The newest `last` messages (-1: all) with id > `after`, oldest first; of these kinds, of this account."""
    among = f"AND kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
    return Query(
        f"""SELECT body FROM (
            SELECT id, body FROM journal WHERE id > ? AND (? IS NULL OR account = ?) {among} ORDER BY id DESC LIMIT ?
        ) ORDER BY id""",
        (after, account, account, *kinds, last),
        _messages,
    )


def news(since_ns: int) -> Query[list[NewsItem]]:
    """What was published at or after `since_ns`, in the order it was heard of."""
    return Query(
        """SELECT body FROM journal
        WHERE kind = 'NewsItem' AND json_extract(body, '$.published_ns') >= ? ORDER BY id""",
        (since_ns,),
        lambda rows: [_news_item.decode(body) for (body,) in rows],
    )


def inputs(session: int) -> Query[list[Input]]:
    """All a session took in from outside, in the order it was accepted."""
    return Query(
        "SELECT turn, at, actor, kind, ref, body FROM inputs WHERE session = ? ORDER BY number",
        (session,),
        lambda rows: [
            Input(turn=turn, at=at, actor=actor, kind=kind, ref=ref, body=body)
            for turn, at, actor, kind, ref, body in rows
        ],
    )


# Upwards by cause from `roots`, and the edges that the cycles on the way name.
_REASONS = """above(id, cause) AS (
            SELECT j.id, j.cause FROM roots r JOIN journal j ON j.id = r.id
            UNION SELECT j.id, j.cause FROM above a JOIN journal j ON j.id = a.cause
        ),
        reasons(id) AS (
            SELECT id FROM above
            UNION SELECT e.value FROM above a JOIN journal j ON j.id = a.id AND j.kind = 'Cycle',
                json_each(j.body, '$.edges') e
        )"""


def chain(client_id: str) -> Query[list[Message]]:
    """Why an order exists and what became of it, by id; empty when there is no such order.

    Upwards by cause from its decision and its intent, with the edges its cycles name; its verdict; downwards its
    updates and fills; of a protective stop also the fills it protects. The oldest edge carries the candle it came from.
    """
    return Query(
        f"""WITH RECURSIVE
        target AS (SELECT client_id, id, last, decision, account, instrument FROM orders WHERE client_id = ?),
        roots(id) AS (SELECT id FROM target UNION SELECT decision FROM target),
        {_REASONS},
        linked(id) AS (
            SELECT id FROM reasons
            UNION SELECT v.id FROM target t JOIN verdicts v ON v.decision = t.decision
            UNION SELECT j.id FROM target t JOIN journal j ON j.id BETWEEN t.id AND t.last
                WHERE j.kind = 'OrderUpdate' AND json_extract(j.body, '$.client_id') = t.client_id
            UNION SELECT f.id FROM target t JOIN fills f
                ON f.account = t.account AND f.instrument = t.instrument
                AND (f.client_id = t.client_id OR f.decision = t.decision AND f.id < t.id)
        )
        SELECT body FROM journal WHERE id IN linked ORDER BY id""",
        (client_id,),
        _messages,
    )


def thought(decision: int) -> Query[list[Message]]:
    """Why there is a decision, and its verdict, by id; empty when there is no such decision."""
    return Query(
        f"""WITH RECURSIVE
        roots(id) AS (SELECT id FROM decisions WHERE id = ?),
        {_REASONS}
        SELECT body FROM journal WHERE id IN (
            SELECT id FROM reasons UNION SELECT v.id FROM roots r JOIN verdicts v ON v.decision = r.id
        ) ORDER BY id""",
        (decision,),
        _messages,
    )


def order_ids(prefix: str = "", last: int = 10) -> Query[list[str]]:
    """The newest `last` client order ids that begin with `prefix`, newest first."""
    return Query(
        "SELECT client_id FROM orders WHERE substr(client_id, 1, length(?)) = ? ORDER BY id DESC LIMIT ?",
        (prefix, prefix, last),
        lambda rows: [client_id for (client_id,) in rows],
    )


def refusals() -> Query[dict[str, int]]:
    """How many decisions each rule of risk refused, the most frequent first."""
    return Query(
        "SELECT rule, count(*) AS n FROM verdicts WHERE NOT approved GROUP BY rule ORDER BY n DESC, rule", (), dict
    )


def unfilled() -> Query[dict[str, int]]:
    """How many orders were not filled whole, by how they stand and why; without the stops that were not needed."""
    return Query(
        """SELECT CASE reason WHEN '' THEN state ELSE state || ', ' || reason END AS how, count(*) AS n FROM orders
        WHERE state = 'rejected' OR state <> 'filled' AND "trigger" IS NULL GROUP BY how ORDER BY n DESC, how""",
        (),
        dict,
    )


def holdings() -> Query[list[Holding]]:
    """Which candles there are."""
    return Query(
        """SELECT instrument, span_ns, min(open_ns), max(open_ns), count(*) FROM candles
        GROUP BY instrument, span_ns ORDER BY instrument, span_ns""",
        (),
        lambda rows: [
            Holding(instrument=instrument, span_ns=span, first_ns=first, last_ns=last, count=count)
            for instrument, span, first, last, count in rows
        ],
    )


def openings(instrument: str, span_ns: int, from_ns: int, to_ns: int) -> Query[list[int]]:
    """When the candles on record opened, at or after `from_ns` and not after `to_ns`, oldest first."""
    return Query(
        """SELECT open_ns FROM candles
        WHERE instrument = ? AND span_ns = ? AND open_ns >= ? AND open_ns <= ? ORDER BY open_ns""",
        (instrument, span_ns, from_ns, to_ns),
        lambda rows: [open_ns for (open_ns,) in rows],
    )


def candles_between(instrument: str, span_ns: int, from_ns: int, to_ns: int) -> Query[list[Candle]]:
    """Candles opening at or after `from_ns` and before `to_ns`, oldest first."""
    return Query(
        """SELECT instrument, open_ns, open, high, low, close, volume FROM candles
        WHERE instrument = ? AND span_ns = ? AND open_ns >= ? AND open_ns < ? ORDER BY open_ns""",
        (instrument, span_ns, from_ns, to_ns),
        _candles,
    )
