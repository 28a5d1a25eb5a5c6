"""Public endpoints: instruments, prices, candles, books, trades, funding."""

from collections.abc import Iterator
from itertools import islice, takewhile

from kokex.adapters.okx.exchange import market_rows
from kokex.adapters.okx.exchange.bars import Span, UnknownBar, candle_row, newest_first
from kokex.adapters.okx.exchange.board import trade_row
from kokex.adapters.okx.exchange.calls import Answer, Call, Endpoint, Handler, instrument_type
from kokex.adapters.okx.exchange.course import Bar
from kokex.adapters.okx.exchange.envelope import Failure, wrong
from kokex.adapters.okx.exchange.limits import Limit
from kokex.adapters.okx.exchange.listing import Listing, Row, plain

MOST_CANDLES, MOST_BACK = 300, 1440


def _listing(call: Call) -> Listing:
    call.given.need("instId")
    return call.venue.desk.listing(call.given)


def _listings(call: Call, kind: str) -> list[Listing]:
    family = call.given.get("instFamily") or call.given.get("uly")
    found = [each for each in call.venue.floor.listings.values() if each.type == kind]
    return [each for each in found if not family or each.pair == family]


def _of_type(call: Call) -> list[Listing]:
    """By instType (needed) and instId."""
    found = _listings(call, instrument_type(call.given, needed=True))
    if "instId" in call.given:
        found = [each for each in found if each.id == call.given.get("instId")]
        if not found:
            raise Failure("51001")
    return found


def time(call: Call) -> Answer:
    return [{"ts": str(call.now_ms)}]


def instruments(call: Call) -> Answer:
    return [each.row() for each in _of_type(call)]


def tickers(call: Call) -> Answer:
    kind = instrument_type(call.given, needed=True)
    return [market_rows.ticker(call.venue.floor, each) for each in _listings(call, kind)]


def ticker(call: Call) -> Answer:
    return [market_rows.ticker(call.venue.floor, _listing(call))]


def index_tickers(call: Call) -> Answer:
    floor, one, quote = call.venue.floor, call.given.get("instId"), call.given.get("quoteCcy")
    if not one and not quote:
        raise Failure("50015", "Either parameter quoteCcy or instId is required")
    pairs = [pair for pair in floor.courses if (not one or pair == one) and (not quote or pair.endswith(f"-{quote}"))]
    if not pairs:
        raise Failure("51001")
    return [market_rows.index_ticker(floor, pair) for pair in pairs]


def mark_price(call: Call) -> Answer:
    kind = instrument_type(call.given, needed=True)
    if kind not in {"MARGIN", "SWAP", "FUTURES", "OPTION"}:
        raise wrong("instType")
    found = _listings(call, "SPOT" if kind == "MARGIN" else kind)
    if "instId" in call.given:
        found = [each for each in found if each.id == call.given.get("instId")]
        if not found:
            raise Failure("51001")
    return [market_rows.mark_price(call.venue.floor, each) for each in found]


def books(call: Call) -> Answer:
    board = call.venue.floor.boards[_listing(call).id]
    size = call.given.whole("sz") or 1
    most = 400
    if not 1 <= size <= 5000:
        raise wrong("sz")
    return [{
        "asks": board.rows(board.ladder("asks")[: min(size, most)]),
        "bids": board.rows(board.ladder("bids")[: min(size, most)]),
        "seqId": board.sequence,
        "ts": str(call.venue.floor.now_ms),
    }]  # fmt: skip


def trades(call: Call) -> Answer:
    board = call.venue.floor.boards[_listing(call).id]
    return [trade_row(board.listing, each) for each in islice(reversed(board.trades), call.given.limit(500))]


def history_trades(call: Call) -> Answer:
    board = call.venue.floor.boards[_listing(call).id]
    by_time = call.given.get("type") == "2"
    older, newer = call.given.whole("after"), call.given.whole("before")
    rows = [
        trade_row(board.listing, each)
        for each in reversed(board.trades)
        if (older is None or (each.at_ms if by_time else each.number) < older)
        and (newer is None or (each.at_ms if by_time else each.number) > newer)
    ]
    return rows[: call.given.limit(100)]


