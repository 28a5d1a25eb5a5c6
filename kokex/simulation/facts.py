"""What a journal says, kept up to date message by message.

A witness has two of these: one of all that was appended, and one of what is on disk. A kill makes the first a copy
of the second.
"""

from copy import copy
from decimal import Decimal
from typing import Any, final

import msgspec

from kokex.market.money import EXACT
from kokex.market.positions import change
from kokex.messages import (
    SETTLED,
    Alert,
    Approved,
    Briefing,
    Decision,
    Fill,
    Funding,
    LlmCall,
    Message,
    Order,
    OrderUpdate,
    Portfolio,
    Refused,
    Reply,
)

ZERO = Decimal(0)


@final
class Facts:
    __slots__ = (
        "amending", "answers", "briefed", "briefings", "decisions", "fees", "fills", "fundings", "intents", "open",
        "parents", "portfolios", "received", "sizes", "tripped", "verdicts",
    )  # fmt: skip

    def __init__(self) -> None:
        self.parents: set[int] = set()  # all messages: what may have led to another
        self.decisions: dict[int, Decision] = {}
        self.briefings: dict[str, Briefing] = {}  # by plan, the last
        self.briefed: dict[int, int] = {}  # briefing -> when
        self.answers: dict[int, str] = {}  # what models said, by call
        self.verdicts: dict[int, Approved | Refused] = {}  # by decision
        self.intents: dict[str, Order] = {}  # by client id
        self.open: dict[str, Order] = {}  # approved or intended, and not ended
        self.amending: dict[str, Decimal] = {}  # by client id: the size that was asked for, while it is in doubt
        self.fills: set[tuple[str, str, str]] = set()  # account, instrument, trade
        self.fundings: set[tuple[str, str]] = set()  # account, funding
        self.sizes: dict[tuple[str, str], Decimal] = {}  # account, instrument -> sum of fills
        self.fees: dict[str, Decimal] = {}  # by account
        self.received: dict[str, Decimal] = {}  # by account: sum of funding
        self.portfolios: dict[str, Portfolio] = {}
        self.tripped: set[str] = set()  # accounts whose breaker is known to have tripped

    def copy(self) -> "Facts":
        """Containers are copied; what they hold never changes."""
        twin = Facts()
        for name in self.__slots__:
            setattr(twin, name, copy(getattr(self, name)))
        return twin

    def learn(self, row: Any) -> None:
        """Takes in one row of the journal, in the order of the rows. Others it ignores."""
        if isinstance(row, Message):
            self.parents.add(row.id)
        if isinstance(row, OrderUpdate):
            self._order(row)
        elif isinstance(row, Portfolio):
            self.portfolios[row.account] = row
        elif isinstance(row, Decision):
            self.decisions[row.id] = row
        elif isinstance(row, Approved | Refused):
            self.verdicts[row.decision] = row
            if isinstance(row, Approved) and row.order:
                self.open[row.order.client_id] = row.order
        elif isinstance(row, Fill):
            self._fill(row)
        elif isinstance(row, Briefing):
            self.briefings[row.plan] = row
            self.briefed[row.id] = row.at
        elif isinstance(row, LlmCall):
            if row.state == "ok":
                self.answers[row.call] = msgspec.json.decode(row.answer, type=Reply).text
        elif isinstance(row, Funding):
            self.fundings.add((row.account, row.funding_id))
            self.received[row.account] = EXACT.add(self.received.get(row.account, ZERO), row.amount)
        elif isinstance(row, Alert) and row.kind == "breaker":
            if row.severity == "critical":
                self.tripped.add(row.account)
            else:
                self.tripped.discard(row.account)

    def _order(self, update: OrderUpdate) -> None:
        if update.order is not None and update.state == "amending":
            self.amending[update.client_id] = update.order.size
        elif update.order is not None or update.state in SETTLED:
            self.amending.pop(update.client_id, None)
        if update.order is not None:
            self.intents[update.client_id] = self.open[update.client_id] = update.order
        elif update.state in SETTLED:
            self.open.pop(update.client_id, None)

    def _fill(self, fill: Fill) -> None:
        key = (fill.account, fill.instrument)
        self.fills.add((*key, fill.trade_id))
        self.sizes[key] = EXACT.add(self.sizes.get(key, ZERO), change(fill))
        self.fees[fill.account] = EXACT.add(self.fees.get(fill.account, ZERO), fill.fee)
