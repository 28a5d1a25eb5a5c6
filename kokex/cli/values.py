"""Values that are typed on the command line and are neither text nor whole numbers."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import click

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_NS = 2**63 - 1  # in the year 2262


class Amount(click.ParamType[Decimal]):
    """An exact decimal within bounds."""

    name = "number"

    def __init__(self, *, above: str | None = None, least: str | None = None, most: str | None = None) -> None:
        self._bounds = [
            (words, Decimal(bound), holds)
            for words, bound, holds in (
                ("above", above, Decimal.__gt__),
                ("at least", least, Decimal.__ge__),
                ("at most", most, Decimal.__le__),
            )
            if bound is not None
        ]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite():
            self.fail(f"{str(value)!r} is not a number", param, ctx)
        if not all(holds(amount, bound) for _, bound, holds in self._bounds):
            right = " and ".join(f"{words} {bound}" for words, bound, _ in self._bounds)
            self.fail(f"{value} must be {right}", param, ctx)
        return amount


class Moment(click.ParamType[int]):
    """ISO 8601, UTC unless it says otherwise -> nanoseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time in ISO 8601, such as 2024-01-31 or 2024-01-31T12:00", param, ctx)
        at_ns = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1) * 1000
        return max(0, min(at_ns, _LATEST_NS))


class Setting(click.ParamType[tuple[str, float]]):
    """`fast=10` -> ("fast", 10)."""

    name = "name=number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        name, given, number = str(value).partition("=")
        if not given:
            self.fail(f"{value!r} has no value; write name=number, such as fast=10", param, ctx)
        try:
            return name.strip(), int(number) if number.strip().lstrip("+-").isdecimal() else float(number)
        except ValueError:
            self.fail(f"{number!r} is not a number; write name=number, such as fast=10", param, ctx)
