"""What the daemon and a backtest can tell, as tables of words.

`Plan`, `ActorState` and `Status` have the shape in which the control socket answers, so that an answer is
`msgspec.convert`ed into them as it is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct

from kokex.market.positions import average_price, unrealised
from kokex.messages import Fill, Instrument, NewsItem, Order, Portfolio
from kokex.present.words import NOTHING, age, clock, listed, money, pct, price


class Table(Struct, frozen=True):
    """Every row has as many cells as there are columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Plan(Struct, frozen=True, kw_only=True):
    """A plan as the scheduler sees it."""

    plan: str
    account: str
    mode: str
    enabled: bool
    warm: bool  # its indicators have seen enough candles
    instruments: tuple[str, ...]
    strategies: tuple[str, ...] = ()
    next_cycle_ns: int | None = None


class ActorState(Struct, frozen=True, kw_only=True):
    """An actor as the kernel sees it."""

    name: str
    state: str
    waiting: int  # messages in its mailbox
    high_water: int  # most that ever waited
    drops: int
    restarts: int
    last_error: str
    last_beat_ns: int


class Status(Struct, frozen=True, kw_only=True):
    """The whole daemon at one instant."""

    now_ns: int
    paused: bool
    market_up: bool
    plans: tuple[Plan, ...]
    accounts: tuple[Portfolio, ...]
    actors: tuple[ActorState, ...]


# ---- money ----------------------------------------------------------------------------------


def balance(accounts: Iterable[Portfolio], currency: str) -> Table:
    """Equity, cash, today's change and the distance from the peak."""
    rows: list[tuple[str, ...]] = []
    for account in accounts:
        today = money(account.equity - account.day_start_equity, currency, signed=True)
        below = _share(max(Decimal(0), account.peak_equity - account.equity), account.peak_equity)
        rows.append((account.account, money(account.equity, currency), money(account.cash, currency), today, below))
    return Table("Balance", ("account", "equity", "cash", "today", "below peak"), tuple(rows))


def positions(accounts: Iterable[Portfolio], instruments: Mapping[str, Instrument]) -> Table:
    """Open positions at their marks. Raises KeyError for an instrument not in `instruments`."""
    rows: list[tuple[str, ...]] = []
    for account in accounts:
        for position in account.positions:
            if not position.size:
                continue
            instrument = instruments[position.instrument]
            gain = unrealised(position, instrument)
            rows.append(
                (
                    account.account,
                    position.instrument,
                    "long" if position.size > 0 else "short",
                    price(abs(position.size)),
                    price(float(average_price(position, instrument))),
                    price(position.mark),
                    money(gain, instrument.quote, signed=True),
                    _share(gain, abs(position.cost), signed=True),
                )
            )
    return Table("Positions", ("account", "instrument", "side", "size", "entry", "mark", "P&L", "%"), tuple(rows))


def orders(working: Iterable[Order]) -> Table:
    """Open orders; the id is what `kokex explain` and `kokex cancel` take."""
    rows = tuple(
        (order.client_id, order.instrument, order.side, price(order.size), terms(order), order.plan)
        for order in working
    )
    return Table("Open orders", ("id", "instrument", "side", "size", "terms", "plan"), rows)


def trades(fills: Iterable[Fill]) -> Table:
    """Fills in the order given; the id is the order's."""
    rows = tuple(
        (
            clock(fill.filled_ns),
            fill.client_id,
            fill.instrument,
            fill.side,
            price(fill.size),
            price(fill.price),
            price(fill.fee),
        )
        for fill in fills
    )
    return Table("Trades", ("time", "order", "instrument", "side", "size", "price", "fee"), rows)


def news(items: Iterable[NewsItem]) -> Table:
    """Headlines in the order given."""
    rows = tuple(
        (
            clock(item.published_ns),
            item.event,
            item.sentiment.replace("_", " "),
            ", ".join(item.instruments) or NOTHING,
            item.title,
            item.by,
        )
        for item in items
    )
    return Table("News", ("published", "event", "sentiment", "instruments", "title", "judged by"), rows)


def terms(order: Order) -> str:
    """`market`, `limit 60000.1`, `stop at 59000, reduce only`."""
    words: str = order.kind.replace("_", " ")
    if order.trigger is not None:
        words += f" at {price(order.trigger)}"
    if order.price is not None:
        words += f" {price(order.price)}"
    return f"{words}, reduce only" if order.reduce_only else words


# ---- the daemon -----------------------------------------------------------------------------


def plans(running: Iterable[Plan], now_ns: int) -> Table:
    rows = tuple(
        (
            plan.plan,
            _plan_state(plan, now_ns),
            plan.mode,
            listed(plan.instruments),
            listed(plan.strategies),
            plan.account,
        )
        for plan in running
    )
    return Table("Plans", ("plan", "state", "mode", "instruments", "strategies", "account"), rows)


