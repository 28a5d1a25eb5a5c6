"""What people can say to a running daemon: each command once, for the chat, the socket and the command line.

`verb` is what the actor `control` understands. In a chat a command is a slash and its name; arguments come in their
order or as name=value.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Literal

from msgspec import Struct

from kokex.market.names import matching

Role = Literal["viewer", "trader", "owner"]
ROLES: tuple[Role, ...] = ("viewer", "trader", "owner")  # each may what those before it may
ArgumentKind = Literal["instrument", "number", "count", "plan", "account", "order", "mode", "command"]

MODES = ("adaptive", "realtime", "daily")
MOST_ROWS = 1000


class Argument(Struct, frozen=True):
    name: str
    kind: ArgumentKind
    required: bool = False


class Spec(Struct, frozen=True, kw_only=True):
    """One command."""

    name: str
    help: str
    verb: str = ""  # "": the name; "-": the chat answers by itself
    arguments: tuple[Argument, ...] = ()
    aliases: tuple[str, ...] = ()
    role: Role = "viewer"
    sensitive: bool = False  # asks before it acts
    again: bool = False  # its answer can be refreshed in place
    picture: bool = False

    @property
    def asks(self) -> str:
        return self.verb or self.name

    @property
    def usage(self) -> str:
        """`/buy INSTRUMENT [SIZE] [LIMIT]`."""
        words = (each.name.upper() if each.required else f"[{each.name.upper()}]" for each in self.arguments)
        return " ".join([f"/{self.name}", *words])


ORDER = Argument("order", "order", required=True)
ACCOUNT = Argument("account", "account")
PLAN = Argument("plan", "plan")
LAST = Argument("last", "count")
INSTRUMENT = Argument("instrument", "instrument", required=True)
SIZE = Argument("size", "number")
LIMIT = Argument("limit", "number")

COMMANDS: tuple[Spec, ...] = (
    Spec(name="status", help="How the daemon is: plans and accounts", aliases=("s",), again=True),
    Spec(name="positions", help="What is held", arguments=(ACCOUNT,), aliases=("p", "pos"), again=True),
    Spec(name="orders", help="Open orders", arguments=(ACCOUNT,), aliases=("o",), again=True),
    Spec(name="order", help="One order and what became of it", arguments=(ORDER,), again=True),
    Spec(
        name="trades",
        help="What was filled",
        arguments=(LAST, ACCOUNT),
        aliases=("t", "fills"),
        again=True,
    ),
    Spec(name="balance", help="Equity and cash", arguments=(ACCOUNT,), aliases=("b",), again=True),
    Spec(name="profit", help="What came of all closed positions", arguments=(ACCOUNT,), aliases=("pnl",), again=True),
    Spec(name="daily", help="Profit day by day", arguments=(LAST, ACCOUNT), aliases=("d",), again=True),
    Spec(name="weekly", help="Profit week by week", arguments=(LAST, ACCOUNT), aliases=("w",), again=True),
    Spec(name="monthly", help="Profit month by month", arguments=(LAST, ACCOUNT), aliases=("m",), again=True),
    Spec(name="performance", help="Profit by instrument", arguments=(ACCOUNT,), aliases=("perf",), again=True),
    Spec(name="forecast", help="The last forecast", arguments=(INSTRUMENT,), aliases=("f",), again=True),
    Spec(
        name="chart",
        help="Candles with trades and forecast, drawn",
        arguments=(INSTRUMENT, LAST),
        aliases=("c",),
        picture=True,
    ),
    Spec(name="equity", help="The equity curve, drawn", arguments=(ACCOUNT,), aliases=("e",), picture=True),
    Spec(name="risk", help="What may be lost", verb="limits", arguments=(ACCOUNT,), aliases=("limits",), again=True),
    Spec(
        name="breaker", help="Whether the circuit breaker is tripped", verb="limits", arguments=(ACCOUNT,), again=True
    ),
    Spec(name="schedule", help="When each plan thinks next", aliases=("plans",), again=True),
    Spec(
        name="brain", help="What was decided last, and why", arguments=(LAST, PLAN), aliases=("decisions",), again=True
    ),
    Spec(name="news", help="Headlines, and what they were judged to be", arguments=(LAST,), again=True),
    Spec(name="cost", help="What language models cost, day by day", arguments=(LAST,), again=True),
    Spec(name="why", help="Why there is an order, back to the candles", arguments=(ORDER,)),
    Spec(name="accounts", help="The accounts there are", verb="balance", again=True),
    Spec(
        name="mode",
        help="When a plan thinks; with a mode: set it",
        arguments=(Argument("mode", "mode"), PLAN),
        role="owner",
        sensitive=True,
    ),
    Spec(name="pause", help="No new cycles", arguments=(PLAN,), aliases=("stopentry",), role="trader"),
    Spec(name="resume", help="Cycles again", arguments=(PLAN,), role="owner", sensitive=True),
    Spec(name="cycle", help="Think now", arguments=(PLAN,), role="trader"),
    Spec(
        name="buy",
        help="Open or add to a long position",
        arguments=(INSTRUMENT, SIZE, LIMIT, PLAN, ACCOUNT),
        aliases=("long",),
        role="trader",
        sensitive=True,
    ),
    Spec(
        name="sell",
        help="Open or add to a short position",
        arguments=(INSTRUMENT, SIZE, LIMIT, PLAN, ACCOUNT),
        aliases=("short",),
        role="trader",
        sensitive=True,
    ),
    Spec(
        name="close",
        help="Close a position at the market",
        arguments=(INSTRUMENT, SIZE, PLAN, ACCOUNT),
        aliases=("fx", "forceexit"),
        role="trader",
        sensitive=True,
    ),
    Spec(
        name="closeall", help="Close all positions at the market", arguments=(ACCOUNT,), role="trader", sensitive=True
    ),
    Spec(
        name="cancel",
        help="Cancel an open order",
        arguments=(ORDER, ACCOUNT),
        aliases=("coo",),
        role="trader",
        sensitive=True,
    ),
    Spec(name="reset", help="Reset a tripped circuit breaker", arguments=(ACCOUNT,), role="owner", sensitive=True),
    Spec(name="reload", help="Read config.toml again", role="owner", sensitive=True),
    Spec(name="logs", help="What went wrong lately", arguments=(LAST,), aliases=("log",), again=True),
    Spec(name="health", help="Actors, mailboxes, database", aliases=("h",), again=True),
    Spec(name="version", help="Which kokex this is", aliases=("v",)),
    Spec(
        name="help",
        help="All commands, or one",
        verb="-",
        arguments=(Argument("command", "command"),),
        aliases=("start",),
    ),
)

_BY_NAME: Mapping[str, Spec] = {name: spec for spec in COMMANDS for name in (spec.name, *spec.aliases)}


class Known(Struct, frozen=True):
    """What an argument may name."""

    instruments: tuple[str, ...]
    plans: tuple[str, ...]
    accounts: tuple[str, ...]


class Misunderstood(Exception):
    """What was said is no command, or not all of it. The text says what would be right."""


class Unnamed(Misunderstood):
    """A required instrument is missing or not one of them: `choices` are what could be meant."""

    def __init__(self, text: str, choices: Sequence[str]) -> None:
        super().__init__(text)
        self.choices = choices


def may(role: Role, wanted: Role) -> bool:
    return ROLES.index(role) >= ROLES.index(wanted)


def a(role: Role) -> str:
    """`an owner`."""
    return f"an {role}" if role == "owner" else f"a {role}"


def find(name: str) -> Spec | None:
    """By name or alias."""
    return _BY_NAME.get(name.lower())


def said(name: str) -> str:
    """What a command does, in a sentence."""
    return f"{_BY_NAME[name].help}."


def understand(line: str, known: Known) -> tuple[Spec, dict[str, str]]:
    """`/buy@kokex_bot btc 0.5` -> the command and its arguments, checked. Raises Misunderstood."""
    first, *words = line.split()
    name = first.removeprefix("/").partition("@")[0]
    spec = find(name)
    if spec is None:
        guess = get_close_matches(name.lower(), _BY_NAME, n=1)
        raise Misunderstood(
            f"/{name} is no command; " + (f"did you mean /{guess[0]}?" if guess else "/help lists them")
        )
    given: dict[str, str] = {}
    names = {each.name: each for each in spec.arguments}
    order = iter(spec.arguments)
    for word in words:
        key, equals, value = word.partition("=")
        argument = names.get(key.lower()) if equals else None
        if argument is None:
            argument, value = next((each for each in order if each.name not in given), None), word
        if argument is None:
            raise Misunderstood(f"{word!r} is too much: {spec.usage}")
        given[argument.name] = _checked(argument, value, spec, known)
    for argument in spec.arguments:
        if argument.required and argument.name not in given:
            if argument.kind == "instrument":
                raise Unnamed(f"/{spec.name} which instrument?", known.instruments)
            raise Misunderstood(f"/{spec.name} which {argument.name}? {spec.usage}")
    return spec, given


def _checked(argument: Argument, value: str, spec: Spec, known: Known) -> str:
    match argument.kind:
        case "instrument":
            return _instrument(value, known, spec)
        case "number":
            return _number(argument, value, spec)
        case "count":
            if not value.isdecimal() or not 1 <= int(value) <= MOST_ROWS:
                raise Misunderstood(f"{value!r} is not a number from 1 to {MOST_ROWS}: {spec.usage}")
            return value
        case "plan":
            return _one_of(value, known.plans, "plan")
        case "account":
            return _one_of(value, known.accounts, "account")
        case "mode":
            return _one_of(value.lower(), MODES, "mode")
        case "command":
            return value.removeprefix("/")
        case "order":
            return value


def _instrument(value: str, known: Known, spec: Spec) -> str:
    """Its name, or the only one that begins so."""
    found = matching(value, known.instruments)
    if len(found) != 1:
        choices = found or known.instruments
        what = "could be" if found else "is not traded here; there is"
        raise Unnamed(f"{value!r} {what} {', '.join(choices)}", choices)
    return found[0]


def _number(argument: Argument, value: str, spec: Spec) -> str:
    try:
        number = Decimal(value.replace(",", "."))
    except InvalidOperation:
        number = Decimal(0)
    if not number.is_finite() or number <= 0:
        raise Misunderstood(f"{argument.name} {value!r} is not a number above zero: {spec.usage}")
    return f"{number:f}"


def _one_of(value: str, known: Iterable[str], what: str) -> str:
    if value not in known:
        raise Misunderstood(f"there is no {what} {value!r}; there is {', '.join(known)}")
    return value


def line_of(spec: Spec, args: Mapping[str, str]) -> str:
    """The command as it could be written: `/trades last=20`."""
    return " ".join([f"/{spec.name}", *(f"{name}={value}" for name, value in args.items())])
