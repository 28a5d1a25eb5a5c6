"""Requests to language models, and what they cost, as tables."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from textwrap import shorten
from typing import Any, Protocol

from kokex.messages import DayCost, LlmCall
from kokex.present.tables import Table
from kokex.present.text import plain
from kokex.present.words import clock

OPENING = 60  # characters shown of how a conversation began


class Conversation(Protocol):
    """A conversation with a model, as it is listed."""

    @property
    def id(self) -> int: ...
    @property
    def ended_ns(self) -> int: ...
    @property
    def by(self) -> str: ...
    @property
    def remarks(self) -> int: ...
    @property
    def opening(self) -> str: ...


def dollars(usd: Decimal) -> str:
    return f"{usd:.4f}"


def calls(records: Iterable[LlmCall]) -> Table:
    rows = tuple(
        (
            clock(each.begun.wall_ns),
            str(each.id),
            each.purpose,
            each.plan,
            each.served or each.model,
            each.state if not each.fault else f"{each.fault} {each.status or ''}".strip(),
            str(each.input_tokens),
            str(each.output_tokens),
            f"{each.took_ms} ms",
            dollars(each.usd),
        )
        for each in records
    )
    columns = ("time", "call", "purpose", "plan", "model", "state", "tokens in", "out", "took", "dollars")
    return Table("Requests to language models", columns, rows)


def conversations(found: Iterable[Conversation]) -> Table:
    rows = tuple(
        (clock(each.ended_ns), str(each.id), each.by, str(each.remarks), shorten(plain(each.opening), OPENING))
        for each in found
    )
    return Table("Conversations", ("last", "id", "by", "remarks", "began with"), rows)


def cost(days: Sequence[DayCost]) -> Table:
    """By day, and a sum at the end."""
    rows = [
        (
            each.day,
            each.provider,
            each.purpose,
            str(each.calls),
            str(each.failed),
            f"{each.input_tokens:,}",
            f"{each.output_tokens:,}",
            dollars(each.usd),
        )
        for each in days
    ]
    if days:
        total = (
            str(sum(each.calls for each in days)),
            str(sum(each.failed for each in days)),
            f"{sum(each.input_tokens for each in days):,}",
            f"{sum(each.output_tokens for each in days):,}",
            dollars(sum((each.usd for each in days), Decimal(0))),
        )
        rows.append(("all", "", "", *total))
    columns = ("day", "provider", "purpose", "requests", "failed", "tokens in", "out", "dollars")
    return Table("What language models cost", columns, tuple(rows))


def texts(rows: Iterable[Mapping[str, Any]]) -> Table:
    """What prompts are made of."""
    cells = tuple((row["name"], "core memory" if row["core"] else "", row["version"], row["from"]) for row in rows)
    return Table("Texts of prompts", ("text", "", "version", "from"), cells)
