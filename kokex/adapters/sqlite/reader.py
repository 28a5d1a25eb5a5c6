"""Looking into the database while a daemon may be writing it: read-only, takes no lock.

WAL lets readers and the one writer go on side by side; a reader sees the last commit.
"""

import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from kokex.adapters.sqlite.errors import explain
from kokex.adapters.sqlite.queries import Query
from kokex.adapters.sqlite.schema import MIGRATIONS, refuse_newer, version
from kokex.ports import StoreError

T = TypeVar("T")


class Reader:
    """Asks the questions of `queries`: `with Reader(path) as reader: reader.ask(queries.orders())`."""

    def __init__(self, path: Path | str) -> None:
        """Raises StoreError."""
        self._path = Path(path)
        if not self._path.is_file():
            raise StoreError(f"{path}: no such database; `kokex run` makes one, `--db` names another")
        with ExitStack() as undo:
            try:
                uri = f"{self._path.resolve().as_uri()}?mode=ro"
                self._connection = undo.enter_context(closing(sqlite3.connect(uri, uri=True)))
                refuse_newer(self._connection, path)
                found = version(self._connection)
            except sqlite3.Error as error:
                raise explain(error, path) from error
            if found < len(MIGRATIONS):
                raise StoreError(f"{path}: not a database of this kokex, or an older one's; `kokex run` brings it up")
            undo.pop_all()

    def ask(self, query: Query[T]) -> T:
        """Raises StoreError."""
        try:
            return query.decode(self._connection.execute(query.sql, query.params).fetchall())
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise explain(error, self._path) from error

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


# What must hold between the tables, as a query for the first row that breaks it.
_AGREEMENTS = {
    "a decision is not in the journal": "SELECT id FROM decisions WHERE id NOT IN (SELECT id FROM journal)",
    "a verdict has no decision": "SELECT decision FROM verdicts WHERE decision NOT IN (SELECT id FROM decisions)",
    "an order's intent is not in the journal": "SELECT client_id FROM orders WHERE id NOT IN (SELECT id FROM journal)",
    "a fill is not in the journal": "SELECT trade_id FROM fills WHERE id NOT IN (SELECT id FROM journal)",
}


def integrity(path: Path | str) -> list[str]:
    """What is wrong with the file and between its tables, one line each; empty when all is well.

    Reads the whole file. Raises StoreError when it cannot be opened at all.
    """
    with closing(Reader(path)) as reader:
        try:
            damage = reader.ask(Query("PRAGMA integrity_check(10)", (), lambda rows: [str(cell) for (cell,) in rows]))
        except StoreError as error:
            return [str(error)]
        if damage != ["ok"]:
            return damage
        found = {what: reader.ask(Query(f"{sql} LIMIT 1", (), list)) for what, sql in _AGREEMENTS.items()}
        return [f"{what}: {rows[0][0]}" for what, rows in found.items() if rows]
