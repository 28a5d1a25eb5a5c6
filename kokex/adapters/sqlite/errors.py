"""SQLite's errors as one clear line each, which says what to do."""

import sqlite3
from collections.abc import Iterator, Sequence
from operator import length_hint
from pathlib import Path

from kokex.ports import StoreError

# The primary result code (the low byte) -> what is wrong and what helps. https://sqlite.org/rescode.html
_REMEDIES: dict[int, str] = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space, nothing written so far is lost",
    sqlite3.SQLITE_READONLY: "the database cannot be written; check the owner and mode of the file and its directory",
    sqlite3.SQLITE_PERM: "access denied; check the owner and mode of the file and its directory",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check that the directory exists and may be written",
    sqlite3.SQLITE_NOTADB: "this file is not a database; move it away, or name another database",
    sqlite3.SQLITE_CORRUPT: "the database is damaged; restore a copy of it, or rescue it with `sqlite3 FILE .recover`",
    sqlite3.SQLITE_BUSY: "another program holds the database; close it and try again",
    sqlite3.SQLITE_LOCKED: "another program holds the database; close it and try again",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written; check the disk and its free space",
    sqlite3.SQLITE_NOMEM: "out of memory",
}

# What writing a row raises when the row is at fault, and all that writing raises.
_ROW_AT_FAULT = (sqlite3.IntegrityError, sqlite3.InterfaceError, OverflowError)
WRITE_ERRORS = (sqlite3.Error, OverflowError)


def explain(error: Exception, path: Path | str) -> StoreError:
    """The StoreError for what sqlite3, or decoding what it gave, raised."""
    remedy = _REMEDIES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    return StoreError(f"{path}: {error}" if remedy is None else f"{path}: {remedy} ({error})")


def explain_write(error: Exception, path: Path | str, rows: Sequence[object], ahead: Iterator[object]) -> StoreError:
    """The same for an `executemany` over `ahead`, the iterator of `rows`; names the row when that is at fault."""
    taken = len(rows) - length_hint(ahead)
    if taken and isinstance(error, _ROW_AT_FAULT):
        return StoreError(f"{path}: a row breaks a rule of the database ({error}): {rows[taken - 1]!r}")
    return explain(error, path)
