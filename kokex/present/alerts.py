"""Alerts: what of the daemon's life a person is told, in words for a phone.

Each has a kind, which [telegram.alerts] turns on or off, and a lane: what is in a lower one overtakes.
"""

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from kokex.market.instruments import notional
from kokex.messages import (
    Alert,
    Cycle,
    Decision,
    Fill,
    Instrument,
    Lifecycle,
    Order,
    OrderUpdate,
    Position,
    Refused,
    Words,
)
from kokex.present.rich import bold, join, lines
from kokex.present.tables import terms
from kokex.present.words import age, money, pct, price

URGENT, MONEY, STATE, READING = range(4)  # lanes
LANES = 4

_KINDS = {  # of what actors say -> of [telegram.alerts]
    "breaker": "breaker",
    "tripped": "breaker",
    "stop": "stop",
    "order": "order",
    "schedule": "note",
    "quota": "quota",
    "llm": "quota",
    "training": "training",
    "proposal": "proposal",
    "security": "security",
    "session": "market",
    "gap": "health",
    "market": "health",
    "venue": "health",
    "store": "health",
    "forecaster": "health",
}
_SIGNS = {"info": "\u2139\ufe0f", "warning": "⚠️", "critical": "🚨"}
_SIDES = {"buy": "Bought", "sell": "Sold"}
_ACTS = {"open_long": "go long", "open_short": "go short", "reduce": "reduce", "close": "close", "hold": "hold"}


class Told(Struct, frozen=True):
    kind: str
    lane: int
    words: Words
    worth: float | None = None  # in quote currency; None: has no size


class Trade(Struct):
    """An order's fills, summed."""

    first: Fill
    before: Position
    after: Position
    opened_ns: int  # when the position it reduces was opened; 0: not known
    size: Decimal = Decimal(0)
    turnover: Decimal = Decimal(0)  # size x price
    fee: Decimal = Decimal(0)

    @property
    def price(self) -> Decimal:
        """The average."""
        return self.turnover / self.size if self.size else Decimal(0)


def alert(said: Alert) -> Told:
    """What an actor says. A kind nobody listed is `health` when something is wrong, else `note`."""
    if said.kind == "start":
        return Told("start", STATE, lines(join(["▶️ ", bold("KOKEX runs")]), said.text))
    kind = _KINDS.get(said.kind, "note" if said.severity == "info" else "health")
    if kind in {"stop", "order"} and said.severity != "info":
        kind = "health"  # a stop that was refused is no stop that was placed
    lane = URGENT if said.severity == "critical" or kind == "security" else STATE
    if kind in {"training", "proposal"}:
        lane = READING
    where = f" [{said.account}]" if said.account not in {"", "main"} else ""
    title = "Circuit breaker" if kind == "breaker" else said.kind.capitalize()
    return Told(kind, lane, join([f"{_SIGNS[said.severity]} ", bold(title + where), f"\n{said.text}"]))


def lifecycle(life: Lifecycle) -> Told | None:
    """An actor that crashed, or a message that reached nobody; None for what is usual."""
    if life.event in {"started", "stopped", "restarting"}:
        return None
    sign, lane = ("🚨", URGENT) if life.event == "escalated" else ("⚠️", STATE)
    what = f"{life.actor} {life.event.replace('_', ' ')}"
    return Told("health", lane, lines(join([f"{sign} ", bold(what)]), life.error))


def stopping() -> Told:
    return Told("start", URGENT, join(["⏹ ", bold("KOKEX stops")]))


