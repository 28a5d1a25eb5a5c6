"""A table as plain monospaced text, narrow enough for a phone."""

from collections.abc import Sequence

from kokex.present.tables import Table
from kokex.present.words import NOTHING


def render(table: Table) -> str:
    """Title, header and rows, columns two spaces apart; columns of numbers stand to the right."""
    if not table.rows:
        return f"{table.title}: none"
    lines = [table.columns, *table.rows]
    columns = list(zip(*lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [is_numeric(column[1:]) for column in columns]
    written = [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
        if any(line)  # a table without column names has no header
    ]
    return "\n".join([table.title, *written])


def is_numeric(cells: Sequence[str]) -> bool:
    """Whether a column of these cells is one of numbers, which stand to the right."""
    return all(cell[:1] in "+-0123456789" or cell == NOTHING for cell in cells) and any(cells)


def plain(text: str) -> str:
    """What others wrote, for a terminal: nothing in it moves a cursor, changes a colour or turns the direction."""
    return "".join(each for each in text if each in "\n\t" or each.isprintable())
