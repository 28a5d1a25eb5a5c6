"""From frames to messages: one reader a channel, straight from the bytes.

A reader takes a frame of its channel and tells its listeners what it says, oldest first. What is pushed most is
decoded by a shape that holds only what is used, candles with their numbers made by msgspec; where OKX sends "" or null
for one of these, the row is read as text. Rows that say nothing (no price, in a market without orders) are left out.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar, final

import msgspec
from msgspec import Meta, Struct

from kokex.adapters.okx.book import OrderBook
from kokex.adapters.okx.wire import MS, Decimals, Text
from kokex.adapters.okx.wire.frames import Push
from kokex.adapters.okx.wire.market import BookRow, CandleRow, FundingRate, MarkPrice, Trade
from kokex.messages import Book, Candle, Level, Quote

T = TypeVar("T")
Listeners = Sequence[Callable[[Any], object]]  # may change between frames
Reader = Callable[[bytes], None]

REMEMBERED = 1000  # trades, so that one pushed twice is told once


class _Rows(Struct, Generic[T], gc=False):
    """A push of which only the rows matter."""

    data: list[T]


class _Candle(Struct, array_like=True, gc=False):
    ts: int
    o: float
    h: float
    l: float  # noqa: E741
    c: float
    vol: float
    vol_ccy: float
    vol_ccy_quote: float
    confirm: int


class _Quote(Struct, rename="camel", gc=False):
    bid_px: Text = None
    ask_px: Text = None
    bid_sz: Text = None
    ask_sz: Text = None


class _Book(Struct, gc=False):
    asks: tuple[Level, ...]
    bids: tuple[Level, ...]


_Number = Annotated[float, Meta(ge=0, le=1e300)]  # no NaN, nothing infinite


class _LevelCheck(Struct, array_like=True, gc=False):
    px: _Number
    sz: _Number


class _BookCheck(Struct, gc=False):
    asks: list[_LevelCheck]
    bids: list[_LevelCheck]


_quick_candles = msgspec.json.Decoder(_Rows[_Candle], strict=False).decode  # strict=False: text is read as a number
_candles = msgspec.json.Decoder(_Rows[CandleRow]).decode
_quotes = msgspec.json.Decoder(_Rows[_Quote]).decode
_shallow_books = msgspec.json.Decoder(_Rows[_Book]).decode
_check_books = msgspec.json.Decoder(_Rows[_BookCheck], strict=False).decode
_books = msgspec.json.Decoder(Push[BookRow]).decode
_trades = msgspec.json.Decoder(_Rows[Trade]).decode
_fundings = msgspec.json.Decoder(_Rows[FundingRate]).decode
_marks = msgspec.json.Decoder(_Rows[MarkPrice]).decode
_decimals = Decimals()


def candle_of(instrument: str, row: CandleRow) -> Candle:
    """OKX's row as ours: the volume of a swap is told in contracts and in base currency, that of spot in base."""
    volume = row.vol_ccy if instrument.endswith("-SWAP") else row.vol
    return Candle(
        instrument, int(row.ts) * MS, float(row.o), float(row.h), float(row.l), float(row.c), float(volume or 0)
    )


def candles(instrument: str, listeners: Listeners) -> Reader:
    """The channels candle1s to candle1Dutc: (the candle as it stands, whether this is the last word on it)."""
    swap = instrument.endswith("-SWAP")

    def read(frame: bytes) -> None:
        try:
            rows = _quick_candles(frame).data
        except msgspec.ValidationError:
            for row in _candles(frame).data:
                told = candle_of(instrument, row), row.confirm == "1"
                for tell in listeners:
                    tell(told)
            return
        for row in rows:
            volume = row.vol_ccy if swap else row.vol
            told = Candle(instrument, row.ts * MS, row.o, row.h, row.l, row.c, volume), row.confirm == 1
            for tell in listeners:
                tell(told)

    return read


def quotes(instrument: str, listeners: Listeners) -> Reader:
    """The channel tickers."""

    def read(frame: bytes) -> None:
        for row in _quotes(frame).data:
            if row.bid_px and row.ask_px and row.bid_sz and row.ask_sz:
                quote = Quote(
                    instrument=instrument,
                    bid=_decimals[row.bid_px],
                    ask=_decimals[row.ask_px],
                    bid_size=_decimals[row.bid_sz],
                    ask_size=_decimals[row.ask_sz],
                )
                for tell in listeners:
                    tell(quote)

    return read


def shallow_books(instrument: str, listeners: Listeners) -> Reader:
    """The channels books5 and bbo-tbt: each frame is the whole of what it shows.

    Its levels stay text. That they are numbers is found out by reading the frame once more, as floats: a third of what
    exact numbers would take.
    """

    def read(frame: bytes) -> None:
        _check_books(frame)
        for row in _shallow_books(frame).data:
            book = Book(instrument=instrument, bids=row.bids, asks=row.asks)
            for tell in listeners:
                tell(book)

    return read


@final
class DeepBook:
    """The channel books: a snapshot and updates; `again()` is called when it must be subscribed to anew."""

    def __init__(self, instrument: str, depth: int, again: Callable[[], object], listeners: Listeners) -> None:
        self.book = OrderBook()
        self._instrument = instrument
        self._depth = depth
        self._again = again
        self._listeners = listeners

    def __call__(self, frame: bytes) -> None:
        push = _books(frame)
        book, changed = self.book, False
        for row in push.data:
            outcome = book.snapshot(row) if push.action == "snapshot" else book.update(row)
            changed = changed or outcome == "applied"
            if outcome == "gap":
                self._again()
                return
        if changed:
            bids, asks = book.bids.best(self._depth), book.asks.best(self._depth)
            message = Book(instrument=self._instrument, bids=bids, asks=asks)
            for tell in self._listeners:
                tell(message)


@final
class Trades:
    """The channel trades: each trade once, however often it is pushed."""

    def __init__(self, listeners: Listeners) -> None:
        self._listeners = listeners
        self._order: deque[str] = deque(maxlen=REMEMBERED)
        self._known: set[str] = set()

    def __call__(self, frame: bytes) -> None:
        for trade in _trades(frame).data:
            if trade.trade_id in self._known:
                continue
            if len(self._order) == REMEMBERED:
                self._known.discard(self._order[0])
            self._order.append(trade.trade_id)
            self._known.add(trade.trade_id)
            for tell in self._listeners:
                tell(trade)


def funding_rates(listeners: Listeners) -> Reader:
    """The channel funding-rate."""
    return _rows(_fundings, listeners)


def mark_prices(listeners: Listeners) -> Reader:
    """The channel mark-price."""
    return _rows(_marks, listeners)


def _rows(decode: Callable[[bytes], _Rows[Any]], listeners: Listeners) -> Reader:
    def read(frame: bytes) -> None:
        for row in decode(frame).data:
            for tell in listeners:
                tell(row)

    return read
