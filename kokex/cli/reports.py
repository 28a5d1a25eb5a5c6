"""`kokex profit`, `daily`, `weekly`, `monthly`, `performance`, `logs`, `health`: what the chat answers, in a terminal.

Name, arguments and words are those of `present.commands`, the answers those of `present.answers`.
"""

from pathlib import Path
from typing import Any

import click

from kokex.adapters.sqlite import episodes, queries
from kokex.cli.asking import attempt, instruments, reading
from kokex.cli.options import ACCOUNT, COMMON, configured, database, together
from kokex.cli.output import Mistake, emit_json, show
from kokex.cli.records import DEFAULT_LAST, DatabaseRecords
from kokex.config import Config
from kokex.ports import StoreError
from kokex.present.answers import TABLES, About
from kokex.present.commands import MOST_ROWS, Spec, find


class Nothing:
    """What another process holds back cannot be committed from here."""

    async def commit(self) -> None: ...


def _twin(name: str, more: str = "") -> click.Command:
    """The command of that name in the chat, as one of the command line."""
    spec = find(name)
    assert spec

    def answer(config_file: Path | None, db: Path | None, as_json: bool, **given: Any) -> None:
        config = configured(config_file, db)
        args = {key: str(value) for key, value in given.items() if value is not None}
        body, about, now = _asked(spec, args, config)
        if as_json:
            emit_json(body)
        else:
            show(*TABLES[spec.name](body, about, now))

    made = click.command(spec.name, help=f"{spec.help}. Needs no daemon.{more}\n\n\b\nExample:\n  kokex {name}")(answer)
    return together(*(_option(each.name, spec) for each in spec.arguments), COMMON)(made)


def _option(argument: str, spec: Spec) -> Any:
    if argument == "account":
        return ACCOUNT
    assert argument == "last", argument
    text = f"So many, the newest.  [default: {DEFAULT_LAST[spec.name]}]"
    return click.option("--last", type=click.IntRange(1, MOST_ROWS), help=text)


def _asked(spec: Spec, args: dict[str, str], config: Config) -> tuple[dict[str, Any], About, int]:
    """The body of the answer, what is needed to show it, and what time it is. Raises ClickException."""
    known = {each.symbol: each for each in map(instruments(config), config.market.symbols)}
    about = About(known, next(iter(known.values())).quote, config.telegram.time_zone)
    records = DatabaseRecords(database(config), Nothing(), known, config.telegram.time_zone)
    with reading(config) as reader:
        now = reader.ask(episodes.newest_ns())
        if (account := args.get("account")) and account not in reader.ask(queries.accounts()):
            raise click.ClickException(f"nothing on record of account {account!r}")
    try:
        body = records.answer(spec.asks, args, now)
    except (StoreError, Mistake) as error:
        raise click.ClickException(str(error)) from None
    if "error" in body:
        raise click.ClickException(str(body["error"]))
    if spec.name == "health":  # what a daemon alone knows
        return attempt(config, "health") or {"facts": body, "actors": []}, about, now
    return body, about, now


profit = _twin("profit")
daily = _twin("daily")
weekly = _twin("weekly")
monthly = _twin("monthly")
performance = _twin("performance")
logs = _twin("logs")
health = _twin("health", " Of a running one, its actors and their mailboxes.")
