"""Every message that crosses a wire, and the values they carry.

One tagged union of frozen structs. A message has one writer; the kernel stamps it on emit with an
`id` (rises with time), a `cause` (the id of the message that led to it) and `at`.

Units: times are UTC nanoseconds since 1970, spans are nanoseconds or say their unit in the name.
Prices and sizes an exchange sees are `Decimal`; indicator values are floats. An order's `size` is in
the venue's unit: base currency for spot, contracts for a swap.
"""

from decimal import Decimal
from typing import Literal

from msgspec import Struct

Side = Literal["buy", "sell"]
OrderKind = Literal["market", "limit", "post_only", "ioc", "fok", "stop", "take_profit"]
OrderState = Literal["intent", "working", "partial", "filled", "cancelled", "rejected", "expired"]
Act = Literal["open_long", "open_short", "reduce", "close", "hold"]
Severity = Literal["info", "warning", "critical"]

SETTLED: frozenset[OrderState] = frozenset({"filled", "cancelled", "rejected", "expired"})


class Message(Struct, frozen=True, kw_only=True, tag=True, gc=False, omit_defaults=True):
    """What every message carries. Zero until the kernel stamps it.

    A field that has its default is not written, but for the two that commands print.
    """

    id: int = 0
    cause: int = 0
    at: int = 0


# ---- values ---------------------------------------------------------------------------------


class Candle(Struct, frozen=True, array_like=True, gc=False):
    """One closed candle. Prices are the written decimals as the nearest float: `repr` gives them back."""

    instrument: str
    open_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float  # base currency


class Instrument(Struct, frozen=True, kw_only=True, gc=False):
    """What may be traded and in which steps."""

    symbol: str  # "BTC-USDT" or "BTC-USDT-SWAP"
    kind: Literal["spot", "swap"]
    base: str
    quote: str
    tick: Decimal  # smallest price step
    lot: Decimal  # smallest size step, in the venue's unit
    minimum: Decimal  # smallest size
    contract_value: Decimal = Decimal(1)  # base currency in one unit of size; 1 for spot
    calendar: str = "crypto"  # the trading calendar, which is also the "market" of a daily session


class Signal(Struct, frozen=True, gc=False):
    """What a strategy thinks of one instrument now."""

    side: Literal[-1, 0, 1]
    strength: float = 1.0  # 0..1
    invalidation: float | None = None  # the price at which the idea is wrong
    reason: str = ""


class Order(Struct, frozen=True, kw_only=True, gc=False):
    """An order as risk sized it and as the venue gets it."""

    client_id: str  # derived from the decision: 1..32 letters and digits
    account: str
    plan: str
    instrument: str
    side: Side
    kind: OrderKind
    size: Decimal
    price: Decimal | None = None  # limit price
    trigger: Decimal | None = None  # of a stop or take-profit, which then is a market order
    reduce_only: bool = False
    decision: int = 0  # id of the Decision it serves
    expires_ns: int = 0  # the venue must not accept the request later than this; 0: no deadline


class Position(Struct, frozen=True, kw_only=True, gc=False):
    """Net position of an account in one instrument."""

    instrument: str
    size: Decimal  # venue unit, negative when short
    cost: Decimal  # what the open size cost, in quote currency, signed like size; average price = cost / quantity
    realised: Decimal = Decimal(0)  # quote currency, before fees and funding
    fees: Decimal = Decimal(0)  # paid, positive
    funding: Decimal = Decimal(0)  # received positive, paid negative
    mark: Decimal = Decimal(0)  # last known price


class ForecastStep(Struct, frozen=True, array_like=True, gc=False):
    """Quantiles of the close at one step ahead."""

    q05: float
    q25: float
    q50: float
    q75: float
    q95: float


# ---- market data ----------------------------------------------------------------------------


class Candles(Message, frozen=True, kw_only=True, gc=False):
    """One closed instant: the candles of all instruments that closed at `close_ns`."""

    close_ns: int
    span_ns: int
    rows: tuple[Candle, ...]