def _plan_state(plan: Plan, now_ns: int) -> str:
    if not plan.enabled:
        return "stopped"
    if not plan.warm:
        return "warming up"
    return f"next cycle in {age(plan.next_cycle_ns - now_ns)}" if plan.next_cycle_ns is not None else "running"


def status(of: Status, currency: str) -> tuple[Table, ...]:
    """The daemon in one line, balances, plans, actors."""
    trading = "paused: no new cycle" if of.paused else "running"
    market = "up" if of.market_up else "down"
    return (
        Table("KOKEX", ("", ""), (("time", clock(of.now_ns)), ("trading", trading), ("market", market))),
        balance(of.accounts, currency),
        plans(of.plans, of.now_ns),
        actors(of.actors, of.now_ns),
    )


def actors(states: Iterable[ActorState], now_ns: int) -> Table:
    rows = tuple(
        (
            actor.name,
            actor.state,
            f"{actor.waiting} (most {actor.high_water})",
            str(actor.drops),
            str(actor.restarts),
            age(now_ns - actor.last_beat_ns) if actor.last_beat_ns else NOTHING,
            actor.last_error,
        )
        for actor in states
    )
    return Table("Actors", ("actor", "state", "mailbox", "drops", "restarts", "idle for", "last error"), rows)


# ---- a backtest -----------------------------------------------------------------------------

Values = Mapping[str, Any]


def report(values: Values, currency: str) -> Table:
    """A backtest's report, each number with its definition beside it.

    `values` has the fields of `kokex.research.metrics.Report` by name.
    """
    definitions: Mapping[str, str] = values["definitions"]
    rows = [(label, show(values, currency), definitions.get(key, "")) for key, label, show in _REPORT]
    rows += [("open", _open_position(one, currency), "") for one in _several(values["open_position"])]
    rows += [("note", note, "") for note in values["notes"]]
    return Table("Backtest", ("", "", "definition"), tuple(rows))


def _amount(key: str, *, signed: bool = False) -> Callable[[Values, str], str]:
    return lambda values, currency: money(values[key], currency, signed=signed)


def _ratio(key: str) -> Callable[[Values, str], str]:
    return lambda values, _: NOTHING if values[key] is None else f"{values[key]:,.3f}"


def _fraction(key: str) -> Callable[[Values, str], str]:
    return lambda values, _: NOTHING if values[key] is None else pct(100 * values[key])


def _drawdown(values: Values, currency: str) -> str:
    return f"{money(values['max_drawdown'], currency)} ({pct(values['max_drawdown_pct'])})"


def _times(values: Values, _: str) -> str:
    return f"{values['wall_s']:.2f} s ({values['cpu_s']:.2f} s CPU), loading {values['load_s']:.2f} s"


_REPORT: Sequence[tuple[str, str, Callable[[Values, str], str]]] = (
    ("candles", "candles", lambda values, _: f"{values['candles']:,}"),
    ("round_trips", "round trips", lambda values, _: f"{values['round_trips']:,} ({values['wins']:,} won)"),
    ("gross", "gross", _amount("gross", signed=True)),
    ("fees", "fees", _amount("fees")),
    ("funding", "funding", _amount("funding", signed=True)),
    ("net", "net", _amount("net", signed=True)),
    ("final_equity", "final equity", _amount("final_equity")),
    ("max_drawdown", "max drawdown", _drawdown),
    ("profit_factor", "profit factor", _ratio("profit_factor")),
    ("exposure", "exposure", _fraction("exposure")),
    ("turnover", "turnover", lambda values, _: f"{values['turnover']:,.2f} x"),
    ("cagr", "CAGR", _fraction("cagr")),
    ("sharpe_daily", "Sharpe, daily", _ratio("sharpe_daily")),
    ("sortino_daily", "Sortino, daily", _ratio("sortino_daily")),
    ("wall_s", "took", _times),
)


def _several(open_position: Any) -> Sequence[Any]:
    if open_position is None:
        return ()
    return open_position if isinstance(open_position, tuple | list) else (open_position,)  # type: ignore[return-value]


def _open_position(one: Any, currency: str) -> str:
    """`1.5 BTC-USDT @ 60000, now 61000: +1,500.00 USDT`."""
    gain = money(one.unrealised, currency, signed=True)
    entry = price(float(one.average_price))
    return f"{price(one.size)} {one.instrument} @ {entry}, now {price(one.mark)}: {gain}"


def _share(part: Decimal, whole: Decimal, *, signed: bool = False) -> str:
    return pct(100 * float(part / whole), signed=signed) if whole else NOTHING
