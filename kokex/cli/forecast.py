"""`kokex forecast`: what may come, from a file of candles, by Kronos or by the baseline."""

import math
import os
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import click

from kokex.adapters.drawing.draw import DrawingError, draw_fan
from kokex.adapters.drawing.fan import Fan, FanChart
from kokex.adapters.host.chance import Random
from kokex.adapters.host.csv import CsvError
from kokex.adapters.host.history import NUMBERS, History, read_history, read_times
from kokex.cli.options import JSON
from kokex.cli.output import Mistake, emit_json, progress, show
from kokex.kronos.config import CheckpointError
from kokex.kronos.distribution import Distribution, distribution, p_touch
from kokex.kronos.registry import resolve
from kokex.kronos.threads import settle
from kokex.market.calendars import openings_after
from kokex.market.volatility import walks
from kokex.present.tables import Table
from kokex.present.words import clock, pct, price

REMEDY = "Kronos needs torch: pip install 'kokex[kronos]' (`make kronos`), or forecast with --model baseline"
SHOWN_HISTORY = 5  # times the horizon, in the picture
LOOKBACK, FEWEST = 400, 3  # candles
MOST_ROWS = 24  # steps that people are shown


class Made(NamedTuple):
    """By whichever model."""

    paths: list[list[list[float]]]  # [S][n][NUMBERS]
    lookback: int  # candles that were looked at
    tokens: tuple[list[list[int]], list[list[int]]] | None = None  # s1 and s2, [S][n]
    normalised: list[list[list[float]]] | None = None  # [S][n][6]


class Asked(NamedTuple):
    """How Kronos is to draw."""

    samples: int
    temperature: float
    top_k: int
    top_p: float
    exact: bool
    max_context: int | None
    seed: int
    precision: Literal["fp32", "bf16"]


@click.command()
@click.option(
    "--candles",
    type=click.Path(path_type=Path),
    metavar="FILE",
    required=True,
    help="The past, as CSV: timestamp_ms or timestamp, open, high, low, close[, volume[, amount]].",
)
@click.option(
    "--model",
    default="baseline",
    show_default=True,
    metavar="NAME",
    help="baseline, nano, mini, small, base, or a folder of config.json and model.safetensors.",
)
@click.option("--tokenizer", default="", metavar="DIR", help="That of a folder; else the one beside it.")
@click.option(
    "--lookback",
    type=click.IntRange(FEWEST, 1_000_000),
    help=f"Candles seen; else {LOOKBACK}, or as many as there are.",
)
@click.option("--horizon", type=click.IntRange(1, 10_000), default=24, show_default=True, help="Candles ahead.")
@click.option("--samples", type=click.IntRange(1, 100_000), default=30, show_default=True, help="Paths.")
@click.option(
    "--future",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The times to forecast, as CSV with a column timestamp; else as the past has them.",
)
@click.option(
    "--level",
    "levels",
    type=click.FloatRange(0, min_open=True),
    multiple=True,
    metavar="PRICE",
    help="Tell the chance that this price is touched; may be repeated.",
)
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE.png", help="Draw a fan chart over the past.")
@click.option(
    "--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="The same seed, the same paths."
)
@click.option("--temperature", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True)
@click.option("--top-k", type=click.IntRange(0), default=0, show_default=True, help="Above 0 it rules out --top-p.")
@click.option(
    "--top-p",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.9,
    show_default=True,
    help="1 for honest probabilities; 0.9 is what the published models were shown with.",
)
@click.option("--greedy", is_flag=True, help="The likeliest token each time: one path.")
@click.option("--exact", is_flag=True, help="Slide past the context as upstream does, and leave candles as they came.")
@click.option(
    "--max-context",
    type=click.IntRange(4, 100_000),
    metavar="C",
    help="Candles the model can see, horizon included; else what it was trained with.",
)
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="Of torch.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16"]),
    default="fp32",
    show_default=True,
    help="bf16 is faster on processors with AVX-512 BF16 and no AMX; the digits are others.",
)
@JSON
def forecast(
    candles: Path, model: str, tokenizer: str, lookback: int | None, horizon: int, samples: int, future: Path | None,
    levels: tuple[float, ...], plot: Path | None, seed: int, temperature: float, top_k: int, top_p: float,
    greedy: bool, exact: bool, max_context: int | None, threads: int,
    precision: Literal["fp32", "bf16"], as_json: bool,
) -> None:  # fmt: skip
    """What may come: quantiles, chances and a fan chart from sampled paths.

    The baseline needs nothing; Kronos needs torch (`make kronos`), and weights: nano's are here, others come with
    `kokex models pull small`.

    \b
    Examples
      kokex forecast --candles BTC-USDT.csv --horizon 12 --level 61000 --plot fan.png
      kokex forecast --candles BTC-USDT.csv --model small --samples 100 --seed 1 --json
    """
    unreal = [level for level in levels if not math.isfinite(level)]
    if unreal:
        raise Mistake(f"--level {unreal[0]} is no price")
    if plot:
        _drawable(plot)
    history, times = _past(candles, lookback), _times(future, horizon)
    times = times or openings_after(history.known_ns, _spacing(history.known_ns), horizon)
    if times[0] <= history.open_ns[-1]:
        raise Mistake(f"{future}: {clock(times[0])} is not after the last candle, of {clock(history.open_ns[-1])}")
    if model == "baseline":
        if exact or greedy or tokenizer or max_context:
            raise Mistake(
                "--exact, --greedy, --tokenizer and --max-context are for Kronos; the baseline knows none of them"
            )
        made = _baseline(history, horizon, samples, seed)
    else:
        if exact and precision != "fp32":
            raise Mistake(f"--exact is upstream's digits, and --precision {precision} gives others; leave one out")
        asked = Asked(
            1 if greedy else samples, temperature, 1 if greedy else top_k, top_p, exact, max_context, seed, precision
        )
        made = _kronos(history, times, model, tokenizer, asked, threads)
    if made.lookback < len(history.open_ns):
        click.echo(
            f"kokex: looked at the last {made.lookback} of {len(history.open_ns)} candles: {horizon} more must fit the"
            " context",
            err=True,
        )
    closes = history.columns["close"]
    # Exact paths may hold what no market shows; what is said of them all is said of what they mean.
    said = distribution(_positive(made.paths, closes[-1]) if exact else made.paths, closes)
    touched = [(level, p_touch(made.paths, closes[-1], level)) for level in levels]
    if as_json:
        emit_json(_document(history, times, model, made, said, touched, seed))
    else:
        _tell(history, times, Path(model).name, made, said, touched)
    if plot:
        _draw(history, times, Path(model).name, said, touched, plot)


