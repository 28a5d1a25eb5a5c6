"""`kokex evaluate`: how good what KOKEX says has been, against what came."""

from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kokex.adapters.host.csv import CandleColumns
from kokex.cli.candles import FOREVER_NS, candle_options, read_all
from kokex.cli.options import JSON
from kokex.cli.output import Mistake, emit_json, progress, show
from kokex.cli.values import Moment
from kokex.present.tables import Table

if TYPE_CHECKING:
    from kokex.research.forecasting.evaluation import Evaluation, ModelScore, Series
    from kokex.research.forecasting.models import Forecaster


@click.group()
def evaluate() -> None:
    """How good forecasts were, against what came."""


@evaluate.command()
@candle_options
@click.option("--lookback", type=click.IntRange(30, 100_000), default=240, show_default=True, help="Candles seen.")
@click.option("--horizon", type=click.IntRange(1, 1_000), default=24, show_default=True, help="Candles ahead.")
@click.option("--stride", type=click.IntRange(1), help="Candles between forecasts; else the horizon: no overlap.")
@click.option("--samples", type=click.IntRange(20, 10_000), default=200, show_default=True, help="Paths each.")
@click.option("--from", "from_ns", type=Moment(), default="1970-01-01", help="Only candles from here on are scored.")
@click.option("--to", "to_ns", type=Moment(), default=FOREVER_NS, help="Only candles before it are scored.")
@click.option("--model", metavar="NAME", multiple=True, help="A Kronos model too: its name, or a folder.")
@click.option("--skip", metavar="NAME", multiple=True, help="Leave a statistical model out.")
@click.option("--seed", type=click.IntRange(0), default=0, help="The same seed gives the same scores.")
@JSON
def forecast(
    candles: tuple[Path, ...], more: tuple[Path, ...], db: Path | None, timeframe: str | None,
    instrument: tuple[str, ...], lookback: int, horizon: int, stride: int | None, samples: int, from_ns: int,
    to_ns: int, model: tuple[str, ...], skip: tuple[str, ...], seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Forecasts over the past, from one candle after another, scored on what came.

    Models: baseline (the daemon's: random walk, EWMA volatility, Student-t tails), bootstrap (of past returns),
    historical (random walk, rolling volatility), garch-t (GARCH(1,1), where the arch library is installed), and any
    Kronos model.
    CRPS and pinball loss: lower is better. A band is good when it holds as often as it claims. See
    docs/forecast-evaluation.md.

    \b
    Examples
      kokex evaluate forecast --candles ETH-BTC-5m.csv.gz LTC-BTC-5m.csv.gz
      kokex evaluate forecast --candles ETH-BTC-5m.csv.gz --model nano --from 2018-01-20
      kokex evaluate forecast --db data/kokex.db --timeframe 1m --horizon 60 --json
    """
    if find_spec("numpy") is None:
        raise Mistake("evaluation needs numpy: `make research`, or pip install 'kokex[research]'")
    from kokex.research.forecasting.evaluation import Asked, Incomparable
    from kokex.research.forecasting.evaluation import evaluate as scored

    models, absent = _models(skip)
    models += _kronos(model, horizon)
    series = [_series(each, from_ns, to_ns) for each in read_all((*candles, *more), db, timeframe, instrument)]
    asked = Asked(lookback=lookback, horizon=horizon, stride=stride or horizon, samples=samples, seed=seed)
    try:
        with progress("forecasting") as tell:
            found = scored(series, models, asked, tell)
    except Incomparable as error:
        raise Mistake(str(error)) from None
    if as_json:
        emit_json({"absent": absent, "evaluation": found})
        return
    show(_table(found), _by_step(found))
    click.echo(found.verdict)
    for name in found.left_out:
        click.echo(f"{name} is left out: {found.reference} has no loss on it, and there is no ratio to nothing")
    for name, why in absent.items():
        click.echo(f"{name} is not compared: {why}")


def _models(skip: Sequence[str]) -> tuple[list["Forecaster"], dict[str, str]]:
    """Those to compare, and why others are absent."""
    from kokex.research.forecasting.models import Baseline, Bootstrap, Garch, Historical

    kinds = {kind.name: kind for kind in (Baseline, Bootstrap, Historical, Garch)}
    if unknown := [name for name in skip if name not in kinds]:
        raise Mistake(f"--skip {unknown[0]}: there are {', '.join(kinds)}")
    if Baseline.name in skip:
        raise Mistake(f"--skip {Baseline.name}: the others are compared with it")
    absent: dict[str, str] = {}
    if find_spec("arch") is None and Garch.name not in skip:
        absent[Garch.name] = "it needs the arch library (pip install 'arch>=8,<9')"
    return [kind() for name, kind in kinds.items() if name not in skip and name not in absent], absent


def _kronos(folders: Sequence[str], horizon: int) -> list["Forecaster"]:
    """Raises Mistake."""
    if not folders:
        return []
    folder, times = Counter(folders).most_common(1)[0]
    if times > 1:
        raise Mistake(f"--model {folder} is given {times} times; once is enough")
    if find_spec("torch") is None:
        raise Mistake("--model: Kronos needs torch: pip install 'kokex[kronos]', or `make kronos`")
    from kokex.kronos.threads import settle

    settle()
    from kokex.cli.kronos import KronosPaths

    names = [Path(folder).name for folder in folders]
    return [
        KronosPaths(f"kronos {name if names.count(name) == 1 else folder}", folder, horizon)
        for name, folder in zip(names, folders, strict=True)
    ]


def _series(columns: CandleColumns, from_ns: int, to_ns: int) -> "Series":
    from kokex.research.forecasting.evaluation import Series
    from kokex.research.forecasting.models import Past

    past = Past(columns.open_ns, columns.open, columns.high, columns.low, columns.close, columns.volume)
    return Series(name=columns.instrument, candles=past, from_ns=from_ns, to_ns=to_ns)


def _table(found: "Evaluation") -> Table:
    asked = found.asked
    title = f"{found.origins:,} forecasts of {asked.horizon} steps from {asked.lookback} candles, best first"
    columns = (
        "model", "CRPS bp", "ratio", "p (Holm)", "against the reference", "pinball bp", "in 50%", "in 80%", "in 95%",
        "MAE bp", "direction", "95% interval",
    )  # fmt: skip
    return Table(title, columns, tuple(_row(score) for score in found.models))


def _row(score: "ModelScore") -> tuple[str, ...]:
    towards = score.direction
    return (
        score.model,
        f"{score.crps_bp:.2f}",
        f"{score.crps_ratio:.4f}",
        "" if score.p_holm is None else f"{score.p_holm:.4f}",
        score.verdict,
        f"{score.pinball_bp:.2f}",
        *(f"{100 * share:.1f}" for share in score.coverage.values()),
        f"{score.mae_bp:.2f}",
        "no opinion" if towards.accuracy is None else f"{100 * towards.accuracy:.1f}% of {towards.calls:,}",
        "" if towards.accuracy is None else f"{100 * towards.low:.1f}..{100 * towards.high:.1f}",
    )


def _by_step(found: "Evaluation") -> Table:
    steps = [step.step for step in found.models[0].steps]
    rows = tuple(
        (score.model, *(cell for step in score.steps for cell in (f"{step.crps_bp:.2f}", _ratio(step.crps_ratio))))
        for score in found.models
    )
    return Table("CRPS by step", ("model", *(c for s in steps for c in (f"step {s}, bp", "ratio"))), rows)


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.4f}"
