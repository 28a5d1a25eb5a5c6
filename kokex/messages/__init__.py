"""Every message that crosses a wire, and the values they carry.

One tagged union of frozen structs. A message has one writer; the kernel stamps it on emit with an
`id` (rises with time), a `cause` (the id of the message that led to it) and `at`.

Units: times are UTC nanoseconds since 1970, spans are nanoseconds or say their unit in the name.
Prices and sizes an exchange sees are `Decimal`; indicator values are floats. An order's `size` is in
the venue's unit: base currency for spot, contracts for a swap.
"""

from kokex.messages.llm import (
    Allowance,
    Answered,
    DayCost,
    Fault,
    LlmCall,
    Moment,
    Prompt,
    Purpose,
    Reply,
    Sent,
    Shape,
    Tool,
    ToolCall,
    Turn,
)
from kokex.messages.market import Alarm, Book, Candles, Funding, Level, Link, Mark, NewsItem, Quote
from kokex.messages.memory import Episode, Lesson, Situation
from kokex.messages.money import Approved, Fill, OrderUpdate, Portfolio, Refused
from kokex.messages.people import (
    Alert,
    Answer,
    Button,
    Command,
    Lifecycle,
    Notice,
    Paused,
    Reloaded,
    Remark,
    Span,
    Spoken,
    Words,
)
from kokex.messages.thought import (
    Briefing,
    Cycle,
    Decision,
    Edge,
    Forecast,
    Preview,
    Readings,
    Sample,
    Standing,
    Trained,
)
from kokex.messages.values import (
    SETTLED,
    Act,
    Candle,
    ForecastStep,
    Instrument,
    Message,
    ModelVersion,
    NewsEvent,
    NewsNote,
    Order,
    OrderKind,
    OrderState,
    Outlook,
    Position,
    Sentiment,
    Severity,
    Side,
    Signal,
)

AnyMessage = (
    Candles
    | Quote
    | Book
    | Funding
    | Mark
    | Alarm
    | Link
    | NewsItem
    | Readings
    | Sample
    | Standing
    | Edge
    | Cycle
    | Forecast
    | Trained
    | Briefing
    | Decision
    | Preview
    | Prompt
    | LlmCall
    | Allowance
    | Approved
    | Refused
    | OrderUpdate
    | Fill
    | Portfolio
    | Alert
    | Command
    | Answer
    | Notice
    | Paused
    | Reloaded
    | Remark
    | Spoken
    | Lifecycle
)

__all__ = [
    "SETTLED",
    "Act",
    "Alarm",
    "Alert",
    "Allowance",
    "Answer",
    "Answered",
    "AnyMessage",
    "Approved",
    "Book",
    "Briefing",
    "Button",
    "Candle",
    "Candles",
    "Command",
    "Cycle",
    "DayCost",
    "Decision",
    "Edge",
    "Episode",
    "Fault",
    "Fill",
    "Forecast",
    "ForecastStep",
    "Funding",
    "Instrument",
    "Lesson",
    "Level",
    "Lifecycle",
    "Link",
    "LlmCall",
    "Mark",
    "Message",
    "ModelVersion",
    "Moment",
    "NewsEvent",
    "NewsItem",
    "NewsNote",
    "Notice",
    "Order",
    "OrderKind",
    "OrderState",
    "OrderUpdate",
    "Outlook",
    "Paused",
    "Portfolio",
    "Position",
    "Preview",
    "Prompt",
    "Purpose",
    "Quote",
    "Readings",
    "Refused",
    "Reloaded",
    "Remark",
    "Reply",
    "Sample",
    "Sent",
    "Sentiment",
    "Severity",
    "Shape",
    "Side",
    "Signal",
    "Situation",
    "Span",
    "Spoken",
    "Standing",
    "Tool",
    "ToolCall",
    "Trained",
    "Turn",
    "Words",
]
