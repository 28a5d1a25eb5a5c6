"""What people ask about the past, answered from the database beside the daemon.

Each answer is made in a thread on a connection of its own, so that trading waits for none of it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, final
from zoneinfo import ZoneInfo

import anyio
import msgspec

from kokex.adapters.sqlite import llm_calls, outbox, queries, reports
from kokex.adapters.sqlite.reader import Reader
from kokex.cli.explain import story
from kokex.cli.output import Mistake
from kokex.messages import Alert, Fill, Funding, Instrument, Lifecycle
from kokex.ports import StoreError
from kokex.present import events
from kokex.present.words import age

if TYPE_CHECKING:
    from kokex.research.round_trips import RoundTrip

ZERO = Decimal(0)
DAY_NS = 86_400_000_000_000
DEFAULT_LAST = {"trades": 50, "daily": 7, "weekly": 8, "monthly": 6, "brain": 20, "cost": 7, "logs": 30, "news": 10}

Args = Mapping[str, str]
Body = dict[str, Any]


class Committing(Protocol):
    async def commit(self) -> None: ...


@final
class DatabaseRecords:
    """`kokex.ports.chat.Records` over a database that may be written to at the same time."""

    def __init__(self, path: Path, store: Committing, instruments: Mapping[str, Instrument], zone: str) -> None:
        """`store`: what it holds back is committed first, so that the answer knows it."""
        self._path = path
        self._store = store
        self._instruments = instruments
        self._zone = ZoneInfo(zone)

    async def ask(self, verb: str, args: dict[str, str], now_ns: int) -> Body:
        try:
            await self._store.commit()
            return await anyio.to_thread.run_sync(self.answer, verb, args, now_ns)
        except (StoreError, Mistake) as error:
            return {"error": str(error)}

    def answer(self, verb: str, args: Args, now_ns: int) -> Body:
        """Raises StoreError, Mistake."""
        with Reader(self._path) as reader:
            return msgspec.to_builtins(self._answer(verb, reader, args, now_ns))

    def _answer(self, verb: str, reader: Reader, args: Args, now_ns: int) -> Body:
        match verb:
            case "trades":
                return self._trades(reader, args)
            case "order":
                return self._order(reader, args)
            case "why":
                headline, _, steps, _ = story(reader, args["order"], self._path)
                return {"headline": headline, "steps": steps}
            case "profit":
                return _summed(self._trips(reader, args))
            case "performance":
                return self._performance(reader, args)
            case "daily" | "weekly" | "monthly":
                return self._periods(verb, reader, args, now_ns)
            case "digest":
                return self._digest(reader, args, now_ns)
            case "forecast":
                return self._forecast(reader, args)
            case "brain":
                found = reader.ask(reports.decisions(args.get("plan"), _last("brain", args)))
                return {"decisions": [{"decision": made, "verdict": verdict} for made, verdict in found]}
            case "cost":
                return {"days": reader.ask(llm_calls.cost(_last("cost", args)))}
            case "news":
                found = sorted(reader.ask(queries.news(0)), key=lambda item: item.published_ns, reverse=True)
                return {"news": found[: _last("news", args)]}
            case "logs":
                return self._logs(reader, args)
            case "health":
                return self._health(reader, now_ns)
            case _:
                return {"error": f"nothing on record answers {verb!r}"}

    # ---- orders and fills

    def _trades(self, reader: Reader, args: Args) -> Body:
        found = reader.ask(queries.journal(kinds=("Fill",), account=args.get("account"), last=_last("trades", args)))
        return {"trades": [each for each in reversed(found) if isinstance(each, Fill)]}

    def _order(self, reader: Reader, args: Args) -> Body:
        record = reader.ask(queries.order(_order_id(reader, args["order"])))
        if record is None:
            return {"error": f"there is no order {args['order']!r}; /orders and /trades show ids"}
        found = reader.ask(queries.chain(record.order.client_id))
        fills = [each for each in found if isinstance(each, Fill) and each.client_id == record.order.client_id]
        return {**msgspec.to_builtins(record), "trades": fills}

    # ---- profit

    def _trips(self, reader: Reader, args: Args) -> "list[RoundTrip]":
        from kokex.research.round_trips import round_trips

        accounts = [args["account"]] if "account" in args else reader.ask(queries.accounts())
        closed: list[RoundTrip] = []
        for account in accounts:
            rows = reader.ask(queries.fills_after(account, 0))
            fills = [each for each in rows if isinstance(each, Fill)]
            fundings = [each for each in rows if isinstance(each, Funding)]
            marks = {each.instrument: each.price for each in fills}
            closed += round_trips(fills, fundings, self._instruments, marks)[0]
        return sorted(closed, key=lambda trip: trip.exited_ns)

    def _performance(self, reader: Reader, args: Args) -> Body:
        by: dict[str, list[RoundTrip]] = {}
        for trip in self._trips(reader, args):
            by.setdefault(trip.instrument, []).append(trip)
        rows = [
            {
                "instrument": instrument,
                "trips": len(trips),
                "wins": sum(trip.net > 0 for trip in trips),
                "net": sum((trip.net for trip in trips), ZERO),
            }
            for instrument, trips in by.items()
        ]
        return {"instruments": sorted(rows, key=lambda row: -row["net"])}  # type: ignore[operator]

    def _periods(self, span: str, reader: Reader, args: Args, now_ns: int) -> Body:
        trips = self._trips(reader, args)
        first, end_ns = _period(self._day(now_ns), span), now_ns + 1
        rows: list[Body] = []
        for _ in range(_last(span, args)):
            begin_ns = self._midnight(first)
            inside = [trip for trip in trips if begin_ns <= trip.exited_ns < end_ns]
            rows.append({"from_ns": begin_ns, "trips": len(inside), "net": sum((trip.net for trip in inside), ZERO)})
            first, end_ns = _period(first - timedelta(days=1), span), begin_ns
        return {"periods": rows}

    def _day(self, at_ns: int) -> date:
        return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).astimezone(self._zone).date()

    def _midnight(self, day: date) -> int:
        return int(datetime(day.year, day.month, day.day, tzinfo=self._zone).timestamp()) * 1_000_000_000

    def _digest(self, reader: Reader, args: Args, now_ns: int) -> Body:
        days = 7 if args["span"] == "weekly" else 1
        since_ns = now_ns - days * DAY_NS
        trips = [trip for trip in self._trips(reader, {}) if trip.exited_ns >= since_ns]
        books = [book for name in reader.ask(queries.accounts()) if (book := reader.ask(queries.portfolio(name)))]
        before = [reader.ask(reports.equity_before(book.account, since_ns)) for book in books]
        counts = reader.ask(reports.counts(since_ns))
        return {
            "currency": next(iter(self._instruments.values())).quote,
            "equity": sum((book.equity for book in books), ZERO),
            "equity_before": sum((was or book.equity for was, book in zip(before, books, strict=True)), ZERO),
            "open": sum(each.size != 0 for book in books for each in book.positions),
            **_summed(trips),
            **counts,
        }

    # ---- thought

    def _forecast(self, reader: Reader, args: Args) -> Body:
        made = reader.ask(reports.forecast(args["instrument"]))
        if made is None:
            return {"error": f"no forecast of {args['instrument']} on record"}
        return {"forecast": made}

    # ---- how it goes

    def _logs(self, reader: Reader, args: Args) -> Body:
        last = _last("logs", args)
        found = reader.ask(queries.journal(kinds=("Alert", "Lifecycle"), last=20 * last))
        worth = [each for each in found if not isinstance(each, Lifecycle) or each.event not in {"started", "stopped"}]
        lines = [
            {"at": each.at, "level": events.level(each), "kind": told[0], "text": told[1]}
            for each in reversed(worth[-last:])
            if isinstance(each, Alert | Lifecycle) and (told := events.line(each))
        ]
        return {"lines": lines}

    def _health(self, reader: Reader, now_ns: int) -> Body:
        size = sum(
            file.stat().st_size
            for name in (self._path.name, f"{self._path.name}-wal")
            if (file := self._path.with_name(name)).exists()
        )
        session = reader.ask(queries.sessions())[-1]
        return {
            "session": session.id,
            "up for": age(now_ns - session.started_ns),
            "database": f"{size / 1e6:,.1f} MB",
            "alerts waiting": reader.ask(outbox.waiting()),
        }


def _last(verb: str, args: Args) -> int:
    return int(args.get("last", DEFAULT_LAST[verb]))


def _order_id(reader: Reader, asked: str) -> str:
    """The whole id, when only one begins so."""
    found = reader.ask(queries.order_ids(asked, 2))
    return found[0] if len(found) == 1 else asked


def _period(day: date, span: str) -> date:
    """The first day of the day, week or month that `day` lies in."""
    if span == "weekly":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if span == "monthly" else day


def _summed(trips: "Sequence[RoundTrip]") -> Body:
    won = [trip.net for trip in trips if trip.net > 0]
    lost = sum((trip.net for trip in trips if trip.net < 0), ZERO)
    nets = [trip.net for trip in trips]
    held = sum(trip.exited_ns - trip.entered_ns for trip in trips)
    return {
        "trips": len(trips),
        "wins": len(won),
        "net": sum(nets, ZERO),
        "gross": sum((trip.gross for trip in trips), ZERO),
        "fees": sum((trip.fees for trip in trips), ZERO),
        "funding": sum((trip.funding for trip in trips), ZERO),
        "best": max(nets, default=ZERO),
        "worst": min(nets, default=ZERO),
        "profit_factor": float(sum(won, ZERO) / -lost) if lost else None,
        "held_ns": held // len(trips) if trips else 0,
        "since_ns": min((trip.entered_ns for trip in trips), default=0),
    }
