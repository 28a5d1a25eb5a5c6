"""What reports ask of the database."""

from decimal import Decimal

import msgspec

from kokex.adapters.sqlite.queries import Query
from kokex.messages import Decision, Forecast

_forecast = msgspec.json.Decoder(Forecast)
_decision = msgspec.json.Decoder(Decision)


def forecast(instrument: str) -> Query[Forecast | None]:
    """The newest of an instrument."""
    return Query(
        """SELECT body FROM journal WHERE kind = 'Forecast' AND json_extract(body, '$.instrument') = ?
        ORDER BY id DESC LIMIT 1""",
        (instrument,),
        lambda rows: _forecast.decode(rows[0][0]) if rows else None,
    )


def decisions(plan: str | None, last: int) -> Query[list[tuple[Decision, str]]]:
    """The newest `last`, newest first, each with its verdict in words."""
    return Query(
        """SELECT j.body, v.approved, v.client_id, v.rule FROM decisions d JOIN journal j ON j.id = d.id
        LEFT JOIN verdicts v ON v.decision = d.id WHERE ? IS NULL OR d.plan = ? ORDER BY d.id DESC LIMIT ?""",
        (plan, plan, last),
        lambda rows: [
            (_decision.decode(body), _verdict(approved, client_id, rule)) for body, approved, client_id, rule in rows
        ],
    )


def _verdict(approved: int | None, client_id: str | None, rule: str) -> str:
    if approved is None:
        return "no verdict yet"
    if not approved:
        return f"refused by {rule}"
    return f"approved {client_id}" if client_id else ""


def equity_before(account: str, at_ns: int) -> Query[Decimal | None]:
    """What an account was worth at that time, by the last it was told before."""
    return Query(
        "SELECT equity FROM portfolios WHERE account = ? AND at <= ? ORDER BY id DESC LIMIT 1",
        (account, at_ns),
        lambda rows: Decimal(rows[0][0]) if rows else None,
    )


def equity(account: str | None, since_ns: int) -> Query[list[tuple[str, int, float]]]:
    """(account, at, equity), oldest first."""
    return Query(
        """SELECT account, at, equity FROM portfolios WHERE (? IS NULL OR account = ?) AND at >= ? ORDER BY id""",
        (account, account, since_ns),
        lambda rows: [(name, at, float(worth)) for name, at, worth in rows],
    )


def counts(since_ns: int) -> Query[dict[str, int]]:
    """Orders, refusals and warnings since then."""
    return Query(
        """SELECT (SELECT count(*) FROM orders WHERE at >= ?),
            (SELECT count(*) FROM verdicts WHERE at >= ? AND NOT approved),
            (SELECT count(*) FROM journal WHERE at >= ? AND kind = 'Alert'
                AND json_extract(body, '$.severity') <> 'info')""",
        (since_ns, since_ns, since_ns),
        lambda rows: dict(zip(("orders", "refused", "warnings"), rows[0], strict=True)),
    )