# ---- input ----------------------------------------------------------------------------------


def _past(file: Path, lookback: int | None) -> History:
    try:
        return read_history(file, lookback or LOOKBACK, lookback or FEWEST)
    except CsvError as error:
        raise Mistake(str(error)) from None


def _times(file: Path | None, horizon: int) -> tuple[int, ...]:
    if file is None:
        return ()
    try:
        times = read_times(file)
    except CsvError as error:
        raise Mistake(str(error)) from None
    if len(times) < horizon:
        raise Mistake(f"{file}: {len(times)} times, but --horizon is {horizon}")
    return tuple(times[:horizon])


def _drawable(plot: Path) -> None:
    """Said before anything is computed."""
    if plot.suffix.lower() != ".png" or plot.is_dir():
        raise Mistake(f"{plot}: name a file that ends in .png")
    if not os.access(plot.parent, os.W_OK | os.X_OK):
        raise Mistake(f"{plot}: {plot.parent} is no folder that can be written to")


def _spacing(open_ns: Sequence[int]) -> int:
    """The most common one."""
    spacings = sorted(after - before for before, after in pairwise(open_ns))
    return max(dict.fromkeys(spacings), key=spacings.count)


# ---- models ---------------------------------------------------------------------------------


def _baseline(history: History, horizon: int, samples: int, seed: int) -> Made:
    """Paths of closes; a candle spans from one to the next."""
    closes = history.columns["close"]
    returns, _ = walks(closes, horizon, samples, Random(seed))
    paths: list[list[list[float]]] = []
    for path in returns:
        ends = [closes[-1], *(closes[-1] * math.exp(each) for each in path)]
        paths.append([[a, max(a, b), min(a, b), b, 0.0, 0.0] for a, b in pairwise(ends)])
    return Made(paths, len(closes))


def _kronos(history: History, times: Sequence[int], model: str, tokenizer: str, asked: Asked, threads: int) -> Made:
    if find_spec("torch") is None:
        raise Mistake(REMEDY)
    try:
        found = resolve(model, tokenizer)
        settle(threads)  # before torch is imported
        from kokex.kronos.forecast import Forecaster, Series, with_amount
        from kokex.kronos.sampling import Rule

        with progress(f"forecasting with {model}"):
            context = asked.max_context or found.max_context
            if context > found.max_context:
                click.echo(
                    f"kokex: {model} was trained with {found.max_context} candles, and is to see {context}", err=True
                )
            forecaster = Forecaster(found.tokenizer, found.model, max_context=context, precision=asked.precision)
            series = Series(with_amount(history.columns), history.open_ns, times, asked.seed)
            rule = Rule(asked.temperature, asked.top_k, asked.top_p)
            (made,) = forecaster.forecast([series], asked.samples, rule=rule, exact=asked.exact)
    except (CheckpointError, ValueError) as error:
        raise Mistake(str(error)) from None
    tokens = made.s1.tolist(), made.s2.tolist()
    return Made(made.candles.tolist(), made.lookback, tokens, made.normalised.tolist())


