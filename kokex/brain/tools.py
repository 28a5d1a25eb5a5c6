"""What a model in conversation may do: look things up, and prepare orders for a person to confirm.

A tool is a form to fill in. What is filled in wrongly, and whatever goes wrong later, is told to the model as a
failure. Nothing here can confirm anything: a prepared order is a proposal until a person says yes to it elsewhere.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import Meta, Struct

from kokex.market.names import matching
from kokex.messages.llm import Tool, ToolCall

LONGEST_ARGUMENTS = 4_000  # characters
LONGEST_RESULT = 8_000
SECOND = 1_000_000_000
EMPTY = {"", "null"}  # how some write that there are no arguments
YEAR_3 = 10**17  # nanoseconds since 1970: what is more is a point in time, less a span


class BadCall(Exception):
    """A tool cannot be used so. The text tells the model why."""


Instrument = Annotated[str, Meta(description="such as BTC-USDT-SWAP")]
Account = Annotated[str, Meta(description="name of the account; empty: the first")]
OrderId = Annotated[str, Meta(description="id of an order")]
Number = Annotated[str, Meta(description="a decimal number above zero, as text; empty: none")]


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class OfInstrument(Struct, frozen=True, forbid_unknown_fields=True):
    instrument: Instrument


class OfAccount(Struct, frozen=True, forbid_unknown_fields=True):
    account: Account = ""


class OfOrder(Struct, frozen=True, forbid_unknown_fields=True):
    order: OrderId


class Placing(Struct, frozen=True, forbid_unknown_fields=True):
    act: Annotated[
        Literal["buy", "sell", "close"],
        Meta(description="buy: open or add to a long position; sell: to a short one; close: out of the position"),
    ]
    instrument: Instrument
    size: Annotated[Number, Meta(description="coins for spot, contracts for a swap; empty: what risk allows")] = ""
    limit: Annotated[Number, Meta(description="limit price; empty: at the market")] = ""
    account: Account = ""


class Cancelling(Struct, frozen=True, forbid_unknown_fields=True):
    order: OrderId
    account: Account = ""


class Skill(Struct, frozen=True, kw_only=True):
    """A tool, and the command that does its work."""

    name: str
    description: str
    form: type[Struct]
    verb: str
    proposes: bool = False  # only for who may trade

    @property
    def tool(self) -> Tool:
        (parameters,) = msgspec.json.schema_components((self.form,))[1].values()
        return Tool(self.name, self.description, parameters)


SKILLS: tuple[Skill, ...] = (
    Skill(
        name="get_current_price",
        description="The last price of an instrument, with its indicators and the strategies' signals.",
        form=OfInstrument,
        verb="price",
    ),
    Skill(
        name="get_positions",
        description="Cash, equity and open positions of all accounts; sizes are negative when short.",
        form=Nothing,
        verb="positions",
    ),
    Skill(name="get_orders", description="Open orders of an account.", form=OfAccount, verb="orders"),
    Skill(
        name="get_trading_limits",
        description="What risk allows in an account, and whether its circuit breaker is tripped.",
        form=OfAccount,
        verb="limits",
    ),
    Skill(
        name="get_forecast",
        description="The last forecast of an instrument: quantiles of its coming closes.",
        form=OfInstrument,
        verb="forecast",
    ),
    Skill(
        name="explain_order",
        description="Why there is an order: from its fill back to the candles.",
        form=OfOrder,
        verb="why",
    ),
    Skill(
        name="place_order",
        description="Prepares an order. Risk checks it at once and may refuse it. It is sent only if the person who "
        "asked confirms it afterwards; you cannot confirm it.",
        form=Placing,
        verb="propose",
        proposes=True,
    ),
    Skill(
        name="cancel_order",
        description="Prepares the cancellation of an open order, which the person who asked must confirm afterwards.",
        form=Cancelling,
        verb="orders",
        proposes=True,
    ),
)
_BY_NAME: Mapping[str, Skill] = {skill.name: skill for skill in SKILLS}


def tools(*, trades: bool) -> tuple[Tool, ...]:
    """All that may be used in a conversation; `trades`: of somebody who may trade."""
    return tuple(skill.tool for skill in SKILLS if trades or not skill.proposes)


def understood(call: ToolCall, instruments: Sequence[str], *, trades: bool) -> tuple[Skill, dict[str, str]]:
    """The tool, and what its form says: no empty fields, instruments by their whole names. Raises BadCall."""
    skill = _BY_NAME.get(call.name)
    if skill is None:
        raise BadCall(f"there is no tool {call.name[:64]!r}; there are {', '.join(_BY_NAME)}")
    if skill.proposes and not trades:
        raise BadCall(f"{skill.name} is not for this person, who may ask but not trade")
    if len(call.arguments) > LONGEST_ARGUMENTS:
        raise BadCall(f"arguments of more than {LONGEST_ARGUMENTS} characters")
    try:
        form = msgspec.json.decode("{}" if call.arguments.strip() in EMPTY else call.arguments, type=skill.form)
    except msgspec.MsgspecError as error:
        raise BadCall(f"the arguments of {skill.name} cannot be read: {error}") from None
    given: dict[str, str] = {name: value for name, value in msgspec.structs.asdict(form).items() if value}
    if empty := [each.name for each in msgspec.structs.fields(form) if each.required and each.name not in given]:
        raise BadCall(f"{skill.name} needs {' and '.join(empty)}, which was empty")
    if "instrument" in given:
        given["instrument"] = _instrument(given["instrument"], instruments)
    return skill, given


def _instrument(name: str, instruments: Sequence[str]) -> str:
    found = matching(name, instruments)
    if len(found) != 1:
        what = "could be" if found else "is not traded here; there is"
        raise BadCall(f"{name[:64]!r} {what} {', '.join(found or instruments)}")
    return found[0]


def result(body: Mapping[str, Any]) -> str:
    """An answer as a model reads it: JSON, with times written out, and not endless."""
    text = msgspec.json.encode(_readable(body)).decode()
    return text if len(text) <= LONGEST_RESULT else f"{text[:LONGEST_RESULT]} ... (cut off)"


def _readable(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(_told(name, each) for name, each in cast("dict[str, Any]", value).items())
    if isinstance(value, list):
        return [_readable(each) for each in cast("list[Any]", value)]
    return float(f"{value:.8g}") if isinstance(value, float) else value


def _told(name: str, value: Any) -> tuple[str, Any]:
    if isinstance(value, int) and value > YEAR_3 and (name == "at" or name.endswith("_ns")):
        return name.removesuffix("_ns"), datetime.fromtimestamp(value // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return name, _readable(value)
