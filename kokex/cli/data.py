"""`kokex data`: candles in and out of the database, and what is wrong with a file of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from msgspec.structs import asdict

from kokex import __version__
from kokex.adapters.host.clock import TradingClock
from kokex.adapters.host.csv import CsvError, Progress, write_candles
from kokex.adapters.host.csv_check import Findings, Flaw, examine
from kokex.adapters.host.ids import SecretIds
from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.direct import open_direct
from kokex.adapters.sqlite.queries import Holding
from kokex.adapters.sqlite.reader import Reader
from kokex.cli.candles import read_file
from kokex.cli.fetching import fetch
from kokex.cli.options import CONFIG, DATABASE, JSON, NEW_DATABASE, SYMBOL, configured, database
from kokex.cli.output import Mistake, emit_json, progress, show
from kokex.market import timeframes
from kokex.market.candles import fill as filled
from kokex.messages import Candle
from kokex.ports import CandleRow, StoreError
from kokex.present.tables import Table
from kokex.present.words import age, clock

BATCH = 20_000  # rows between two writes
MOST_LINES = 20  # of each kind of flaw that people are shown; --json has all

FILES = click.argument("files", type=click.Path(path_type=Path), metavar="FILE...", nargs=-1, required=True)


@click.group()
def data() -> None:
    """Candles in and out, gaps found and filled.

    A candle file has the header timestamp_ms,open,high,low,close,volume[,amount] (or timestamp, in ISO 8601), UTC,
    oldest first, plain or .gz; its name without .csv or .csv.gz is the instrument.
    """


@data.command("import")
@FILES
@NEW_DATABASE
@CONFIG
def import_(files: tuple[Path, ...], db: Path | None, config_file: Path | None) -> None:
    """Files of candles into the database.

    All files are read and checked before the first row is written. The same candles again change nothing, corrected
    ones replace those on record.

    \b
    Example
      kokex data import BTC-USDT.csv.gz --db data/kokex.db
    """
    path = database(configured(config_file, db))
    columns = [read_file(file) for file in files]
    try:
        store = open_direct(
            path, now_ns=TradingClock().now(), mode="import", version=__version__, config_json="{}",
            tag_factory=SecretIds().tag, synchronous="FULL", batch=BATCH,
        )  # fmt: skip
        try:
            for each in columns:
                with progress(f"writing {each.instrument}") as tell:
                    for number, candle in enumerate(each.candles()):
                        store.append(CandleRow(span_ns=each.span_ns, candle=candle))
                        if number % BATCH == 0:
                            tell(number / len(each))
                    store.flush()
        finally:
            store.close()
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    for each in columns:
        click.echo(f"{each.instrument}: {len(each):,} candles of {_span(each.span_ns)} in {path}")


@data.command()
@click.argument("instrument", type=SYMBOL)
@click.option("--timeframe", type=click.Choice(list(timeframes.SPANS)), help="Where there is more than one on record.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", required=True, help=".csv or .csv.gz")
@DATABASE
@CONFIG
def export(instrument: str, timeframe: str | None, out: Path, db: Path | None, config_file: Path | None) -> None:
    """Candles of the database into a file, beside a running daemon too.

    \b
    Example
      kokex data export BTC-USDT-SWAP --timeframe 1s --out BTC-USDT-SWAP.csv.gz
    """
    path = database(configured(config_file, db))
    _check_out(out)
    try:
        with Reader(path) as reader:
            holding = _chosen(reader.ask(queries.holdings()), instrument, timeframe, path)
            candles = reader.ask(queries.candles_between(instrument, holding.span_ns, 0, 2**63 - 1))
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    with progress(f"writing {out}") as tell:
        written = _write(out, _told(candles, tell))
    click.echo(f"{out}: {written:,} candles, {clock(holding.first_ns)} to {clock(holding.last_ns)}")


def _chosen(holdings: list[Holding], instrument: str, timeframe: str | None, path: Path) -> Holding:
    of_it = {_span(each.span_ns): each for each in holdings if each.instrument == instrument}
    if not of_it:
        there = ", ".join(dict.fromkeys(each.instrument for each in holdings))
        raise Mistake(f"{path}: no candles of {instrument}; {f'there are {there}' if there else 'it holds none'}")
    if timeframe is None and len(of_it) == 1:
        return next(iter(of_it.values()))
    if timeframe not in of_it:
        wrong = "choose one with --timeframe" if timeframe is None else f"none of {timeframe}"
        raise Mistake(f"{path}: {wrong}; there are {', '.join(of_it)} candles of {instrument}")
    return of_it[timeframe]


@data.command()
@FILES
@JSON
@click.pass_context
def check(context: click.Context, files: tuple[Path, ...], as_json: bool) -> None:
    """Everything wrong with files of candles: gaps, repetitions, disorder, impossible rows, each with its line.

    Ends with 1 when something is wrong.
    """
    found: list[Findings] = []
    for file in files:
        try:
            with progress(f"checking {file.name}") as tell:
                found.append(examine(file, tell))
        except CsvError as error:
            raise Mistake(str(error)) from None
    if as_json:
        files_found = [asdict(each) | {"clean": each.clean} for each in found]
        emit_json({"clean": all(each.clean for each in found), "files": files_found})
    else:
        for each in found:
            _tell(each)
    if not all(each.clean for each in found):
        context.exit(1)


def _tell(found: Findings) -> None:
    span = f" of {_span(round(found.span_s * 1e9))}" if found.span_s else ""
    between = f", {found.first} to {found.last}" if found.first else ""
    click.echo(f"{found.file}: {found.rows:,} rows{span}{between}: {_verdict(found)}")
    if found.gaps:
        rows = tuple((gap.first_missing, f"{gap.missing:,}") for gap in found.gaps)
        show(Table("Gaps", ("first missing", "missing"), rows))
    for title, flaws in (
        ("There twice", found.duplicates),
        ("Out of order", found.out_of_order),
        ("Impossible", found.impossible),
    ):
        _tell_flaws(title, flaws)


def _verdict(found: Findings) -> str:
    counts = (
        (f"{found.missing:,} candles missing in {len(found.gaps):,} gaps", found.gaps),
        (f"{len(found.duplicates):,} there twice", found.duplicates),
        (f"{len(found.out_of_order):,} out of order", found.out_of_order),
        (f"{len(found.impossible):,} impossible", found.impossible),
    )
    return ", ".join(words for words, some in counts if some) or "nothing wrong"


def _tell_flaws(title: str, flaws: tuple[Flaw, ...]) -> None:
    if flaws:
        rows = tuple((str(flaw.line), flaw.why, flaw.text) for flaw in flaws[:MOST_LINES])
        show(Table(title, ("line", "what", "the line"), rows))
        if len(flaws) > MOST_LINES:
            click.echo(f"and {len(flaws) - MOST_LINES:,} more; --json lists all")


@data.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", required=True, help=".csv or .csv.gz")
def fill(file: Path, out: Path) -> None:
    """A file without gaps: each missing candle stands at the previous close, with zero volume.

    \b
    Example
      kokex data fill ADA-BTC.csv.gz --out filled/ADA-BTC.csv.gz
    """
    _check_out(out)
    columns = read_file(file)
    try:
        whole = filled(columns.candles(), columns.span_ns)
    except ValueError as error:
        raise Mistake(f"{file}: {error}; `kokex data check` shows the line, put it right first") from None
    with progress(f"writing {out}") as tell:
        _write(out, _told(whole, tell))
    click.echo(f"{out}: {len(whole):,} candles, {len(whole) - len(columns):,} of them filled in")


data.add_command(fetch)


# ---- files ----------------------------------------------------------------------------------


def _check_out(out: Path) -> None:
    if not out.name.endswith((".csv", ".csv.gz")):
        raise Mistake(f"--out {out}: name a file that ends in .csv or .csv.gz")


def _write(out: Path, candles: Iterator[Candle]) -> int:
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        return write_candles(out, candles)
    except OSError as error:
        raise click.ClickException(f"{out}: cannot be written: {error.strerror or error}") from None


def _told(candles: Sequence[Candle], tell: Progress) -> Iterator[Candle]:
    """The candles one by one, telling how far they have come."""
    for number, candle in enumerate(candles):
        if number % BATCH == 0:
            tell(number / len(candles))
        yield candle


def _span(span_ns: int) -> str:
    """`5m`, or `7 min 00 s` for a span without a name."""
    try:
        return timeframes.name_of(span_ns)
    except timeframes.UnknownTimeframe:
        return age(span_ns)
