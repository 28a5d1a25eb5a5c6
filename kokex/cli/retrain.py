"""`kokex retrain`: a challenger is trained on the candles on record, and meets the champion on those it has not seen.

FOLDER/champion/     the model that forecasts: tokenizer/, predictor/
FOLDER/challenger/   the one being trained, with the candles it is trained on
FOLDER/vTIME/        a model that became champion, by the newest candle it knew
"""

import os
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from msgspec import Struct

from kokex.adapters.host.csv import CandleColumns, read_candles, write_candles
from kokex.cli.candles import read_all
from kokex.cli.kronos import KronosPaths
from kokex.cli.options import JSON, RECORD
from kokex.cli.output import Mistake, emit_json, progress
from kokex.cli.train import columns_to_series, told
from kokex.market import timeframes
from kokex.messages import ModelVersion
from kokex.present.words import clock

if TYPE_CHECKING:
    from kokex.research.forecasting.evaluation import Evaluation
    from kokex.research.forecasting.models import Forecaster

HELD_OUT = 0.15  # of the candles, the newest: what the models meet on
SAMPLES = 100
FEWEST = 30  # forecasts; fewer prove nothing


class Challenge(Struct, frozen=True, kw_only=True):
    """What is settled when a challenger begins, so that a killed one goes on with the same."""

    name: str
    held_out_ns: int  # candles from here on are for the meeting
    against: str  # the champion's version, or "baseline"


@click.command()
@click.option("--db", type=RECORD, metavar="FILE", required=True, help="Candles on record.")
@click.option("--timeframe", type=click.Choice(list(timeframes.SPANS)), help="Which of them.")
@click.option("--instrument", metavar="NAME", multiple=True, help="Only these.")
@click.option("--folder", type=click.Path(path_type=Path), default="data/models", show_default=True, metavar="DIR")
@click.option("--size", default="nano", show_default=True, metavar="NAME", help="Where there is no champion yet.")
@click.option(
    "--context", type=click.IntRange(16, 4096), default=240, show_default=True, help="Candles looked back on."
)
@click.option("--horizon", type=click.IntRange(1, 1024), default=24, show_default=True, help="Candles ahead.")
@click.option("--steps", type=click.IntRange(0), default=0, help="Of each stage; 0: the size's own.")
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="Of the CPU.")
@click.option("--niceness", type=click.IntRange(0, 19), default=0, help="19 takes only what nobody else wants.")
@JSON
def retrain(
    db: Path, timeframe: str | None, instrument: tuple[str, ...], folder: Path, size: str, context: int, horizon: int,
    steps: int, threads: int, niceness: int, as_json: bool,
) -> None:  # fmt: skip
    """A model trained anew on the candles on record; the better one is the champion.

    A challenger is trained on all but the newest candles, from the champion where there is one; then both forecast
    the rest. It takes over only where its CRPS is significantly below the champion's (or, without one, the
    baseline's). Killed, the same command goes on. The daemon does this at night: see [training] in config.toml.

    \b
    Example
      kokex retrain --db data/kokex.db --timeframe 1m --folder data/models
    """
    if find_spec("torch") is None:
        raise Mistake("training needs torch: pip install 'kokex[kronos]', or `make kronos`")
    from kokex.kronos.threads import settle

    settle(threads)
    os.nice(niceness)
    bench = folder / "challenger"
    if not (bench / "challenge.json").exists():
        _begin(bench, read_all((), db, timeframe, instrument), _champion(folder))
    challenge = msgspec.json.decode((bench / "challenge.json").read_bytes(), type=Challenge)
    candles = [read_candles(file) for file in sorted((bench / "candles").iterdir())]
    _train(bench, candles, challenge, folder, size, context, horizon, steps, threads)
    found = _meet(bench, candles, challenge, folder, context, horizon)
    version = _settle(folder, bench, challenge, found)
    if as_json:
        emit_json(version)
    else:
        click.echo(f"{version.name} is {'' if version.champion else 'not '}the champion: {version.verdict}")


def _champion(folder: Path) -> str:
    """The version that forecasts, "" when there is none."""
    link = folder / "champion"
    return link.resolve().name if (link / "predictor/config.json").exists() else ""


