"""What the executor knows of an order under way, and what it takes up at a start."""

from decimal import Decimal
from typing import final

from msgspec import Struct

from kokex.messages import Approved, Fill, Order, OrderState
from kokex.ports import Entry, OrderReport


class Loaded(Struct, frozen=True):
    """What the store and the venue's link say at a start."""

    at_ns: int
    unsettled: tuple[Order, ...]
    amending: tuple[str, ...]  # those of them whose amend may have been sent
    fills: tuple[Fill, ...]  # on record, of those
    unsent: tuple[Approved, ...]  # approvals without an intent
    entries: tuple[Entry, ...]
    held: dict[str, dict[str, Decimal]]  # plan -> instrument -> size, by all fills on record
    funded: tuple[str, ...]  # recent funding payments on record
    since_ns: int  # older ones are all on record
    up: bool


@final
class Work(Struct, eq=False):
    """An order that is not settled."""

    order: Order
    stop: Decimal | None  # trigger of the protective stop its fills want
    known_ns: int  # trades before this, less a margin, are booked
    state: OrderState = "intent"
    filled: Decimal = Decimal(0)
    trades: set[str] = set()
    sent: bool = False
    resolving: bool = False  # its state at the venue is unknown and being asked for
    asking: bool = False  # right now
    cancelling: bool = False
    limited: bool = False  # its time limit runs
    repriced: int = 0  # times
    parent: str = ""  # the entry that brings it along, as its attached stop
    hoped: bool = False  # such a stop, not seen yet, that will come about
    before: Order | None = None  # its terms before an amend that is under way or in doubt; `order` are those it wants
    doubtful: bool = False  # whether that amend came about will never be known
    refused: bool = False  # it is not amended again
    ended: OrderReport | None = None  # the venue's last word on it, while fills before that are missing
    waiting: list[int] = []  # questions (cancel) to answer when it is settled