class Quote(Message, frozen=True, kw_only=True, gc=False):
    """Best bid and ask."""

    instrument: str
    bid: Decimal
    ask: Decimal
    bid_size: Decimal
    ask_size: Decimal


class Book(Message, frozen=True, kw_only=True, gc=False):
    """Order book levels as (price, size), best first."""

    instrument: str
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]


class Funding(Message, frozen=True, kw_only=True, gc=False):
    """A funding payment booked on an account (swaps)."""

    account: str
    instrument: str
    funding_id: str  # unique per account
    rate: Decimal
    amount: Decimal  # quote currency, received positive
    due_ns: int


class Mark(Message, frozen=True, kw_only=True, gc=False):
    """The price left the band an account asked to be told of (see Alarm)."""

    account: str
    owner: Literal["portfolio", "executor"]  # who set the alarm
    instrument: str
    price: float
    close_ns: int


class Alarm(Message, frozen=True, kw_only=True, gc=False):
    """Tell me (Mark) when this instrument's close leaves [low, high]; the newest alarm of an owner counts.

    So a candle that changes nothing for the account costs the account nothing.
    """

    account: str
    owner: Literal["portfolio", "executor"]
    instrument: str
    low: float
    high: float


class Link(Message, frozen=True, kw_only=True, gc=False):
    """An edge of the system went down or came back."""

    account: str  # "" for the market's
    edge: Literal["market", "venue"]
    up: bool
    reason: str = ""


# ---- thought --------------------------------------------------------------------------------


class Readings(Message, frozen=True, kw_only=True, gc=False):
    """An instrument's indicator values and strategy signals at the close of its last candle."""

    plan: str
    instrument: str
    close_ns: int
    price: float
    values: dict[str, float]
    signals: dict[str, Signal]


class Sample(Message, frozen=True, kw_only=True, gc=False):
    """A question to the indicator: where do these instruments stand?"""

    plan: str
    instruments: tuple[str, ...]
    lookback: int  # closes wanted with it


class Edge(Message, frozen=True, kw_only=True, gc=False):
    """A threshold was crossed, or a strategy's signal changed."""

    plan: str
    instrument: str
    source: str  # the indicator or strategy
    kind: Literal["up", "down", "spike", "calm", "signal"]
    score: float  # significance 0..1
    value: float
    close_ns: int
    candle: Candle  # the candle that caused it
    note: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Edges with the same key say the same thing: the newest counts."""
        return (self.plan, self.instrument, self.source)


class Cycle(Message, frozen=True, kw_only=True, gc=False):
    """Think now about these instruments."""

    plan: str
    why: Literal["first", "long", "short", "session", "realtime", "edge", "signal", "command"]
    instruments: tuple[str, ...]
    edges: tuple[int, ...] = ()  # ids of the edges that woke it
    deadline_ns: int = 0  # an answer later than this is stale
    market: str = ""  # the trading calendar, for a daily session
    note: str = ""


class Forecast(Message, frozen=True, kw_only=True, gc=False):
    """The distribution of an instrument's close over the next steps."""

    plan: str
    instrument: str
    close_ns: int  # made from candles up to here
    span_ns: int  # of a step
    model: str
    price: float
    steps: tuple[ForecastStep, ...]
    p_up: float  # probability that the close at the horizon is above now
    volatility: float  # per step, of log returns
    range_low: float  # expected low over the horizon
    range_high: float


class Briefing(Message, frozen=True, kw_only=True, gc=False):
    """All a brain may know for one cycle."""

    plan: str
    account: str
    cycle: int
    instruments: tuple[str, ...]
    readings: tuple[Readings, ...]
    forecasts: tuple[Forecast, ...]
    held: dict[str, Decimal]  # the plan's own position by instrument, in the venue's unit
    equity: Decimal
    deadline_ns: int
    lessons: tuple[str, ...] = ()


