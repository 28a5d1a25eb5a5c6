"""The tables of config.toml as frozen structs.

A field's type, rules (`Range`, `OneOf`, ...) and default are all there is to know of a key: every complaint about
it is worded from them. Names end in their unit: _s seconds, _ms milliseconds, _h hours, _pct percent,
_bp basis points.
"""

from decimal import Decimal
from pathlib import PurePath
from typing import Annotated, Literal

from msgspec import Struct
from msgspec.structs import replace

from kokex.config.llm import Llm
from kokex.config.memory import Memory
from kokex.config.news import News
from kokex.config.rules import (
    TIGHTER,
    AccountKind,
    Cash,
    Count,
    Fee,
    Filled,
    Hours,
    Later,
    Name,
    Parameters,
    Percent,
    Positive,
    Range,
    Rsi,
    Seconds,
    Share,
    Symbol,
    Timeframe,
)
from kokex.config.telegram import Telegram
from kokex.config.training import Training
from kokex.config.venue import Venue
from kokex.market import timeframes
from kokex.market.instruments import from_csv, parse_symbol
from kokex.messages import Instrument

BASELINE_PATHS = 200
KRONOS_PATHS = 30


class Mode(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to think."""

    kind: Literal["adaptive", "realtime", "daily"] = "adaptive"
    long_s: Seconds = 720  # adaptive: between cycles while calm
    short_s: Seconds = 300  # adaptive: between cycles while something is going on
    grace_s: Seconds = 20  # edges within it become one cycle
    cooldown_s: Seconds = 60  # the same edge wakes nobody again
    calm_s: Seconds = 600  # without an edge for so long: back to long_s
    realtime_s: Seconds = 60
    per_instrument: bool = False  # realtime: one call for each instrument
    sessions: Annotated[int, Range(least=1, most=24)] = 4  # daily: a day
    spacing_h: Hours = 6.0


class Market(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where candles come from."""

    source: Annotated[Literal["simulated", "replay", "okx"], Later(("kis",))] = "simulated"
    instruments: tuple[Symbol, ...] = ("BTC-USDT-SWAP", "ETH-USDT-SWAP", "SOL-USDT-SWAP")
    candles: tuple[Filled, ...] = ()  # replay: CSV files
    calendars: dict[Filled, Filled] = {}  # instrument -> its trading calendar, where that is not crypto's
    timeframe: Timeframe = "1s"
    speed: Annotated[float, Range(above=0, most=100_000)] = 1.0
    seed: Annotated[int, Range(least=0)] = 0  # of the simulated market; 0: drawn at the first start
    history_s: Annotated[int, Range(least=0, most=31 * 86_400)] = 7_200
    stale_s: Seconds = 30  # no candle for so long: the market is down

    @property
    def span_ns(self) -> int:
        """The timeframe in nanoseconds."""
        return timeframes.parse(self.timeframe)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The instruments there are: a replayed file's is its stem."""
        if self.source == "replay":
            return tuple(PurePath(file).name.removesuffix(".gz").removesuffix(".csv") for file in self.candles)
        return self.instruments


class Paper(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The embedded exchange."""

    cash: Cash = Decimal(100_000)
    account_kind: AccountKind = "margin"
    maker_fee: Fee = Decimal("0.0002")
    taker_fee: Fee = Decimal("0.0005")
    slippage_bp: Annotated[float, Range(least=0, most=1_000)] = 1.0
    volume_share: Share = 0.1  # of a candle's volume that one order may take; 0: all it wants
    leverage: Annotated[float, Range(least=1, most=100)] = 3
    latency_ms: Annotated[float, Range(least=0, most=60_000)] = 0
    funding_h: Hours = 8.0


class Edges(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Indicator thresholds: an edge fires at the first level and rearms at its release."""

    rsi_high: Rsi = 70
    rsi_high_release: Rsi = 65
    rsi_low: Rsi = 30
    rsi_low_release: Rsi = 35
    volume_z: Positive = 3.0  # standard deviations
    volume_z_release: Positive = 1.5
    volatility_ratio: Positive = 2.0  # of the short to the long volatility
    volatility_ratio_release: Positive = 1.3
    spike_sigma: Annotated[float, Range(above=0, most=100)] = 4.0  # one candle's move, in standard deviations
    min_score: Share = 0.2  # an edge less significant wakes nobody


class Brain(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who decides."""

    kind: Literal["rules", "llm"] = "rules"
    strategies: tuple[Filled, ...] = ("trend",)
    min_conviction: Annotated[int, Range(least=1, most=5)] = 2


class Forecast(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who looks ahead, and how far, in candles of the plan."""

    kind: Literal["baseline", "kronos", "none"] = "baseline"
    lookback: Annotated[int, Range(least=2, most=100_000)] = 240
    horizon: Annotated[int, Range(least=1, most=1_000)] = 24
    samples: Annotated[int, Range(least=0, most=100_000)] = 0  # 0: BASELINE_PATHS or KRONOS_PATHS
    model: Filled = "nano"  # kronos: a folder, or the name of a model that is installed
    tokenizer: str = ""  # kronos: the same; empty: the one that belongs to the model
    timeout_s: Seconds = 20.0  # kronos: then the baseline stands in

    @property
    def paths(self) -> int:
        """How many paths a forecast draws: a model's cost more than the baseline's."""
        return self.samples or (KRONOS_PATHS if self.kind == "kronos" else BASELINE_PATHS)


class Kronos(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The process in which Kronos forecasts, for all plans."""

    threads: Annotated[int, Range(least=1, most=64)] = 1
    idle_s: Seconds = 300.0  # without a question for so long it ends
    memory_mb: Annotated[int, Range(least=200, most=1_000_000)] = 700  # if it takes more it is ended after its answer
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16: faster with AVX-512 BF16 and no AMX; other digits


class Risk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be lost. Percentages are of the account's equity, but for max_order_pct: of its free cash."""

    max_daily_loss_pct: Annotated[float, Range(above=0, most=3, why=TIGHTER)] = 3.0
    max_order_pct: Annotated[float, Range(above=0, most=30, why=TIGHTER)] = 30.0
    max_exposure_pct: Percent = 100.0
    max_position_pct: Percent = 40.0
    risk_per_trade_pct: Percent = 0.5
    stop_atr: Annotated[float, Range(above=0, most=100)] = 2.0  # distance of the stop, in average true ranges
    min_stop_bp: Annotated[float, Range(above=0, most=10_000)] = 20  # and at least so far
    max_price_deviation_pct: Percent = 2.0  # a limit price further from the market is a slip of the finger
    max_orders_per_minute: Count = 30
    stale_s: Seconds = 60  # nothing is decided from data older than this


class Executor(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How orders are sent."""

    timeout_s: Seconds = 10.0  # for the venue's answer
    request_ttl_s: Seconds = 5.0  # the venue must not accept a request later
    limit_timeout_s: Seconds = 60.0  # of a limit order, or of what a partly filled entry still wants
    limit_end: Literal["cancel", "reprice"] = "cancel"  # what happens then
    reprices: Annotated[int, Range(least=1, most=100)] = 3  # times, each with the time again; then it is cancelled


class Store(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The one database."""

    path: Filled = "data/kokex.db"
    keep_days: Annotated[int, Range(least=1, most=36_500)] = 7
    commit_s: Seconds = 1.0


class Secrets(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The encrypted store of secrets."""

    path: Filled = "data/kokex.secrets"
    key_file: str = ""  # empty: a passphrase opens it


class Control(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The local control socket."""

    path: str = ""  # empty: kokex.sock next to the database


class Log(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is worth a line."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Account(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[accounts]]`: a purse of its own. What it leaves out comes from [paper] and [venue]."""

    name: Name
    cash: Cash = Decimal(100_000)  # of a paper account
    kind: AccountKind = "margin"
    venue: Venue = Venue()


class PlanTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[plans]]` as read: a table given here already holds the top-level table's values below its own."""

    name: Name
    account: Name = "main"
    enabled: bool = True
    instruments: tuple[Symbol, ...] | None = None
    timeframe: Timeframe | None = None
    mode: Mode | None = None
    brain: Brain | None = None
    forecast: Forecast | None = None
    risk: Risk | None = None
    strategies: Parameters = {}


class Plan(Struct, frozen=True, kw_only=True):
    """What a user thinks in, nothing left open."""

    name: str
    account: str
    enabled: bool
    instruments: tuple[str, ...]
    timeframe_ns: int
    mode: Mode
    brain: Brain
    forecast: Forecast
    risk: Risk
    parameters: Parameters


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it. `Config()` is what an empty file means."""

    mode: Mode = Mode()
    market: Market = Market()
    venue: Venue = Venue()
    paper: Paper = Paper()
    edges: Edges = Edges()
    brain: Brain = Brain()
    llm: Llm = Llm()
    forecast: Forecast = Forecast()
    kronos: Kronos = Kronos()
    training: Training = Training()
    news: News = News()
    memory: Memory = Memory()
    risk: Risk = Risk()
    executor: Executor = Executor()
    store: Store = Store()
    secrets: Secrets = Secrets()
    control: Control = Control()
    telegram: Telegram = Telegram()
    log: Log = Log()
    strategies: Parameters = {}
    accounts: tuple[Account, ...] = ()
    plans: tuple[PlanTable, ...] = ()
    listing: tuple[Instrument, ...] = ()  # not of the file: what the exchange listed, on record with the session
    fees: dict[str, dict[str, Decimal]] = {}  # nor this: account -> kind of instrument -> what a taker pays there

    def resolved_accounts(self) -> tuple[Account, ...]:
        """The accounts there are: without [[accounts]] one, "main"."""
        return self.accounts or (
            Account(name="main", cash=self.paper.cash, kind=self.paper.account_kind, venue=self.venue),
        )

    def taker_fee(self, account: str, kind: str) -> Decimal:
        """A fraction of the turnover: as the account's exchange says, else that of [paper]."""
        return self.fees.get(account, {}).get(kind, self.paper.taker_fee)

    def resolved_instruments(self) -> tuple[Instrument, ...]:
        """What is traded: as the venue lists it, known, or one for each replayed file. Raises UnknownInstrument."""
        known = from_csv if self.market.source == "replay" else parse_symbol
        made = self.listing or (known(symbol) for symbol in self.market.symbols)
        return tuple(replace(each, calendar=self.market.calendars.get(each.symbol, each.calendar)) for each in made)

    def resolved_plans(self) -> tuple[Plan, ...]:
        """The plans there are: without [[plans]] one, "main", of the top-level tables."""
        return tuple(self._resolved(table) for table in self.plans or (PlanTable(name="main"),))

    def _resolved(self, table: PlanTable) -> Plan:
        names = dict.fromkeys((*self.strategies, *table.strategies))
        return Plan(
            name=table.name,
            account=table.account,
            enabled=table.enabled,
            instruments=self.market.symbols if table.instruments is None else table.instruments,
            timeframe_ns=timeframes.parse(table.timeframe) if table.timeframe else self.market.span_ns,
            mode=table.mode or self.mode,
            brain=table.brain or self.brain,
            forecast=table.forecast or self.forecast,
            risk=table.risk or self.risk,
            parameters={name: self.strategies.get(name, {}) | table.strategies.get(name, {}) for name in names},
        )
