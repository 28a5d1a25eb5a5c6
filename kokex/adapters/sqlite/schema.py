"""The tables, as numbered migrations.

`PRAGMA user_version` says how many of them a file has seen. A migration that has been released is never
edited: the next change is the next entry. Each runs in one transaction together with its number, so a
crash in the middle leaves the former version whole.

The journal is the record; the typed tables beside it hold what is asked for by anything but id. They repeat
no body: `decisions.id`, `orders.id`, `fills.id` and so on are the journal's. Secondary indexes are few,
because a backtest pays for each of them twenty thousand times.
"""

import sqlite3
from pathlib import Path

from kokex.adapters.sqlite import conversations, episodes, llm_calls, models
from kokex.adapters.sqlite.outbox import TABLES as OUTBOX
from kokex.ports import StoreError

_TABLES = (
    """CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE sessions (
        id INTEGER PRIMARY KEY,
        started_ns INTEGER NOT NULL,
        mode TEXT NOT NULL,
        version TEXT NOT NULL,
        config TEXT NOT NULL
    )""",
    """CREATE TABLE journal (
        id INTEGER PRIMARY KEY,
        cause INTEGER NOT NULL,
        at INTEGER NOT NULL,
        kind TEXT NOT NULL,
        account TEXT NOT NULL,
        body TEXT NOT NULL
    )""",
    """CREATE TABLE decisions (
        id INTEGER PRIMARY KEY,
        cause INTEGER NOT NULL,
        at INTEGER NOT NULL,
        plan TEXT NOT NULL,
        account TEXT NOT NULL,
        instrument TEXT NOT NULL,
        act TEXT NOT NULL,
        conviction INTEGER NOT NULL,
        horizon_s INTEGER NOT NULL,
        invalidation REAL,
        price REAL NOT NULL,
        reasons TEXT NOT NULL,
        "by" TEXT NOT NULL
    )""",
    # The verdict's own id needs no index, its decision does: exactly one verdict each.
    """CREATE TABLE verdicts (
        decision INTEGER PRIMARY KEY,
        id INTEGER NOT NULL,
        at INTEGER NOT NULL,
        approved INTEGER NOT NULL,
        rule TEXT NOT NULL,
        reason TEXT NOT NULL,
        client_id TEXT
    )""",
    """CREATE TABLE orders (
        client_id TEXT PRIMARY KEY,
        id INTEGER NOT NULL,
        last INTEGER NOT NULL,
        decision INTEGER NOT NULL,
        at INTEGER NOT NULL,
        updated INTEGER NOT NULL,
        plan TEXT NOT NULL,
        account TEXT NOT NULL,
        instrument TEXT NOT NULL,
        side TEXT NOT NULL,
        kind TEXT NOT NULL,
        size TEXT NOT NULL,
        price TEXT,
        "trigger" TEXT,
        reduce_only INTEGER NOT NULL,
        state TEXT NOT NULL,
        filled TEXT NOT NULL,
        reason TEXT NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE fills (
        id INTEGER PRIMARY KEY,
        trade_id TEXT NOT NULL,
        client_id TEXT NOT NULL,
        at INTEGER NOT NULL,
        filled_ns INTEGER NOT NULL,
        decision INTEGER NOT NULL,
        plan TEXT NOT NULL,
        account TEXT NOT NULL,
        instrument TEXT NOT NULL,
        side TEXT NOT NULL,
        size TEXT NOT NULL,
        price TEXT NOT NULL,
        fee TEXT NOT NULL,
        liquidity TEXT NOT NULL,
        UNIQUE (account, instrument, trade_id)
    )""",
    """CREATE TABLE fundings (
        id INTEGER PRIMARY KEY,
        funding_id TEXT NOT NULL,
        at INTEGER NOT NULL,
        due_ns INTEGER NOT NULL,
        account TEXT NOT NULL,
        instrument TEXT NOT NULL,
        rate TEXT NOT NULL,
        amount TEXT NOT NULL,
        UNIQUE (account, funding_id)
    )""",
    """CREATE TABLE portfolios (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        account TEXT NOT NULL,
        cash TEXT NOT NULL,
        equity TEXT NOT NULL
    )""",
    """CREATE TABLE saved (
        key TEXT PRIMARY KEY,
        body BLOB NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE inputs (
        number INTEGER PRIMARY KEY,
        session INTEGER NOT NULL,
        turn INTEGER NOT NULL,
        at INTEGER NOT NULL,
        actor TEXT NOT NULL,
        kind TEXT NOT NULL,
        ref INTEGER NOT NULL,
        body BLOB NOT NULL
    )""",
    """CREATE TABLE candles (
        instrument TEXT NOT NULL,
        span_ns INTEGER NOT NULL,
        open_ns INTEGER NOT NULL,
        open REAL NOT NULL,
        high REAL NOT NULL,
        low REAL NOT NULL,
        close REAL NOT NULL,
        volume REAL NOT NULL,
        PRIMARY KEY (instrument, span_ns, open_ns)
    ) WITHOUT ROWID""",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    _TABLES, llm_calls.TABLE, (models.TABLE,), OUTBOX, episodes.TABLES, conversations.TABLES, episodes.HANDED_ON,
)  # fmt: skip


def version(connection: sqlite3.Connection) -> int:
    """How many migrations the file has seen; 0 for an empty one. A sqlite3.Error when it is no database."""
    return connection.execute("PRAGMA user_version").fetchone()[0]


def refuse_newer(connection: sqlite3.Connection, path: Path | str) -> None:
    """Raises StoreError when a newer kokex wrote the file: what we do not know we do not touch."""
    found = version(connection)
    if found > len(MIGRATIONS):
        raise StoreError(
            f"{path}: written by a newer kokex (schema {found}, this one knows {len(MIGRATIONS)}); "
            "upgrade kokex, or name another database"
        )


def migrate(connection: sqlite3.Connection) -> None:
    """Brings a file that is not newer to the newest schema. Raises sqlite3.Error."""
    for number in range(version(connection), len(MIGRATIONS)):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in MIGRATIONS[number]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
        except sqlite3.Error:
            connection.rollback()
            raise
        connection.commit()