class Decision(Message, frozen=True, kw_only=True, gc=False):
    """What a brain, or a person, wants. Never a size, but for a person's own (`size`)."""

    plan: str
    account: str
    instrument: str
    act: Act
    conviction: int  # 1..5
    horizon_s: int
    price: float  # last close it was made from
    invalidation: float | None = None  # the price at which it is wrong
    reasons: tuple[str, ...] = ()
    by: str = "rules"
    cycle: int = 0
    deadline_ns: int = 0  # refused when older; 0: none
    size: Decimal | None = None  # a person's wish, in the venue's unit
    limit: Decimal | None = None  # a person's limit price
    atr: float | None = None  # average true range at the decision, for the stop


# ---- money ----------------------------------------------------------------------------------


class Approved(Message, frozen=True, kw_only=True, gc=False):
    """The verdict yes: the order to send, or none when there is nothing to do (hold)."""

    decision: int
    account: str
    plan: str
    instrument: str
    order: Order | None
    stop: Decimal | None = None  # trigger of the protective stop that follows the fill
    note: str = ""


class Refused(Message, frozen=True, kw_only=True, gc=False):
    """The verdict no, and the rule that said so."""

    decision: int
    account: str
    plan: str
    instrument: str
    rule: str
    reason: str


class OrderUpdate(Message, frozen=True, kw_only=True, gc=False):
    """A change in the life of an order."""

    account: str
    plan: str
    instrument: str
    client_id: str
    state: OrderState
    filled: Decimal = Decimal(0)  # so far, venue unit
    reason: str = ""
    order: Order | None = None  # with the intent: the whole order
    decision: int = 0
    fill: int = 0  # id of the Fill that changed it


class Fill(Message, frozen=True, kw_only=True, gc=False, omit_defaults=False):
    """A part or all of an order traded."""

    account: str
    plan: str
    instrument: str
    client_id: str
    trade_id: str  # unique per account and instrument
    side: Side
    size: Decimal  # venue unit
    price: Decimal
    fee: Decimal  # quote currency, positive when paid
    liquidity: Literal["maker", "taker"]
    filled_ns: int
    decision: int = 0


class Portfolio(Message, frozen=True, kw_only=True, gc=False, omit_defaults=False):
    """An account as of now: cash, positions, equity."""

    account: str
    cash: Decimal  # quote currency
    equity: Decimal
    positions: tuple[Position, ...]
    day_start_equity: Decimal
    peak_equity: Decimal
    held: dict[str, dict[str, Decimal]] = {}  # plan -> instrument -> size of it that the plan holds
    day: int = 0  # days since 1970 UTC that day_start_equity belongs to
    last_fill: int = 0  # id of the newest Fill or Funding counted in


# ---- people ---------------------------------------------------------------------------------


class Alert(Message, frozen=True, kw_only=True, gc=False):
    """Something a person should know."""

    severity: Severity
    kind: str  # "order", "fill", "breaker", "crash", ...
    text: str
    account: str = ""
    plan: str = ""


class Command(Message, frozen=True, kw_only=True, gc=False):
    """What a person asked for."""

    verb: str
    args: dict[str, str] = {}
    by: str = "local"
    request: int = 0  # whom to answer


class Lifecycle(Message, frozen=True, kw_only=True, gc=False):
    """An actor's change of state, from the kernel."""

    actor: str
    event: Literal["started", "crashed", "restarting", "stopped", "escalated", "dead_letter"]
    error: str = ""
    restarts: int = 0


AnyMessage = (
    Candles
    | Quote
    | Book
    | Funding
    | Mark
    | Alarm
    | Link
    | Readings
    | Sample
    | Edge
    | Cycle
    | Forecast
    | Briefing
    | Decision
    | Approved
    | Refused
    | OrderUpdate
    | Fill
    | Portfolio
    | Alert
    | Command
    | Lifecycle
)