def _begin(bench: Path, columns: Sequence[CandleColumns], champion: str) -> None:
    """Settles what this challenger is about. The candles are copied: on record they grow, and are pruned."""
    shutil.rmtree(bench, ignore_errors=True)
    (bench / "candles").mkdir(parents=True)
    for each in columns:
        write_candles(bench / "candles" / f"{each.instrument}.csv.gz", each.candles())
    times = sorted(at for each in columns for at in each.open_ns)
    name = "v" + clock(times[-1]).replace("-", "").replace(":", "").replace(" ", "T")
    cut_ns = times[int((1 - HELD_OUT) * len(times))]
    settled = bench / "challenge.json.partial"
    settled.write_bytes(msgspec.json.encode(Challenge(name=name, held_out_ns=cut_ns, against=champion or "baseline")))
    settled.replace(bench / "challenge.json")


def _train(
    bench: Path, candles: Sequence[CandleColumns], challenge: Challenge, folder: Path, size: str, context: int,
    horizon: int, steps: int, threads: int,
) -> None:  # fmt: skip
    from kokex.kronos.config import CheckpointError
    from kokex.kronos.training.ranks import Ranks, reproducible
    from kokex.kronos.training.stages import Asked, train
    from kokex.kronos.training.windows import TrainingError

    reproducible(threads)
    begin = folder / challenge.against
    known = challenge.against != "baseline"
    asked = Asked(
        size=size, context=context, ahead=horizon + 1, gap=horizon, steps=steps, seed=1,
        tokenizer=str(begin / "tokenizer") if known else "", predictor=str(begin / "predictor") if known else "",
    )  # fmt: skip
    seen = [columns_to_series(each.between(0, challenge.held_out_ns)) for each in candles]
    try:
        with told() as tell:
            train(("tokenizer", "predictor"), [each for each in seen if len(each)], asked, bench, Ranks(), tell)
    except (TrainingError, CheckpointError) as error:
        shutil.rmtree(bench, ignore_errors=True)  # the next one begins with the candles of its time
        raise Mistake(str(error)) from None


def _meet(
    bench: Path, candles: Sequence[CandleColumns], challenge: Challenge, folder: Path, context: int, horizon: int
) -> "Evaluation":
    """All forecast the candles that training did not see; the first is the one to beat."""
    from kokex.research.forecasting.evaluation import Asked, Incomparable, Series, evaluate
    from kokex.research.forecasting.models import Baseline, Past

    rivals: list[Forecaster] = [KronosPaths("challenger", bench, horizon), Baseline()]
    if challenge.against == "baseline":
        rivals.reverse()
    else:
        rivals.insert(0, KronosPaths(challenge.against, folder / challenge.against, horizon))
    series = [
        Series(
            name=each.instrument,
            candles=Past(each.open_ns, each.open, each.high, each.low, each.close, each.volume),
            from_ns=challenge.held_out_ns + horizon * each.span_ns,
        )
        for each in candles
    ]
    asked = Asked(lookback=context, horizon=horizon, stride=horizon, samples=SAMPLES, seed=1)
    try:
        with progress("meeting the champion") as tell:
            found = evaluate(series, rivals, asked, tell)
    except Incomparable as error:
        shutil.rmtree(bench, ignore_errors=True)  # on the same candles it would never be otherwise
        raise Mistake(str(error)) from None
    return found


def _settle(folder: Path, bench: Path, challenge: Challenge, found: "Evaluation") -> ModelVersion:
    """The better one is the champion; what lost is not kept."""
    score = next(each for each in found.models if each.model == "challenger")
    baseline = next(each for each in found.models if each.model == "baseline")
    won = score.verdict == "better" and found.origins >= FEWEST
    how = f"CRPS {score.crps_ratio:.3f} of {challenge.against}'s over {found.origins:,} forecasts, p {score.p_holm:.3f}"
    home = folder / challenge.name
    if won:
        shutil.rmtree(bench / "candles")
        for rest in bench.glob("*.progress"):
            rest.unlink()
        shutil.rmtree(home, ignore_errors=True)
        bench.rename(home)
        link = folder / "champion.partial"
        link.unlink(missing_ok=True)
        link.symlink_to(home.name)
        link.replace(folder / "champion")
    else:
        shutil.rmtree(bench)
    metrics = {
        "crps_ratio": score.crps_ratio, "p": score.p_holm or 0.0, "crps_bp": score.crps_bp,
        "baseline_crps_bp": baseline.crps_bp, "coverage_80": score.coverage["80"], "forecasts": float(found.origins),
    }  # fmt: skip
    return ModelVersion(
        name=challenge.name, folder=str(home) if won else "", champion=won, against=challenge.against, verdict=how,
        metrics=metrics,
    )  # fmt: skip
