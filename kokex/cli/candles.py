"""Candles for research: from files, or from the database beside a running daemon."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from kokex.adapters.host.csv import CandleColumns, CsvError, read_candles
from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.reader import Reader
from kokex.cli.options import RECORD
from kokex.cli.output import Mistake, progress
from kokex.market import timeframes
from kokex.ports import StoreError

F = TypeVar("F", bound=Callable[..., Any])

FOREVER_NS = 2**63 - 1


def candle_options(function: F) -> F:
    """`--candles F...`, or `--db F --timeframe T [--instrument NAME ...]`; `more` takes files after the first."""
    for option in (
        click.option(
            "--candles", type=click.Path(path_type=Path), metavar="FILE...", multiple=True,
            help="Candles as CSV, plain or .gz; a file's name is the instrument.",
        ),
        click.argument("more", type=click.Path(path_type=Path), metavar="", nargs=-1),
        click.option("--db", type=RECORD, metavar="FILE", help="Or those on record in a database."),
        click.option("--timeframe", type=click.Choice(list(timeframes.SPANS)), help="With --db: which of them."),
        click.option("--instrument", metavar="NAME", multiple=True, help="With --db: only these."),
    ):  # fmt: skip
        function = option(function)
    return function


def read_all(
    files: Sequence[Path], db: Path | None, timeframe: str | None, instruments: Sequence[str]
) -> list[CandleColumns]:
    """What was asked for; every series has one candle at least. Raises Mistake."""
    if bool(files) == (db is not None):
        raise Mistake("name candles: either files (--candles F...), or a database (--db F)")
    if db is None:
        if timeframe or instruments:
            raise Mistake("--timeframe and --instrument choose from a database; with --candles leave them out")
        return [read_file(path) for path in files]
    try:
        with Reader(db) as reader:
            return _recorded(reader, db, timeframe, instruments)
    except StoreError as error:
        raise click.ClickException(str(error)) from None


def read_file(path: Path) -> CandleColumns:
    """One file of candles. Raises Mistake."""
    try:
        with progress(f"reading {path.name}") as tell:
            return read_candles(path, tell)
    except CsvError as error:
        raise Mistake(f"{error}; `kokex data check` lists all that is wrong") from None


def _recorded(reader: Reader, db: Path, timeframe: str | None, instruments: Sequence[str]) -> list[CandleColumns]:
    held = reader.ask(queries.holdings())
    spans = sorted({each.span_ns for each in held})
    if timeframe is None and len(spans) > 1:
        raise Mistake(f"{db}: holds candles of several spans; choose one with --timeframe")
    wanted_ns = timeframes.parse(timeframe) if timeframe else next(iter(spans), 0)
    there = [each.instrument for each in held if each.span_ns == wanted_ns]
    if not there:
        raise Mistake(f"{db}: it holds no candles of {timeframe}" if timeframe else f"{db}: it holds no candles")
    if unknown := [name for name in instruments if name not in there]:
        raise Mistake(f"{db}: no candles of {unknown[0]}; there are {', '.join(there)}")
    return [_columns(reader, name, wanted_ns) for name in instruments or there]


def _columns(reader: Reader, instrument: str, span_ns: int) -> CandleColumns:
    candles = reader.ask(queries.candles_between(instrument, span_ns, 0, FOREVER_NS))
    return CandleColumns(
        instrument,
        span_ns,
        [each.open_ns for each in candles],
        [each.open for each in candles],
        [each.high for each in candles],
        [each.low for each in candles],
        [each.close for each in candles],
        [each.volume for each in candles],
    )
