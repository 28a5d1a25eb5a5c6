"""From what is seen to what is wanted."""

from decimal import Decimal
from typing import Literal

from kokex.messages.values import Act, Candle, ForecastStep, Message, ModelVersion, NewsNote, Signal


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
    why: Literal["first", "long", "short", "session", "realtime", "edge", "signal", "command", "recorded", "trained"]
    instruments: tuple[str, ...]
    edges: tuple[int, ...] = ()  # ids of the edges that woke it
    deadline_ns: int = 0  # an answer later than this is stale
    market: str = ""  # the trading calendar, for a daily session
    note: str = ""


class Standing(Message, frozen=True, kw_only=True, gc=False):
    """A cycle, and where its instruments stand."""

    cycle: Cycle
    readings: tuple[Readings, ...]  # of an instrument that is not warm: a price, but no values or signals
    candles: dict[str, tuple[Candle, ...]]  # oldest first, of the plan's timeframe; for a plan that wants forecasts


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


class Trained(Message, frozen=True, kw_only=True, gc=False):
    """A training has ended, and whether its model is the champion now."""

    version: ModelVersion


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
    why: str = ""  # the cycle's
    lessons: tuple[str, ...] = ()
    news: tuple[NewsNote, ...] = ()  # newest first


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
    call: int = 0  # id of the LlmCall it came from


class Preview(Message, frozen=True, kw_only=True, gc=False):
    """A question to risk: what verdict would this decision get now? Nothing comes of it."""

    decision: Decision
