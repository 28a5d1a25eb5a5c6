"""Round trips: from flat to flat in one instrument.

A trip opens with the fill that leaves flat and closes with the fill that returns to it; everything bought and
sold between belongs to it. A fill that crosses zero (a flip) closes one trip and opens the next: its fee is
split in proportion of the size, the second part being what is left of it. What is still open at the end is
reported apart, at average cost.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from kokex.market.money import EXACT
from kokex.market.positions import average_price, change, flat, fund, trade, unrealised
from kokex.messages import Fill, Funding, Instrument, Side
from kokex.research.exact import plain


class RoundTrip(Struct, frozen=True, kw_only=True):
    """A position from its first fill to its last. Amounts in quote currency."""

    instrument: str
    side: Literal["long", "short"]
    entered_ns: int
    exited_ns: int
    max_size: Decimal  # largest size held, venue unit, positive
    gross: Decimal  # sold minus bought
    fees: Decimal  # paid, positive
    funding: Decimal  # received positive, paid negative
    net: Decimal  # gross - fees + funding


class OpenPosition(Struct, frozen=True, kw_only=True):
    """What is still held at the end. Amounts in quote currency, at most 18 decimals."""

    instrument: str
    size: Decimal  # venue unit, negative when short
    entered_ns: int
    average_price: Decimal  # average cost of the size still held
    mark: Decimal  # the last close
    unrealised: Decimal  # (mark - average price) x quantity, before fees
    realised: Decimal  # by reductions that left the position open, before fees
    fees: Decimal  # paid since it was opened, positive
    funding: Decimal


class _Trip:
    """The trip in progress in one instrument; flat when `position.size` is zero."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.open(0)

    def open(self, at: int) -> None:
        self.entered_ns = at
        self.max_size = Decimal(0)
        self.position = flat(self.instrument.symbol)

    def trade(self, side: Side, size: Decimal, price: Decimal, fee: Decimal) -> None:
        """Never crosses zero."""
        self.position = trade(self.position, self.instrument, side, size, price, fee)
        self.max_size = max(self.max_size, abs(self.position.size))

    def closed(self, side: Literal["long", "short"], at: int) -> RoundTrip:
        books = self.position
        return RoundTrip(
            instrument=books.instrument,
            side=side,
            entered_ns=self.entered_ns,
            exited_ns=at,
            max_size=self.max_size,
            gross=books.realised,
            fees=books.fees,
            funding=books.funding,
            net=EXACT.add(EXACT.subtract(books.realised, books.fees), books.funding),
        )

    def marked(self, mark: Decimal) -> OpenPosition:
        books = self.position
        return OpenPosition(
            instrument=books.instrument,
            size=plain(books.size),
            entered_ns=self.entered_ns,
            average_price=plain(average_price(books, self.instrument)),
            mark=plain(mark),
            unrealised=plain(unrealised(books, self.instrument, mark)),
            realised=plain(books.realised),
            fees=plain(books.fees),
            funding=plain(books.funding),
        )


def in_order(fills: Iterable[Fill], fundings: Iterable[Funding]) -> list[tuple[int, Fill | Funding]]:
    """Bookings as (from when they count, what), oldest first.

    A booking counts from its own instant, or just after it when nobody could know it at that instant (`at`, the
    kernel's stamp, is later): a fill at a candle's open stands after the close that led to it, while a stop's
    inside a candle, which is known at the close, stands before. Then the message ids decide; without ids funding
    comes first, because it is due on what was held.
    """
    booked: list[tuple[int, Fill | Funding]] = [(one.due_ns + (one.at > one.due_ns), one) for one in fundings]
    booked += [(one.filled_ns + (one.at > one.filled_ns), one) for one in fills]
    return sorted(booked, key=lambda entry: (entry[0], entry[1].id))


def round_trips(
    fills: Iterable[Fill],
    fundings: Iterable[Funding],
    instruments: Mapping[str, Instrument],
    marks: Mapping[str, Decimal],
) -> tuple[list[RoundTrip], list[OpenPosition]]:
    """Closed trips in the order they closed, and open positions in the order of their instruments' first fills.

    `marks` holds the last close of each instrument still held. Funding booked while its instrument is flat
    belongs to no trip. Raises KeyError for an instrument that is missing.
    """
    trips: dict[str, _Trip] = {}
    closed: list[RoundTrip] = []
    for _, booking in in_order(fills, fundings):
        trip = trips.get(booking.instrument)
        if isinstance(booking, Funding):
            if trip is not None and trip.position.size:
                trip.position = fund(trip.position, booking.amount)
            continue
        if trip is None:
            trip = trips[booking.instrument] = _Trip(instruments[booking.instrument])
        closed += _book(trip, booking)
    return closed, [trip.marked(marks[symbol]) for symbol, trip in trips.items() if trip.position.size]


def _book(trip: _Trip, fill: Fill) -> Iterable[RoundTrip]:
    """Books a fill; yields the trip that it closed, if any."""
    at, size, fee, held = fill.filled_ns, abs(change(fill)), fill.fee, trip.position.size
    if not held:
        trip.open(at)
    elif (held > 0) != (fill.side == "buy") and size >= abs(held):
        closing = abs(held)
        share = fee if size == closing else EXACT.divide(EXACT.multiply(fee, closing), size)
        trip.trade(fill.side, closing, fill.price, share)
        yield trip.closed("long" if held > 0 else "short", at)
        trip.open(at)
        size, fee = EXACT.subtract(size, closing), EXACT.subtract(fee, share)
    if size:
        trip.trade(fill.side, size, fill.price, fee)
