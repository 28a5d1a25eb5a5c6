"""Conversations: of people with the agent, and of the daemon with models by itself. Tables, and questions to them.

The texts stand in the journal and in `llm_calls`; here is who spoke with whom, and an index of the words.
"""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from kokex.adapters.sqlite.episodes import quoted
from kokex.adapters.sqlite.queries import Cells, Query
from kokex.messages import Remark

Type = Literal["manual_chat", "scheduled_decision", "auto_inference"]

TABLES = (
    # The id is the journal's.
    """CREATE TABLE remarks (
        id INTEGER PRIMARY KEY,
        conversation INTEGER NOT NULL,
        at INTEGER NOT NULL,
        "by" TEXT NOT NULL,
        role TEXT NOT NULL
    )""",
    "CREATE INDEX remarks_of_conversation ON remarks(conversation, id)",
    # The row id is that of a remark, or of a request that no person made. Contentless: no text is kept twice.
    "CREATE VIRTUAL TABLE said USING fts5(text, content='')",
    """INSERT INTO said(rowid, text) SELECT id, json_extract(answer, '$.text') FROM llm_calls
        WHERE state = 'ok' AND json_valid(answer)""",
    # A person's conversations by their number, and each request that the daemon made by itself by its id.
    """CREATE VIEW conversations AS
        SELECT r.conversation AS id, 'manual_chat' AS type, r.began_ns, r.ended_ns, r."by", r.remarks,
            json_extract(j.body, '$.turn.text') AS opening
        FROM (SELECT conversation, min(id) AS first, min(at) AS began_ns, max(at) AS ended_ns, min("by") AS "by",
                count(*) AS remarks FROM remarks GROUP BY conversation) r
            JOIN journal j ON j.id = r.first
        UNION ALL
        SELECT id, CASE purpose WHEN 'scheduled' THEN 'scheduled_decision' ELSE 'auto_inference' END, at, at, plan, 1,
            json_extract(answer, '$.text')
        FROM llm_calls WHERE state = 'ok' AND purpose != 'chat' AND json_valid(answer)""",
)

INSERT = "INSERT INTO remarks VALUES (?, ?, ?, ?, ?)"
INDEX = "INSERT INTO said(rowid, text) VALUES (?, ?)"
LONGEST_OPENING = 200

_remark = msgspec.json.Decoder(Remark)


class Conversation(Struct, frozen=True):
    """A row of the list."""

    id: int
    type: Type
    began_ns: int
    ended_ns: int
    by: str  # whose it is; of a request by the daemon, the plan
    remarks: int
    opening: str  # the first words


def params(m: Remark) -> Cells:
    return (m.id, m.conversation, m.at, m.by, m.turn.role)


def remarks(conversation: int) -> Query[list[Remark]]:
    """All of one, oldest first."""
    sql = "SELECT body FROM journal WHERE id IN (SELECT id FROM remarks WHERE conversation = ?) ORDER BY id"
    return Query(sql, (conversation,), lambda rows: [_remark.decode(body) for (body,) in rows])


def newest(last: int, kind: Type = "manual_chat", search: str | None = None) -> Query[list[Conversation]]:
    """The newest `last` of a type, oldest first; `search`: only where all these words were said in one remark."""
    found, wanted = "", ()
    if search:
        found = """AND id IN (SELECT coalesce(r.conversation, s.rowid) FROM said s LEFT JOIN remarks r ON r.id = s.rowid
            WHERE said MATCH ?)"""
        wanted = (" ".join(quoted(word) for word in search.split()),)
    sql = f"""SELECT id, type, began_ns, ended_ns, "by", remarks, substr(coalesce(opening, ''), 1, {LONGEST_OPENING})
        FROM conversations WHERE type = ? {found} ORDER BY ended_ns DESC, id DESC LIMIT ?"""
    return Query(sql, (kind, *wanted, last), lambda rows: [_conversation(*row) for row in rows[::-1]])


def _conversation(*cells: Any) -> Conversation:
    return Conversation(*cells)
