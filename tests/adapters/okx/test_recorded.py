"""A public session recorded in 2022 replays through the parsers, and each book agrees with every checksum of it."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from kokex.adapters.okx.book import OrderBook
from kokex.adapters.okx.channels import Channels
from kokex.adapters.okx.frames import Trades
from kokex.adapters.okx.limits import Limits
from kokex.adapters.okx.transport import Connect
from kokex.adapters.okx.wire.frames import Event, Push
from kokex.adapters.okx.wire.market import BookRow, Trade
from kokex.messages import Book, Quote

RECORDED = Path(__file__).parents[4] / "shared" / "data" / "okx" / "OKX.ws.1.0"
pytestmark = pytest.mark.skipif(not RECORDED.exists(), reason=f"no recorded session at {RECORDED}")


def frames() -> Iterator[bytes]:
    """What the exchange sent."""
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        when, _, frame = line.partition(": ")
        if frame.startswith("{") and "<-" not in when:
            yield frame.encode()


def test_every_frame_is_read_and_every_row_reaches_who_listens() -> None:
    told: Counter[str] = Counter()

    def nowhere(*_: object) -> Connect:
        return None  # pyright: ignore[reportReturnType]  (nothing is connected)

    channels = Channels(nowhere, chance=None, limits=Limits())  # pyright: ignore[reportArgumentType]
    for name in ("BTC-USD-220527", "UNI-USD-SWAP", "BTC-USDT"):
        channels.quotes(name, lambda quote: told.update([f"{type(quote).__name__}"]))
        channels.trades(name, lambda _: told.update(["Trade"]))
        channels.books(name, lambda book: told.update([f"{type(book).__name__}"]), "books")
    rows: Counter[str] = Counter()
    for frame in frames():
        plain = json.loads(frame)
        if "event" in plain:
            assert msgspec.json.decode(frame, type=Event).event == "subscribe"
            continue
        rows[plain["arg"]["channel"]] += len(plain["data"])
        channels._received(frame)
    assert rows["books"] == 290
    assert told == {Quote.__name__: rows["tickers"], "Trade": rows["trades"], Book.__name__: rows["books"]}


def test_the_books_follow_and_agree_with_each_checksum() -> None:
    books: dict[str, OrderBook] = {}
    for frame in frames():
        if b'"channel":"books"' not in frame or b'"event"' in frame:
            continue
        push = msgspec.json.decode(frame, type=Push[BookRow])
        book = books.setdefault(push.arg.inst_id or "", OrderBook())
        (row,) = push.data
        assert row.checksum
        assert (book.snapshot(row) if push.action == "snapshot" else book.update(row)) == "applied"
        assert book.checksum() == row.checksum
        plain = json.loads(frame)["data"][0]
        assert book.bids.best(1)[0].price < book.asks.best(1)[0].price
        assert len(plain["asks"]) == len(row.asks)
    assert len(books) == 3


def test_a_trade_pushed_twice_is_told_once() -> None:
    told: list[Trade] = []
    read = Trades([told.append])
    for _ in range(2):
        for frame in frames():
            if b'"channel":"trades"' in frame and b'"event"' not in frame:
                read(frame)
    assert len(told) == len({(trade.inst_id, trade.trade_id) for trade in told}) == 74
