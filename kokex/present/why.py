"""Why an order is there: the messages that led to it and what became of it, told from its fill back to the candles."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from textwrap import shorten
from types import MappingProxyType

from msgspec import Struct

from kokex.market.instruments import UnknownInstrument, from_csv, notional, parse_symbol
from kokex.messages import (
    Approved,
    Briefing,
    Candle,
    Command,
    Cycle,
    Decision,
    Edge,
    Fill,
    Forecast,
    Instrument,
    Message,
    OrderUpdate,
    Portfolio,
    Readings,
    Refused,
    Remark,
)
from kokex.present.tables import terms
from kokex.present.text import plain
from kokex.present.words import age, clock, listed, pct, price, reading, woken_by

LONGEST_QUOTE = 120
_SIDES = {-1: "down", 0: "flat", 1: "up"}
_TRADED = {"buy": "bought", "sell": "sold"}
_ACTS = {
    "open_long": "go long in",
    "open_short": "go short in",
    "reduce": "reduce the position in",
    "close": "close the position in",
    "hold": "leave as it is",
}


class Step(Struct, frozen=True):
    """One line of the story."""

    step: str  # fill, order, verdict, decision, briefing, cycle, edge, candle, ...
    at: int
    id: int  # of the message; 0 for a candle
    what: str


def steps(
    chain: Sequence[Message],
    limits: Mapping[str, float],
    looked_at: Sequence[Candle] = (),
    listed: Mapping[str, Instrument] = MappingProxyType({}),
) -> list[Step]:
    """The chain (by id, as the store gives it) from its end to its beginning.

    `limits`: those of [risk] at the time. `looked_at`: the candles that were the last at a decision no edge led to.
    `listed`: instruments as an exchange listed them.
    """
    decision = next((each for each in reversed(chain) if isinstance(each, Decision)), None)
    briefing = next((each for each in reversed(chain) if isinstance(each, Briefing)), None)
    told: list[Step] = []
    for message in reversed(chain):
        match message:
            case Fill():
                told.append(Step("fill", message.filled_ns, message.id, _fill(message)))
            case OrderUpdate():
                told.append(Step("order", message.at, message.id, _update(message)))
            case Approved():
                told.append(
                    Step("verdict", message.at, message.id, "; ".join(_approved(message, decision, briefing, listed)))
                )
                if message.order is not None and not message.order.reduce_only and limits:
                    told.append(Step("limits", message.at, message.id, _limits(limits)))
            case Refused():
                told.append(Step("verdict", message.at, message.id, f"refused by {message.rule}: {message.reason}"))
            case Decision():
                told.append(Step("decision", message.at, message.id, _decision(message)))
            case Briefing():
                told += _briefing(message, decision)
            case Cycle():
                told.append(Step("cycle", message.at, message.id, _cycle(message)))
            case Edge():
                told.append(Step("edge", message.at, message.id, _edge(message)))
            case Command():
                told.append(Step("command", message.at, message.id, _command(message)))
            case Remark():
                told.append(Step("question", message.at, message.id, _remark(message)))
            case Portfolio():
                told.append(Step("portfolio", message.at, message.id, f"equity {message.equity:,.2f}"))
            case _:
                pass
    return told + list(_candles(chain, briefing, decision, looked_at))


def _remark(remark: Remark) -> str:
    words = shorten(plain(remark.turn.text), LONGEST_QUOTE)
    return f"{remark.by} asked for it in conversation {remark.conversation}: {words}"


# ---- money ----------------------------------------------------------------------------------


def _fill(fill: Fill) -> str:
    traded = f"{_TRADED[fill.side]} {price(fill.size)} {fill.instrument} at {price(fill.price)}"
    return f"{traded}, fee {price(fill.fee)}, {fill.liquidity} (order {fill.client_id}, trade {fill.trade_id})"


def _update(update: OrderUpdate) -> str:
    order, why = update.order, f": {update.reason}" if update.reason else ""
    if order is not None:
        what = f"{order.side} {price(order.size)} {order.instrument} {terms(order)}"
        if update.state == "intent":
            return f"{update.client_id} written down before it was sent: {what}"
        if update.state == "amending":
            return f"to be amended, written down before that was sent: {what}"
        return f"not amended{why}" if why else f"amended: {what}"
    if update.state == "working":
        return "taken by the venue"
    if update.state == "partial":
        return f"{price(update.filled)} of it filled so far"
    return f"{update.state}{why}"


def _approved(
    verdict: Approved, decision: Decision | None, briefing: Briefing | None, listed: Mapping[str, Instrument]
) -> Iterator[str]:
    order = verdict.order
    if order is None:
        yield f"approved: {verdict.note or 'nothing to do'}"
        return
    yield f"approved: {order.side} {price(order.size)} {order.instrument} {terms(order)}"
    if decision is not None:
        instrument = listed.get(order.instrument) or _instrument(order.instrument)
        at = order.price or Decimal(repr(decision.price))
        equity = briefing.equity if briefing is not None else Decimal(0)
        yield f"worth {_share(notional(instrument, order.size, at), equity)}"
        if verdict.stop is not None:
            loss = abs(notional(instrument, order.size, at - verdict.stop))
            yield f"protective stop at {price(verdict.stop)}, where it would have lost {_share(loss, equity)}"
    if verdict.note:
        yield verdict.note


def _instrument(symbol: str) -> Instrument:
    try:
        return parse_symbol(symbol)
    except UnknownInstrument:
        return from_csv(symbol)


def _share(amount: Decimal, equity: Decimal) -> str:
    rounded = price(float(amount))
    return f"{rounded}, {pct(100 * float(amount / equity))} of the equity" if equity else rounded


def _limits(limits: Mapping[str, float]) -> str:
    words = (
        ("max_order_pct", "one order at most {} % of the free cash"),
        ("max_position_pct", "one position {} % of the equity"),
        ("max_exposure_pct", "all of them {} %"),
        ("max_daily_loss_pct", "a day's loss {} %"),
    )
    return ", ".join(text.format(f"{limits[key]:g}") for key, text in words if key in limits)


# ---- thought --------------------------------------------------------------------------------


def _decision(decision: Decision) -> str:
    by = {"rules": "the strategies", "person": "a person", "llm": "a model"}.get(decision.by, decision.by)
    text = f"{by} wanted to {_ACTS[decision.act]} {decision.instrument} at {price(decision.price)}"
    if decision.act != "hold":
        text += f", conviction {decision.conviction} of 5"
    if decision.invalidation is not None:
        text += f", wrong at {price(decision.invalidation)}"
    text += f", because {'; '.join(decision.reasons)}" if decision.reasons else ""
    return text + (f" (`kokex brain prompt {decision.call}` has the question)" if decision.call else "")


def _briefing(briefing: Briefing, decision: Decision | None) -> Iterator[Step]:
    """What the brain knew of the instrument."""
    symbol = decision.instrument if decision is not None else briefing.instruments[0]
    held = briefing.held.get(symbol, Decimal(0))
    parts = [_readings(each) for each in briefing.readings if each.instrument == symbol]
    parts.append(f"held {price(held)}, equity {price(float(briefing.equity))}")
    parts += [_forecast(each) for each in briefing.forecasts if each.instrument == symbol]
    yield Step("briefing", briefing.at, briefing.id, "the brain saw " + "; ".join(parts))


def _readings(readings: Readings) -> str:
    signals = [f"{name} {_SIDES[signal.side]}" for name, signal in readings.signals.items()]
    values = [f"{name} {reading(value)}" for name, value in readings.values.items()]
    return f"{readings.instrument} at {price(readings.price)}, {', '.join(signals + values)}"


def _forecast(forecast: Forecast) -> str:
    ahead = age(len(forecast.steps) * forecast.span_ns)
    span = f"{price(forecast.range_low)} to {price(forecast.range_high)}"
    return f"forecast for {ahead}: {span}, {pct(100 * forecast.p_up)} up"


def _cycle(cycle: Cycle) -> str:
    return f"plan {cycle.plan} thought about {listed(cycle.instruments)}, woken by {woken_by(cycle)}"


def _edge(edge: Edge) -> str:
    what = edge.note or f"{edge.kind} at {reading(edge.value)}"
    return f"{edge.instrument} {edge.source}: {what}, significance {edge.score:.2f} of 1"


def _command(command: Command) -> str:
    return f"{command.by} said: {command.verb}" + "".join(f" {key}={value}" for key, value in command.args.items())


# ---- candles --------------------------------------------------------------------------------


def _candles(
    chain: Sequence[Message], briefing: Briefing | None, decision: Decision | None, looked_at: Sequence[Candle]
) -> Iterator[Step]:
    """The candles whose closes made the edges; without an edge the one that the brain looked at."""
    edges = {each.candle: each.close_ns for each in reversed(chain) if isinstance(each, Edge)}
    for candle, close_ns in edges.items():
        yield Step("candle", close_ns, 0, _candle(candle, close_ns))
    if edges or briefing is None:
        return
    for each in briefing.readings:
        if decision is None or each.instrument == decision.instrument:
            what = f"{each.instrument} closed at {price(each.price)}"
            candle = next((one for one in looked_at if one.instrument == each.instrument), None)
            yield Step("candle", each.close_ns, 0, what if candle is None else _candle(candle, each.close_ns))


def _candle(candle: Candle, close_ns: int) -> str:
    prices = f"open {price(candle.open)} high {price(candle.high)} low {price(candle.low)} close {price(candle.close)}"
    span = f"{age(close_ns - candle.open_ns)} from {clock(candle.open_ns)}"
    return f"{candle.instrument}, {span}: {prices} volume {price(candle.volume)}"
