"""The outbox: alerts on their way to people, until what became of each is known."""

import msgspec

from kokex.adapters.sqlite.queries import Query
from kokex.messages import Words
from kokex.ports.chat import Letter

TABLES = (
    """CREATE TABLE outbox (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        lane INTEGER NOT NULL,
        kind TEXT NOT NULL,
        silent INTEGER NOT NULL,
        words TEXT NOT NULL,
        expires_ns INTEGER NOT NULL,
        settled_ns INTEGER,
        why TEXT NOT NULL DEFAULT ''
    )""",
    # What waits is a handful among all there ever were.
    "CREATE INDEX outbox_waiting ON outbox (lane, id) WHERE settled_ns IS NULL",
)

_words = msgspec.json.Decoder(Words)


def letters(lane: int, after: int, most: int) -> Query[list[Letter]]:
    """The oldest `most` letters of a lane with id > `after` of which nothing became yet."""
    return Query(
        """SELECT id, at, lane, kind, silent, words, expires_ns FROM outbox
        WHERE lane = ? AND id > ? AND settled_ns IS NULL ORDER BY id LIMIT ?""",
        (lane, after, most),
        lambda rows: [
            Letter(
                id=number, at=at, lane=lane, kind=kind, silent=bool(silent), words=_words.decode(words),
                expires_ns=expires_ns,
            )
            for number, at, lane, kind, silent, words, expires_ns in rows
        ],
    )  # fmt: skip


def newest() -> Query[int]:
    """The id of the newest letter there ever was; 0: there was none."""
    return Query("SELECT coalesce(max(id), 0) FROM outbox", (), lambda rows: rows[0][0])


def waiting() -> Query[int]:
    """How many letters wait."""
    return Query("SELECT count(*) FROM outbox WHERE settled_ns IS NULL", (), lambda rows: rows[0][0])
