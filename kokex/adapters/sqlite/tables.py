"""Whole rows of whole tables, for a replay to compare."""

from kokex.adapters.sqlite.queries import Cells, Query


def tag() -> Query[str]:
    """The installation's, part of its client order ids."""
    return Query("SELECT value FROM meta WHERE key = 'tag'", (), lambda rows: rows[0][0] if rows else "")


def columns(table: str) -> Query[list[str]]:
    return Query("SELECT name FROM pragma_table_info(?)", (table,), lambda rows: [name for (name,) in rows])


def rows(table: str, first: int, end: int) -> Query[list[Cells]]:
    """Rows of a table with an `id` from `first` to below `end`, by id."""
    return Query(f"SELECT * FROM {table} WHERE id >= ? AND id < ? ORDER BY id", (first, end), list)


def newest_id(session: int) -> Query[int]:
    """The last message of a session on record; 0 when there is none."""
    sql = "SELECT max(id) FROM journal WHERE id >= ? AND id < ?"
    return Query(sql, (session << 40, (session + 1) << 40), lambda rows: rows[0][0] or 0)
