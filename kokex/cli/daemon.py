"""The daemon: a configuration put to work on asyncio, on paper money.

From the outside in: the store (and with it the lock), the exchange and the market as they were left, the actors on
them, the control socket, the signals. Taken down the other way round; what a kill leaves undone, the next start
resolves.
"""

import gc
import os
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO, final

import anyio
import msgspec
from msgspec.structs import replace

from kokex import __version__
from kokex.adapters.control.server import ControlServer
from kokex.adapters.host.chance import Random
from kokex.adapters.host.clock import TradingClock
from kokex.adapters.host.console import LineConsole
from kokex.adapters.host.ids import SecretIds
from kokex.adapters.host.signals import heed_signals
from kokex.adapters.host.training import TrainingProcess
from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.live import LiveStore, open_live
from kokex.adapters.sqlite.recorder import recorder
from kokex.brain.wording import Wording
from kokex.cli.market import Ending, Tape, instruments_of, open_exchange, open_market, read_tape
from kokex.cli.narrator import Narrator
from kokex.cli.options import control_socket, database, invocation
from kokex.cli.output import Mistake
from kokex.cli.outside import feeds, kronos, memory
from kokex.cli.people import People, people_of
from kokex.cli.streams import Streams
from kokex.cli.thinking import providers, unlisted, wording
from kokex.config import Config, Plan
from kokex.kernel.starter import Escalated
from kokex.kernel.system import Hooks, System
from kokex.kernel.tasks import Tasks
from kokex.market.watch import LONG
from kokex.messages import Instrument, Message
from kokex.paper.durable import DurablePaperVenue
from kokex.ports import Settings, StoreError, Venue
from kokex.present.words import age, apart, clock
from kokex.topology import JOURNALED, JOURNALED_POSTS, Ports, daemon
from strategies.spec import BadParameter, UnknownStrategy
from strategies.spec import build as build_strategy

MODE = "run"  # of a session, as against a backtest's
MODES = {MODE, "import"}  # what may be on record beside it: candles that were brought in
DRAIN_S = 4.0  # and a second for the last commit: five in all
LAST_COMMIT_S = 1.0
BEHIND_NS = 5_000_000_000  # a clock further behind the record was set back; less is drift
REQUEST_S = 0.5  # of real time that a request may take at any speed
WARM_S = 2.0
LOOK_ROUND_S = 60.0
DAY_NS = 86_400_000_000_000
WARM_UPS = 4  # times the longest warm-up: what recursive averages then remember is nothing


if TYPE_CHECKING:
    from kokex.adapters.llm.client import Providers
    from kokex.cli.accounts import Fit


class DaemonError(Exception):
    """The daemon cannot start, or had to give up. One line."""


Beside = Callable[[anyio.Event], Coroutine[Any, Any, None]]  # runs beside the actors, once they are there


class Job(NamedTuple):
    """What is to be run, checked."""

    config: Config
    plans: tuple[Plan, ...]
    instruments: tuple[Instrument, ...]
    tape: Tape | None
    history: int  # candles to warm up with
    for_s: float | None
    llm: "Providers | None"  # language models
    wording: Wording | None  # of the prompts to them
    ahead_ns: int = 0  # the exchange's clock of the system's, at the start
    fit: tuple["Fit", ...] = ()  # accounts at an exchange
    settings: Settings | None = None  # the configuration's file


def start(config: Config, for_s: float | None, out: TextIO, settings: Settings | None = None) -> None:
    """Runs until a signal, the end of `for_s` or of the files. Raises DaemonError, StoreError, Mistake."""
    config = _in_step(config)
    plans = config.resolved_plans()
    history = WARM_UPS * max(_longest_look(plan) * plan.timeframe_ns for plan in plans) // config.market.span_ns
    ahead_ns = 0
    if config.market.source == "okx":
        from kokex.cli.okx import meet

        config, ahead_ns = meet(config)
    instruments = instruments_of(config)
    fit: tuple[Fit, ...] = ()
    if any(each.venue.kind == "okx" for each in config.resolved_accounts()):
        from kokex.cli.accounts import examined

        config, fit = examined(config, instruments)
    job = Job(
        config, plans, instruments, read_tape(config), history, for_s, providers(config), wording(config), ahead_ns,
        fit, settings,
    )  # fmt: skip
    failure = anyio.run(_live, job, out, backend="asyncio")
    if failure:
        raise failure


def _longest_look(plan: Plan) -> int:
    """Candles of the plan until all that looks at them has an opinion. Raises Mistake."""
    try:
        warm_ups = [build_strategy(name, plan.parameters.get(name, {})).warmup for name in plan.brain.strategies]
    except (UnknownStrategy, BadParameter) as error:
        raise Mistake(f"plan {plan.name}: {error}") from None
    return max(*warm_ups, LONG + 1, plan.forecast.lookback if plan.forecast.kind != "none" else 0)


