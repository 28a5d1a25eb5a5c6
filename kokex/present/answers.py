"""What commands are answered with, as tables and words: the same for a terminal and for a phone.

`TABLES` has for each command the tables of its answer's body; a body has the shape in which the control socket
carries it.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from kokex import __version__
from kokex.messages import DayCost, Decision, Fill, Forecast, Instrument, NewsItem, Order, Portfolio, Words
from kokex.present import brain, tables
from kokex.present.commands import Spec
from kokex.present.phone import shown
from kokex.present.rich import bold, join, lines
from kokex.present.tables import ActorState, Plan, Table, terms
from kokex.present.words import NOTHING, age, local, local_date, money, pct, price

ROWS = 10  # of a page
Body = Mapping[str, Any]


class About(Struct, frozen=True):
    """What an answer does not say itself."""

    instruments: Mapping[str, Instrument]
    currency: str
    zone: str = "UTC"

    def when(self, at_ns: int) -> str:
        return local(at_ns, self.zone)


class Shown(Struct, frozen=True):
    """An answer for a phone."""

    words: Words
    more: bool = False  # there is a next page
    picture: str = ""


def show(spec: Spec, args: Mapping[str, str], body: Body, about: About, now: int, page: int = 1) -> Shown:
    """An answer in words; of a long table a page."""
    if "error" in body:
        rule = f" ({body['rule']})" if "rule" in body else ""
        return Shown(join(["⚠️ ", str(body["error"]), rule]))
    if "picture" in body:
        return Shown(Words(str(body.get("caption", ""))), picture=str(body["picture"]))
    if spec.name in SENTENCES:
        return Shown(SENTENCES[spec.name](args, body, about))
    found = TABLES[spec.name](body, about, now)
    *others, last = found
    pages = max(1, -(-len(last.rows) // ROWS))
    page = min(page, pages)
    title = f"{last.title} ({page}/{pages})" if pages > 1 else last.title
    paged = Table(title, last.columns, last.rows[(page - 1) * ROWS : page * ROWS])
    return Shown(lines(shown((*(others if page == 1 else ()), paged)), f"\n{about.when(now)}"), page < pages)


# ---- sentences: what was done ----------------------------------------------------------------


def _schedule_said(args: Mapping[str, str], body: Body, about: About) -> Words:
    if "plan" in args:
        plan = next(each for each in body["plans"] if each["plan"] == args["plan"])
        return Words(f"plan {args['plan']}: {'cycles run' if plan['enabled'] else 'no new cycle'}")
    return Words("paused: no new cycle until /resume" if body["paused"] else "cycles run")


def _traded(args: Mapping[str, str], body: Body, about: About) -> Words:
    order = msgspec.convert(body["order"], type=Order, strict=False)
    what = f"{order.side} {price(order.size)} {order.instrument} {terms(order)}"
    return lines(join(["approved: ", bold(what)]), f"order {order.client_id}")


def _closed_all(args: Mapping[str, str], body: Body, about: About) -> Words:
    if not body["closed"]:
        return Words("nothing is held")
    rows = (f"{each['instrument']} ({each['plan']}): {each.get('error') or 'closing'}" for each in body["closed"])
    return lines(bold("Close all"), *rows)


def _cancelled(args: Mapping[str, str], body: Body, about: About) -> Words:
    return Words(f"order {body['order']}: {body['state']}, {price(Decimal(body['filled']))} filled")


def _reset(args: Mapping[str, str], body: Body, about: About) -> Words:
    if body["was_tripped"]:
        return Words(f"account {body['account']}: entries are allowed again; it had {body['reason']}")
    return Words(f"account {body['account']}: the breaker was not tripped")


def _cycled(args: Mapping[str, str], body: Body, about: About) -> Words:
    return Words(f"a cycle of {', '.join(body['cycles'])}")


def reloaded(body: Body) -> str:
    """What reading the configuration again came to, a line for each key."""
    rows = [f"{each['key']}: {each['after']} from now on, {each['before']} before" for each in body["changed"]]
    if body["restart"]:
        rows.append(f"a restart is needed for {', '.join(body['restart'])}")
    return "\n".join(rows) or "nothing differs from what is in force"


def _reloaded(args: Mapping[str, str], body: Body, about: About) -> Words:
    return Words(reloaded(body))


def _version(args: Mapping[str, str], body: Body, about: About) -> Words:
    return Words(f"KOKEX {body.get('version', __version__)}")


SENTENCES: Mapping[str, Callable[[Mapping[str, str], Body, About], Words]] = {
    "pause": _schedule_said,
    "resume": _schedule_said,
    "buy": _traded,
    "sell": _traded,
    "close": _traded,
    "closeall": _closed_all,
    "cancel": _cancelled,
    "reset": _reset,
    "reload": _reloaded,
    "cycle": _cycled,
    "version": _version,
}

# ---- tables: how things stand ----------------------------------------------------------------


def _books(body: Body) -> tuple[Portfolio, ...]:
    return msgspec.convert(body["accounts"], type=tuple[Portfolio, ...], strict=False)


def _status(body: Body, about: About, now: int) -> Sequence[Table]:
    plans = msgspec.convert(body["plans"], type=tuple[Plan, ...], strict=False)
    rows = (
        ("trading", "paused: no new cycle" if body["paused"] else "running"),
        ("market", "up" if body["market_up"] else "down"),
    )
    return (
        Table("KOKEX", ("", ""), rows),
        tables.balance(_books(body), about.currency),
        tables.plans(plans, now),
    )


def _positions(body: Body, about: About, now: int) -> Sequence[Table]:
    return (tables.positions(_books(body), about.instruments),)


def _balance(body: Body, about: About, now: int) -> Sequence[Table]:
    return (tables.balance(_books(body), about.currency),)


def _accounts(body: Body, about: About, now: int) -> Sequence[Table]:
    rows = tuple(
        (
            book.account,
            money(book.equity, about.currency),
            f"{sum(each.size != 0 for each in book.positions)} open",
            ", ".join(plan for plan, sizes in book.held.items() if any(sizes.values())) or NOTHING,
        )
        for book in _books(body)
    )
    return (Table("Accounts", ("account", "equity", "positions", "held by"), rows),)


def _orders(body: Body, about: About, now: int) -> Sequence[Table]:
    return (tables.orders(msgspec.convert(body["orders"], type=tuple[Order, ...], strict=False)),)


def _limits(body: Body, about: About, now: int) -> Sequence[Table]:
    limits = tuple((name.replace("_", " "), f"{float(value):g}") for name, value in body["limits"].items())
    return (*_breaker(body, about, now), Table("Limits", ("limit", "value"), limits))


def _breaker(body: Body, about: About, now: int) -> Sequence[Table]:
    rows = [("breaker", body["breaker"])]
    if body["reason"]:
        rows.append(("because", body["reason"]))
    rows.append(("exchange", "up" if body["venue_up"] else "down: exits only"))
    return (Table(f"Account {body['account']}", ("", ""), tuple(rows)),)


def _schedule(body: Body, about: About, now: int) -> Sequence[Table]:
    plans = msgspec.convert(body["plans"], type=tuple[Plan, ...], strict=False)
    head = Table("Schedule", ("", ""), (("trading", "paused: no new cycle" if body["paused"] else "running"),))
    return head, tables.plans(plans, now)


def _mode(body: Body, about: About, now: int) -> Sequence[Table]:
    rows = tuple((each["plan"], each["mode"]) for each in body["plans"])
    return (Table("Mode", ("plan", "mode"), rows),)


def _health(body: Body, about: About, now: int) -> Sequence[Table]:
    states = msgspec.convert(body["actors"], type=tuple[ActorState, ...], strict=False)
    facts = tuple((name, str(value)) for name, value in body["facts"].items())
    return Table("Health", ("", ""), facts), tables.actors(states, now)


# ---- tables: what the record tells -------------------------------------------------------------


def _trades(body: Body, about: About, now: int) -> Sequence[Table]:
    fills = msgspec.convert(body["trades"], type=tuple[Fill, ...], strict=False)
    rows = tuple(
        (
            each.instrument,
            about.when(each.filled_ns),
            f"{each.side} {price(each.size)} @ {price(each.price)}",
            money(each.fee, about.currency),
            each.client_id,
        )
        for each in fills
    )
    return (Table("Trades", ("instrument", "", "", "fee", ""), rows),)


def _order(body: Body, about: About, now: int) -> Sequence[Table]:
    order = msgspec.convert(body["order"], type=Order, strict=False)
    rows = [
        ("order", order.client_id),
        ("what", f"{order.side} {price(order.size)} {order.instrument} {terms(order)}"),
        ("state", body["state"] + (f", {body['reason']}" if body["reason"] else "")),
        ("filled", price(Decimal(body["filled"]))),
        ("placed", about.when(body["placed_ns"])),
        ("plan", f"{order.plan} [{order.account}]"),
    ]
    return Table("Order", ("", ""), tuple(rows)), *_trades(body, about, now)


def _profit(body: Body, about: About, now: int) -> Sequence[Table]:
    def amount(key: str) -> str:
        return money(Decimal(body[key]), about.currency, signed=True)

    trips, wins = body["trips"], body["wins"]
    rows = [
        ("net", amount("net")),
        ("gross", amount("gross")),
        ("fees", money(Decimal(body["fees"]), about.currency)),
        ("funding", amount("funding")),
        ("round trips", f"{trips} ({wins} won, {pct(100 * wins / trips)})" if trips else "0"),
        ("best", amount("best")),
        ("worst", amount("worst")),
        ("profit factor", NOTHING if body["profit_factor"] is None else f"{body['profit_factor']:.2f}"),
        ("held on average", age(body["held_ns"]) if trips else NOTHING),
        ("since", local_date(body["since_ns"], about.zone) if body["since_ns"] else NOTHING),
    ]
    return (Table("Profit", ("", ""), tuple(rows)),)


def _periods(title: str) -> Callable[[Body, About, int], Sequence[Table]]:
    def told(body: Body, about: About, now: int) -> Sequence[Table]:
        rows = tuple(
            (
                local_date(each["from_ns"], about.zone),
                str(each["trips"]),
                _bare(each["net"], about),
            )
            for each in body["periods"]
        )
        return (Table(f"{title}, {about.currency}", ("from", "trips", "net"), rows),)

    return told


def _bare(amount: str, about: About) -> str:
    """Money without its currency, which the title names."""
    return money(Decimal(amount), about.currency, signed=True).removesuffix(about.currency).rstrip()


def _performance(body: Body, about: About, now: int) -> Sequence[Table]:
    rows = tuple(
        (each["instrument"], str(each["trips"]), str(each["wins"]), _bare(each["net"], about))
        for each in body["instruments"]
    )
    return (Table(f"Performance, {about.currency}", ("instrument", "trips", "won", "net"), rows),)


def _forecast(body: Body, about: About, now: int) -> Sequence[Table]:
    made = msgspec.convert(body["forecast"], type=Forecast, strict=False)
    ahead = len(made.steps) * made.span_ns
    rows = [
        ("made", f"{age(now - made.close_ns)} ago by {made.model}"),
        ("price then", price(made.price)),
        (f"in {age(ahead)}", f"{price(made.range_low)} to {price(made.range_high)}"),
        ("up", pct(100 * made.p_up)),
        ("volatility", f"{pct(100 * made.volatility)} a step"),
    ]
    if made.steps:
        last = made.steps[-1]
        rows.append(("likely at the end", f"{price(last.q05)} to {price(last.q95)}, middle {price(last.q50)}"))
    return (Table(f"Forecast of {made.instrument}", ("", ""), tuple(rows)),)


def _brain(body: Body, about: About, now: int) -> Sequence[Table]:
    rows: list[tuple[str, ...]] = []
    for each in body["decisions"]:
        made = msgspec.convert(each["decision"], type=Decision, strict=False)
        what = made.act.replace("_", " ") + (f", {made.conviction} of 5" if made.act != "hold" else "")
        verdict = each["verdict"]
        rows.append((made.instrument, about.when(made.at), what, verdict, "; ".join(made.reasons)))
    return (Table("Decisions", ("instrument", "", "", "", ""), tuple(rows)),)


def _cost(body: Body, about: About, now: int) -> Sequence[Table]:
    return (brain.cost(msgspec.convert(body["days"], type=tuple[DayCost, ...], strict=False)),)


def _news(body: Body, about: About, now: int) -> Sequence[Table]:
    items = msgspec.convert(body["news"], type=tuple[NewsItem, ...], strict=False)
    rows = tuple(
        (
            each.title,
            about.when(each.published_ns),
            f"{each.event}, {each.sentiment.replace('_', ' ')}",
            ", ".join(each.instruments) or NOTHING,
        )
        for each in items
    )
    return (Table("News", ("title", "", "", ""), rows),)


def _why(body: Body, about: About, now: int) -> Sequence[Table]:
    rows = tuple((each["step"], about.when(each["at"]), each["what"]) for each in body["steps"])
    return (Table(body["headline"], ("", "", ""), rows),)


def _logs(body: Body, about: About, now: int) -> Sequence[Table]:
    rows = tuple((about.when(each["at"]), each["level"], each["text"]) for each in body["lines"])
    return (Table("Logs", ("", "", ""), rows),)


TABLES: Mapping[str, Callable[[Body, About, int], Sequence[Table]]] = {
    "status": _status,
    "positions": _positions,
    "orders": _orders,
    "order": _order,
    "trades": _trades,
    "balance": _balance,
    "profit": _profit,
    "daily": _periods("Daily"),
    "weekly": _periods("Weekly"),
    "monthly": _periods("Monthly"),
    "performance": _performance,
    "forecast": _forecast,
    "risk": _limits,
    "breaker": _breaker,
    "schedule": _schedule,
    "brain": _brain,
    "cost": _cost,
    "news": _news,
    "why": _why,
    "accounts": _accounts,
    "mode": _mode,
    "logs": _logs,
    "health": _health,
}


# ---- digests ---------------------------------------------------------------------------------


def digest(kind: str, body: Body) -> Words:
    """A day or a week in a few lines."""
    currency = str(body["currency"])

    def amount(key: str) -> str:
        return money(Decimal(body[key]), currency, signed=True)

    trips, wins = body["trips"], body["wins"]
    title = {"daily": "The day", "weekly": "The week"}[kind]
    change = Decimal(body["equity"]) - Decimal(body["equity_before"])
    share = f" ({pct(100 * float(change / Decimal(body['equity_before'])), signed=True)})" if change else ""
    rows = [
        join(
            [
                "equity ",
                bold(money(Decimal(body["equity"]), currency)),
                f", {money(change, currency, signed=True)}{share}",
            ]
        ),
        f"closed {trips} ({wins} won), net {amount('net')}, fees {money(Decimal(body['fees']), currency)}",
        f"best {amount('best')}, worst {amount('worst')}" if trips else "",
        f"{body['orders']} orders, {body['refused']} refused, {body['open']} positions open",
        f"{body['warnings']} warnings" if body["warnings"] else "",
    ]
    return lines(join(["📊 ", bold(title)]), *rows)
