"""What moves money at a person's word: part of the actor `control`, in a room of its own.

A buy, a sell or a close becomes a Decision by a person at the last price, which goes through risk like any other; who
asked hears the verdict. `propose` only asks risk what its verdict would be. A person's yes is taken once: sent away
for a price that comes in a second, it would be lost. So where there is no price yet, it waits for one.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import TYPE_CHECKING, Any, final

from msgspec import Struct

from kokex.brain.rules import is_stale
from kokex.config import Plan
from kokex.kernel.cell import Failure
from kokex.messages import Act, Approved, Command, Decision, Preview, Readings, Refused, Sample

if TYPE_CHECKING:
    from actors.control import Controller

TRADES: dict[str, Act] = {"buy": "open_long", "sell": "open_short", "close": "close"}
PRICE_S = 8.0  # after a restart the first price takes a moment
LOOK_AGAIN_S = 0.5
VERDICT_S = 10.0  # risk answers at once, unless it is down

Tell = Callable[[Any], object]


class CommandError(Exception):
    """A command that cannot be done as asked. The text goes to the person."""


class Trade(Struct, frozen=True, kw_only=True):
    """What a person wants bought, sold or closed."""

    command: Command
    plan: Plan
    instrument: str
    act: Act
    until_ns: int  # a price has to be there by then
    tell: Tell
    size: Decimal | None = None
    limit: Decimal | None = None


@final
class Trading:
    def __init__(self, control: "Controller", speed: float) -> None:
        self._control = control
        self._speed = speed
        self._waiting: dict[int, Tell] = {}  # decision -> who is told its verdict

    def begin(self, command: Command, plan: Plan, symbol: str, tell: Tell) -> None:
        """buy, sell, close, propose. Raises CommandError."""
        act = TRADES.get(_verb(command))
        if act is None:
            raise CommandError(f"act {_verb(command)!r} is none of {', '.join(TRADES)}")
        trade = Trade(
            command=command, plan=plan, instrument=symbol, act=act, tell=tell,
            until_ns=self._control.now + round(PRICE_S * 1e9 * self._speed),
            size=_decimal(command, "size"), limit=_decimal(command, "limit"),
        )  # fmt: skip
        self._ask_price(trade)

    def close_all(self, held: Sequence[tuple[Plan, str]], by: str, tell: Tell) -> None:
        """These instruments of these plans; told when each has its verdict."""
        outcomes: list[dict[str, Any]] = []

        def closed(where: dict[str, str], body: Any) -> None:
            told = {"error": body.text} if isinstance(body, Failure) else body
            outcomes.append({**where, **({"error": told["error"]} if "error" in told else {})})
            if len(outcomes) == len(held):
                tell(outcomes)

        if not held:
            tell([])
        for plan, symbol in held:
            where = {"account": plan.account, "plan": plan.name, "instrument": symbol}
            self.begin(Command(verb="close", args=where, by=by), plan, symbol, partial(closed, where))

    def _ask_price(self, trade: Trade) -> None:
        question = Sample(plan=trade.plan.name, instruments=(trade.instrument,))
        self._control.ask("indicator", question, then=partial(self._decide, trade))

    def _decide(self, trade: Trade, readings: Sequence[Readings] | Failure) -> None:
        reading = None if isinstance(readings, Failure) or not readings else readings[0]
        if reading is None or (trade.act != "close" and self._is_stale(trade.plan, reading)):
            self._wait_for_price(trade, "no price" if reading is None else "no fresh price")
            return
        command, plan = trade.command, trade.plan
        wanted = Decision(
            plan=plan.name, account=plan.account, instrument=trade.instrument, act=trade.act, conviction=5,
            horizon_s=0, price=reading.price, reasons=(f"{_verb(command)} by {command.by}",), by="person",
            size=trade.size, limit=trade.limit, atr=reading.values.get("atr"),
        )  # fmt: skip
        if command.verb == "propose":
            self._control.ask(f"risk[{plan.account}]", Preview(decision=wanted), then=trade.tell)
            return
        decision = self._control.emit(wanted)
        self._waiting[decision] = trade.tell
        self._control.later(VERDICT_S * self._speed, self._overdue, decision)

    def _is_stale(self, plan: Plan, reading: Readings) -> bool:
        return is_stale(self._control.now, reading.close_ns, plan.timeframe_ns, plan.risk.stale_s)

    def _wait_for_price(self, trade: Trade, lack: str) -> None:
        if self._control.now < trade.until_ns and not self._control.draining:
            self._control.later(LOOK_AGAIN_S * self._speed, self._ask_price, trade)
        else:
            text = f"{lack} of {trade.instrument} has come; nothing was done, ask again when there is one"
            trade.tell({"error": text})

    # ---- the verdict

    def approved(self, verdict: Approved) -> None:
        if tell := self._waiting.pop(verdict.decision, None):
            tell({"verdict": "approved", "decision": verdict.decision, "order": verdict.order})

    def refused(self, verdict: Refused) -> None:
        if tell := self._waiting.pop(verdict.decision, None):
            tell({"verdict": "refused", "decision": verdict.decision, "rule": verdict.rule, "error": verdict.reason})

    def _overdue(self, decision: int) -> None:
        if tell := self._waiting.pop(decision, None):
            text = f"no verdict on decision {decision} within {VERDICT_S:.0f} s; `kokex orders` shows what became of it"
            tell({"error": text})


def _verb(command: Command) -> str:
    """What is to be done: `propose` names it."""
    return command.args.get("act", "") if command.verb == "propose" else command.verb


def _decimal(command: Command, key: str) -> Decimal | None:
    text = command.args.get(key)
    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or value <= 0:
        raise CommandError(f"{key} {text!r} is not a number above zero")
    return value
