"""`kokex run`: the daemon."""

import sys
from pathlib import Path

import click

from kokex.cli.options import CONFIG, NEW_DATABASE, Span, configured


@click.command()
@CONFIG
@NEW_DATABASE
@click.option("--for", "for_s", type=Span(), metavar="SPAN", help="End by itself after so long: 90s, 5m, 1h30m.")
def run(config_file: Path | None, db: Path | None, for_s: float | None) -> None:
    """The daemon: trade until Ctrl-C.

    Without a configuration it trades paper money on the embedded exchange, whose market is simulated. Every event is a
    line, `TIME LEVEL KIND ...`. Ctrl-C or SIGTERM drains and ends within 5 seconds; a second one ends at once. Started
    again, it goes on where it was, after a kill -9 too.

    \b
    Example: an hour of trading in a minute, on a database of its own
      KOKEX__MARKET__SPEED=60 kokex run --db /tmp/try.db --for 60s
    """
    from kokex.cli.daemon import DaemonError, start
    from kokex.cli.reload import ConfigFile
    from kokex.ports import StoreError

    config = configured(config_file, db)
    try:
        start(config, for_s, sys.stdout, ConfigFile(config_file, db, config))
    except (DaemonError, StoreError) as error:
        raise click.ClickException(str(error)) from None
