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
    fills: tuple[Fill, ...]  # on record, of those
    unsent: tuple[Approved, ...]  # approvals without an intent
    entries: tuple[Entry, ...]
    held: dict[str, dict[str, Decimal]]  # plan -> instrument -> size, by all fills on record
    funded: tuple[str, ...]  # recent funding payments on record
    since_ns: int  # older ones are all on record
    up: bool


@final
class Work:
    """An order that is not settled."""

    __slots__ = (
        "asking", "cancelling", "ended", "filled", "hoped", "known_ns", "limited", "order", "parent", "repriced",
        "resolving", "sent", "state", "stop", "trades", "waiting",
    )  # fmt: skip

    def __init__(self, order: Order, stop: Decimal | None, now: int) -> None:
        self.order = order
        self.stop = stop  # trigger of the protective stop its fills want
        self.state: OrderState = "intent"
        self.filled = Decimal(0)
        self.trades: set[str] = set()
        self.sent = False
        self.resolving = False  # its state at the venue is unknown and being asked for
        self.asking = False  # right now
        self.cancelling = False
        self.limited = False  # its time limit runs
        self.repriced = 0  # times
        self.parent = ""  # the entry that brings it along, as its attached stop
        self.hoped = False  # such a stop, not seen yet, that will come about
        self.ended: OrderReport | None = None  # the venue's last word on it, while fills before that are missing
        self.known_ns = now  # trades before this, less a margin, are booked
        self.waiting: list[int] = []  # questions (cancel) to answer when it is settled
