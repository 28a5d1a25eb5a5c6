"""What the actors need of the world, as Protocols. `adapters` and `simulation` implement them.

Every coroutine here may fail; the errors a caller must tell apart are the classes at the top. A port
used inline (backtest, replay) must finish without waiting: its `latency_ns` is then added by the kernel.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol

from msgspec import Struct

from kokex.messages import (
    Approved,
    Candle,
    Fill,
    Instrument,
    LlmCall,
    Message,
    ModelVersion,
    Moment,
    NewsItem,
    Order,
    OrderState,
    Outlook,
    Portfolio,
    Position,
    Prompt,
    Remark,
    Sent,
    Situation,
)
from kokex.ports.chat import Letter, Posted


class Rejected(Exception):
    """The venue said no, definitively: the order does not exist there. `code` is the venue's."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class Ambiguous(Exception):
    """Nobody knows whether it was done: a timeout, a 5xx, a broken connection, an unreadable answer."""


class StoreError(Exception):
    """The store could not do it (disk full, locked, corrupt); nothing of the batch was written."""


class Post(Protocol):
    """Hands a message from outside to an actor."""

    def __call__(self, actor: str, message: Message) -> None: ...


class Chance(Protocol):
    """Seeded in simulation. `random.Random` is one."""

    def random(self) -> float: ...
    def gauss(self, mu: float, sigma: float) -> float: ...
    def randrange(self, stop: int, /) -> int: ...


class Market(Protocol):
    """A source of market data that knows its next event: simulated, or replayed from files.

    The driver takes events in time order; live, a pacer sleeps until each is due.
    """

    instruments: tuple[Instrument, ...]
    span_ns: int

    def history(self) -> Sequence[Candle]:
        """Closed candles before the first event, oldest first, for warm-up."""
        ...

    def next_at(self) -> int | None:
        """When the next event happens; None: never again."""
        ...

    def take(self) -> None:
        """Lets it happen: the market posts its messages (fills of a paper venue first)."""
        ...


class ForecastFailed(Exception):
    """There is no forecast: no weights, no torch, a process that died or took too long. The text says which."""


class ForecastQuestion(Struct, frozen=True, kw_only=True):
    """What may come, of each of `series`?"""

    model: str  # a folder, or the name of a model that is installed
    tokenizer: str  # the same; empty: the one that belongs to the model
    horizon: int  # candles ahead
    samples: int  # paths of each
    span_ns: int  # of a candle
    seeds: tuple[int, ...]  # one for each series: the same candles and seed give the same answer
    series: tuple[tuple[Candle, ...], ...]  # closed candles, oldest first


class Forecaster(Protocol):
    """A model of candles. Raises ForecastFailed, nothing else."""

    latency_ns: int

    async def forecast(self, question: ForecastQuestion) -> tuple[Outlook, ...]:
        """One Outlook for each series."""
        ...


class TrainingFailed(Exception):
    """No model was trained. The text says why."""


class Training(Protocol):
    """Trains a model of candles on those on record and compares it with the present one. Raises TrainingFailed.

    It takes hours; given up (cancelled) and called again, it goes on where it was.
    """

    async def train(self) -> ModelVersion: ...


class FeedFailed(Exception):
    """The feed could not be read, or is none. The text says why."""


class FeedQuestion(Struct, frozen=True, kw_only=True):
    """What is new at this address? The two marks are those of the last answer."""

    url: str
    etag: str = ""
    modified: str = ""


class Headline(Struct, frozen=True, kw_only=True):
    """One entry of a feed, as text without markup."""

    item: str  # the same for the same entry
    title: str
    summary: str
    link: str
    published_ns: int  # 0: it does not say


class FeedPage(Struct, frozen=True, kw_only=True):
    """What a feed answered; no headlines when nothing changed."""

    headlines: tuple[Headline, ...] = ()
    etag: str = ""
    modified: str = ""
    wait_s: float = 0.0  # it asks not to be asked again before


