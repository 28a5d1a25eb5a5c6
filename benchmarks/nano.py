"""How the nano model that ships with the extra `kronos` was trained: the candles, and the one command.

    pip install bokeh_sampledata arch
    nice -n 19 python -m benchmarks.nano --out kokex/kronos/nano

Candles whose licence allows it: the embedded exchange's own simulated market (four spans, four coins); daily stocks
2000 to 2013 from the bokeh_sampledata wheel (public domain), adjusted for splits; the S&P 500 and the NASDAQ composite
1999 to 2018 from the arch wheel (NCSA licence). About 20 CPU-minutes on one thread; the same machine gives the same
weights.
"""

import argparse
import csv
import gzip
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from kokex.adapters.host.chance import Random
from kokex.adapters.host.csv import write_candles
from kokex.market.instruments import parse_symbol
from kokex.messages import Candle
from kokex.paper.exchange import Exchange
from kokex.paper.matching import Rules
from kokex.paper.simulated import SimulatedMarket

SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT")
SPANS_S = (60, 300, 900, 3_600)
SIMULATED = 4_000  # candles of each
TRAINING = (
    "--half", "--context", "240", "--horizon", "24", "--validation", "0.1", "--gap", "24", "--seed", "1",
    "--threads", "1", "--device", "cpu",
)  # fmt: skip


def simulated() -> Iterable[tuple[str, list[Candle]]]:
    """Each span in a year of its own, so that no two are contemporaries but those of one market."""
    instruments = [parse_symbol(symbol) for symbol in SYMBOLS]
    for number, span_s in enumerate(SPANS_S):
        start_ns = round(datetime(2020 + number, 12, 1, tzinfo=UTC).timestamp() * 1e9)
        market = SimulatedMarket(
            instruments, Random(number), start_ns, span_s * 1_000_000_000, None, SIMULATED * span_s,
            lambda *_: None, Exchange(instruments, Rules(), lambda: 0, lambda *_: None), 0,
        )  # fmt: skip
        candles: dict[str, list[Candle]] = defaultdict(list)
        for candle in market.history():
            candles[candle.instrument].append(candle)
        yield from ((f"{symbol}-{span_s}s", of_it) for symbol, of_it in candles.items())


def stocks() -> Iterable[tuple[str, list[Candle]]]:
    days: dict[str, list[Candle]] = defaultdict(list)
    for row in _rows("bokeh_sampledata", "_data/stocks.csv.gz"):
        adjusted = float(row["Adj Close"]) / float(row["Close"])
        days[row["Ticker"]].append(_day(row, datetime.strptime(row["Date"], "%Y-%m-%d"), adjusted))  # noqa: DTZ007
    return [(ticker, of_it) for ticker, of_it in days.items() if len(of_it) > 1_000]


def indices() -> Iterable[tuple[str, list[Candle]]]:
    for name in ("sp500", "nasdaq"):
        rows = _rows("arch", f"data/{name}/{name}.csv.gz")
        yield name, [_day(row, datetime.strptime(row["Date"], "%m/%d/%Y"), 1.0) for row in rows]  # noqa: DTZ007


def _rows(package: str, path: str) -> list[dict[str, str]]:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"needs the {package} wheel: pip install {package}")
    with gzip.open(Path(spec.submodule_search_locations[0]) / path, "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _day(row: Mapping[str, str], day: datetime, adjusted: float) -> Candle:
    """One day; a few rows of the stocks have an open outside low to high, by a cent."""
    open_, high, low, close = (round(adjusted * float(row[name]), 6) for name in ("Open", "High", "Low", "Close"))
    at = round(day.replace(tzinfo=UTC).timestamp() * 1e9)
    return Candle(
        "", at, open_, max(high, open_, close), min(low, open_, close), close, float(row["Volume"])
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where the model goes")
    parser.add_argument("--candles", type=Path, help="keep the candles there")
    parser.add_argument("--steps", nargs=2, default=("1500", "1600"), help="of tokenizer and predictor")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.candles or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        files: list[str] = []
        for name, candles in (*simulated(), *stocks(), *indices()):
            files.append(str(folder / f"{name}.csv.gz"))
            written = write_candles(files[-1], candles)
            print(f"{name}: {written:,} candles", flush=True)
        for stage, steps in zip(("tokenizer", "predictor"), asked.steps, strict=True):
            words = ["train", stage, "--candles", *files, "--out", str(asked.out), "--steps", steps, *TRAINING]
            subprocess.run([sys.executable, "-m", "kokex", *words], check=True)


if __name__ == "__main__":
    main()
