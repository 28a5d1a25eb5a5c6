"""What `kokex run` says: a line for each message worth one, where to look next, and a summary at the end."""

from decimal import Decimal
from typing import cast, final

from kokex.messages import (
    Alert,
    AnyMessage,
    Approved,
    Briefing,
    Command,
    Fill,
    Forecast,
    Lifecycle,
    Message,
    OrderUpdate,
    Portfolio,
)
from kokex.ports import Console
from kokex.present import events
from kokex.present.commands import COMMANDS
from kokex.present.words import age, money

# The notifier tells these itself, and does not repeat itself; as the feed tells prices.
TOLD_ELSEWHERE = (Alert, Lifecycle)
QUESTIONS = frozenset({*(spec.asks for spec in COMMANDS if spec.role == "viewer"), "price", "propose"})


@final
class Narrator:
    """Hears every journaled message."""

    def __init__(self, console: Console, command: str, database: str, currency: str) -> None:
        """`command`: what to type for `kokex`; `database`: how to name this one, "" for the usual."""
        self._console = console
        self._command = command
        self._database = database
        self._currency = currency
        self._orders = 0
        self._fills = 0
        self._equity: dict[str, Decimal] = {}
        self._began: dict[str, Decimal] = {}

    def hear(self, message: Message) -> None:
        if isinstance(message, Portfolio):
            self._equity[message.account] = message.equity
            self._began.setdefault(message.account, message.equity)
        elif isinstance(message, OrderUpdate) and message.state == "intent":
            self._orders += 1
        if not isinstance(message, TOLD_ELSEWHERE) and (told := events.line(cast("AnyMessage", message))):
            level = "DEBUG" if _is_detail(message) else events.level(cast("AnyMessage", message))
            self._console(message.at, level, *told)
        if isinstance(message, Fill):
            self._fills += 1
            if self._fills == 1:
                self._hint(message.at, f"why this order: {self._call('explain', message.client_id)}")

    def greet(self, at: int, what: str, place: str) -> None:
        self._console(at, "INFO", "start", what)
        self._console(at, "INFO", "start", place)
        others = ", ".join(self._call(verb) for verb in ("status", "positions", "pause"))
        self._hint(
            at, f"in another terminal: {others}; Ctrl-C here drains and ends; docs/running.md says what the lines mean"
        )

    def sum_up(self, at: int, passed_ns: int) -> None:
        """The last lines."""
        self._console(at, "INFO", "stop", f"after {age(passed_ns)}: {self._orders} orders, {self._fills} fills")
        for account, now in self._equity.items():
            change = money(now - self._began[account], self._currency, signed=True)
            self._console(
                at, "INFO", "stop", f"account {account}: {money(now, self._currency)}, {change} in this session"
            )
        look_back = f"{self._call('trades')} and {self._call('profit')} look back"
        self._hint(at, f"{self._call('run')} goes on from here; {look_back}")

    def _call(self, *words: str) -> str:
        return " ".join([self._command, *words] + (["--db", self._database] if self._database else []))

    def _hint(self, at: int, text: str) -> None:
        self._console(at, "INFO", "next", text)


def _is_detail(message: Message) -> bool:
    """A line for log.level = "debug": what is thought of on the way, questions, and the yes to doing nothing."""
    return (
        isinstance(message, Forecast | Briefing | Portfolio)
        or (isinstance(message, Approved) and message.order is None)
        or (isinstance(message, Command) and message.verb in QUESTIONS)
    )
