"""Tables on a phone: what is narrow stays a table, what is wide becomes a card for each row."""

from collections.abc import Iterable

from kokex.messages import Words
from kokex.present.rich import bold, join, lines, pre
from kokex.present.tables import Table
from kokex.present.text import render

WIDTH = 38  # monospaced letters on a narrow screen
SAME = {"account", "plan"}  # columns that say nothing when all their cells are the same
NAMES = {"instrument", "plan", "account", "actor", "id", "limit", ""}  # columns that say what a row is about
PLAIN = {
    "instrument",
    "side",
    "state",
    "terms",
    "id",
    "mode",
    "instruments",
    "strategies",
    "%",
    "last error",
}  # need no name


def shown(tables: Iterable[Table]) -> Words:
    return join([_shown(table) for table in tables], "\n\n")


def _told_apart(table: Table) -> Table:
    """The table without the columns that are the same in all rows."""
    kept = [
        number
        for number, name in enumerate(table.columns)
        if name not in SAME or len({row[number] for row in table.rows}) > 1
    ]
    if len(kept) < 2:
        return table
    rows = tuple(tuple(row[number] for number in kept) for row in table.rows)
    return Table(table.title, tuple(table.columns[number] for number in kept), rows)


def _shown(whole: Table) -> Words:
    if not whole.rows:
        return Words(f"{whole.title}: none")
    table = _told_apart(whole)
    if len(table.rows) == 1 and table.columns[0] not in NAMES:
        table = Table(table.title, ("", ""), tuple(zip(table.columns, table.rows[0], strict=True)))
    if len(table.columns) == 2 and not any(table.columns):
        return lines(bold(table.title), *(join([f"{name}: ", bold(value)]) for name, value in table.rows))
    title, *body = render(table).split("\n")
    if max(map(len, body)) <= WIDTH:
        return lines(bold(title), pre("\n".join(body)))
    return lines(bold(title), *(_card(table.columns, row) for row in table.rows))


def _card(columns: tuple[str, ...], row: tuple[str, ...]) -> Words:
    """The first cell in bold, and beneath it what the others are."""
    rest = [
        cell if name in PLAIN else f"{name} {cell}".strip() for name, cell in zip(columns, row, strict=True) if cell
    ]
    return lines(bold(row[0]), " · ".join(rest[1:]))
