"""`kokex news`: headlines, and what they were judged to be."""

from pathlib import Path

import click

from kokex.adapters.sqlite import queries
from kokex.cli.asking import reading
from kokex.cli.options import COMMON, configured
from kokex.cli.output import emit_json, show
from kokex.present import tables


@click.command()
@click.option("--last", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="The newest.")
@COMMON
def news(last: int, config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """What the feeds of [news] said, oldest first, and the labels that a brain may see of it. Needs no daemon.

    \b
    Example: bad news of today
      kokex news --json | jq '.news[] | select(.sentiment | endswith("bad")) | .title'
    """
    config = configured(config_file, db)
    with reading(config) as reader:
        items = reader.ask(queries.news(0))[-last:]
    if as_json:
        emit_json({"news": items})
    else:
        show(tables.news(items))