# ---- candles ------------------------------------------------------------------------------------


def _candles(call: Call, most_back: int | None, *, of: str = "") -> Answer:
    given, floor = call.given, call.venue.floor
    if of == "index":
        pair = given.need("instId")
        if pair not in floor.courses:
            raise Failure("51001")
        board = next(each for each in floor.boards.values() if each.listing.pair == pair)
    else:
        board = floor.boards[_listing(call).id]
    try:
        span = Span(given.get("bar", "1m"))
    except UnknownBar:
        raise wrong("bar") from None
    course = floor.courses[board.listing.pair]
    older, newer = given.whole("after"), given.whole("before")
    if any(value is not None and value < 0 for value in (older, newer)):
        raise wrong("after")
    limit = given.limit(MOST_CANDLES)
    found = newest_first(course, span, older, newer)
    if most_back is not None and span.seconds > 0:
        oldest = span.opening(course.next - 1) - most_back * span.seconds
        found = _since(found, oldest)
    rows = [candle_row(board, span, opening, bar, course.next) for opening, bar in islice(found, limit)]
    return [[*row[:5], row[8]] for row in rows] if of else rows


def _since(found: Iterator[tuple[int, Bar]], oldest: int) -> Iterator[tuple[int, Bar]]:
    return takewhile(lambda each: each[0] > oldest, found)


def candles(call: Call) -> Answer:
    return _candles(call, MOST_BACK)


def history_candles(call: Call) -> Answer:
    return _candles(call, None)


def mark_candles(call: Call) -> Answer:
    return _candles(call, None, of="mark")


def index_candles(call: Call) -> Answer:
    return _candles(call, None, of="index")


# ---- funding, limits ----------------------------------------------------------------------------


def _swap(call: Call) -> Listing:
    found = _listing(call)
    if found.type != "SWAP":
        raise Failure("51000", "Parameter instId error")
    return found


def funding_rate(call: Call) -> Answer:
    if call.given.need("instId") == "ANY":
        return [market_rows.funding_rate(call.venue.floor, each) for each in call.venue.floor.swaps]
    return [market_rows.funding_rate(call.venue.floor, _swap(call))]


def funding_history(call: Call) -> Answer:
    swap, floor, given = _swap(call), call.venue.floor, call.given
    older, newer = given.whole("after"), given.whole("before")
    rows = [
        market_rows.funding_history(floor, swap, at, rate)
        for at, rate in floor.paid[swap.id]
        if (older is None or at * 1000 < older) and (newer is None or at * 1000 > newer)
    ]
    return rows[: given.limit(400)]


def open_interest(call: Call) -> Answer:
    kind = instrument_type(call.given, needed=True)
    found = [each for each in _listings(call, kind) if call.given.get("instId", each.id) == each.id]
    return [market_rows.open_interest(call.venue.floor, each) for each in found]


def price_limit(call: Call) -> Answer:
    listing = _listing(call)
    low, high = call.venue.desk.band(listing)
    return [market_rows.price_limit(call.venue.floor, listing, plain(low), plain(high))]


