"""What commands print: tables for people, one JSON document for programs, a bar for long work."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

import click
import msgspec

from kokex.present.tables import Table
from kokex.present.text import is_numeric, render


class Mistake(click.ClickException):
    """Input or configuration that cannot be right: one line on stderr, exit code 2."""

    exit_code = 2


def emit_json(value: object) -> None:
    """One document on stdout. Decimals are written as strings, so that none is rounded."""
    click.echo(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2))


def show(*tables: Table) -> None:
    """Tables: drawn on a terminal, plain text in a pipe."""
    for table in tables:
        if sys.stdout.isatty() and table.rows:
            _draw(table)
        else:
            click.echo(render(table))


def _draw(table: Table) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as Drawn

    drawn = Drawn(title=table.title, title_justify="left", box=box.SIMPLE_HEAD, show_header=any(table.columns))
    for column, cells in zip(table.columns, zip(*table.rows, strict=True), strict=True):
        drawn.add_column(column, justify="right" if is_numeric(cells) else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*row)
    Console(highlight=False, markup=False).print(drawn)


@contextmanager
def progress(label: str) -> Generator[Callable[[float], None], None, None]:
    """Yields a function to be told what part (0..1) of the work is done; a bar on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=1.0)
        yield lambda done: bar.update(task, completed=done)
