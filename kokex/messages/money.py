"""Verdicts, orders, fills, and what an account is worth."""

from decimal import Decimal
from typing import Literal

from kokex.messages.values import Message, Order, OrderState, Position, Side


class Approved(Message, frozen=True, kw_only=True, gc=False):
    """The verdict yes: the order to send, or none when there is nothing to do (hold)."""

    decision: int
    account: str
    plan: str
    instrument: str
    order: Order | None
    stop: Decimal | None = None  # trigger of the protective stop that follows the fill
    note: str = ""


class Refused(Message, frozen=True, kw_only=True, gc=False):
    """The verdict no, and the rule that said so."""

    decision: int
    account: str
    plan: str
    instrument: str
    rule: str
    reason: str


class OrderUpdate(Message, frozen=True, kw_only=True, gc=False):
    """A change in the life of an order."""

    account: str
    plan: str
    instrument: str
    client_id: str
    state: OrderState
    filled: Decimal = Decimal(0)  # so far, venue unit
    reason: str = ""
    order: Order | None = None  # with the intent and with an amend: the whole order as it is to be, or is by now
    decision: int = 0
    fill: int = 0  # id of the Fill that changed it


class Fill(Message, frozen=True, kw_only=True, gc=False, omit_defaults=False):
    """A part or all of an order traded."""

    account: str
    plan: str
    instrument: str
    client_id: str
    trade_id: str  # unique per account and instrument
    side: Side
    size: Decimal  # venue unit
    price: Decimal
    fee: Decimal  # quote currency, positive when paid
    base_fee: Decimal = Decimal(0)  # spot: what the venue kept of the coins that were bought; `fee` is its worth
    liquidity: Literal["maker", "taker"]
    filled_ns: int
    decision: int = 0


class Portfolio(Message, frozen=True, kw_only=True, gc=False, omit_defaults=False):
    """An account as of now: cash, positions, equity."""

    account: str
    cash: Decimal  # quote currency
    equity: Decimal
    positions: tuple[Position, ...]
    day_start_equity: Decimal
    peak_equity: Decimal
    held: dict[str, dict[str, Decimal]] = {}  # plan -> instrument -> size of it that the plan holds
    day: int = 0  # days since 1970 UTC that day_start_equity belongs to
    last_fill: int = 0  # id of the newest Fill or Funding counted in
    dust: dict[str, dict[str, Decimal]] = {}  # plan -> instrument -> coins that are too few to sell, besides `held`

    def sizes(self) -> dict[str, dict[str, Decimal]]:
        """All that each plan holds, dust included."""
        found = {plan: dict(sizes) for plan, sizes in self.held.items()}
        for plan, sizes in self.dust.items():
            found.setdefault(plan, {}).update(sizes)
        return found
