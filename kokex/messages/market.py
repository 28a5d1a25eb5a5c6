"""What the market and the venue say."""

from decimal import Decimal
from typing import Literal

from msgspec import Struct

from kokex.messages.values import Candle, Message, NewsEvent, Sentiment


class Candles(Message, frozen=True, kw_only=True, gc=False):
    """One closed instant: the candles of all instruments that closed at `close_ns`."""

    close_ns: int
    span_ns: int
    rows: tuple[Candle, ...]
    passed: int = 0  # instants just before, each with a candle of every instrument, of which there was nothing to tell


class Quote(Message, frozen=True, kw_only=True, gc=False):
    """Best bid and ask."""

    instrument: str
    bid: Decimal
    ask: Decimal
    bid_size: Decimal
    ask_size: Decimal


class Level(Struct, frozen=True, array_like=True, gc=False):
    """A level of an order book in the venue's own digits, known to be numbers.

    A book of ten levels comes ten times a second, and of most nobody looks at more than the best: an exact number is
    made when it is asked for. That takes longer than to read it.
    """

    px: str
    sz: str

    @property
    def price(self) -> Decimal:
        return Decimal(self.px)

    @property
    def size(self) -> Decimal:
        return Decimal(self.sz)


class Book(Message, frozen=True, kw_only=True, gc=False):
    """An order book, best levels first."""

    instrument: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


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


class NewsItem(Message, frozen=True, kw_only=True, gc=False):
    """A headline, judged. Its words are kept for people and for the record; no model that decides reads them."""

    item: str  # the same for the same piece of news
    source: str  # the feed's address
    published_ns: int
    instruments: tuple[str, ...]
    event: NewsEvent
    sentiment: Sentiment
    by: str  # who judged: "lexicon", or a language model
    title: str
    link: str = ""