@final
class Pace:
    """The trading clock as the driver wants it."""

    def __init__(self, trading: TradingClock) -> None:
        self.now = trading.now
        self._speed = trading.speed

    def delay_s(self, at: int) -> float:
        return max(0.0, (at - self.now()) / (1e9 * self._speed))


async def _live(job: Job, out: TextIO) -> Exception | None:
    """Signals from the first moment on; an error is returned, because a task group would wrap it."""
    end = anyio.Event()
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(heed_signals, end.set)
        console = LineConsole(out, job.config.log.level, gone=end.set)
        try:
            async with _opened(job) as store, people_of(job.config, store) as people:
                await _trade(job, store, people, console, end)
        except (DaemonError, StoreError) as error:
            failure = error
        tasks.cancel_scope.cancel()
    return failure


# ---- the store and the hour -------------------------------------------------------------------


@asynccontextmanager
async def _opened(job: Job) -> AsyncGenerator[LiveStore, None]:
    """The store, let go of whatever happens; what was appended by then is on disk, or a StoreError says so."""
    store = await open_live(
        database(job.config),
        now_ns=job.tape.first_ns if job.tape else TradingClock().now() + job.ahead_ns,
        mode=MODE,
        version=__version__,
        config_json=msgspec.json.encode(job.config).decode(),
        tag_factory=SecretIds().tag,
    )
    try:
        if others := {session.mode for session in await store.ask(queries.sessions())} - MODES:
            path = job.config.store.path
            raise DaemonError(f"{path}: the record of a {', '.join(others)}; --db names another database")
        yield store
        with anyio.move_on_after(LAST_COMMIT_S, shield=True):
            await store.commit()
        if store.pending():
            raise DaemonError(f"{store.pending()} rows could not be written; the next start resolves what is open")
    finally:
        await store.close()


def _begin(job: Job, newest_ns: int) -> tuple[int, Tape | None]:
    """When trading time begins, and what is left of the files by then. Raises DaemonError.

    Time never goes back: after a run at a higher speed, or of files, it goes on where it was. At speed 1 it is the
    system clock's, and one that is behind the record cannot be right.
    """
    path = job.config.store.path
    if job.tape:
        left = job.tape.after(newest_ns)
        if not left:
            raise DaemonError(f"{path}: the files were replayed to their end; --db names another database")
        return max(newest_ns, job.tape.first_ns), left
    now = TradingClock().now() + job.ahead_ns
    if job.config.market.speed == 1 and newest_ns - now > BEHIND_NS:
        raise DaemonError(
            f"{path}: its record goes up to {clock(newest_ns)}, but the system clock says {clock(now)}: it was set "
            "back, or the record was made at a higher market.speed; set the clock, or name another database with --db"
        )
    return max(newest_ns, now), None


# ---- the actors and the world around them -----------------------------------------------------


async def _trade(job: Job, store: LiveStore, people: People, console: LineConsole, end: anyio.Event) -> None:
    config, accounts = job.config, job.config.resolved_accounts()
    begin_ns, tape = _begin(job, store.newest_ns)
    pace = Pace(TradingClock(begin_ns, config.market.speed))
    system: System

    def post(actor: str, message: Message) -> None:
        system.post(actor, message)

    def now() -> int:
        return system.now

    on_paper = [each for each in accounts if each.venue.kind == "paper"]
    exchange = await open_exchange(config, on_paper, job.instruments, store, now, post)
    source: Ending | None = None
    save: Callable[[], None] | None = None
    if config.market.source != "okx":  # OKX's cannot say its next event: what arrives is posted
        market, save = await open_market(config, job.instruments, tape, store, begin_ns, exchange, post)
        source = Ending(market, end.set)
    control = ControlServer(post, store.commit)
    db = config.store.path
    narrator = Narrator(console, invocation(), "" if db == Config().store.path else db, job.instruments[0].quote)

    def tap(message: Message) -> None:
        store.append(message)
        narrator.hear(message)

    latency_ns = round(config.paper.latency_ms * 1e6)
    venues: dict[str, Venue] = {
        each.name: DurablePaperVenue(exchange, each.name, latency_ns, store) for each in on_paper
    }
    beside: list[Beside] = []
    async with AsyncExitStack() as around:
        if job.fit:
            from kokex.cli.accounts import okx_accounts

            known = {each.symbol: each for each in job.instruments}
            real, lines = await around.enter_async_context(
                okx_accounts(job.fit, known, store.tag, post, pace.now, console)
            )
            venues |= real
            beside.append(lines)
        system = daemon(
            config,
            Ports(
                store=store,
                venues=venues,
                chance=Random,
                control=control,
                console=console,
                llm=job.llm,
                wording=job.wording,
                model=around.enter_context(kronos(config, job.plans)),
                news=await around.enter_async_context(feeds(config)),
                chat=people.chat,
                records=people.records,
                pictures=people.pictures,
                memory=await around.enter_async_context(memory(config)),
                source=source,
                save_market=save,
                settings=job.settings,
                training=TrainingProcess(config) if config.training.enabled else None,
            ),
            history=job.history,
            hooks=Hooks(tap=tap, journaled=JOURNALED, journaled_posts=JOURNALED_POSTS, record=recorder(store)),
            start_ns=begin_ns,
        )
        if job.llm:
            job.llm.told = Streams(control, post)
            around.push_async_callback(job.llm.close)
            await job.llm.warm()
        socket = control_socket(config)
        try:
            await around.enter_async_context(control.serve(socket))
        except OSError as error:
            raise DaemonError(f"control socket {socket}: {error.strerror or error}") from None
        _greet(narrator, console, pace.now(), config, store.session, socket)
        if told := apart(-job.ahead_ns / 1e9, "OKX"):
            console(pace.now(), "WARNING", "clock", told)
        for each in unlisted(config):
            console(pace.now(), "WARNING", "llm", f"{each.found}; {each.remedy}")
        if people.note:
            console(pace.now(), "INFO", "chat", people.note)
        if config.market.source == "okx":
            from kokex.cli.okx import okx_market

            beside.append(
                await around.enter_async_context(
                    okx_market(config, job.instruments, job.history, store, exchange, post, pace.now, console)
                )
            )
        await _drive(system, pace, store, console, end, job, beside)
    narrator.sum_up(pace.now(), pace.now() - begin_ns)


