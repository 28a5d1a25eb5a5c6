"""One line for each message: what `kokex run` prints as `TIME LEVEL KIND ...` and what a phone shows.

Short, for the narrow screen; complete, for the reader who was not there. A decision, a verdict, an order and a
fill begin with the id that `kokex explain` takes.
"""

from decimal import Decimal

from kokex.messages import (
    Alert,
    AnyMessage,
    Approved,
    Candle,
    Candles,
    Command,
    Cycle,
    Decision,
    Edge,
    Fill,
    Forecast,
    Funding,
    Lifecycle,
    Link,
    OrderUpdate,
    Portfolio,
    Quote,
    Readings,
    Refused,
    Trained,
)
from kokex.present.tables import terms
from kokex.present.words import age, listed, pct, price, reading, woken_by

_LEVELS = {"info": "INFO", "warning": "WARNING", "critical": "CRITICAL"}


def level(message: AnyMessage) -> str:
    """INFO, WARNING, ERROR or CRITICAL."""
    match message:
        case Alert():
            return _LEVELS[message.severity]
        case Lifecycle(event="crashed" | "escalated" | "dead_letter"):
            return "ERROR"
        case Lifecycle(event="restarting") | Link(up=False) | OrderUpdate(state="rejected"):
            return "WARNING"
        case _:
            return "INFO"


def line(message: AnyMessage) -> tuple[str, str] | None:
    """(kind, text), or None for what only actors tell each other."""
    match message:
        case Candles():
            return ("price", ", ".join(map(_candle, message.rows))) if message.rows else None
        case Quote():
            return "price", f"{message.instrument} {price(message.bid)} / {price(message.ask)}"
        case Readings():
            return "reading", _readings(message)
        case Edge():
            return "edge", _edge(message)
        case Cycle():
            return "cycle", _cycle(message)
        case Forecast():
            return "forecast", _forecast(message)
        case Trained(version=version):
            return "model", f"{version.name} is {'' if version.champion else 'not '}the champion: {version.verdict}"
        case Decision():
            return "decision", _decision(message)
        case Approved():
            return "verdict", _approved(message)
        case Refused():
            return "verdict", f"{message.decision} refused {message.instrument} by {message.rule}: {message.reason}"
        case OrderUpdate():
            return "order", _order(message)
        case Fill():
            traded = f"{message.client_id} {message.side} {price(message.size)} {message.instrument}"
            return "fill", f"{traded} @ {price(message.price)} fee {price(message.fee)} {message.liquidity}"
        case Funding():
            verb = "received" if message.amount >= 0 else "paid"
            rate = f"{100 * message.rate:f}".rstrip("0").rstrip(".") if message.rate else "0"
            return "funding", f"{message.instrument} {verb} {price(abs(message.amount))} at {rate} %"
        case Portfolio():
            return "portfolio", _portfolio(message)
        case Link():
            where = f"{message.edge} {message.account}".rstrip()
            return "link", f"{where} {'up' if message.up else 'down'}" + _after(": ", message.reason)
        case Alert():
            where = "" if message.account in ("", "main") else f"[{message.account}] "
            return "alert", f"{where}{message.kind}: {message.text}"
        case Command(verb="chat"):
            return "command", f"chat by {message.by}"  # what was said stands in the conversation
        case Command():
            args = "".join(f" {key}={value}" for key, value in message.args.items())
            return "command", f"{message.verb}{args} by {message.by}"
        case Lifecycle():
            again = f" (restart {message.restarts})" if message.event == "restarting" else ""
            return "actor", f"{message.actor} {message.event.replace('_', ' ')}{again}" + _after(": ", message.error)
        case _:
            return None


def _candle(row: Candle) -> str:
    return f"{row.instrument} {price(row.close)}"


def _readings(message: Readings) -> str:
    signals = ", ".join(f"{name} {_SIDES[signal.side]}" for name, signal in message.signals.items())
    return f"{message.instrument} {price(message.price)}" + _after(", ", signals)


_SIDES = {-1: "down", 0: "flat", 1: "up"}


def _edge(message: Edge) -> str:
    what = message.note or f"{message.source} {message.kind} {reading(message.value)}"
    return f"{message.instrument} {what}, score {message.score:.2f}"


def _cycle(message: Cycle) -> str:
    woken = f"woken by {woken_by(message)}{_after(' (', message.note, ')')}"
    return f"{message.plan}: {listed(message.instruments)}, {woken}"


def _forecast(message: Forecast) -> str:
    ahead = age(len(message.steps) * message.span_ns)
    span = f"{price(message.range_low)} to {price(message.range_high)}"
    return f"{message.instrument} in {ahead}: {span}, up {pct(100 * message.p_up)} ({message.model})"


def _decision(message: Decision) -> str:
    text = f"{message.id} {message.instrument} {message.act}"
    if message.act != "hold":
        text += f" conviction {message.conviction}"
    if message.size is not None:
        text += f" size {price(message.size)}"
    if message.limit is not None:
        text += f" limit {price(message.limit)}"
    if message.invalidation is not None:
        text += f" wrong at {price(message.invalidation)}"
    return text + _after(" because ", "; ".join(message.reasons))


def _approved(message: Approved) -> str:
    if message.order is None:
        return f"{message.decision} approved {message.instrument}: {message.note or 'nothing to do'}"
    order = message.order
    text = f"{message.decision} approved {order.side} {price(order.size)} {order.instrument} {terms(order)}"
    stop = f", stop {price(message.stop)}" if message.stop is not None else ""
    return text + stop + _after(" (", message.note, ")")


def _order(message: OrderUpdate) -> str:
    order = message.order
    what = message.instrument
    if order is not None:
        what = f"{order.side} {price(order.size)} {what} {terms(order)}"
    text = f"{message.client_id} {what}: {message.state}"
    if message.state != "filled" and message.filled != Decimal(0):
        text += f" {price(message.filled)}"
    return text + _after(", ", message.reason)


def _portfolio(message: Portfolio) -> str:
    held = sum(position.size != 0 for position in message.positions)
    return f"{message.account} equity {message.equity:,.2f}, cash {message.cash:,.2f}, {held} open"


def _after(before: str, text: str, after: str = "") -> str:
    """The text with what joins it to its line, or nothing."""
    return f"{before}{text}{after}" if text else ""
