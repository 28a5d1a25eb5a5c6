"""What the chat says by itself: help, questions before something is done, and that nothing was done."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from kokex.messages import Order, Words
from kokex.present.commands import COMMANDS, ROLES, Role, Spec, a, find, may
from kokex.present.rich import bold, code, join, lines
from kokex.present.tables import terms
from kokex.present.words import price

KEYBOARD = (
    ("/status", "/positions", "/balance"),
    ("/daily", "/profit", "/performance"),
    ("/schedule", "/brain", "/help"),
)


def help_for(name: str, role: Role) -> tuple[Words, tuple[tuple[str, ...], ...]]:
    """All commands a person of this role may give, or one; and the keyboard that goes with it."""
    spec = find(name) if name else None
    if spec is not None:
        return _about(spec), ()
    parts: list[Words | str] = [bold("KOKEX")]
    if name:
        parts.append(f"There is no command /{name}.")
    for group in ROLES:
        specs = [each for each in COMMANDS if each.role == group]
        if may(role, group):
            parts += ["", *(f"/{each.name} {_dash(each)}" for each in specs)]
    parts += ["", "/help COMMAND tells more of one. What moves money or lifts a guard asks back first."]
    return join(parts, "\n"), KEYBOARD


def _dash(spec: Spec) -> str:
    return f"- {spec.help}"


def _about(spec: Spec) -> Words:
    also = " ".join(f"/{alias}" for alias in spec.aliases)
    return lines(
        code(spec.usage),
        spec.help,
        f"also {also}" if also else "",
        f"for {a(spec.role)}" + (" and up" if spec.role != "owner" else ""),
        "asks back before it acts" if spec.sensitive else "",
    )


def only_asks(spec: Spec, args: Mapping[str, str]) -> bool:
    """`/mode` without a mode is a question."""
    return spec.name == "mode" and "mode" not in args


def question(spec: Spec, args: Mapping[str, str], said: str = "") -> Words:
    """What is about to be done, so that a yes is a yes to this; `said`: what it comes to."""
    return lines(join(["❓ ", bold(act(spec.name, args, spec.help))]), said, "A tap within a minute does it.")


def act(name: str, args: Mapping[str, str], other: str = "") -> str:
    """A question for a yes or no: `Buy 0.5 BTC-USDT-SWAP at the market?`; `other`: what it is, for all others."""
    of = where(args)
    match name:
        case "buy" | "sell" | "close":
            text = trade(name, args)
            return f"{text[0].upper()}{text[1:]}{of}?"
        case "closeall":
            return f"Close all positions at the market{of}?"
        case "cancel":
            return f"Cancel order {args['order']}{of}?"
        case "reset":
            return f"Reset the circuit breaker{of}?"
        case "resume":
            return f"Resume{of}? Cycles run and entries are possible again."
        case "reload":
            return "Read config.toml again? Limits and alerts change at once."
        case "mode":
            return f"Set mode {args['mode']}{of}?"
        case _:
            return f"{other}{of}?"


def trade(name: str, args: Mapping[str, str]) -> str:
    """`buy 0.5 BTC-USDT-SWAP at the market`."""
    size = args.get("size") or ("all of" if name == "close" else "as much as risk allows of")
    at = f"at {args['limit']} or better" if "limit" in args else "at the market"
    return f"{name} {size} {args['instrument']} {at}"


def where(args: Mapping[str, str]) -> str:
    """`, plan swing, account shadow`; nothing where neither was named."""
    return "".join(f", {key} {args[key]}" for key in ("plan", "account") if key in args)


def confirmed(line: str, answer: Words) -> Words:
    return lines(join(["✅ ", code(line)]), answer)


def declined(line: str) -> Words:
    return lines(join(["✖️ ", code(line)]), "Nothing was done.")


def expired(line: str) -> Words:
    return lines(join(["⌛ ", code(line)]), "Not confirmed within a minute: nothing was done.")


def wants_code(line: str) -> Words:
    return lines(join(["🔑 ", code(line)]), "Send the six digits of your authenticator within a minute.")


def agent_said(body: Mapping[str, Any]) -> Words:
    """The whole answer; text of a model is shown as it is."""
    if "error" in body:
        return join(["⚠️ ", str(body["error"])])
    note = f"({body['note']})" if body["note"] else ""
    return lines(body["text"].strip(), note)


def prepared(proposal: Mapping[str, Any]) -> str:
    """What risk made of it, or which order is to go."""
    order = msgspec.convert(proposal["order"], type=Order, strict=False)
    stop = f", stop at {price(Decimal(proposal['stop']))}" if proposal["stop"] else ""
    what = f"{order.side} {price(order.size)} {order.instrument} {terms(order)}{stop}"
    return f"it would {what}" if proposal["verb"] == "cancel" else f"risk allows: {what}"


def one_at_a_time() -> Words:
    return Words("The question before is not answered yet.")


def no_agent() -> Words:
    return Words("Commands begin with a slash: /help lists them.")
