"""Backtest speed: the whole graph, journal on, against backtesting.py and basana doing the same crossing.

One instrument, 525,600 one-minute candles (a year) of a seeded random walk, SMA 10 over SMA 30, long only, a fixed
size, fee 0.1 %. Candles per CPU-second from the first candle to the last, loading apart, each run in a process of its
own.

Machines are shared, and slow down for minutes at a time. So the engines run in turn, in rounds, every other round the
other way round, and a ratio is taken within its round, where a slow phase hits both; told is the median of the rounds.

    python -m benchmarks.backtest [--candles N] [--rounds N] [--json]
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from typing import Any

FAST, SLOW, FEE, SIZE = 10, 30, 0.001, 0.02
START_S = 1_672_531_200
ENGINES = ("kokex", "backtesting", "basana")

Columns = tuple[list[float], list[float], list[float], list[float]]


def columns(count: int) -> Columns:
    """open, high, low, close: a random walk of 5 basis points a minute on a tick of 0.1."""
    chance = random.Random(1)
    price, opens, highs, lows, closes = 60_000.0, [], [], [], []
    for _ in range(count):
        close = round(price * (1 + chance.gauss(0, 0.0005)), 1)
        opens.append(price)
        highs.append(max(price, close) + 5)
        lows.append(min(price, close) - 5)
        closes.append(close)
        price = close
    return opens, highs, lows, closes


def kokex(of: Columns) -> tuple[float, int]:
    from decimal import Decimal

    from kokex.adapters.host.csv import CandleColumns
    from kokex.adapters.sqlite.direct import open_direct
    from kokex.config import Account, Brain, Config, Plan, Risk
    from kokex.market.instruments import from_csv
    from kokex.paper.matching import Rules
    from kokex.simulation.backtest import BATCH, NO_FORECAST, SIGNALS_ONLY, Setup, run

    minute = 60_000_000_000
    count = len(of[0])
    opens = [START_S * 1_000_000_000 + minute * i for i in range(count)]
    candles = CandleColumns("BTC-USDT", minute, opens, *of, [10.0] * count)
    plan = Plan(
        name="main", account="main", enabled=True, instruments=("BTC-USDT",), timeframe_ns=minute, mode=SIGNALS_ONLY,
        brain=Brain(strategies=("sma_cross",)), forecast=NO_FORECAST, risk=Risk(),
        parameters={"sma_cross": {"fast": FAST, "slow": SLOW}},
    )  # fmt: skip
    fee = Decimal(str(FEE))
    setup = Setup(
        config=Config(),
        plans=(plan,),
        accounts=(Account(name="main", cash=Decimal(1_000_000), kind="cash"),),
        instruments=(from_csv("BTC-USDT"),),
        candles=(candles,),
        rules=Rules(maker_fee=fee, taker_fee=fee),
        fixed_size=Decimal(str(SIZE)),
    )
    store = open_direct(
        ":memory:", now_ns=0, mode="backtest", version="", config_json="{}", tag_factory=lambda: "bench0", batch=BATCH
    )
    outcome = run(setup, store)
    return outcome.cpu_s, len(outcome.bookings["main"])


def backtesting(of: Columns) -> tuple[float, int]:
    import warnings

    warnings.filterwarnings("ignore")
    import pandas as pd
    from backtesting import Backtest, Strategy
    from backtesting.lib import crossover

    index = pd.date_range("2023-01-01", periods=len(of[0]), freq="min")
    frame = pd.DataFrame(dict(zip(("Open", "High", "Low", "Close"), of, strict=True)) | {"Volume": 10.0}, index=index)

    def average(values: Any, length: int) -> Any:
        return pd.Series(values).rolling(length).mean()

    class Crossing(Strategy):
        def init(self) -> None:
            self.fast = self.I(average, self.data.Close, FAST)
            self.slow = self.I(average, self.data.Close, SLOW)

        def next(self) -> None:
            if crossover(self.fast, self.slow):
                self.buy(size=1)  # it trades whole units only
            elif crossover(self.slow, self.fast):
                self.position.close()

    test = Backtest(frame, Crossing, cash=100_000_000, commission=FEE)
    started = time.process_time()
    result = test.run()
    return time.process_time() - started, 2 * int(result["# Trades"])


def basana(of: Columns) -> tuple[float, int]:
    import asyncio
    import datetime as dt
    from decimal import Decimal

    import basana as bs
    from basana.backtesting import exchange, fees
    from basana.core.event import FifoQueueEventSource

    pair = bs.Pair("BTC", "USDT")
    minute = dt.timedelta(minutes=1)
    begin = dt.datetime.fromtimestamp(START_S, dt.UTC)
    events = []
    for i, row in enumerate(zip(*of, strict=True)):
        at = begin + minute * i
        prices = (Decimal(repr(price)) for price in row)
        events.append(bs.BarEvent(at + minute, bs.Bar(at, pair, *prices, Decimal(10), minute)))
    fills = 0

    async def main() -> float:
        dispatcher = bs.backtesting_dispatcher()
        account = exchange.Exchange(
            dispatcher, {"USDT": Decimal(1_000_000)}, fee_strategy=fees.Percentage(Decimal("0.1"))
        )
        account.set_pair_info(pair, bs.PairInfo(8, 2))
        closes: list[float] = []
        above: bool | None = None
        held = False

        async def on_bar(event: bs.BarEvent) -> None:
            nonlocal above, held, fills
            closes.append(float(event.bar.close))
            if len(closes) < SLOW:
                return
            if len(closes) > SLOW:
                del closes[0]
            fast, slow = sum(closes[-FAST:]) / FAST, sum(closes) / SLOW
            if fast == slow:
                return
            before, above = above, fast > slow
            if before is None or above in {before, held}:
                return
            held = above
            fills += 1
            operation = bs.OrderOperation.BUY if above else bs.OrderOperation.SELL
            await account.create_market_order(operation, pair, Decimal(str(SIZE)))

        account.add_bar_source(FifoQueueEventSource(events=events))
        account.subscribe_to_bar_events(pair, on_bar)
        started = time.process_time()
        await dispatcher.run(stop_signals=[])
        return time.process_time() - started

    return asyncio.run(main()), fills


def measured(engine: str, candles: int) -> dict[str, int]:
    """One run, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.backtest", "--engine", engine, "--candles", str(candles)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candles", type=int, default=525_600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.engine:
        seconds, fills = globals()[options.engine](columns(options.candles))
        print(json.dumps({"candles_per_cpu_s": round(options.candles / seconds), "fills": fills}))
        return
    speeds: dict[str, list[int]] = {engine: [] for engine in ENGINES}
    fills: dict[str, int] = {}
    for number in range(options.rounds):
        for engine in ENGINES if number % 2 == 0 else ENGINES[::-1]:
            run = measured(engine, options.candles)
            speeds[engine].append(run["candles_per_cpu_s"])
            fills[engine] = run["fills"]
    ratios = {
        f"over_{engine}": [
            round(ours / theirs, 2) for ours, theirs in zip(speeds["kokex"], speeds[engine], strict=True)
        ]
        for engine in ENGINES[1:]
    }
    if options.json:
        told = {
            engine: {
                "candles_per_cpu_s": round(statistics.median(speeds[engine])), "rounds": speeds[engine],
                "fills": fills[engine],
            }
            for engine in ENGINES
        }  # fmt: skip
        medians = {name: round(statistics.median(of), 2) for name, of in ratios.items()}
        print(json.dumps(told | {"ratios": medians, "ratios_by_round": ratios}))
        return
    for engine, runs in speeds.items():
        median = f"{round(statistics.median(runs)):>9,} candles/CPU-s (median; best {max(runs):,})"
        print(f"{engine:12} {median}, {fills[engine]:,} fills")
    for name, of in ratios.items():
        print(f"{name:16} {statistics.median(of):.2f} (median; rounds {', '.join(f'{ratio:.2f}' for ratio in of)})")


if __name__ == "__main__":
    main()
