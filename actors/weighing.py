"""What a verdict is weighed with, and what comes of it."""

from decimal import Decimal
from typing import final

from msgspec import Struct

from kokex.messages import Order, Side


class Working(Struct):
    """An approved order that is not settled, or whose last fill the portfolio has not counted yet."""

    order: Order
    price: Decimal  # 0: not known, since a restart
    last_fill: int = 0  # id of its newest fill
    settled: bool = False

    def is_market_exit(self, symbol: str, plan: str, side: Side) -> bool:
        order = self.order
        return (
            order.reduce_only
            and order.trigger is None
            and (order.instrument, order.plan, order.side) == (symbol, plan, side)
        )


class Yes(Struct, frozen=True, gc=False):
    """What an approval holds."""

    order: Order | None
    stop: Decimal | None = None
    note: str = ""


@final
class Refusal(Exception):
    def __init__(self, rule: str, reason: str) -> None:
        self.rule = rule
        self.reason = reason
