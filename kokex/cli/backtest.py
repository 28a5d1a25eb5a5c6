"""`kokex backtest`: files of candles through the daemon's own graph, and what came of it."""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from importlib.util import find_spec
from operator import sub
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import click
import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from kokex import __version__
from kokex.adapters.drawing.draw import DrawingError, draw
from kokex.adapters.host.csv import CandleColumns, CsvError
from kokex.adapters.host.prompts import read_wording
from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.direct import DirectStore, open_direct
from kokex.adapters.sqlite.reader import Reader
from kokex.brain.models import about_its_past
from kokex.brain.wording import BadWording
from kokex.cli.options import CONFIG, JSON, configured
from kokex.cli.output import Mistake, progress, show
from kokex.cli.values import Amount, Moment, Setting
from kokex.config import Account, Brain, Config, Plan
from kokex.market.instruments import from_csv, is_tradable
from kokex.market.orders import base36
from kokex.messages import Fill, Funding
from kokex.paper.matching import Rules
from kokex.ports import StoreError
from kokex.present.tables import report
from kokex.present.words import clock
from kokex.research import metrics
from kokex.research.equity import Closes, Curve, equity_curve
from kokex.simulation.backtest import BATCH, Outcome, Setup, load, run, signals_only
from kokex.simulation.recorded import RECORDED_ONLY, RecordingError, Recordings, for_nothing, read
from strategies.spec import build

ACCOUNT = PLAN = "main"
FOREVER_NS = 2**63 - 1


class Asked(Struct, frozen=True, kw_only=True):
    """The command line, but for where the answers go."""

    candles: tuple[Path, ...]
    brain: Literal["rules", "recorded"]
    recordings: tuple[Path, ...]
    plan: str  # whose recordings; empty: there is but one
    strategy: str  # of rules
    parameters: dict[str, float]
    size: Decimal | None
    fee: Decimal | None
    cash: Decimal | None
    kind: Literal["spot", "swap"]
    from_ns: int
    to_ns: int
    slippage_bp: Decimal | None
    volume_share: Decimal | None
    seed: int


