"""Records of requests to language models: the table, what writes it, and what is asked of it."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from kokex.adapters.sqlite.queries import Cells, Query
from kokex.messages import DayCost, LlmCall, Moment

TABLE = (
    """CREATE TABLE llm_calls (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        state TEXT NOT NULL,
        purpose TEXT NOT NULL,
        plan TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        served TEXT NOT NULL,
        begun_wall_ns INTEGER NOT NULL,
        begun_steady_ns INTEGER NOT NULL,
        begun_boot TEXT NOT NULL,
        ended_wall_ns INTEGER,
        ended_steady_ns INTEGER,
        ended_boot TEXT,
        within_s REAL NOT NULL,
        usd TEXT NOT NULL,
        input_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        took_ms INTEGER NOT NULL,
        fault TEXT NOT NULL,
        status INTEGER NOT NULL,
        blocked_s REAL NOT NULL,
        wording TEXT NOT NULL,
        shape TEXT NOT NULL,
        prompt TEXT NOT NULL,
        request TEXT NOT NULL,
        answer TEXT NOT NULL
    )""",
)

RESERVE = f"INSERT INTO llm_calls VALUES ({', '.join('?' * 28)})"
RESOLVE = """UPDATE llm_calls SET state = ?, served = ?, ended_wall_ns = ?, ended_steady_ns = ?, ended_boot = ?,
        usd = ?, input_tokens = ?, cached_tokens = ?, output_tokens = ?, took_ms = ?, fault = ?, status = ?,
        blocked_s = ?, answer = ?
    WHERE id = ?"""


def reserved(m: LlmCall) -> Sequence[Any]:
    """The parameters of RESERVE."""
    return (
        m.id, m.at, m.state, m.purpose, m.plan, m.provider, m.model, m.served,
        m.begun.wall_ns, m.begun.steady_ns, m.begun.boot, *_ended(m), m.within_s, str(m.usd),
        m.input_tokens, m.cached_tokens, m.output_tokens, m.took_ms, m.fault, m.status, m.blocked_s,
        m.wording, m.shape, m.prompt, m.request, m.answer,
    )  # fmt: skip


def resolved(m: LlmCall) -> Sequence[Any]:
    """The parameters of RESOLVE."""
    return (
        m.state, m.served, *_ended(m), str(m.usd), m.input_tokens, m.cached_tokens, m.output_tokens, m.took_ms,
        m.fault, m.status, m.blocked_s, m.answer, m.call,
    )  # fmt: skip


def _ended(m: LlmCall) -> tuple[int | None, int | None, str | None]:
    return (m.ended.wall_ns, m.ended.steady_ns, m.ended.boot) if m.ended else (None, None, None)


_COLUMNS = """id, at, state, purpose, plan, provider, model, served, begun_wall_ns, begun_steady_ns, begun_boot,
    ended_wall_ns, ended_steady_ns, ended_boot, within_s, usd, input_tokens, cached_tokens, output_tokens, took_ms,
    fault, status, blocked_s, wording, shape, prompt"""


def _call(row: Cells) -> LlmCall:
    """With the two long texts where they were asked for."""
    ended = None if row[11] is None else Moment(*row[11:14])
    texts = dict(zip(("request", "answer"), row[26:], strict=False))
    return LlmCall(
        id=row[0], at=row[1], state=row[2], purpose=row[3], plan=row[4], provider=row[5], model=row[6], served=row[7],
        begun=Moment(*row[8:11]), ended=ended, within_s=row[14], usd=Decimal(row[15]),
        input_tokens=row[16], cached_tokens=row[17], output_tokens=row[18], took_ms=row[19],
        fault=row[20], status=row[21], blocked_s=row[22], wording=row[23], shape=row[24], prompt=row[25], **texts,
    )  # fmt: skip


def within(last_ns: int) -> Query[list[LlmCall]]:
    """All begun within `last_ns` before the newest, oldest first, without the long texts."""
    sql = f"""SELECT {_COLUMNS} FROM llm_calls
        WHERE begun_wall_ns >= (SELECT max(begun_wall_ns) FROM llm_calls) - ? ORDER BY id"""
    return Query(sql, (last_ns,), lambda rows: [_call(row) for row in rows])


def newest(last: int, purpose: str | None = None) -> Query[list[LlmCall]]:
    """The newest `last`, oldest first, with what was asked and answered."""
    sql = f"""SELECT * FROM (SELECT {_COLUMNS}, request, answer FROM llm_calls
        WHERE ? IS NULL OR purpose = ? ORDER BY id DESC LIMIT ?) ORDER BY id"""
    return Query(sql, (purpose, purpose, last), lambda rows: [_call(row) for row in rows])


def one(call: int) -> Query[list[LlmCall]]:
    """The request of that id, if there is one."""
    sql = f"SELECT {_COLUMNS}, request, answer FROM llm_calls WHERE id = ?"
    return Query(sql, (call,), lambda rows: [_call(row) for row in rows])


def between(first: int, end: int) -> Query[list[LlmCall]]:
    """All with ids from `first` to below `end`, oldest first, without the long texts."""
    sql = f"SELECT {_COLUMNS} FROM llm_calls WHERE id >= ? AND id < ? ORDER BY id"
    return Query(sql, (first, end), lambda rows: [_call(row) for row in rows])


def answered(first: int, end: int) -> Query[list[LlmCall]]:
    """Those with ids from `first` to below `end` that were answered, oldest first, with the texts."""
    sql = f"""SELECT {_COLUMNS}, request, answer FROM llm_calls
        WHERE state = 'ok' AND id >= ? AND id < ? ORDER BY id"""
    return Query(sql, (first, end), lambda rows: [_call(row) for row in rows])


class Dated(Struct, frozen=True):
    """A request with the texts, and when its answer came in trading time."""

    call: LlmCall
    answered_ns: int


def decided() -> Query[list[Dated]]:
    """All that were answered and asked for decisions, oldest first."""
    sql = f"""SELECT {_COLUMNS}, request, answer, coalesce(answered_ns, at) FROM llm_calls LEFT JOIN (
            SELECT json_extract(body, '$.call') AS of, max(at) AS answered_ns FROM journal WHERE kind = 'LlmCall'
            GROUP BY of
        ) ON of = llm_calls.id
        WHERE state = 'ok' AND purpose IN ('scheduled', 'event') ORDER BY id"""
    return Query(sql, (), lambda rows: [Dated(_call(row[:-1]), row[-1]) for row in rows])


def cost(days: int) -> Query[list[DayCost]]:
    """Of the newest `days` days with requests; what was not sent is left out. Oldest first."""
    sql = """SELECT date(begun_wall_ns / 1000000000, 'unixepoch') AS day, provider, model, purpose, count(*),
            sum(state != 'ok'), sum(input_tokens), sum(cached_tokens), sum(output_tokens), json_group_array(usd)
        FROM llm_calls WHERE state != 'unsent'
            AND day IN (SELECT DISTINCT date(begun_wall_ns / 1000000000, 'unixepoch') AS day FROM llm_calls
                ORDER BY day DESC LIMIT ?)
        GROUP BY day, provider, model, purpose ORDER BY day, provider, model, purpose"""
    return Query(sql, (days,), lambda rows: [DayCost(*row[:-1], usd=_sum(row[-1])) for row in rows])


def _sum(amounts: str) -> Decimal:
    return sum((Decimal(each) for each in msgspec.json.decode(amounts, type=list[str])), Decimal(0))
