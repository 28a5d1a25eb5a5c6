"""A batch as one transaction, whole or not at all: what both stores do with their statements.

A way to the thread of aiosqlite and back takes as long as several statements do, and each method that is called takes
one. So the daemon's connection writes a whole batch in one method, from making its statements to the sync.
"""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import final

from kokex.adapters.secrets.secret import redact
from kokex.adapters.sqlite.errors import WRITE_ERRORS, explain_write
from kokex.adapters.sqlite.rows import Params, Statement


def write(connection: sqlite3.Connection, batch: list[Statement], path: Path | str) -> None:
    """Raises StoreError; then nothing was written."""
    params: list[Params] = []
    ahead = iter(params)
    try:
        for sql, params in batch:
            ahead = iter(params)
            connection.executemany(sql, ahead)
        sqlite3.Connection.commit(connection)
    except WRITE_ERRORS as error:
        with suppress(sqlite3.Error):
            connection.rollback()
        raise explain_write(error, path, params, ahead) from error


@final
class BatchConnection(sqlite3.Connection):
    """What aiosqlite drives. Its `commit` makes `batch` and writes it."""

    path: Path
    batch: Callable[[], list[Statement]]

    def commit(self) -> None:
        """Raises StoreError; then nothing was written."""
        hidden: list[Statement] = [
            (sql, [[redact(each) if isinstance(each, str) else each for each in row] for row in rows])
            for sql, rows in self.batch()
        ]
        write(self, hidden, self.path)