def _greet(narrator: Narrator, console: LineConsole, at: int, config: Config, session: int, socket: Path) -> None:
    """Which money it is comes first, and real money loudly."""
    accounts = config.resolved_accounts()
    kinds = sorted({each.venue.environment for each in accounts})
    for each in accounts:
        if each.venue.environment == "live":
            console(
                at, "CRITICAL", "start", f"REAL MONEY: account {each.name} trades live at {each.venue.kind.upper()}"
            )
    money = " and ".join({"paper": "paper", "demo": "demo", "live": "REAL"}[kind] for kind in kinds)
    narrator.greet(
        at,
        f"KOKEX {__version__}, process {os.getpid()}, session {session}: {money} money, {config.market.source} market",
        f"database {config.store.path}, control socket {socket}",
    )


def _in_step(config: Config) -> Config:
    """A request has a deadline in trading time, but disk and loop take real time: at speed 1000, a second is 1 ms."""
    least_s = REQUEST_S * config.market.speed
    executor = replace(config.executor, request_ttl_s=max(config.executor.request_ttl_s, least_s))
    return replace(config, executor=executor)


async def _drive(
    system: System, pace: Pace, store: LiveStore, console: LineConsole, end: anyio.Event, job: Job,
    beside: Sequence[Beside],
) -> None:  # fmt: skip
    driver = Tasks(system, pace)
    drain = anyio.CancelScope()
    started = anyio.Event()
    failure = ""

    async def stop_in_time() -> None:
        with anyio.move_on_after(job.for_s):
            await end.wait()
        drain.deadline = anyio.current_time() + DRAIN_S
        driver.stop()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stop_in_time)
        for each in beside:
            tasks.start_soon(each, started)
        tasks.start_soon(_keep_house, store, pace, console, job.config.store.keep_days)
        with drain:
            try:
                await driver.run(started.set)
            except Escalated as error:
                failure = str(error)
        tasks.cancel_scope.cancel()
    if failure:
        raise DaemonError(failure)
    if drain.cancelled_caught:
        console(pace.now(), "WARNING", "stop", "the drain took too long; what is open is resolved at the next start")


async def _keep_house(store: LiveStore, pace: Pace, console: LineConsole, keep_days: int) -> None:
    """Old rows go once a day; a stepped system clock is told."""
    await anyio.sleep(WARM_S)
    gc.collect()
    gc.freeze()  # what is loaded by now stays: the collector need not look at it again
    wall = TradingClock()
    drift_ns = pruned_ns = 0
    while True:
        if pace.now() - pruned_ns >= DAY_NS:
            pruned_ns = pace.now()
            try:
                await store.prune(pruned_ns - keep_days * DAY_NS)
            except StoreError as error:
                console(pace.now(), "WARNING", "store", f"old rows could not be removed: {error}")
        await anyio.sleep(LOOK_ROUND_S)
        before, drift_ns = drift_ns, wall.drift_ns()
        if abs(drift_ns - before) > BEHIND_NS:
            way = "forward" if drift_ns > before else "back"
            text = f"the system clock was set {way} by {age(abs(drift_ns - before))}; trading time goes on as before"
            console(pace.now(), "WARNING", "clock", text)
