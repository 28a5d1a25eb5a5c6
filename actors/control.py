"""control: what people command.

Receives Commands from the control socket (later: Telegram); answers each. Questions go to the actor that knows;
what moves money becomes a Decision by a person and goes through risk like any other.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

import msgspec

from actors.forecaster import newest_portfolios
from actors.indicator import Sampled
from actors.portfolio import without_history
from kokex.brain.rules import is_stale
from kokex.config import Plan
from kokex.kernel.actor import Actor
from kokex.kernel.cell import ActorStatus, Failure
from kokex.market.names import canonical
from kokex.messages import Act, Approved, Command, Decision, Instrument, Portfolio, Readings, Refused, Sample
from kokex.ports import Control, Store

ZERO = Decimal(0)
TO_SCHEDULER = frozenset({"pause", "resume", "cycle", "schedule", "plans_start", "plans_stop"})
TRADES: dict[str, Act] = {"buy": "open_long", "sell": "open_short", "close": "close"}
VERDICT_S = 10.0  # risk answers at once, unless it is down


class CommandError(Exception):
    """A command that cannot be done as asked. The text goes to the person."""


class Controller(Actor):
    emits = (Decision,)
    asks = (Command, Sample)
    state = dict[str, Portfolio]

    def __init__(
        self,
        plans: Sequence[Plan],
        instruments: Mapping[str, Instrument],
        port: Control,
        status: Callable[[], Sequence[ActorStatus]],
        store: Store,
    ) -> None:
        self._plans = {plan.name: plan for plan in plans}
        self._accounts = tuple(dict.fromkeys(plan.account for plan in plans))
        self._instruments = instruments
        self._port = port
        self._status = status
        self._store = store
        self._portfolios: dict[str, Portfolio] = {}
        self._waiting: dict[int, int] = {}  # decision -> request

    async def load(self) -> dict[str, Portfolio]:
        return await newest_portfolios(self._store, self._plans.values())

    def start(self, state: Mapping[str, Portfolio]) -> None:
        self._portfolios = dict(state)

    def on_portfolio(self, portfolio: Portfolio) -> None:
        self._portfolios[portfolio.account] = portfolio

    def on_command(self, command: Command) -> None:
        try:
            self._obey(command)
        except CommandError as error:
            self._port.answer(command.request, {"error": str(error)})

    def _obey(self, command: Command) -> None:
        verb = command.verb
        if verb in TO_SCHEDULER:
            self._pass_on(command, "scheduler")
        elif verb in TRADES:
            self._trade(command)
        elif verb in {"cancel", "orders"}:
            self._pass_on(command, f"executor[{self._account(command)}]")
        elif verb in {"reset", "limits"}:
            self._pass_on(command, f"risk[{self._account(command)}]")
        elif verb in {"balance", "positions"}:
            chosen = [self._account(command)] if "account" in command.args else self._accounts
            books = [without_history(self._portfolios[each]) for each in chosen if each in self._portfolios]
            self._port.answer(command.request, {"accounts": msgspec.to_builtins(books)})
        elif verb == "status":
            self._answer_status(command)
        else:
            raise CommandError(f"unknown command {verb!r}")

    # ---- questions

    def _pass_on(self, command: Command, actor: str) -> None:
        question = Command(verb=command.verb, args=command.args, by=command.by, request=command.request)
        self.ask(actor, question, then=partial(self._answered, command.request))

    def _answered(self, request: int, answer: Any) -> None:
        if isinstance(answer, Failure):
            answer = {"error": answer.text}
        self._port.answer(request, msgspec.to_builtins(answer))

    def _answer_status(self, command: Command) -> None:
        def reply(schedule: Any) -> None:
            books = [without_history(each) for each in self._portfolios.values()]
            self._answered(
                command.request,
                schedule
                if isinstance(schedule, Failure)
                else {"now_ns": self.now, **schedule, "accounts": books, "actors": self._status()},
            )

        self.ask("scheduler", Command(verb="schedule"), then=reply)

    def _account(self, command: Command) -> str:
        account = command.args.get("account", self._accounts[0])
        if account not in self._accounts:
            raise CommandError(f"there is no account {account!r}; there are: {', '.join(self._accounts)}")
        return account

    # ---- what moves money

    def _trade(self, command: Command) -> None:
        account = self._account(command)
        symbol = canonical(command.args.get("instrument", ""))
        if symbol not in self._instruments:
            raise CommandError(f"unknown instrument {symbol!r}; traded here: {', '.join(self._instruments)}")
        plan = self._plan_for(account, symbol, command)
        size, limit = _decimal(command, "size"), _decimal(command, "limit")
        question = Sample(plan=plan.name, instruments=(symbol,), lookback=0)
        self.ask("indicator", question, then=partial(self._decide, command, plan, size, limit))

    def _plan_for(self, account: str, symbol: str, command: Command) -> Plan:
        """The plan that was named, or whose position it is, or the first that trades the instrument."""
        name = command.args.get("plan")
        if name is not None and name not in self._plans:
            raise CommandError(f"there is no plan {name!r}; there are: {', '.join(self._plans)}")
        candidates = [p for p in self._plans.values() if p.account == account and symbol in p.instruments]
        candidates = [p for p in candidates if name in {None, p.name}]
        if not candidates:
            who = "no plan trades" if name is None else f"plan {name} does not trade"
            raise CommandError(f"{who} {symbol} in account {account}")
        held = self._portfolios[account].held if account in self._portfolios else {}
        return max(candidates, key=lambda p: abs(held.get(p.name, {}).get(symbol, ZERO)))

    def _decide(
        self, command: Command, plan: Plan, size: Decimal | None, limit: Decimal | None, sampled: Sampled | Failure
    ) -> None:
        symbol, act = canonical(command.args["instrument"]), TRADES[command.verb]
        if isinstance(sampled, Failure) or not sampled.readings:
            self._port.answer(command.request, {"error": f"no price of {symbol} yet; try again in a moment"})
            return
        reading = sampled.readings[0]
        if act != "close" and self._is_stale(plan, reading):
            self._port.answer(command.request, {"error": f"the last price of {symbol} is too old to trade on"})
            return
        decision = self.emit(
            Decision(
                plan=plan.name, account=plan.account, instrument=symbol, act=act, conviction=5, horizon_s=0,
                price=reading.price, reasons=(f"{command.verb} by {command.by}",), by="person", size=size, limit=limit,
                atr=reading.values.get("atr"),
            )
        )  # fmt: skip
        self._waiting[decision] = command.request
        self.later(VERDICT_S, self._overdue, decision)

    def _is_stale(self, plan: Plan, reading: Readings) -> bool:
        return is_stale(self.now, reading.close_ns, plan.timeframe_ns, plan.risk.stale_s)

    def _overdue(self, decision: int) -> None:
        if (request := self._waiting.pop(decision, None)) is not None:
            text = f"no verdict on decision {decision} within {VERDICT_S:.0f} s; `kokex orders` shows what became of it"
            self._port.answer(request, {"error": text})

    def on_approved(self, verdict: Approved) -> None:
        if (request := self._waiting.pop(verdict.decision, None)) is not None:
            order = msgspec.to_builtins(verdict.order)
            self._port.answer(request, {"verdict": "approved", "decision": verdict.decision, "order": order})

    def on_refused(self, verdict: Refused) -> None:
        if (request := self._waiting.pop(verdict.decision, None)) is not None:
            answer = {"verdict": "refused", "decision": verdict.decision, "rule": verdict.rule, "error": verdict.reason}
            self._port.answer(request, answer)


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
