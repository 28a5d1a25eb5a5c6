"""`kokex replay`: a recorded session once more."""

import sys
from pathlib import Path

import click
import msgspec

from kokex.cli.options import CONFIG, DATABASE, JSON, configured

SHOWN = 20


@click.command()
@CONFIG
@DATABASE
@click.option(
    "--expect",
    type=click.Path(path_type=Path),
    metavar="F",
    help="Compare with this database instead: the original of a copy that lost its decisions, verdicts or orders.",
)
@JSON
def replay(config_file: Path | None, db: Path | None, expect: Path | None, as_json: bool) -> None:
    """Recompute what the daemon did from what it was told, and compare.

    The market's candles, the venue's answers, commands and timers are on record, each with its place in the order of
    things. Fed to the same actors they must lead to the same decisions, verdicts, orders and fills. Exit code 0 when
    they do; 1 when a row differs, naming it. Nothing is sent, nothing is written.

    \b
    Example: is the journal of this database what its inputs lead to?
      kokex replay --db data/kokex.db
    """
    from kokex.adapters.sqlite.reader import Reader
    from kokex.cli.output import progress
    from kokex.ports import StoreError
    from kokex.simulation.replay import ReplayError
    from kokex.simulation.replay import replay as run

    path = Path(configured(config_file, db).store.path)
    try:
        with Reader(path) as record, Reader(expect or path) as expected, progress("replaying") as told:
            outcome = run(record, expected, told)
    except (ReplayError, StoreError) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        sys.stdout.write(msgspec.json.encode({"same": outcome.same, **msgspec.to_builtins(outcome)}).decode() + "\n")
    else:
        rows = ", ".join(f"{count} {table}" for table, count in outcome.rows.items() if count)
        sessions = f"{len(outcome.sessions)} session" + ("s" if len(outcome.sessions) > 1 else "")
        click.echo(f"replayed {sessions}: {outcome.inputs} inputs, {outcome.handled} messages handled")
        click.echo(f"compared {rows}")
        for each in outcome.differences[:SHOWN]:
            click.echo(f"DIFFERS {each.table} {each.key}: {each.what}")
        if len(outcome.differences) > SHOWN:
            click.echo(f"... and {len(outcome.differences) - SHOWN} more")
        if outcome.same:
            click.echo("the same, row for row")
    if not outcome.same:
        sys.exit(1)
