"""What is pushed to public subscribers as the market moves."""

from collections.abc import Callable, Iterable

from kokex.adapters.okx.exchange import market_rows
from kokex.adapters.okx.exchange.bars import Span, candle_row
from kokex.adapters.okx.exchange.board import Board, Ladder, trade_row
from kokex.adapters.okx.exchange.channels import BOOKS, CHAINED
from kokex.adapters.okx.exchange.floor import Floor
from kokex.adapters.okx.exchange.line import Topic
from kokex.adapters.okx.exchange.listing import Row

Told = tuple[Topic, str, list[Row] | list[list[str]]]  # topic, action, data


class Streams:
    """`due(topics)` is asked after each tick for what changed on topics that somebody has."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self._sent: dict[Topic, object] = {}  # what was said last, where only news is said
        self._chains: dict[Topic, tuple[int, Ladder, Ladder]] = {}
        self._candles: dict[Topic, int] = {}  # the bar that was running
        self._quiet: dict[Topic, int] = {}

    def forget(self, topics: Iterable[Topic]) -> None:
        """Nobody has these any more."""
        for topic in topics:
            for memory in (self._sent, self._chains, self._candles, self._quiet):
                memory.pop(topic, None)
            self._sent.pop((*topic, "closed"), None)

    def due(self, topics: Iterable[Topic]) -> list[Told]:
        told: list[Told] = []
        for topic in topics:
            make = self._MAKERS.get(topic[0])
            if make is not None:
                told += make(self, topic)
            elif "candle" in topic[0]:
                told += self._candle(topic)
        return told

    def first(self, topic: Topic) -> list[Told]:
        """What a new subscriber is told at once."""
        channel = topic[0]
        if channel in CHAINED:
            return [(topic, "snapshot", [self._snapshot(topic)])]
        if channel in BOOKS:
            return [(topic, "", [self._top(topic)])]
        if channel == "instruments":
            rows = [each.row() for each in self.floor.listings.values() if each.type == topic[1]]
            return [(topic, "", [row for row in rows if not topic[3] or row["instId"] == topic[3]])]
        if "candle" in channel:
            return self._candle(topic, again=True)
        if channel in {"trades", "trades-all"}:
            return self._last_trade(topic)
        self._quiet.pop(topic, None)
        return self.due([topic])

    # ---- by channel -----------------------------------------------------------------------------

    def _board(self, topic: Topic) -> Board:
        return self.floor.boards[topic[1]]

    def _ticker(self, topic: Topic) -> list[Told]:
        return [(topic, "", [market_rows.ticker(self.floor, self.floor.listings[topic[1]])])]

    def _trades(self, topic: Topic) -> list[Told]:
        board = self._board(topic)
        before = self._sent.get(topic, board.number)
        self._sent[topic] = board.number
        fresh = [trade for trade in board.trades if isinstance(before, int) and trade.number > before]
        rows = [trade_row(board.listing, trade) for trade in fresh]
        if topic[0] == "trades":
            for row in rows:
                row["count"] = "1"
        return [(topic, "", [row]) for row in rows]

    def _last_trade(self, topic: Topic) -> list[Told]:
        board = self._board(topic)
        self._sent.setdefault(topic, board.number)
        if not board.trades:
            return []
        row = trade_row(board.listing, board.trades[-1])
        if topic[0] == "trades":
            row["count"] = "1"
        return [(topic, "", [row])]

    def _mark(self, topic: Topic) -> list[Told]:
        row = market_rows.mark_price(self.floor, self.floor.listings[topic[1]])
        return self._every(topic, row, 1000)

    def _index(self, topic: Topic) -> list[Told]:
        return self._every(topic, market_rows.index_ticker(self.floor, topic[1]), 500)

    def _funding(self, topic: Topic) -> list[Told]:
        return self._every(topic, market_rows.funding_rate(self.floor, self.floor.listings[topic[1]]), 30_000)

    def _interest(self, topic: Topic) -> list[Told]:
        return self._every(topic, market_rows.open_interest(self.floor, self.floor.listings[topic[1]]), 3000)

    def _limit(self, topic: Topic) -> list[Told]:
        board = self._board(topic)
        low, high = board.text(board.price * 0.95), board.text(board.price * 1.05)
        return self._every(topic, market_rows.price_limit(self.floor, board.listing, low, high), 5000)

    def _every(self, topic: Topic, row: Row, pause_ms: int) -> list[Told]:
        now = self.floor.now_ms
        if now - self._quiet.get(topic, -pause_ms) < pause_ms:
            return []
        self._quiet[topic] = now
        return [(topic, "", [row])]

    # ---- candles --------------------------------------------------------------------------------

    def _candle(self, topic: Topic, *, again: bool = False) -> list[Told]:
        """The running bar; and once, when it is over, the one before it."""
        kind, _, bar = topic[0].partition("candle")
        span = Span(bar)
        pair = topic[1] if kind == "index-" else self.floor.listings[topic[1]].pair
        course = self.floor.courses[pair]
        board = self.floor.boards.get(topic[1]) or next(
            board for board in self.floor.boards.values() if board.listing.pair == pair
        )
        opening = span.opening(course.next - 1)
        told: list[Told] = []
        running = self._candles.get(topic)
        self._candles[topic] = opening

        def tell(at: int) -> None:
            found = span.bar(course, at)
            if found is not None:
                row = candle_row(board, span, at, found, course.next)
                told.append((topic, "", [row if not kind else [*row[:5], row[8]]]))

        if running == opening and not again:
            if self._sent.get(topic) == course.next:  # once a second
                return []
            if self._sent.get((*topic, "closed")) == opening:  # its last word was said
                return []
        elif running is not None and running < opening and not again and self._sent.get((*topic, "closed")) != running:
            tell(running)
        self._sent[topic] = course.next
        if span.following(opening) <= course.next:
            self._sent[*topic, "closed"] = opening
        tell(opening)
        return told

    # ---- books ----------------------------------------------------------------------------------

    def _top(self, topic: Topic) -> Row:
        board = self._board(topic)
        levels = BOOKS[topic[0]]
        row: Row = {
            "asks": board.rows(board.ladder("asks")[:levels]),
            "bids": board.rows(board.ladder("bids")[:levels]),
            "instId": board.listing.id,
            "seqId": board.sequence,
            "ts": str(self.floor.now_ms),
        }
        if topic[0] == "bbo-tbt":
            del row["instId"]
        return row

    def _shallow(self, topic: Topic) -> list[Told]:
        row = self._top(topic)
        seen = (row["asks"], row["bids"])
        if self._sent.get(topic) == seen:
            return []
        self._sent[topic] = seen
        return [(topic, "", [row])]

    def _snapshot(self, topic: Topic) -> Row:
        """The book as all subscribers of this topic have it."""
        board, levels = self._board(topic), BOOKS[topic[0]]
        if topic not in self._chains:
            self._chains[topic] = (board.sequence, board.ladder("asks")[:levels], board.ladder("bids")[:levels])
        sequence, asks, bids = self._chains[topic]
        return {
            "asks": board.rows(asks),
            "bids": board.rows(bids),
            "checksum": 0,
            "prevSeqId": -1,
            "seqId": sequence,
            "ts": str(self.floor.now_ms),
        }

    def _book(self, topic: Topic) -> list[Told]:
        board, levels = self._board(topic), BOOKS[topic[0]]
        chain = self._chains.get(topic)
        if chain is None or chain[0] == board.sequence:
            return []
        before, *sides = chain
        fresh = [board.ladder("asks")[:levels], board.ladder("bids")[:levels]]
        self._chains[topic] = (board.sequence, fresh[0], fresh[1])
        changes = [_changes(board, old, new) for old, new in zip(sides, fresh, strict=True)]
        row: Row = {
            "asks": changes[0],
            "bids": changes[1],
            "checksum": 0,
            "prevSeqId": before,
            "seqId": board.sequence,
            "ts": str(self.floor.now_ms),
        }
        return [(topic, "update", [row])]

    _MAKERS: dict[str, Callable[["Streams", Topic], list[Told]]] = {  # noqa: RUF012
        "tickers": _ticker,
        "trades": _trades,
        "trades-all": _trades,
        "mark-price": _mark,
        "index-tickers": _index,
        "funding-rate": _funding,
        "open-interest": _interest,
        "price-limit": _limit,
        "books5": _shallow,
        "bbo-tbt": _shallow,
        "books": _book,
        "books-l2-tbt": _book,
        "books50-l2-tbt": _book,
    }


def _changes(board: Board, old: Ladder, new: Ladder) -> list[list[str]]:
    """What makes the new side of a book of the old one; a size of 0 takes a level away."""
    before, after = dict(old), dict(new)
    gone = [[board.price_text(ticks), "0", "0", "0"] for ticks in before if ticks not in after]
    return gone + board.rows([level for level in new if before.get(level[0]) != level[1]])