def trade(done: Trade, instrument: Instrument, currency: str) -> Told:
    """What an order came to: a fill, or an exit with its profit or loss."""
    fill = done.first
    worth = notional(instrument, done.size, done.price)
    what = f"{price(done.size)} {fill.instrument} @ {price(float(done.price))}"
    tail = f"{money(worth, currency)} · fee {money(done.fee, currency)} · {_whose(fill.plan, fill.account)}"
    closed = abs(done.before.cost) - abs(done.after.cost) if _reduces(done) else Decimal(0)
    if not _reduces(done):
        sign = "🟢" if fill.side == "buy" else "🔻"
        words = lines(join([f"{sign} ", bold(f"{_SIDES[fill.side]} {what}")]), tail)
        return Told("fill", MONEY, words, float(worth))
    gain = done.after.realised - done.before.realised - done.fee
    side = "long" if done.before.size > 0 else "short"
    if done.before.size * done.after.size < 0:  # it turned round: all of the former is closed
        closed = abs(done.before.cost)
    share = f" ({pct(100 * float(gain / closed), signed=True)})" if closed else ""
    held = f" after {age(fill.filled_ns - done.opened_ns)}" if done.opened_ns else ""
    whole = "Closed" if not done.after.size else "Turned" if done.before.size * done.after.size < 0 else "Reduced"
    return Told(
        "exit",
        MONEY,
        lines(
            join([f"{'✅' if gain >= 0 else '❌'} ", bold(f"{whole} {side} {what}")]),
            join(["P&L ", bold(f"{money(gain, currency, signed=True)}{share}"), held]),
            tail,
        ),
        float(worth),
    )


def _reduces(done: Trade) -> bool:
    return bool(done.before.size) and (done.before.size > 0) == (done.first.side == "sell")


def decision(wanted: Decision) -> Told:
    what = f"{_ACTS[wanted.act]} {wanted.instrument}"
    wrong = f"wrong at {price(wanted.invalidation)}" if wanted.invalidation is not None else ""
    facts = " · ".join(
        filter(None, (f"at {price(wanted.price)}", f"conviction {wanted.conviction} of 5", wrong, wanted.plan))
    )
    reasons = "; ".join(wanted.reasons)
    return Told("decision", MONEY, lines(join(["🧠 ", bold(f"Wants to {what}")]), facts, reasons))


def refusal(said: Refused) -> Told:
    what = join(["✋ ", bold(f"Refused {said.instrument}"), f" by {said.rule}"])
    return Told("refusal", MONEY, lines(what, f"{said.reason} · {_whose(said.plan, said.account)}"))


def order(update: OrderUpdate, of: Order) -> Told:
    """An order that works, or ended otherwise than filled."""
    what = f"{of.side} {price(of.size)} {of.instrument} {terms(of)}"
    state = {"working": "Order works", "intent": "Order sent"}.get(update.state, f"Order {update.state}")
    filled = f"{price(update.filled)} filled" if update.filled else ""
    facts = " · ".join(filter(None, (filled, update.reason, f"order {of.client_id}")))
    return Told("order", MONEY, lines(join(["📝 ", bold(f"{state}: {what}")]), facts))


def stop(of: Order, moved: bool) -> Told:
    """A protective stop works at the venue."""
    trigger = price(of.trigger) if of.trigger is not None else "the market"
    done = "moved to" if moved else "at"
    what = f"Stop {done} {trigger} for {price(of.size)} {of.instrument}"
    return Told("stop", MONEY, lines(join(["🛡 ", bold(what)]), _whose(of.plan, of.account)))


def cycle(about: Cycle, decisions: Iterable[Decision]) -> Told:
    """What a cycle came to, a line for each instrument."""
    title = join(["🔄 ", bold(f"Cycle of {about.plan}"), f" ({about.why})"])
    rows = [
        f"{each.instrument}: {_ACTS[each.act]}" + (f", {each.conviction} of 5" if each.act != "hold" else "")
        for each in decisions
    ]
    return Told("cycle", READING, lines(title, *rows))


def again(words: Words, times: int, span_ns: int) -> Words:
    """The same once more, and how often it came since."""
    return join([words, " ", bold(f"x{times} in {age(span_ns)}")])


def _whose(plan: str, account: str) -> str:
    return plan if account in {"", "main"} else f"{plan} [{account}]"
