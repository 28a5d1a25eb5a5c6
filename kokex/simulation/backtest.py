"""Backtest: the daemon's graph over files of candles, inline.

The same actors, paper exchange and journal as live. What differs is in `VARIANT` and `SIGNALS_ONLY`: files cannot
fall silent, an exchange in process loses nothing, and the account is valued at each close by the report instead of
by alarms.
"""

import gc
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, cast

from msgspec.structs import replace

from actors.indicator import Indicator
from kokex.adapters.host.chance import Random
from kokex.adapters.host.csv import CandleColumns, Progress, read_candles
from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.direct import DirectStore
from kokex.brain.wording import Wording
from kokex.config import Account, Config, Forecast, Mode, Plan
from kokex.kernel.inline import Inline
from kokex.kernel.system import Hooks, System
from kokex.messages import Fill, Funding, Instrument, Message
from kokex.paper.exchange import Exchange
from kokex.paper.matching import Rules
from kokex.paper.replay import Columns, ReplayMarket
from kokex.paper.venue import PaperVenue
from kokex.simulation.recorded import Playing, Recordings
from kokex.topology import JOURNALED, JOURNALED_POSTS, Ports, Variant, build

BATCH = 2_000  # journal rows between two writes: some 2 MB of messages
YOUNG = 1_000_000  # objects between two looks for garbage
STEPS = 100  # of the progress that is told
MESSAGES = 2  # of an instant's candles: to the feed, and on to the indicator

# Only a strategy's signal wakes the brain: no timed cycle, no forecast that nobody reads.
SIGNALS_ONLY = Mode(kind="adaptive", long_s=0.0)
NO_FORECAST = Forecast(kind="none")


class Setup(NamedTuple):
    """What is to be tested on which candles."""

    config: Config
    plans: tuple[Plan, ...]
    accounts: tuple[Account, ...]
    instruments: tuple[Instrument, ...]
    candles: tuple[CandleColumns, ...]
    rules: Rules
    fixed_size: Decimal | None = None
    watch: bool = False  # thresholds on indicators too, not only the strategies
    seed: int = 0
    recordings: Recordings | None = None  # what models said then; None: no model is asked
    wording: Wording | None = None  # the texts they were asked in

    @property
    def start_ns(self) -> int:
        return min(each.open_ns[0] for each in self.candles)

    @property
    def end_ns(self) -> int:
        """The last close."""
        return max(each.open_ns[-1] + each.span_ns for each in self.candles)


class Outcome(NamedTuple):
    """Bookings by account, and what the run took."""

    bookings: dict[str, list[Fill | Funding]]
    wall_s: float
    cpu_s: float


def signals_only(plan: Plan) -> Plan:
    """The plan with its strategies as the only thing that wakes it."""
    return replace(plan, mode=SIGNALS_ONLY, forecast=NO_FORECAST)


def assemble(setup: Setup, store: DirectStore, hooks: Hooks | None = None) -> tuple[System, ReplayMarket | Playing]:
    """The system of a backtest and its market, not yet started."""
    system: System

    def post(actor: str, message: Message) -> None:
        system.post(actor, message)

    exchange = Exchange(setup.instruments, setup.rules, lambda: system.now, post)
    for account in setup.accounts:
        exchange.open_account(account.name, account.cash, account.kind)
    columns = {
        each.instrument: Columns(each.open_ns, each.open, each.high, each.low, each.close, each.volume)
        for each in setup.candles
    }
    span_ns = setup.candles[0].span_ns
    latency_ns = round(setup.config.paper.latency_ms * 1e6)
    system = build(
        setup.config,
        setup.plans,
        setup.accounts,
        setup.instruments,
        Ports(
            store=store,
            venues={each.name: PaperVenue(exchange, each.name, latency_ns) for each in setup.accounts},
            chance=lambda seed: Random(seed ^ setup.seed),
            control=setup.recordings,  # nobody else commands
            llm=setup.recordings,
            wording=setup.wording,
        ),
        base_ns=span_ns,
        variant=Variant(
            commit_s=0, stale_s=0, watch=setup.watch, keep_candles=False, alarms=setup.fixed_size is None, sweep_s=0,
            fixed_size=setup.fixed_size, recorded=setup.recordings is not None,
        ),
        hooks=hooks,
        start_ns=setup.start_ns,
    )  # fmt: skip
    market = system.source = ReplayMarket(setup.instruments, columns, span_ns, exchange, system.post)
    if setup.recordings is None:
        return system, market
    playing = system.source = setup.recordings.beside(market, system, setup.plans[0].name)
    return system, playing


def driver_of(setup: Setup, store: DirectStore, hooks: Hooks | None = None) -> Inline:
    """What drives a backtest, not yet started. Of a candle that leads to nothing no actor hears."""
    hooks = hooks or Hooks(tap=store.gather, journaled=JOURNALED, journaled_posts=JOURNALED_POSTS)
    system, market = assemble(setup, store, hooks)
    cell, relieve = system.cells["indicator"], store.relieve

    def skim(until_ns: int) -> tuple[int, int]:
        relieve()
        passed, at = market.skim(until_ns, cast(Indicator, cell.actor).scouts)
        return MESSAGES * passed, at

    return Inline(system, skim)


def load(paths: Sequence[Path], progress: Progress) -> tuple[list[CandleColumns], float]:
    """The candles of some files, and how many seconds that took. Raises CsvError."""
    began = time.perf_counter()
    read: list[CandleColumns] = []
    for number, path in enumerate(paths):
        read.append(read_candles(path, lambda part, done=number: progress((done + part) / len(paths))))
    return read, time.perf_counter() - began


def run(setup: Setup, store: DirectStore, progress: Progress | None = None) -> Outcome:
    """Runs to the end of the candles. Raises what an actor raises."""
    driver = driver_of(setup, store)
    driver.start()
    gc.freeze()  # or each full collection would walk through all the columns of candles again
    young = gc.get_threshold()
    gc.set_threshold(YOUNG)  # rows that wait to be written are no garbage
    wall, cpu = time.perf_counter(), time.process_time()
    for step in range(1, STEPS + 1):
        driver.run(setup.start_ns + (setup.end_ns - setup.start_ns) * step // STEPS)
        if progress:
            progress(step / STEPS)
    store.flush()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    gc.set_threshold(*young)
    gc.unfreeze()
    driver.stop()
    store.flush()
    return Outcome({each.name: bookings(store, each.name) for each in setup.accounts}, wall, cpu)


def bookings(store: DirectStore, account: str) -> list[Fill | Funding]:
    rows: Sequence[Message] = store.ask(queries.fills_after(account, 0))
    return [each for each in rows if isinstance(each, Fill | Funding)]
