"""One graph, any driver: the calm schedule on trio and the inline driver make the same journal."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

from kokex.adapters.host.csv import CandleColumns, read_candles
from kokex.adapters.sqlite import tables
from kokex.adapters.sqlite.direct import DirectStore, open_direct
from kokex.config import Account, Brain, Config, Paper, Plan, Risk
from kokex.kernel.inline import Inline
from kokex.kernel.tasks import Tasks
from kokex.market.instruments import from_csv
from kokex.paper.matching import Rules
from kokex.simulation.backtest import NO_FORECAST, SIGNALS_ONLY, Setup, assemble
from kokex.simulation.virtual_time import run_asyncio, run_trio

CANDLES = Path(__file__).parents[3] / "shared/data/candles"
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


def inline(setup: Setup) -> dict[str, list[tuple[object, ...]]]:
    store = memory()
    driver = Inline(assemble(setup, store)[0])
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