class News(Protocol):
    """Feeds of headlines. Raises FeedFailed, nothing else."""

    async def read(self, question: FeedQuestion) -> FeedPage: ...


class OrderReport(Struct, frozen=True, kw_only=True):
    """What a venue knows of one order."""

    client_id: str
    state: OrderState
    filled: Decimal = Decimal(0)
    reason: str = ""
    order: Order | None = None  # where it may be one that nobody here knows: what it takes to cancel it


class FillReport(Struct, frozen=True, kw_only=True):
    """One trade as a venue reports it."""

    client_id: str
    instrument: str
    trade_id: str
    side: str
    size: Decimal
    price: Decimal
    fee: Decimal  # quote currency, positive when paid
    liquidity: str
    filled_ns: int
    base_fee: Decimal = Decimal(0)  # see Fill


class FundingReport(Struct, frozen=True, kw_only=True):
    """One funding payment as a venue reports it."""

    instrument: str
    funding_id: str
    rate: Decimal
    amount: Decimal
    due_ns: int


class Touch(Struct, frozen=True):
    """Where an instrument trades now."""

    bid: Decimal
    ask: Decimal


class VenueState(Struct, frozen=True, kw_only=True):
    """An account at the venue."""

    cash: Decimal
    positions: tuple[Position, ...]
    open_orders: tuple[OrderReport, ...]


class Venue(Protocol):
    """One account at an exchange. Fills, order updates and funding are posted to its executor.

    Raises Rejected or Ambiguous, nothing else.
    """

    latency_ns: int
    up: bool  # whether its private stream delivers; a Link message tells when that changes

    async def place(self, order: Order) -> OrderReport: ...
    async def cancel(self, order: Order) -> OrderReport: ...
    async def lookup(self, order: Order) -> OrderReport | None:
        """None: the venue knows no such order, now."""
        ...

    async def fills(self, since_ns: int) -> list[FillReport]:
        """All trades of the account filled at or after `since_ns`, oldest first."""
        ...

    async def fundings(self, since_ns: int) -> list[FundingReport]:
        """All funding payments of the account due at or after `since_ns`, oldest first."""
        ...

    async def state(self) -> VenueState: ...

    async def amend(self, order: Order, size: Decimal, price: Decimal) -> OrderReport:
        """A limit order at another price, a stop at another trigger, and of another size (what is filled included).

        The report says what holds then.
        """
        ...

    async def touch(self, instrument: str) -> Touch: ...

    async def keep_alive(self, timeout_s: int) -> None:
        """The dead-man's switch: limit orders are cancelled there unless this is heard again in time; 0: never mind."""
        ...


# ---- store ----------------------------------------------------------------------------------


class Saved(Struct, frozen=True, kw_only=True):
    """A small piece of state under a key; the newest replaces the former."""

    key: str
    body: bytes


class Input(Struct, frozen=True, kw_only=True):
    """Something from outside as the kernel accepted it: what a replay needs."""

    turn: int  # messages handled before it was accepted
    at: int
    actor: str
    kind: str  # "start", "post", "timer", "answer", "loaded", "drain", "stop"
    ref: int  # the number of the timer or call; the message's id
    body: bytes  # msgpack, empty for timers


class CandleRow(Struct, frozen=True, kw_only=True):
    span_ns: int
    candle: Candle


Row = Message | Saved | Input | CandleRow | Letter | Posted


class Entry(Struct, frozen=True, kw_only=True):
    """An entry as risk approved it, and how many orders it has by now at its protection."""

    approved: Approved
    guards: int