@click.command()
@click.option(
    "--candles",
    type=click.Path(path_type=Path),
    metavar="FILE...",
    multiple=True,
    required=True,
    help="Candles as CSV, plain or .gz; a file's name is the instrument. Several: several instruments.",
)
@click.argument("more", type=click.Path(path_type=Path), metavar="", nargs=-1)
@click.option("--strategy", metavar="NAME", default="", help="A file of strategies/.")
@click.option("--param", type=Setting(), metavar="K=V", multiple=True, help="A parameter of it: fast=10.")
@click.option(
    "--brain",
    type=click.Choice(["rules", "recorded", "llm"]),
    default="rules",
    show_default=True,
    help="Who decides: the strategy, or what a language model said at that time; none is asked about the past.",
)
@click.option(
    "--recordings",
    type=click.Path(path_type=Path),
    metavar="DB",
    multiple=True,
    help="With --brain recorded: a database of `kokex run`, or its folder. Several: all of them.",
)
@click.option("--plan", metavar="NAME", default="", help="Whose recordings, where several plans made some.")
@click.option("--size", type=Amount(above="0"), help="Of each entry, in base currency: no sizing, no stops.")
@click.option("--fee", type=Amount(least="-0.01", most="0.05"), help="Maker and taker, a fraction: 0.001 is 0.1 %.")
@click.option("--cash", type=Amount(above="0"), help="At the start, in quote currency.")
@click.option("--spot", "kind", flag_value="spot", default="spot", help="Long only, paid in cash; this is the default.")
@click.option("--swap", "kind", flag_value="swap", help="Short too, on margin.")
@click.option("--from", "from_ns", type=Moment(), default="1970-01-01", help="Only candles opening at or after it.")
@click.option("--to", "to_ns", type=Moment(), default=FOREVER_NS, help="Only candles opening before it.")
@click.option("--slippage-bp", type=Amount(least="0", most="1000"), help="Paid beyond the price by a market order.")
@click.option("--volume-share", type=Amount(least="0", most="1"), help="Of a candle's volume one may take; 0: all.")
@click.option("--db", type=click.Path(path_type=Path), metavar="FILE", help="Keep the journal there, for `explain`.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the equity curve: .png or .html.")
@click.option("--seed", type=click.IntRange(0), default=0, help="The same seed and inputs give the same journal.")
@CONFIG
@JSON
def backtest(
    more: tuple[Path, ...], param: tuple[tuple[str, float], ...], db: Path | None, plot: Path | None,
    config_file: Path | None, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """The same graph over files of candles, with a report.

    Decided on the close of a candle, filled no earlier than the open of the next; a stop inside a candle comes before
    its target. Costs and limits not given are those of the configuration.

    \b
    Examples
      kokex backtest --candles BTC-USDT.csv --strategy sma_cross --param fast=10 --param slow=30
      kokex backtest --candles ETH-BTC.csv.gz LTC-BTC.csv.gz --strategy trend --plot equity.html
      kokex backtest --candles BTC-USDT.csv --strategy sma_cross --size 0.02 --fee 0.001 --db bt.db
      kokex backtest --candles BTC-USDT-SWAP.csv --swap --brain recorded --recordings data/kokex.db
    """
    config = configured(config_file, None)
    if options["brain"] == "llm":
        raise Mistake(about_its_past(config.llm.model))
    options["candles"] += more
    options["parameters"] = config.strategies.get(options["strategy"], {}) | dict(param)
    asked = Asked(**options)
    _check(asked, db, plot)
    setup, load_s = _setup(asked, config)
    if asked.brain == "recorded":
        setup = _recorded(asked, setup)
    with _journal(db, asked, setup) as store:
        with progress("running") as tell:
            outcome = run(setup, store, tell)
        refused, unfilled = store.ask(queries.refusals()), store.ask(queries.unfilled())
    curve, result = _result(setup, outcome)
    played = setup.recordings.counts() if setup.recordings else None
    notes = (*_terms(asked, setup), *_misfortunes(setup, refused, unfilled), *_of_recordings(played))
    result = replace(result, load_s=load_s, wall_s=outcome.wall_s, cpu_s=outcome.cpu_s, notes=notes)
    currency = " or ".join(dict.fromkeys(each.quote for each in setup.instruments))
    values = asdict(result) | {
        "refused": refused,
        "unfilled": unfilled,
        "brain": asked.brain,
        "strategy": asked.strategy,
        "recordings": played,
        "parameters": asked.parameters,
        "instruments": [each.symbol for each in setup.instruments],
        "currency": currency,
        "first": clock(setup.start_ns),
        "last": clock(setup.end_ns),
    }
    if as_json:
        document = msgspec.json.Encoder(decimal_format="number").encode(values)
        click.echo(msgspec.json.format(document, indent=2))
    else:
        show(report(values | {"notes": ()}, currency))
        for note in notes:
            click.echo(f"- {note}")
    if plot is not None:
        named = ", ".join(each.symbol for each in setup.instruments)
        _draw(curve, plot, f"{asked.strategy or 'recorded answers'} on {named}", currency)


# ---- before ---------------------------------------------------------------------------------


def _check(asked: Asked, db: Path | None, plot: Path | None) -> None:
    """All that can be known to be wrong before the candles are read. Raises Mistake."""
    _check_who_decides(asked)
    if asked.size is not None and not is_tradable(lot := from_csv("", asked.kind), asked.size):
        raise Mistake(f"--size {asked.size} must be a multiple of the lot, {lot.lot:f}")
    if asked.from_ns >= asked.to_ns:
        raise Mistake(f"--from {clock(asked.from_ns)} must be before --to {clock(asked.to_ns)}")
    stems = Counter(path.name.removesuffix(".gz").removesuffix(".csv") for path in asked.candles)
    for stem, count in stems.items():
        if count > 1:
            raise Mistake(f"{count} files are named {stem}; the name is the instrument, so each needs its own")
    if plot is not None:
        if plot.suffix.lower() not in (".png", ".html"):
            raise Mistake(f"--plot {plot}: name a file that ends in .png or .html")
        if plot.suffix.lower() == ".png" and find_spec("matplotlib") is None:
            raise Mistake(
                f"--plot {plot}: a PNG needs matplotlib (`make plot`, or pip install 'kokex[plot]'); a .html does not"
            )
        if not plot.absolute().parent.is_dir():
            raise Mistake(f"--plot {plot}: no such directory as {plot.parent}")
    if db is not None and db.exists():
        _check_replaceable(db)


def _check_who_decides(asked: Asked) -> None:
    if asked.brain == "recorded":
        if asked.strategy:
            raise Mistake(f"--strategy {asked.strategy} has no say where --brain recorded decides; leave one out")
        if not asked.recordings:
            raise Mistake("--brain recorded plays what a model once said: name its record with --recordings DB")
        return
    if asked.recordings or asked.plan:
        raise Mistake("--recordings and --plan belong to --brain recorded")
    if not asked.strategy:
        raise Mistake("--strategy NAME is missing: who is to decide?")
    try:
        build(asked.strategy, asked.parameters)
    except ValueError as error:
        raise Mistake(str(error)) from None


def _check_replaceable(db: Path) -> None:
    """A journal may be replaced by a newer one of a backtest; nothing else may."""
    try:
        with Reader(db) as reader:
            modes = {session.mode for session in reader.ask(queries.sessions())}
    except StoreError:
        modes = {"something else"}
    if modes != {"backtest"}:
        raise Mistake(f"--db {db}: this is not the journal of a backtest, so it is not replaced; name another file")


def _setup(asked: Asked, config: Config) -> tuple[Setup, float]:
    """What is to be run, and how long its candles took to load. Raises Mistake."""
    try:
        with progress("loading") as tell:
            loaded, load_s = load(asked.candles, tell)
    except CsvError as error:
        raise Mistake(str(error)) from None
    span_ns = loaded[0].span_ns
    candles: list[CandleColumns] = []
    for path, whole in zip(asked.candles, loaded, strict=True):
        _check_spacing(path, whole, span_ns, asked.candles[0])
        cut = whole.between(asked.from_ns, asked.to_ns)
        if not len(cut):
            held = f"it holds {clock(whole.open_ns[0])} to {clock(whole.open_ns[-1])}"
            raise Mistake(f"{path}: no candle between --from and --to; {held}")
        candles.append(cut)
    instruments = tuple(from_csv(each.instrument, asked.kind) for each in candles)
    plan = Plan(
        name=PLAN, account=ACCOUNT, enabled=True,
        instruments=tuple(each.symbol for each in instruments),
        timeframe_ns=span_ns,
        mode=config.mode,
        brain=Brain(strategies=(asked.strategy,) if asked.strategy else (), min_conviction=config.brain.min_conviction),
        forecast=config.forecast,
        risk=config.risk,
        parameters={asked.strategy: asked.parameters} if asked.strategy else {},
    )  # fmt: skip
    cash = config.paper.cash if asked.cash is None else asked.cash
    account = Account(name=ACCOUNT, cash=cash, kind="cash" if asked.kind == "spot" else "margin")
    return Setup(
        config, (signals_only(plan),), (account,), instruments, tuple(candles), _rules(asked, config),
        fixed_size=asked.size, watch=asked.size is None, seed=asked.seed,
    ), load_s  # fmt: skip


def _recorded(asked: Asked, setup: Setup) -> Setup:
    """The same, decided by what a model said when those candles were new. Raises Mistake."""
    config = replace(setup.config, llm=for_nothing(setup.config.llm))
    try:
        wording = read_wording(config.llm.prompts)
        made = read(asked.recordings, asked.plan, wording.version)
    except (BadWording, RecordingError, StoreError) as error:
        raise Mistake(str(error)) from None
    (plan,) = setup.plans
    brain = Brain(kind="llm", strategies=(), min_conviction=plan.brain.min_conviction)
    plan = replace(plan, brain=brain, mode=RECORDED_ONLY)
    recordings = Recordings(made, plan.instruments, setup.start_ns, setup.end_ns)
    if not recordings.counts()["recordings"]:
        spoken = ", ".join(dict.fromkeys(symbol for each in made for symbol in each.symbols))
        raise Mistake(
            f"the recordings, {clock(made[0].at)} to {clock(made[-1].at)} on {spoken}, and the candles, "
            f"{clock(setup.start_ns)} to {clock(setup.end_ns)} on {', '.join(plan.instruments)}, do not meet"
        )
    return setup._replace(config=config, plans=(plan,), watch=True, recordings=recordings, wording=wording)


def _check_spacing(path: Path, candles: CandleColumns, span_ns: int, first: Path) -> None:
    if len(candles) > 1 and candles.span_ns != span_ns:
        spans = f"{candles.span_ns / 1e9:g} s and not of {span_ns / 1e9:g} s as in {first}"
        raise Mistake(f"{path}: candles of {spans}; one backtest takes one timeframe")
    times = candles.open_ns
    if min(map(sub, times[1:], times), default=span_ns) < span_ns:
        row = next(row for row in range(1, len(times)) if times[row] - times[row - 1] < span_ns)
        wrong = f"line {row + 2}: opens before the candle before it has closed (most are of {span_ns / 1e9:g} s)"
        raise Mistake(f"{path}: {wrong}; `kokex data check` lists all such lines")


def _rules(asked: Asked, config: Config) -> Rules:
    """What trading costs: as asked, else as configured; a fixed size trades at the open and in any amount."""
    paper, fixed = config.paper, asked.size is not None
    slippage_bp = Decimal(0) if fixed else Decimal(str(paper.slippage_bp))
    volume_share = Decimal(0) if fixed else Decimal(str(paper.volume_share))
    return Rules(
        maker_fee=paper.maker_fee if asked.fee is None else asked.fee,
        taker_fee=paper.taker_fee if asked.fee is None else asked.fee,
        slippage_bp=slippage_bp if asked.slippage_bp is None else asked.slippage_bp,
        volume_share=volume_share if asked.volume_share is None else asked.volume_share,
        leverage=Decimal(str(paper.leverage)),
    )


# ---- the journal ----------------------------------------------------------------------------


@contextmanager
def _journal(db: Path | None, asked: Asked, setup: Setup) -> Generator[DirectStore]:
    """In memory, or in a file that is there whole once all has gone well, and otherwise not at all."""
    if db is None:
        with _opened(":memory:", asked, setup) as store:
            yield store
        return
    try:
        db.absolute().parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".kokex-", dir=db.absolute().parent) as workshop:
            made = Path(workshop) / "journal.db"
            with _opened(made, asked, setup) as store:
                yield store
            for left_by_readers in ("-wal", "-shm"):
                db.with_name(db.name + left_by_readers).unlink(missing_ok=True)
            made.replace(db)
    except OSError as error:
        raise click.ClickException(f"--db {db}: cannot be written: {error.strerror or error}") from None