def position_tiers(call: Call) -> Answer:
    if instrument_type(call.given, needed=True) != "SWAP":
        return []
    call.given.one_of("tdMode", "cross", "isolated")
    families = [*call.given.each("instFamily"), *call.given.each("uly")]
    if not families and "instId" not in call.given:
        raise Failure("50015", "Either parameter uly or instFamily is required")
    found = [each for each in call.venue.floor.swaps if each.pair in families or each.id == call.given.get("instId")]
    rows: list[Row] = []
    for each in found:
        lever, least = each.most_leverage, 0
        for tier in range(1, 6):
            most = int(each.most) * tier
            rows.append({
                "baseMaxLoan": "", "imr": plain(round(1 / lever, 6)), "instFamily": each.pair, "instId": "",
                "maxLever": str(lever), "maxSz": str(most), "minSz": str(least), "mmr": plain(round(0.4 / lever, 6)),
                "optMgnFactor": "0", "quoteMaxLoan": "", "tier": str(tier), "uly": each.pair,
            })  # fmt: skip
            least, lever = most + 1, max(1, lever // 2)
    return rows


def underlying(call: Call) -> Answer:
    kind = instrument_type(call.given, needed=True)
    return [sorted({each.pair for each in _listings(call, kind)})]


def status(call: Call) -> Answer:
    return []


def exchange_rate(call: Call) -> Answer:
    return [{"usdCny": "7.1"}]


def total_volume(call: Call) -> Answer:
    floor = call.venue.floor
    worth = sum(floor.day(pair).quote_volume for pair in floor.courses)
    return [{"ts": str(call.now_ms), "volCny": f"{worth * 7.1:.2f}", "volUsd": f"{worth:.2f}"}]


def index_components(call: Call) -> Answer:
    floor, pair = call.venue.floor, call.given.get("index") or call.given.need("instId")
    if pair not in floor.courses:
        raise Failure("51014", "Index doesn't exist.")
    last = market_rows.index_ticker(floor, pair)["idxPx"]
    one = {"cnvPx": last, "exch": "KOKEX", "symPx": last, "symbol": pair.replace("-", "/"), "wgt": "1"}
    return {"code": "0", "msg": "", "data": {"components": [one], "index": pair, "last": last, "ts": str(call.now_ms)}}


def convert_contracts(call: Call) -> Answer:
    """`type` 1: base currency to contracts, 2: contracts to base currency."""
    swap, size = _swap(call), call.given.number("sz")
    if size is None:
        raise wrong("sz")
    to_coins = call.given.one_of("type", "1", "2", default="1") == "2"
    value = swap.inst.contract_value
    done = size * value if to_coins else size / value // swap.inst.lot * swap.inst.lot
    return [{
        "instId": swap.id, "px": call.given.get("px"), "sz": plain(done), "type": "2" if to_coins else "1",
        "unit": call.given.get("unit", "coin"),
    }]  # fmt: skip


def _public(handler: Handler, count: int, *, by_instrument: bool = False) -> Endpoint:
    return Endpoint(handler, Limit(count, by_instrument=by_instrument), private=False)


PUBLIC: dict[tuple[str, str], Endpoint] = {
    ("GET", "public/time"): _public(time, 10),
    ("GET", "public/instruments"): _public(instruments, 20, by_instrument=True),
    ("GET", "public/mark-price"): _public(mark_price, 10),
    ("GET", "public/funding-rate"): _public(funding_rate, 10, by_instrument=True),
    ("GET", "public/funding-rate-history"): _public(funding_history, 10, by_instrument=True),
    ("GET", "public/open-interest"): _public(open_interest, 20),
    ("GET", "public/price-limit"): _public(price_limit, 20),
    ("GET", "public/position-tiers"): _public(position_tiers, 10),
    ("GET", "public/underlying"): _public(underlying, 20),
    ("GET", "public/convert-contract-coin"): _public(convert_contracts, 10),
    ("GET", "market/tickers"): _public(tickers, 20),
    ("GET", "market/ticker"): _public(ticker, 20),
    ("GET", "market/index-tickers"): _public(index_tickers, 20),
    ("GET", "market/books"): _public(books, 40),
    ("GET", "market/books-full"): _public(books, 10),
    ("GET", "market/books-lite"): _public(books, 6),
    ("GET", "market/candles"): _public(candles, 40),
    ("GET", "market/history-candles"): _public(history_candles, 20),
    ("GET", "market/mark-price-candles"): _public(mark_candles, 20),
    ("GET", "market/history-mark-price-candles"): _public(mark_candles, 10),
    ("GET", "market/index-candles"): _public(index_candles, 20),
    ("GET", "market/history-index-candles"): _public(index_candles, 10),
    ("GET", "market/trades"): _public(trades, 100),
    ("GET", "market/history-trades"): _public(history_trades, 20),
    ("GET", "market/platform-24-volume"): _public(total_volume, 2),
    ("GET", "market/index-components"): _public(index_components, 20),
    ("GET", "market/exchange-rate"): _public(exchange_rate, 1),
    ("GET", "system/status"): Endpoint(status, Limit(1, 5.0), private=False),
}
