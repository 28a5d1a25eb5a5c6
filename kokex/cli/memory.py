"""`kokex memory`: decisions, what became of them, and what they teach."""

from pathlib import Path

import click
from msgspec.structs import replace

from kokex.adapters.sqlite import episodes as table
from kokex.adapters.sqlite import queries
from kokex.cli.asking import reading
from kokex.cli.options import COMMON, SYMBOL, configured
from kokex.cli.output import emit_json, show
from kokex.cli.outside import own_memory
from kokex.ports import StoreError
from kokex.present import memory as tables

PLAN = click.option("--plan", metavar="NAME", help="Only of this plan.")


@click.group()
def memory() -> None:
    """What became of decisions, and what they teach.

    The daemon takes each decision that changes something into memory, where a model decides also into the next prompts
    once its outcome is known. `reflect` turns many of them into lessons. See docs/memory.md.
    """


@memory.command()
@click.option("--last", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="The newest.")
@click.option("--instrument", type=SYMBOL, help="Only of this one.")
@click.option("--search", metavar="WORDS", help="Only where all these words are in the situation or the reasons.")
@PLAN
@COMMON
def episodes(
    last: int, instrument: str | None, search: str | None, plan: str | None, config_file: Path | None,
    db: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Decisions in memory, oldest first, with their verdicts and outcomes. Needs no daemon.

    \b
    Example: entries while the trend strategy said up
      kokex memory episodes --search "trend up"
    """
    with reading(configured(config_file, db)) as reader:
        found = reader.ask(table.newest(last, plan=plan, instrument=instrument, search=search))
    if as_json:
        emit_json({"episodes": found})
    else:
        show(tables.episodes(found))


@memory.command()
@click.option("--all", "every", is_flag=True, help="Those that have expired or were replaced, too.")
@PLAN
@COMMON
def lessons(every: bool, plan: str | None, config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """What many decisions of one kind came to, the surest first. Needs no daemon.

    \b
    Example
      kokex memory lessons
    """
    with reading(configured(config_file, db)) as reader:
        at_ns = None if every else reader.ask(table.newest_ns())
        found = reader.ask(table.lessons(at_ns, plan=plan))
    if as_json:
        emit_json({"lessons": found})
    else:
        show(tables.lessons(found))


@memory.command()
@COMMON
def reflect(config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """Draw lessons from all decisions whose outcome is known, in place of the last ones.

    Plain statistics, no model is asked. The daemon may run; it knows them from its next cycle on. Once a day is enough.

    \b
    Example
      kokex memory reflect
    """
    config = configured(config_file, db)
    try:
        with reading(config) as reader:
            config = replace(config, fees=reader.ask(queries.fees()))
        found = own_memory(config).reflect()
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        emit_json({"lessons": found})
    elif found:
        show(tables.lessons(found))
    else:
        click.echo("no lessons: too few outcomes are known, or they say nothing beyond chance")