@contextmanager
def _opened(path: Path | str, asked: Asked, setup: Setup) -> Generator[DirectStore]:
    command = asdict(asked) | {"candles": [path.name for path in asked.candles]}
    command["recordings"] = [path.name for path in asked.recordings]
    config_json = msgspec.json.encode(asdict(setup.config) | {"backtest": command}).decode()
    try:
        store = open_direct(
            path,
            now_ns=setup.start_ns,
            mode="backtest",
            version=__version__,
            config_json=config_json,
            tag_factory=lambda: base36(asked.seed).rjust(6, "0")[-6:],
            batch=BATCH,
        )
        try:
            yield store
        finally:
            store.close()
    except StoreError as error:
        raise click.ClickException(str(error)) from None


# ---- after ----------------------------------------------------------------------------------


def _result(setup: Setup, outcome: Outcome) -> tuple[Curve, metrics.Report]:
    bookings = outcome.bookings[ACCOUNT]
    fills = [each for each in bookings if isinstance(each, Fill)]
    fundings = [each for each in bookings if isinstance(each, Funding)]
    instruments = {each.symbol: each for each in setup.instruments}
    series = {each.instrument: Closes(each.open_ns, each.close, each.span_ns) for each in setup.candles}
    curve = equity_curve(setup.accounts[0].cash, fills, fundings, series, instruments)
    return curve, metrics.report(curve, fills, fundings, instruments)