class Store(Protocol):
    """The one database. Appends keep their order; what is on disk is always a prefix of it."""

    session: int  # number of this run, 1 for the first; message ids start from session << 40
    tag: str  # names this installation; part of every client order id
    batches: bool  # a backtest's: rows are written when there are many, a commit leaves them; nobody waits for the disk

    def append(self, row: Row) -> None:
        """Never waits. The row is on disk once a later `commit` returned."""
        ...

    async def commit(self) -> None:
        """Returns once all appended before is on disk. Raises StoreError; the rows are kept for the next try."""
        ...

    def pending(self) -> int:
        """Rows appended and not yet on disk."""
        ...

    async def saved(self, key: str) -> bytes | None: ...
    async def candles(self, instrument: str, span_ns: int, last: int) -> list[Candle]:
        """The newest `last` candles, oldest first."""
        ...

    async def unsettled(self, account: str) -> list[Order]:
        """Orders whose intent is on record and whose end is not, oldest first."""
        ...

    async def amending(self, account: str) -> list[str]:
        """Those of them with an amend on record of which it is not known what became."""
        ...

    async def fills_of_unsettled(self, account: str) -> list[Fill]:
        """What is on record of the trades of those orders, oldest first."""
        ...

    async def entries(self, account: str) -> list[Entry]:
        """The newest entry that filled, of each plan, instrument and side, and all that are unsettled; oldest first."""
        ...

    async def open_verdicts(self, account: str) -> list[Message]:
        """Decisions without a verdict, and approvals without an intent (of approvals that carry an order)."""
        ...

    async def fills_after(self, account: str, fill: int) -> list[Message]:
        """Fill and Funding messages of an account with id > `fill`, oldest first."""
        ...

    async def fundings_since(self, account: str, due_ns: int) -> list[str]:
        """Ids of the funding payments on record that were due at or after `due_ns`."""
        ...

    async def news(self, since_ns: int) -> list[NewsItem]:
        """What was published at or after `since_ns`, oldest first."""
        ...

    async def portfolio(self, account: str) -> Portfolio | None:
        """The newest on record."""
        ...

    async def llm_calls(self, last_ns: int) -> list[LlmCall]:
        """Records of requests to models, without what was asked and answered, oldest first: all that were begun within
        `last_ns` before the newest, by the system clock."""
        ...

    async def remarks(self, conversation: int) -> list[Remark]:
        """All of a conversation, oldest first."""
        ...

    async def newest_letter(self) -> int:
        """The id of the newest there ever was; 0: there was none."""
        ...

    async def letters(self, lane: int, after: int, most: int) -> list[Letter]:
        """Letters of a lane with id > `after` of which nothing became yet, oldest first."""
        ...


class Llm(Protocol):
    """Language models. A request is sent once, and never again by itself: who asks keeps count."""

    async def moment(self) -> Moment:
        """What the machine's clocks say; quotas keep to these and not to the trading clock."""
        ...

    async def send(self, provider: str, prompt: Prompt, timeout_s: float) -> Sent:
        """Exactly one HTTP request. Never raises: what goes wrong is a Fault."""
        ...


class Recollection(Struct, frozen=True):
    """What a memory has to say."""

    lines: tuple[str, ...]
    trouble: str = ""  # why another memory than the configured one said it


class Memory(Protocol):
    """What became of earlier decisions. Raises StoreError, nothing else."""

    async def recall(self, plan: str, at_ns: int, situations: tuple[Situation, ...]) -> Recollection:
        """Lines for a prompt: lessons, and episodes like these situations; only what had matured by `at_ns`."""
        ...

    async def keep_up(self) -> str:
        """Takes in the decisions on record, and what became of them; what went wrong on the way, or nothing."""
        ...


class Control(Protocol):
    """The local control socket: posts Commands to the actor `control`, carries answers back."""

    def answer(self, request: int, body: object) -> None: ...


class Change(Struct, frozen=True):
    """A key of the configuration that has another value now."""

    key: str
    before: str
    after: str


class Reread(Struct, frozen=True):
    """The configuration's file against what is in force."""

    changed: tuple[Change, ...]  # in force from now on
    restart: tuple[str, ...]  # keys that differ and wait for a restart
    settings: dict[str, Any]  # of a Reloaded


class Settings(Protocol):
    """The file with the configuration."""

    async def read(self) -> Reread:
        """Raises when there is a mistake in it, and says which."""
        ...


class Console(Protocol):
    """Where event lines go."""

    def __call__(self, at: int, level: str, kind: str, text: str) -> None: ...
