"""Candle files as the market: read, moved to the present, and what they make the exchange list.

A bot's clock is the wall's, so a file is not played at its own dates: unless it reaches from the past into the future
already, all of it is moved by whole days (a short file by whole candles) so that half of it is behind us. What is
behind is history; the rest happens at the pace of real time, and past its end the price goes on by itself.
"""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from kokex.adapters.host.csv import CandleColumns, CsvError, read_candles
from kokex.adapters.okx.exchange.course import SPANS, Bar
from kokex.adapters.okx.exchange.listing import Listing
from kokex.market.instruments import UnknownInstrument, exact, from_csv, parse_symbol

SECOND = 1_000_000_000
DAY = 86_400
NEW_CODES = 30_000
SAMPLE = 5000  # rows that are looked at for the tick


class TapeError(ValueError):
    """A file cannot be played."""


class Tape(NamedTuple):
    listing: Listing
    span: int  # seconds
    rows: list[tuple[int, Bar]]
    moved_s: int  # by how much


def read(files: Iterable[Path], now_s: int) -> dict[str, Tape]:
    """By pair. Raises TapeError."""
    tapes: dict[str, Tape] = {}
    for number, file in enumerate(files):
        try:
            columns = read_candles(file)
        except CsvError as error:
            raise TapeError(str(error)) from None
        span = columns.span_ns // SECOND
        finest = max((each for each in SPANS if each <= span), default=0)
        if not finest or columns.span_ns % SECOND or span % finest:
            spaced = f"{columns.span_ns / 1e9:g} s"
            raise TapeError(f"{file}: its candles are {spaced} apart; whole seconds, minutes or hours can be played")
        listing = _listing(columns, NEW_CODES + number)
        if listing.pair in tapes:
            raise TapeError(f"{file}: {listing.pair} is played from another file already")
        moved = _move(columns.open_ns[0] // SECOND, columns.open_ns[-1] // SECOND + span, span, now_s)
        rows = [
            (opened // SECOND + moved, Bar(*values))
            for opened, *values in zip(
                columns.open_ns, columns.open, columns.high, columns.low, columns.close, columns.volume, strict=True
            )
        ]
        tapes[listing.pair] = Tape(listing, span, rows, moved)
    return tapes


def _move(first: int, end: int, span: int, now_s: int) -> int:
    if first <= now_s < end:
        return 0
    unit = DAY if end - first >= 2 * DAY else span
    return round((now_s - (first + end) / 2) / unit) * unit


def _listing(columns: CandleColumns, code: int) -> Listing:
    """A known symbol's steps are OKX's; another's tick is that of its prices."""
    symbol, last = columns.instrument, columns.close[-1]
    try:
        return Listing(parse_symbol(symbol), 0, last)
    except UnknownInstrument:
        pass
    if symbol.count("-") not in {1, 2} or not all(symbol.split("-")) or not symbol.isascii():
        raise TapeError(f"{symbol}: a file is named by its instrument, as BTC-USDT.csv or BTC-USDT-SWAP.csv")
    swap = symbol.endswith("-SWAP")
    inst = from_csv(symbol, "swap" if swap else "spot")
    prices = [*columns.open[-SAMPLE:], *columns.close[-SAMPLE:]]
    places = max(max(0, -int(exact(price).as_tuple().exponent)) for price in prices)
    tick = Decimal(1).scaleb(-places)
    lot = Decimal("0.01") if swap else inst.lot
    return Listing(replace(inst, tick=tick, lot=lot, minimum=lot), code, last)