def _terms(asked: Asked, setup: Setup) -> Iterator[str]:
    """On what terms it traded."""
    rules, risk = setup.rules, setup.config.risk
    yield "decided on the close of a candle, filled at the open of the next at the earliest"
    if asked.size is not None:
        yield f"every entry is of {asked.size:f}: sizing, stops and protections are off; limits stay"
    else:
        yield f"sized by risk: {risk.risk_per_trade_pct:g} % of the equity is lost at the protective stop"
        if setup.recordings is None:
            yield "edges of indicators wake the brain too, so that it may enter again after a stop"
    slippage = f"{rules.slippage_bp.normalize():f} bp" if rules.slippage_bp else "off"
    share = f"at most {100 * rules.volume_share:.4g} % of a candle's" if rules.volume_share else "unbounded"
    fees = f"maker {rules.maker_fee.normalize():f}, taker {rules.taker_fee.normalize():f} of the turnover"
    yield f"fees {fees}; slippage {slippage}; volume {share}"
    if asked.kind == "swap":
        yield "candle files hold no funding rates: no funding is paid"


def _of_recordings(played: Mapping[str, int] | None) -> Iterator[str]:
    """How much of the record was played, and what it is worth."""
    if played is None:
        return
    yield (
        f"decided by what a model said: {played['played']:,} of {_counted(played['recordings'], 'recording')} played, "
        f"{played['word_for_word']:,} to the very same question"
    )
    if played["unanswered"]:
        yield f"{_counted(played['unanswered'], 'question')} that no recording fits: held"
    if played["about_the_past"]:
        yield (
            f"{_counted(played['about_the_past'], 'recording')} on candles that were a day or more old when the model "
            "was asked: it may have remembered how they went on"
        )


def _misfortunes(setup: Setup, refused: Mapping[str, int], unfilled: Mapping[str, int]) -> Iterator[str]:
    """What a reader would otherwise have to guess."""
    if refused:
        rules = ", ".join(f"{count:,} by {rule}" for rule, count in refused.items())
        yield f"risk refused {_counted(sum(refused.values()), 'decision')}: {rules}"
    for how, count in unfilled.items():
        yield f"{_counted(count, 'order')} not filled whole: {how}"
    for each in setup.candles:
        missing = (each.open_ns[-1] - each.open_ns[0]) // each.span_ns + 1 - len(each)
        if missing:
            yield f"{each.instrument}: {_counted(missing, 'candle')} missing; `kokex data check` lists the gaps"
    quotes = dict.fromkeys(each.quote for each in setup.instruments)
    if len(quotes) > 1:
        yield f"amounts in {' and '.join(quotes)} are added as if they were one currency"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _draw(curve: Curve, plot: Path, title: str, currency: str) -> None:
    try:
        draw(curve.points(), plot, title, currency)
    except DrawingError as error:
        raise click.ClickException(str(error)) from None
