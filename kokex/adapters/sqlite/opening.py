"""Opening the file for writing: what both stores do before their first row.

One instance per database: the lock is taken before the file is touched, so that a second instance
cannot even migrate under the first one's feet.
"""

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from kokex.adapters.host.lock import FileLock, Locked
from kokex.adapters.sqlite.errors import explain
from kokex.adapters.sqlite.schema import migrate, refuse_newer
from kokex.ports import StoreError

PAGE = 8192  # bytes, twice sqlite's own: messages of some 400 bytes are written a third quicker


@dataclass(frozen=True, slots=True)
class Start:
    """What is said of a new session."""

    now_ns: int
    mode: str
    version: str
    config_json: str
    tag_factory: Callable[[], str]  # called for a new database only


@dataclass(frozen=True, slots=True)
class Opening:
    session: int
    tag: str
    newest_ns: int  # the newest time on record before this session, 0 for a new database


def lock(path: Path) -> FileLock:
    """Makes the data directory and takes `PATH.lock`. Raises StoreError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path.with_name(path.name + ".lock"))
    except Locked as held:
        holder = "another process" if held.pid is None else f"process {held.pid}"
        raise StoreError(f"{path}: already in use by {holder}; stop that one first, or name another database") from None
    except OSError as error:
        raise StoreError(
            f"{path.parent}: the data directory cannot be made or written ({error.strerror}); "
            "check its owner and mode, or name another database"
        ) from error


def connect(path: Path | str, *, synchronous: str) -> sqlite3.Connection:
    """A connection that may write. Raises StoreError."""
    with ExitStack() as undo:
        try:
            connection = undo.enter_context(closing(sqlite3.connect(path)))
            refuse_newer(connection, path)
            connection.execute(f"PRAGMA page_size = {PAGE}")  # heeded for a new file only
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {synchronous}")
        except sqlite3.Error as error:
            raise explain(error, path) from error
        undo.pop_all()
    return connection


def begin(connection: sqlite3.Connection, path: Path | str, start: Start) -> Opening:
    """Migrates, enters the new session and commits it. Raises StoreError."""
    try:
        migrate(connection)
        newest = _newest_ns(connection)
        tag = connection.execute("SELECT value FROM meta WHERE key = 'tag'").fetchone()
        if tag is None:
            tag = (start.tag_factory(),)
            connection.execute("INSERT INTO meta VALUES ('tag', ?)", tag)
        session = connection.execute(
            "INSERT INTO sessions(started_ns, mode, version, config) VALUES (?, ?, ?, ?)",
            (start.now_ns, start.mode, start.version, start.config_json),
        ).lastrowid
        connection.commit()
    except sqlite3.Error as error:
        raise explain(error, path) from error
    assert session is not None
    return Opening(session, tag[0], newest)


def _newest_ns(connection: sqlite3.Connection) -> int:
    # Ids rise with time, so the last row has the newest time: no index on `at` is needed.
    (newest,) = connection.execute(
        """SELECT max(
            coalesce((SELECT at FROM journal ORDER BY id DESC LIMIT 1), 0),
            coalesce((SELECT at FROM inputs ORDER BY number DESC LIMIT 1), 0),
            coalesce((SELECT max(started_ns) FROM sessions), 0))"""
    ).fetchone()
    return newest
