"""control: what people command.

Receives Commands from the control socket, from chat and, for its tools, from agent; answers each, over the socket or
with an Answer. Questions go to the actor that knows, or to the record; what moves money becomes a Decision by a person
(trading.py) and goes through risk like any other.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

from actors.forecaster import newest_portfolios
from actors.portfolio import without_history
from actors.reloading import keep
from actors.trading import TRADES, CommandError, Trading
from kokex import __version__
from kokex.config import Plan
from kokex.kernel.actor import Actor
from kokex.kernel.cell import ActorStatus, Failure
from kokex.market.names import canonical
from kokex.messages import (
    Alert,
    Answer,
    Approved,
    Command,
    Decision,
    Instrument,
    Portfolio,
    Preview,
    Readings,
    Refused,
    Reloaded,
    Sample,
)
from kokex.ports import Control, Reread, Settings, Store
from kokex.ports.chat import Pictures, Records

ZERO = Decimal(0)
TO_SCHEDULER = frozenset({"pause", "resume", "cycle", "schedule", "mode", "plans_start", "plans_stop"})
ON_RECORD = frozenset(
    {
        "order", "trades", "profit", "daily", "weekly", "monthly", "performance", "forecast", "brain", "cost", "news",
        "why", "logs",
    }
)  # fmt: skip
DRAWN = frozenset({"chart", "equity"})
TO_AGENT = {"chat": 130.0, "confirm": 20.0, "decline": 20.0}  # verb -> seconds it may take; see agent
CHAT = "telegram"  # how who speaks in the chat is named, before the number of the user
RECORD_S = 20.0
PASS_S = 10.0


class Controller(Actor):
    emits = (Decision, Answer, Reloaded, Alert)
    asks = (Command, Sample, Preview)
    state = dict[str, Portfolio]

    def __init__(
        self,
        plans: Sequence[Plan],
        instruments: Mapping[str, Instrument],
        port: Control,
        status: Callable[[], Sequence[ActorStatus]],
        store: Store,
        records: Records | None = None,
        pictures: Pictures | None = None,
        settings: Settings | None = None,
        speed: float = 1.0,
    ) -> None:
        """`speed`: of trading time; neither disk nor model nor person is faster for it."""
        self._settings = settings
        self._plans = {plan.name: plan for plan in plans}
        self._accounts = tuple(dict.fromkeys(plan.account for plan in plans))
        self._instruments = instruments
        self._port = port
        self._status = status
        self._store = store
        self._portfolios: dict[str, Portfolio] = {}
        self._records = records
        self._pictures = pictures
        self._speed = speed
        self._trading = Trading(self, speed)

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
            self._answer(command, {"error": str(error)})

    def _answer(self, command: Command, body: object) -> None:
        """To where it came from."""
        if isinstance(body, Failure):
            body = {"error": body.text}
        plain = msgspec.to_builtins(body)
        if command.request:
            self._port.answer(command.request, plain)
        else:
            self.emit(Answer(command=command.id, body=plain))

    def _obey(self, command: Command) -> None:
        verb = command.verb
        if verb in TO_SCHEDULER:
            self._pass_on(command, "scheduler")
        elif verb in TRADES or verb == "propose":
            self._trade(command)
        elif verb == "price":
            self._tell_price(command)
        elif verb in TO_AGENT:
            self._pass_on(command, "agent", TO_AGENT[verb])
        elif verb == "closeall":
            self._close_all(command)
        elif verb in {"cancel", "orders"}:
            self._pass_on(command, f"executor[{self._account(command)}]")
        elif verb in {"reset", "limits"}:
            self._pass_on(command, f"risk[{self._account(command)}]")
        elif verb in {"balance", "positions"}:
            chosen = [self._account(command)] if "account" in command.args else self._accounts
            books = [without_history(self._portfolios[each]) for each in chosen if each in self._portfolios]
            self._answer(command, {"accounts": books})
        elif verb == "status":
            self._answer_status(command)
        elif verb == "version":
            self._answer(command, {"version": __version__})
        elif verb == "reload":
            self._reload(command)
        elif verb == "health":
            self._look_up(command, self._records and self._records.ask, partial(self._healthy, command))
        elif verb in ON_RECORD:
            self._look_up(command, self._records and self._records.ask, partial(self._answer, command))
        elif verb in DRAWN:
            self._look_up(command, self._pictures and self._pictures.draw, partial(self._answer, command))
        else:
            raise CommandError(f"unknown command {verb!r}")

    # ---- questions

    def _pass_on(self, command: Command, actor: str, timeout_s: float = PASS_S) -> None:
        question = Command(verb=command.verb, args=command.args, by=command.by, request=command.request)
        self.ask(actor, question, then=partial(self._answer, command), timeout_s=timeout_s * self._speed)

    def _look_up(self, command: Command, ask: Any, then: Callable[[Any], object]) -> None:
        """Asks the record, which nobody waits for."""
        if ask is None:
            raise CommandError(f"{command.verb} cannot be answered here")
        self.call(
            ask, command.verb, command.args, self.now, returns=dict[str, Any], then=then, timeout_s=RECORD_S
        )  # fmt: skip

    def _healthy(self, command: Command, facts: dict[str, Any] | Failure) -> None:
        told = {"database": facts.text} if isinstance(facts, Failure) else facts
        self._answer(command, {"facts": told, "actors": self._status()})

    def _answer_status(self, command: Command) -> None:
        def reply(schedule: Any) -> None:
            books = [without_history(each) for each in self._portfolios.values()]
            self._answer(
                command,
                schedule
                if isinstance(schedule, Failure)
                else {"now_ns": self.now, **schedule, "accounts": books, "actors": self._status()},
            )

        self.ask("scheduler", Command(verb="schedule"), then=reply)

    def _tell_price(self, command: Command) -> None:
        """The last close, with the readings of the plan that trades the instrument."""
        account, symbol = self._account(command), self._symbol(command)

        def reply(readings: Sequence[Readings] | Failure) -> None:
            if isinstance(readings, Failure) or not readings:
                self._answer(command, {"error": f"no price of {symbol} yet; try again in a moment"})
                return
            of = readings[0]
            self._answer(
                command,
                {
                    "instrument": symbol, "plan": of.plan, "close_ns": of.close_ns, "price": of.price,
                    "values": of.values, "signals": of.signals,
                },
            )  # fmt: skip

        question = Sample(plan=self._plan_for(account, symbol, command).name, instruments=(symbol,))
        self.ask("indicator", question, then=reply)

    def _symbol(self, command: Command) -> str:
        symbol = canonical(command.args.get("instrument", ""))
        if symbol not in self._instruments:
            raise CommandError(f"unknown instrument {symbol!r}; traded here: {', '.join(self._instruments)}")
        return symbol

    def _account(self, command: Command) -> str:
        account = command.args.get("account", self._accounts[0])
        if account not in self._accounts:
            raise CommandError(f"there is no account {account!r}; there are: {', '.join(self._accounts)}")
        return account

    # ---- the configuration

    def _reload(self, command: Command) -> None:
        if self._settings is None:
            raise CommandError("there is no file to read the configuration from here")
        then = partial(self._reread, command)
        self.call(self._settings.read, returns=Reread, then=then, timeout_s=RECORD_S)

    def _reread(self, command: Command, said: Reread | Failure) -> None:
        if isinstance(said, Failure):
            self._answer(command, {"error": f"nothing has changed: {said.text or said.kind}"})
            return
        if said.changed:
            keep(self._store, said.settings)
            for account in self._accounts:
                self.emit(Reloaded(account=account, settings=said.settings))
            what = ", ".join(f"{each.key} is {each.after} (was {each.before})" for each in said.changed)
            self.emit(Alert(severity="info", kind="settings", text=f"read anew by {command.by}: {what}"))
        self._answer(command, {"changed": said.changed, "restart": said.restart})

    # ---- what moves money

    def _close_all(self, command: Command) -> None:
        """Every position of the account, or of all; answered when each has its verdict."""
        chosen = [self._account(command)] if "account" in command.args else self._accounts
        held = [
            (self._plans[plan], symbol)
            for account in chosen
            if account in self._portfolios
            for plan, sizes in self._portfolios[account].held.items()
            for symbol, size in sizes.items()
            if size
        ]
        self._trading.close_all(held, command.by, lambda outcomes: self._answer(command, {"closed": outcomes}))

    def _trade(self, command: Command) -> None:
        account, symbol = self._account(command), self._symbol(command)
        plan = self._plan_for(account, symbol, command)
        self._trading.begin(command, plan, symbol, partial(self._answer, command))

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

    def on_approved(self, verdict: Approved) -> None:
        self._trading.approved(verdict)

    def on_refused(self, verdict: Refused) -> None:
        self._trading.refused(verdict)
