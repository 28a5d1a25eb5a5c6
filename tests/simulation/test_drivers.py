"""One graph, any driver: the calm schedule on trio and the inline driver make the same journal."""

import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from kokex.adapters.host.csv import CandleColumns, read_candles
from kokex.adapters.sqlite import tables
from kokex.adapters.sqlite.direct import DirectStore, open_direct
from kokex.config import Account, Brain, Config, Paper, Plan, Risk
from kokex.kernel.inline import Inline
from kokex.kernel.tasks import Tasks
from kokex.market.instruments import from_csv
from kokex.paper.matching import Rules
from kokex.paper.replay import ReplayMarket
from kokex.simulation.backtest import NO_FORECAST, SIGNALS_ONLY, Setup, assemble, driver_of
from kokex.simulation.virtual_time import run_asyncio, run_trio

CANDLES = Path(__file__).parents[3] / "shared/data/candles"
MINUTE = 60_000_000_000
TABLES = ("journal", "decisions", "verdicts", "orders", "fills", "portfolios")


def setup_of(candles: tuple[CandleColumns, ...], *, latency_ms: float, sized: bool) -> Setup:
    plan = Plan(
        name="main",
        account="main",
        enabled=True,
        instruments=tuple(each.instrument for each in candles),
        timeframe_ns=candles[0].span_ns,
        mode=SIGNALS_ONLY,
        brain=Brain(strategies=("sma_cross", "trend")),
        forecast=NO_FORECAST,
        risk=Risk(risk_per_trade_pct=0.02),  # small enough that the breaker stays out of it
        parameters={},
    )
    config = Config(paper=Paper(latency_ms=latency_ms))
    return Setup(
        config=config,
        plans=(plan,),
        accounts=(Account(name="main", cash=Decimal(1000), kind="margin"),),
        instruments=tuple(from_csv(each.instrument, "swap") for each in candles),
        candles=candles,
        rules=Rules(leverage=Decimal(3), slippage_bp=Decimal(2), volume_share=Decimal("0.1")),
        fixed_size=None if sized else Decimal("0.02"),
        watch=True,
    )


def memory() -> DirectStore:
    return open_direct(
        ":memory:", now_ns=0, mode="test", version="0", config_json="{}", tag_factory=lambda: "abcdef", batch=4000
    )


def journal(setup: Setup, store: DirectStore) -> dict[str, list[tuple[object, ...]]]:
    """What happened up to the last close: each table's rows."""
    store.flush()
    found: dict[str, list[tuple[object, ...]]] = {}
    for table in TABLES:
        at = store.ask(tables.columns(table)).index("at")
        found[table] = [row for row in store.ask(tables.rows(table, 0, 1 << 62)) if row[at] <= setup.end_ns]
    return found


def inline(setup: Setup, *, skims: bool = True) -> dict[str, list[tuple[object, ...]]]:
    store = memory()
    driver = driver_of(setup, store) if skims else Inline(assemble(setup, store)[0])
    driver.start()
    driver.run(setup.end_ns)
    return journal(setup, store)


def on_a_loop(setup: Setup, run: Callable[..., None]) -> dict[str, list[tuple[object, ...]]]:
    store = memory()

    async def main(clock: Any) -> None:
        driver = Tasks(assemble(setup, store)[0], clock, virtual=clock)
        async with anyio.create_task_group() as group:
            group.start_soon(driver.run)
            await anyio.sleep(clock.delay_s(setup.end_ns) + 1)
            driver.stop()

    run(main, start_ns=setup.start_ns)
    return journal(setup, store)


def walk(instrument: str, seed: int, missing: Sequence[int] = ()) -> CandleColumns:
    """A day and a half of one-minute candles, but for some."""
    chance, price = random.Random(seed), 100.0
    rows: list[tuple[int, float, float, float, float, float]] = []
    for number in range(2_000):
        close = round(price * (1 + chance.gauss(0, 0.001)), 2)
        extremes = max(price, close) + 0.02, min(price, close) - 0.02
        rows.append((number * MINUTE, price, *extremes, close, chance.uniform(50, 500)))
        price = close
    return CandleColumns(
        instrument, MINUTE, *map(list, zip(*(r for i, r in enumerate(rows) if i not in missing), strict=True))
    )


@pytest.mark.parametrize("watch", [True, False])
@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("timeframe", [1, 5])
@pytest.mark.parametrize("missing", [(), (0, 1, 500, 501, 777, 1999)])
def test_candles_that_pass_unheard_would_have_changed_nothing(
    monkeypatch: pytest.MonkeyPatch, missing: Sequence[int], timeframe: int, sized: bool, watch: bool
) -> None:
    passed: list[int] = []

    def skim(market: ReplayMarket, until_ns: int, scouts: Any, real: Any = ReplayMarket.skim) -> tuple[int, int]:
        count, at = real(market, until_ns, scouts)
        passed.append(count)
        return count, at

    monkeypatch.setattr(ReplayMarket, "skim", skim)
    candles = (walk("AAA-USDT", 1), walk("BBB-USDT", 2, missing))
    setup = setup_of(candles, latency_ms=250, sized=sized)._replace(watch=watch)
    plan = replace(setup.plans[0], timeframe_ns=timeframe * MINUTE, risk=Risk(risk_per_trade_pct=0.5))
    setup = setup._replace(plans=(plan,))
    told = inline(setup, skims=False)
    assert not passed
    assert len(told["fills"]) > 10
    heard = inline(setup)
    assert sum(passed) > 100
    for table in TABLES:
        assert heard[table] == told[table], table


@pytest.mark.skipif(not CANDLES.is_dir(), reason="the shared candles are not here")
@pytest.mark.parametrize("latency_ms", [0, 250])
@pytest.mark.parametrize("sized", [True, False])
def test_trio_and_inline_make_the_same_journal_on_the_shared_candles(latency_ms: float, sized: bool) -> None:
    candles = tuple(read_candles(CANDLES / f"{name}-BTC-5m.csv.gz") for name in ("ETH", "LTC", "TRX"))
    setup = setup_of(candles, latency_ms=latency_ms, sized=sized)
    expected = inline(setup)
    assert len(expected["fills"]) > 100
    for run in (run_trio, run_asyncio):
        again = on_a_loop(setup, run)
        for table in TABLES:
            assert again[table] == expected[table], table
