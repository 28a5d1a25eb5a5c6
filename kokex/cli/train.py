"""`kokex train`: a model of candles, in a process of its own."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kokex.adapters.host.csv import CandleColumns
from kokex.cli.candles import candle_options, read_all
from kokex.cli.options import JSON
from kokex.cli.output import Mistake, emit_json, show
from kokex.present.tables import Table

if TYPE_CHECKING:
    from kokex.kronos.training.loop import Told
    from kokex.kronos.training.windows import Series


@click.command()
@click.argument("stage", type=click.Choice(["tokenizer", "predictor", "all"]))
@candle_options
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", required=True, help="Where the model goes.")
@click.option("--size", default="nano", show_default=True, metavar="NAME", help="nano, mini, small or base.")
@click.option("--tokenizer", default="", metavar="DIR", help="Fine-tune this tokenizer; `predictor`: use it as it is.")
@click.option("--model", "predictor", default="", metavar="DIR", help="Fine-tune this predictor.")
@click.option(
    "--context", type=click.IntRange(16, 4096), default=240, show_default=True, help="Candles looked back on."
)
@click.option("--horizon", type=click.IntRange(1, 1024), default=24, show_default=True, help="Candles ahead.")
@click.option("--validation", type=click.FloatRange(0.01, 0.5), default=0.1, show_default=True, help="Newest share.")
@click.option("--gap", type=click.IntRange(0), default=24, show_default=True, help="Candles left out before it.")
@click.option("--steps", type=click.IntRange(1), help="Of each stage; else the size's own.")
@click.option("--batch", type=click.IntRange(1), help="Windows a step; else the size's own.")
@click.option("--learning-rate", type=click.FloatRange(1e-8, 1), help="The highest; else the size's own.")
@click.option("--patience", type=click.IntRange(0), default=10, show_default=True, help="0: no early stop.")
@click.option("--seed", type=click.IntRange(0), default=0, help="The same seed and candles give the same model.")
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="Of the CPU.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--half", is_flag=True, help="Write the weights in half precision.")
@JSON
def train(
    stage: str, candles: tuple[Path, ...], more: tuple[Path, ...], db: Path | None, timeframe: str | None,
    instrument: tuple[str, ...], out: Path, horizon: int, validation: float, threads: int, device: str,
    as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Trains a Kronos model: a tokenizer first, then a predictor on its tokens.

    STAGE is tokenizer, predictor or all. From scratch, or from checkpoints (--tokenizer, --model). The same command
    again goes on where a killed one was, with the very same losses. Windows are normalised by their past alone, and
    validated on the newest candles, a gap away. Several processes: torchrun --nproc-per-node 2 -m kokex train ...
    See docs/training.md.

    \b
    Examples
      kokex train all --candles ETH-BTC.csv.gz LTC-BTC.csv.gz --out data/models/mine
      kokex train all --db data/kokex.db --timeframe 1m --out data/models/mine --size mini --threads 4
      kokex train predictor --candles BTC.csv --tokenizer TOKENIZER --model MODEL --out data/models/tuned
    """
    if find_spec("torch") is None:
        raise Mistake("training needs torch: pip install 'kokex[kronos]', or `make kronos`")
    from kokex.kronos.threads import settle

    settle(threads)
    from kokex.kronos.config import CheckpointError
    from kokex.kronos.training.ranks import joined, reproducible
    from kokex.kronos.training.stages import Asked
    from kokex.kronos.training.stages import train as trained
    from kokex.kronos.training.windows import TrainingError

    reproducible(threads)
    asked = Asked(
        ahead=horizon + 1, share=validation, **{name: value for name, value in options.items() if value is not None}
    )
    columns = read_all((*candles, *more), db, timeframe, instrument)
    try:
        with joined(device) as ranks, told(quiet=not ranks.first) as tell:
            all_series = [columns_to_series(each) for each in columns]
            outcomes = trained(_stages(stage), all_series, asked, out, ranks, tell)
            first = ranks.first
    except (TrainingError, CheckpointError) as error:
        raise Mistake(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{out}: cannot be written: {error.strerror or error}") from None
    if as_json and first:
        emit_json({"out": str(out), "stages": outcomes})
    elif first:
        rows = tuple(
            (each.stage, f"{each.parameters:,}", f"{each.steps:,}", f"{each.first_loss:.4f}", f"{each.last_loss:.4f}",
             f"{each.best:.4f}", f"{each.best_step:,}", each.folder)
            for each in outcomes
        )  # fmt: skip
        columns_ = ("stage", "parameters", "steps", "first loss", "last loss", "validation", "at step", "folder")
        show(Table("Trained", columns_, rows))
        for each in outcomes:
            if each.before is not None and each.best >= each.before:
                numbers = f"validation {each.best:.4f}, before {each.before:.4f}"
                click.echo(f"{each.stage}: no better than the model it began with ({numbers})")


def _stages(stage: str) -> Any:
    return ["tokenizer", "predictor"] if stage == "all" else [stage]


def columns_to_series(columns: CandleColumns) -> "Series":
    """As training takes them. Raises TrainingError."""
    from kokex.kronos.training.windows import series

    prices = (columns.open, columns.high, columns.low, columns.close)
    return series(columns.instrument, columns.open_ns, prices, columns.volume)


@contextmanager
def told(*, quiet: bool = False) -> Generator[Callable[["Told"], None]]:
    """A bar with the loss and the time left on a terminal; else a line on stderr for each judgement."""
    if quiet:
        yield lambda _: None
        return
    if not sys.stderr.isatty():
        yield _line
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[words]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}

        def draw(now: "Told") -> None:
            if now.stage not in tasks:
                tasks[now.stage] = bar.add_task(now.stage, total=now.steps, completed=now.step - 1, words="")
            bar.update(tasks[now.stage], completed=now.step, words=_words(now))

        yield draw


_judged: dict[str, float | None] = {}


def _line(now: "Told") -> None:
    if now.validation is not None and _judged.get(now.stage) != now.validation:
        _judged[now.stage] = now.validation
        click.echo(f"{now.stage} {now.step:,}/{now.steps:,} {_words(now)}", err=True)


def _words(now: "Told") -> str:
    judged = f", validation {now.validation:.4f}, best {now.best:.4f}" if now.validation is not None else ""
    return f"loss {now.loss:.4f}{judged}"
