"""The values that messages carry: instruments, candles, orders, positions."""

from decimal import Decimal
from typing import Literal

from msgspec import Struct

Side = Literal["buy", "sell"]
OrderKind = Literal["market", "limit", "post_only", "ioc", "fok", "stop", "take_profit"]
OrderState = Literal["intent", "working", "amending", "partial", "filled", "cancelled", "rejected", "expired"]
Act = Literal["open_long", "open_short", "reduce", "close", "hold"]
Severity = Literal["info", "warning", "critical"]
Sentiment = Literal["very_bad", "bad", "neutral", "good", "very_good"]
NewsEvent = Literal[
    "listing", "delisting", "hack", "outage", "regulation", "lawsuit", "funds", "macro", "earnings", "partnership",
    "upgrade", "supply", "other",
]  # fmt: skip

SETTLED: frozenset[OrderState] = frozenset({"filled", "cancelled", "rejected", "expired"})


class Message(Struct, frozen=True, kw_only=True, tag=True, gc=False, omit_defaults=True):
    """What every message carries. Zero until the kernel stamps it.

    A field that has its default is not written, but for the two that commands print.
    """

    id: int = 0
    cause: int = 0
    at: int = 0


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
    attached: "Order | None" = None  # the protective stop that the venue makes the moment this one is filled


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


class ModelVersion(Struct, frozen=True, kw_only=True, gc=False):
    """A model that was trained, and how it did on candles that training had not seen."""

    name: str
    folder: str  # where it lies; empty: it was not worth keeping
    champion: bool  # it forecasts from now on
    against: str  # what it was compared with: the champion before it, or the baseline
    verdict: str  # in words
    metrics: dict[str, float] = {}


class Outlook(Struct, frozen=True, array_like=True, gc=False):
    """What a forecaster makes of one instrument: the distribution of its next closes."""

    steps: tuple[ForecastStep, ...]  # as many as the horizon
    p_up: float  # of the close at the horizon; an unchanged path counts half
    volatility: float  # per step, of log returns
    range_low: float  # mean of the paths' lowest price, now included
    range_high: float


class NewsNote(Struct, frozen=True, array_like=True, gc=False):
    """What a brain may know of a piece of news: no word of its text."""

    instrument: str
    event: NewsEvent
    sentiment: Sentiment
    age_s: int