def _positive(paths: list[list[list[float]]], last: float) -> list[list[list[float]]]:
    return [[[max(number, last * 1e-6) for number in candle] for candle in path] for path in paths]


# ---- output ---------------------------------------------------------------------------------


def _document(
    history: History, times: Sequence[int], model: str, made: Made, said: Distribution,
    touched: Sequence[tuple[float, float]], seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Of one path its tokens as they are, of several a list for each."""
    one = len(made.paths) == 1
    mean = [
        [sum(column) / len(made.paths) for column in zip(*step, strict=True)] for step in zip(*made.paths, strict=True)
    ]
    document: dict[str, Any] = {
        "instrument": history.instrument,
        "model": model,
        "seed": seed,
        "samples": len(made.paths),
        "lookback": made.lookback,
        "now": {"timestamp": clock(history.open_ns[-1]), "close": history.columns["close"][-1]},
        "forecast": [
            {"timestamp": clock(at), **dict(zip(NUMBERS, candle, strict=True))}
            for at, candle in zip(times, mean, strict=True)
        ],
        "quantiles": [
            {"timestamp": clock(at), "q05": q[0], "q25": q[1], "q50": q[2], "q75": q[3], "q95": q[4]}
            for at, q in zip(times, said.quantiles, strict=True)
        ],
        "p_up": said.p_up,
        "p_volatility_up": said.p_volatility_up,
        "volatility": said.volatility,
        "range_low": said.range_low,
        "range_high": said.range_high,
        "touch": [{"level": level, "p": p} for level, p in touched],
        "paths": made.paths,
    }
    if made.tokens and made.normalised:
        s1, s2 = made.tokens
        document |= {"s1": s1[0], "s2": s2[0], "normalised": made.normalised[0]} if one else {
            "s1": s1, "s2": s2, "normalised": made.normalised,
        }  # fmt: skip
    return document


def _tell(
    history: History, times: Sequence[int], model: str, made: Made, said: Distribution,
    touched: Sequence[tuple[float, float]],
) -> None:  # fmt: skip
    step = max(1, math.ceil(len(times) / MOST_ROWS))
    chosen = sorted({*range(0, len(times), step), len(times) - 1})
    rows = tuple((clock(times[place]), *(price(each) for each in said.quantiles[place])) for place in chosen)
    title = f"{history.instrument} by {model}: the close, of {len(made.paths):,} paths from {made.lookback:,} candles"
    show(Table(title, ("opens", "5 %", "25 %", "50 %", "75 %", "95 %"), rows))
    facts = (
        ("now", price(history.columns["close"][-1])),
        ("close above now at the end", pct(100 * said.p_up)),
        ("more volatility than before", pct(100 * said.p_volatility_up)),
        ("volatility of a step", pct(100 * said.volatility)),
        ("range to expect", f"{price(said.range_low)} to {price(said.range_high)}"),
        *((f"{price(level)} is touched", pct(100 * p)) for level, p in touched),
    )
    show(Table("", ("", ""), facts))


def _draw(
    history: History, times: Sequence[int], model: str, said: Distribution,
    touched: Sequence[tuple[float, float]], plot: Path,
) -> None:  # fmt: skip
    shown = slice(-max(2, SHOWN_HISTORY * len(times)), None)
    closes = list(zip(history.open_ns[shown], history.columns["close"][shown], strict=True))
    bands = tuple((at, *quantiles) for at, quantiles in zip(times, said.quantiles, strict=True))
    chart = FanChart(
        title=f"{history.instrument}: the next {len(times)} candles by {model}",
        summary=f"above now {pct(100 * said.p_up)}   ·   more volatility {pct(100 * said.p_volatility_up)}   ·   range"
        f" {price(said.range_low)} to {price(said.range_high)}",
        history=closes,
        fan=Fan(*closes[-1], bands),
        levels=[(level, f"{price(level)}: {pct(100 * p)}") for level, p in touched],
    )
    try:
        draw_fan(chart, plot)
    except DrawingError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{plot} drawn", err=True)
