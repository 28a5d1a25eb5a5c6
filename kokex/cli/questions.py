"""`kokex status`, `balance`, `positions`, `orders`, `trades`: how things stand."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from kokex.adapters.sqlite import queries
from kokex.cli.asking import attempt, command, instruments, marked, reading
from kokex.cli.options import ACCOUNT, COMMON, configured, control_socket
from kokex.cli.output import emit_json, show
from kokex.config import Config
from kokex.market.instruments import quantity
from kokex.market.positions import average_price, unrealised
from kokex.messages import Fill, Instrument, Portfolio
from kokex.present import tables
from kokex.present.words import clock, price

LAST = click.option("--last", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="The newest.")


@click.command()
@COMMON
def status(config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """How the running daemon is: plans, accounts, breaker, actors and their mailboxes.

    \b
    Example: is trading paused?
      kokex status --json | jq .paused
    """
    config = configured(config_file, db)
    answer = command(config, "status")
    names = dict.fromkeys(plan["account"] for plan in answer["plans"])
    books = msgspec.convert(answer["accounts"], type=tuple[Portfolio, ...], strict=False)
    answer["accounts"] = [marked(book, config) for book in books]
    answer["limits"] = [command(config, "limits", {"account": name}) for name in names]
    answer["database"], answer["socket"] = config.store.path, str(control_socket(config))
    if as_json:
        emit_json(answer)
        return
    of = msgspec.convert(msgspec.to_builtins(answer), type=tables.Status, strict=False)
    head, *others = tables.status(of, _currency(config))
    tripped = [(f"breaker of {each['account']}", each["reason"]) for each in answer["limits"] if each["reason"]]
    show(tables.Table(head.title, head.columns, (*head.rows, *tripped, ("database", config.store.path))), *others)


@click.command()
@ACCOUNT
@COMMON
def balance(account: str | None, config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """Equity and cash of each account; without a daemon, as last on record.

    \b
    Example:
      kokex balance --account main
    """
    config = configured(config_file, db)
    books, source = _books(config, account)
    if as_json:
        emit_json({"source": source, "accounts": books})
    else:
        show(tables.balance(books, _currency(config)))


@click.command()
@ACCOUNT
@COMMON
def positions(account: str | None, config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """What is held, at its last price; without a daemon, as last on record.

    Sizes are in the venue's unit: coins for spot, contracts for swaps. In the JSON `size` is negative when short, and
    `quantity` is the same in coins.

    \b
    Example:
      kokex positions --json
    """
    config = configured(config_file, db)
    books, source = _books(config, account)
    known = instruments(config)
    if as_json:
        emit_json({"source": source, "positions": [row for book in books for row in _rows(book, known)]})
    else:
        symbols = {each.instrument for book in books for each in book.positions}
        show(tables.positions(books, {symbol: known(symbol) for symbol in symbols}))


def _rows(book: Portfolio, known: Callable[[str], Instrument]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for each in book.positions:
        if each.size:
            of = known(each.instrument)
            rows.append(
                {
                    "account": book.account,
                    **msgspec.to_builtins(each),
                    "quantity": str(quantity(of, each.size)),
                    "average_price": float(average_price(each, of)),
                    "unrealised": str(unrealised(each, of)),
                }
            )
    return rows


@click.command()
@click.option("--all", "everything", is_flag=True, help="Settled orders too.")
@LAST
@ACCOUNT
@COMMON
def orders(
    everything: bool, last: int, account: str | None, config_file: Path | None, db: Path | None, as_json: bool
) -> None:
    """Open orders, or with --all every order and what became of it. Needs no daemon.

    The id is what `kokex explain` and `kokex cancel` take.

    \b
    Example: the last five orders, however they ended
      kokex orders --all --last 5
    """
    config = configured(config_file, db)
    with reading(config) as reader:
        records = reader.ask(queries.orders(account, open_only=not everything, last=last))
    if as_json:
        emit_json({"orders": [_flat(record) for record in records]})
    elif everything:
        show(_history(records))
    else:
        show(tables.orders(record.order for record in records))


def _flat(record: queries.OrderRecord) -> dict[str, Any]:
    of: dict[str, Any] = msgspec.to_builtins(record)
    return {**of.pop("order"), **of}


def _history(records: Sequence[queries.OrderRecord]) -> tables.Table:
    rows = tuple(
        (
            clock(each.placed_ns),
            each.order.client_id,
            each.order.instrument,
            each.order.side,
            price(each.order.size),
            tables.terms(each.order),
            each.state,
            price(each.filled),
            each.reason,
        )
        for each in records
    )
    columns = ("time", "id", "instrument", "side", "size", "terms", "state", "filled", "reason")
    return tables.Table("Orders", columns, rows)


@click.command()
@LAST
@ACCOUNT
@COMMON
def trades(last: int, account: str | None, config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """What was filled, oldest first. Needs no daemon.

    \b
    Example: everything that ever traded, for another program
      kokex trades --last 1000000 --json
    """
    config = configured(config_file, db)
    with reading(config) as reader:
        found = reader.ask(queries.journal(kinds=("Fill",), account=account, last=last))
    fills = [each for each in found if isinstance(each, Fill)]
    if as_json:
        emit_json({"trades": fills})
    else:
        show(tables.trades(fills))


# ---- where it comes from ----------------------------------------------------------------------


def _books(config: Config, account: str | None) -> tuple[tuple[Portfolio, ...], str]:
    """Portfolios at the last prices, and where they come from: "daemon" or "database"."""
    answer = attempt(config, "balance", {"account": account} if account else {})
    if answer is not None:
        books = msgspec.convert(answer["accounts"], type=tuple[Portfolio, ...], strict=False)
        return tuple(marked(book, config) for book in books), "daemon"
    with reading(config) as reader:
        names = [account] if account else reader.ask(queries.accounts())
        books = tuple(book for name in names if (book := reader.ask(queries.portfolio(name))) is not None)
    if not books:
        raise click.ClickException(f"nothing on record of account {account!r}" if account else "nothing on record yet")
    for book in books:
        click.echo(f"no daemon is running: {book.account} as on record at {clock(book.at)}", err=True)
    return tuple(marked(book, config) for book in books), "database"


def _currency(config: Config) -> str:
    return instruments(config)(config.market.symbols[0]).quote
