"""How a command reaches the daemon or, without one, its database."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import click
from msgspec.structs import replace

from kokex.adapters.control import client
from kokex.adapters.control.client import ControlError, NoDaemon, Refused, ask
from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.reader import Reader
from kokex.cli.options import control_socket, database, invocation
from kokex.config import Config
from kokex.market.instruments import UnknownInstrument, exact, from_csv, parse_symbol
from kokex.market.positions import equity, mark
from kokex.messages import Instrument, Portfolio
from kokex.ports import StoreError


def command(config: Config, verb: str, args: Mapping[str, str | None] | None = None) -> Any:
    """The daemon's answer; what is None is left out. Raises Refused (by risk), else ClickException."""
    given = {key: value for key, value in (args or {}).items() if value is not None}
    with _daemon(config):
        return ask(control_socket(config), verb, given)


def talk(config: Config, args: Mapping[str, str], hear: Callable[[str, int], object]) -> Any:
    """The agent's answer; `hear` is told its text as it comes, and in which part. Raises ClickException."""
    with _daemon(config):
        return client.talk(control_socket(config), args, hear)


@contextmanager
def _daemon(config: Config) -> Generator[None, None, None]:
    """What it says no to is a ClickException, but for a refusal by risk."""
    try:
        yield
    except NoDaemon:
        path = database(config)
        start = f"{invocation()} run" + (f" --db {path}" if path != database(Config()) else "")
        raise click.ClickException(f"no daemon is running on {path}; start one with `{start}`") from None
    except Refused as refused:
        if "verdict" in refused.answer:
            raise
        raise click.ClickException(str(refused)) from None
    except ControlError as error:
        raise click.ClickException(str(error)) from None


def attempt(config: Config, verb: str, args: Mapping[str, str] | None = None) -> Any | None:
    """The daemon's answer, None when no daemon runs. Raises ClickException."""
    try:
        return ask(control_socket(config), verb, args)
    except NoDaemon:
        return None
    except ControlError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def reading(config: Config) -> Generator[Reader, None, None]:
    """The database, read-only. Raises ClickException."""
    try:
        with Reader(database(config)) as reader:
            yield reader
    except StoreError as error:
        raise click.ClickException(str(error)) from None


def marked(book: Portfolio, config: Config) -> Portfolio:
    """The portfolio at the last closes on record: the daemon itself values an account only when it moved enough."""
    with reading(config) as reader:
        closes = {
            each.instrument: reader.ask(queries.candles(each.instrument, config.market.span_ns, 1))
            for each in book.positions
        }
        listed = reader.ask(queries.listed())
    held = tuple(
        mark(each, exact(closes[each.instrument][0].close)) if closes[each.instrument] else each
        for each in book.positions
    )
    worth = equity(book.cash, held, {each.instrument: instrument(each.instrument, listed) for each in held})
    return replace(book, positions=held, equity=worth)


def instruments(config: Config) -> Callable[[str], Instrument]:
    """What is known of a symbol without asking a venue. Raises ClickException."""
    with reading(config) as reader:
        listed = reader.ask(queries.listed())
    return lambda symbol: instrument(symbol, listed)


def instrument(symbol: str, listed: Mapping[str, Instrument]) -> Instrument:
    """That of an exchange's listing on record, else that of the table, else that of a file."""
    if symbol in listed:
        return listed[symbol]
    try:
        return parse_symbol(symbol)
    except UnknownInstrument:
        return from_csv(symbol)
