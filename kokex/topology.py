"""The tree and the wires: read this first.

`TREE` order is starting order; stopping goes the other way. Each wire says what happens when its reader is slow.
`build` puts the actors of a configuration in their places; it makes nothing happen by itself.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

from msgspec import Struct

from actors.agent import Agent, Manners
from actors.brain import Brain
from actors.chat import Known, Listener
from actors.control import Controller
from actors.executor import OrderExecutor
from actors.feed import Feed
from actors.forecaster import Forecaster
from actors.indicator import Indicator
from actors.journal import Journal
from actors.llm import Caller
from actors.news import Newsroom
from actors.notifier import Notifier, Talk
from actors.portfolio import PortfolioKeeper
from actors.risk import RiskKeeper
from actors.scheduler import Scheduler
from actors.thinking import Settings as ThinkingSettings
from actors.thinking import Thinking
from actors.trainer import Trainer
from kokex.brain.wording import Wording
from kokex.config import Account, Config, Plan
from kokex.kernel.supervision import Child, Group
from kokex.kernel.system import Hooks, Source, System, inlet
from kokex.kernel.wires import ANYONE, KERNEL, ask, block, conflate, drop_oldest, fail, record, wire
from kokex.messages import (
    Alarm,
    Alert,
    Allowance,
    Answer,
    Approved,
    Briefing,
    Candles,
    Command,
    Cycle,
    Decision,
    Edge,
    Fill,
    Forecast,
    Funding,
    Instrument,
    Lifecycle,
    Link,
    LlmCall,
    Mark,
    Message,
    NewsItem,
    Notice,
    OrderUpdate,
    Paused,
    Portfolio,
    Preview,
    Prompt,
    Readings,
    Refused,
    Reloaded,
    Remark,
    Sample,
    Spoken,
    Standing,
    Trained,
)
from kokex.ports import Chance, Console, Control, Llm, Memory, News, Settings, Store, Venue
from kokex.ports import Forecaster as Model
from kokex.ports import Training as ModelTraining
from kokex.ports.chat import Chat, Pictures, Records

WIRES = [
    # from          message      to            when the reader is slow
    # -- in from outside: nobody there can be made to wait, so overflow is a fault
    inlet(Candles, "feed"),
    inlet(Fill, "executor"),
    inlet(OrderUpdate, "executor"),
    inlet(Funding, "executor"),
    inlet(Link, "executor"),
    # -- down the picture
    wire("feed", Candles, "indicator", block(64)),
    wire("feed", Link, "scheduler", fail(64)),
    wire("indicator", Edge, "scheduler", conflate("key")),
    wire("indicator", Readings, "scheduler", fail(4096)),
    wire("trainer", Trained, "scheduler", fail(64)),
    wire("scheduler", Cycle, "indicator", fail(256)),
    wire("indicator", Standing, "forecaster", block(64)),
    wire("news", NewsItem, "forecaster", drop_oldest(256)),
    record("forecaster", Forecast),
    wire("forecaster", Briefing, "brain", block(64)),
    wire("brain", Decision, "risk", block(64), by="account"),
    wire("scheduler", Paused, "risk", fail(64), by="account"),
    wire("risk", Approved, "executor", block(64), by="account"),
    wire("brain", Prompt, "llm", ask()),
    wire("news", Prompt, "llm", ask()),
    record("llm", LlmCall),
    wire("llm", Allowance, "scheduler", conflate("purpose")),
    # -- back up: feedback never blocks
    wire("executor", Fill, "portfolio", fail(1024), by="account"),
    wire("executor", Fill, "brain", fail(1024)),
    wire("executor", Funding, "portfolio", fail(1024), by="account"),
    wire("executor", OrderUpdate, "risk", fail(1024), by="account"),
    wire("executor", Link, "risk", fail(64), by="account"),
    wire("portfolio", Portfolio, "risk", conflate("account"), by="account"),
    wire("portfolio", Portfolio, "forecaster", conflate("account")),
    wire("portfolio", Alarm, "indicator", fail(1024)),
    wire("executor", Alarm, "indicator", fail(1024)),
    wire("indicator", Mark, "portfolio", fail(1024), by="account"),
    wire("indicator", Mark, "executor", fail(1024), by="account"),
    wire("risk", Decision, "risk", fail(64), by="account"),
]

# People at the control socket, and what they are told.
PEOPLE_WIRES = [
    inlet(Command, "control"),
    wire("portfolio", Portfolio, "control", conflate("account")),
    wire("control", Command, "scheduler", ask()),
    wire("control", Command, "risk", ask()),
    wire("control", Command, "executor", ask()),
    wire("control", Sample, "indicator", ask()),
    wire("control", Decision, "risk", block(64), by="account"),
    wire("control", Preview, "risk", ask()),
    wire("risk", Approved, "control", drop_oldest(256)),
    wire("risk", Refused, "control", drop_oldest(256)),
    wire("control", Command, "agent", ask()),
    wire("agent", Prompt, "llm", ask()),
    wire("agent", Command, "control", fail(256)),
    wire("control", Answer, "agent", fail(256)),
    record("control", Answer),
    wire("control", Reloaded, "risk", fail(64), by="account"),
    wire("control", Reloaded, "notifier", fail(64)),
    record("agent", Remark),
    wire(ANYONE, Alert, "notifier", drop_oldest(4096)),
    wire("executor", Fill, "notifier", drop_oldest(256)),
    wire(KERNEL, Lifecycle, "notifier", drop_oldest(256)),
]

# Nobody is there (a backtest): these are for the record alone.
DESERTED = [record("risk", Refused), record(ANYONE, Alert)]

# With [telegram] chat: people are heard there, and told more.
CHAT_WIRES = [
    wire("chat", Command, "control", fail(256)),
    wire("control", Answer, "chat", fail(256)),
    inlet(Spoken, "chat"),
    wire("chat", Notice, "notifier", ask()),
    wire("scheduler", Cycle, "notifier", drop_oldest(1024)),
    wire("brain", Decision, "notifier", drop_oldest(1024)),
    wire("risk", Refused, "notifier", drop_oldest(1024)),
    wire("executor", OrderUpdate, "notifier", drop_oldest(1024)),
    wire("portfolio", Portfolio, "notifier", conflate("account")),
]

# What the tap writes to the journal: every message from Edge on.
JOURNALED: frozenset[type[Message]] = frozenset(
    {
        Edge, Cycle, Forecast, Trained, Briefing, Decision, Approved, Refused, OrderUpdate, Fill, Funding, Portfolio,
        Alert, Command, Answer, Paused, Reloaded, Lifecycle, Link, LlmCall, NewsItem, Remark,
    }
)  # fmt: skip
# And of what comes from outside: the rest is put on record by the actor it went to.
JOURNALED_POSTS: frozenset[type[Message]] = frozenset({Command})


class Ports(Struct, frozen=True, kw_only=True):
    """What a system needs of the world."""

    store: Store
    venues: dict[str, Venue]
    chance: Callable[[int], Chance]
    control: Control | None = None  # None: nobody is there to command or to be told
    console: Console | None = None
    chat: Chat | None = None  # None: no token
    records: Records | None = None
    pictures: Pictures | None = None
    model: Model | None = None  # that forecasts; None: the statistical baseline
    llm: Llm | None = None  # None: no model is asked
    wording: Wording | None = None  # the texts of its prompts
    memory: Memory | None = None  # None: nothing is recalled
    training: ModelTraining | None = None  # None: no model is trained
    source: Source | None = None
    news: News | None = None  # feeds; None: nobody reads them
    settings: Settings | None = None  # the configuration's file, to be read again
    save_market: Callable[[], None] | None = None


class Variant(Struct, frozen=True, kw_only=True):
    """In what a backtest, a replay or a simulation differs from the daemon: nothing but this."""

    commit_s: float = 1.0  # 0: the store flushes by itself
    stale_s: float = 30.0  # 0: a file cannot fall silent
    watch: bool = True  # thresholds on indicators besides the strategies
    keep_candles: bool = True
    history: int = 0  # candles to warm up with, from the store
    alarms: bool = True  # value the account between fills
    sweep_s: float = 30.0  # between comparisons of orders with the venue; 0: it loses nothing
    fixed_size: Decimal | None = None
    chat: bool = False  # people are told and heard in a chat
    recorded: bool = False  # models' answers are recordings: the same question is asked again
    bugs: frozenset[str] = frozenset()


def build(
    config: Config,
    plans: Sequence[Plan],
    accounts: Sequence[Account],
    instruments: Sequence[Instrument],
    ports: Ports,
    *,
    base_ns: int,
    variant: Variant | None = None,
    hooks: Hooks | None = None,
    start_ns: int = 0,
) -> System:
    """The system of a configuration, ready for a driver."""
    how = variant or Variant()
    known = {each.symbol: each for each in instruments}
    by_name = {plan.name: plan for plan in plans}
    cash = {account.name: account.cash for account in accounts}
    remote = {account.name for account in accounts if account.venue.kind != "paper"}
    leverage = {
        account.name: Decimal(str(config.paper.leverage if account.venue.kind == "paper" else account.venue.leverage))
        for account in accounts
    }
    store, console, people = ports.store, ports.console, ports.control
    system: System

    def portfolio(account: str) -> PortfolioKeeper:
        readers = ("forecaster", "indicator", *(("control",) if people else ()))
        return PortfolioKeeper(account, cash[account], known, store, readers=readers, alarms=how.alarms)

    def executor(account: str) -> OrderExecutor:
        venue = ports.venues[account]
        return OrderExecutor(
            account, venue, store, known, config.executor, sweep_s=how.sweep_s, remote=account in remote, bugs=how.bugs
        )

    def risk(account: str) -> RiskKeeper:
        return RiskKeeper(
            account, config.risk, by_name, known, store,
            leverage=leverage[account], fixed_size=how.fixed_size,
            forgetful="breaker_in_memory" in how.bugs,
        )  # fmt: skip

    def feed(_: str) -> Feed:
        kept = store if how.keep_candles else None
        return Feed(instruments, base_ns, stale_s=how.stale_s, store=kept, console=console, saved=ports.save_market)

    def indicator(_: str) -> Indicator:
        return Indicator(plans, base_ns, config.edges if how.watch else None, store, how.history)

    def llm(_: str) -> Caller:
        forgetful = "ledger_in_memory" in how.bugs
        return Caller(config.llm, ports.llm, store, config.market.speed, forgetful=forgetful)

    def brain(_: str) -> Brain:
        if ports.llm is None or ports.wording is None:
            return Brain(plans, known, store)
        fees = {
            plan.name: max(config.taker_fee(plan.account, known[each].kind) for each in plan.instruments)
            for plan in plans
        }
        round_trip_bp = {name: 2 * (float(fee) * 10_000 + config.paper.slippage_bp) for name, fee in fees.items()}
        settings = ThinkingSettings(config.llm, ports.wording, round_trip_bp, how.recorded)
        return Brain(plans, known, store, Thinking(settings, known))

    def forecaster(_: str) -> Forecaster:
        news_age_ns = round(config.news.max_age_h * 3600e9) if config.news.feeds else 0
        return Forecaster(plans, ports.chance, store, ports.model, memory=ports.memory, news_age_ns=news_age_ns)

    def agent(_: str) -> Agent:
        manners = None
        if ports.llm and ports.wording:
            manners = Manners(
                config.llm, ports.wording, ", ".join(f"{a.name} ({a.venue.environment})" for a in accounts)
            )
        return Agent(manners, tuple(known), store, config.market.speed)

    def control(_: str) -> Controller:
        assert people
        speed = config.market.speed
        return Controller(
            plans, known, people, system.status, store, ports.records, ports.pictures, ports.settings, speed
        )  # fmt: skip

    def notifier(_: str) -> Notifier:
        talk = Talk(
            chat=ports.chat, settings=config.telegram, instruments=known, accounts=tuple(cash),
            speed=config.market.speed, records=ports.records,
        )  # fmt: skip
        return Notifier(console, store, talk if how.chat else None)

    def chat(_: str) -> Listener:
        names = Known(tuple(known), tuple(by_name), tuple(cash))
        talks, runs = ports.llm is not None, _about(config, plans)
        return Listener(ports.chat, config.telegram, known, names, config.market.speed, runs, store, talks=talks)

    def market_of(symbol: str) -> str:
        return known[symbol].calendar

    tree = Group(
        "root",
        (
            Child("journal", lambda _: Journal(store, how.commit_s), Journal),
            *((Child("notifier", notifier, Notifier, shutdown_s=2.0),) if people else ()),
            Group(
                "account",
                (
                    Child("portfolio", portfolio, PortfolioKeeper),
                    Child("executor", executor, OrderExecutor, shutdown_s=1.5),
                    Child("risk", risk, RiskKeeper),
                ),
                strategy="one_for_all",
                intensity=10,
                keys=tuple(cash),
            ),
            Child("llm", llm, Caller),
            Child("brain", brain, Brain),
            Child("forecaster", forecaster, Forecaster),
            Child("news", lambda _: Newsroom(config.news, instruments, store, ports.news), Newsroom),
            Child("scheduler", lambda _: Scheduler(plans, market_of, store, config.market.speed), Scheduler),
            Child("trainer", lambda _: Trainer(config.training, ports.training, store), Trainer),
            Group(
                "market",
                (Child("indicator", indicator, Indicator), Child("feed", feed, Feed)),
                strategy="rest_for_one",
                intensity=10,
            ),
            *((Child("agent", agent, Agent), Child("control", control, Controller)) if people else ()),
            *((Child("chat", chat, Listener, shutdown_s=0.05),) if how.chat else ()),
        ),
        intensity=10,
    )
    system = System(
        tree,
        [*WIRES, *(PEOPLE_WIRES if people else DESERTED), *(CHAT_WIRES if how.chat else ())],
        first_id=store.session << 40,
        start_ns=start_ns,
        hooks=hooks or Hooks(tap=store.append, journaled=JOURNALED, journaled_posts=JOURNALED_POSTS),
        source=ports.source,
    )
    return system


def _about(config: Config, plans: Sequence[Plan]) -> str:
    names = ", ".join(plan.name for plan in plans)
    return f"{config.venue.kind} venue, {config.market.source} market, plans: {names}"


def daemon(config: Config, ports: Ports, *, start_ns: int = 0, history: int = 0, hooks: Hooks | None = None) -> System:
    """The system of `kokex run`. A replay builds the same, with other ports."""
    return build(
        config,
        config.resolved_plans(),
        config.resolved_accounts(),
        config.resolved_instruments(),
        ports,
        base_ns=config.market.span_ns,
        variant=Variant(
            commit_s=config.store.commit_s,
            stale_s=config.market.stale_s + config.market.span_ns / 1e9,  # a candle is only due at its close
            history=history,
            chat=config.telegram.chat != 0,
        ),
        hooks=hooks,
        start_ns=start_ns,
    )
