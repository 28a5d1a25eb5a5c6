"""What may be forgotten.

Orders, fills, decisions, verdicts, portfolios and what people did stay for ever. Market data as it came in,
candles, and the journal's market noise go; but not what led to an order, so that every order can still
be explained.
"""

from kokex.adapters.sqlite.rows import Statement

NOISE = ("Briefing", "Cycle", "Edge", "Forecast", "Lifecycle", "Link")

_kinds = ", ".join(f"'{kind}'" for kind in NOISE)

_JOURNAL = f"""DELETE FROM journal WHERE at < ? AND kind IN ({_kinds}) AND id NOT IN (
    WITH RECURSIVE kept(id) AS (
        SELECT decision FROM orders
        UNION SELECT j.cause FROM kept k JOIN journal j ON j.id = k.id
    ) SELECT id FROM kept)"""


def prune(before_ns: int) -> list[Statement]:
    """The statements that forget what is older than `before_ns`, for one transaction."""
    return [
        ("DELETE FROM inputs WHERE at < ?", [(before_ns,)]),
        ("DELETE FROM candles WHERE open_ns < ?", [(before_ns,)]),
        (_JOURNAL, [(before_ns,)]),
        ("DELETE FROM outbox WHERE settled_ns IS NOT NULL AND settled_ns < ?", [(before_ns,)]),
    ]
