"""What the chat says by itself: help, questions before something is done, and that nothing was done."""

from collections.abc import Mapping

from kokex.messages import Words
from kokex.present.commands import COMMANDS, ROLES, Role, Spec, a, find, may
from kokex.present.rich import bold, code, join, lines

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


def question(spec: Spec, args: Mapping[str, str]) -> Words:
    """What is about to be done, so that a yes is a yes to this."""
    return lines(join(["❓ ", bold(_act(spec, args))]), "A tap within a minute does it.")


def _act(spec: Spec, args: Mapping[str, str]) -> str:
    where = "".join(f", {key} {args[key]}" for key in ("plan", "account") if key in args)
    match spec.name:
        case "buy" | "sell" | "close":
            size = args.get("size") or ("all of" if spec.name == "close" else "as much as risk allows of")
            at = f"at {args['limit']} or better" if "limit" in args else "at the market"
            return f"{spec.name.capitalize()} {size} {args['instrument']} {at}{where}?"
        case "closeall":
            return f"Close all positions at the market{where}?"
        case "cancel":
            return f"Cancel order {args['order']}{where}?"
        case "reset":
            return f"Reset the circuit breaker{where}?"
        case "resume":
            return f"Resume{where}? Cycles run and entries are possible again."
        case "mode":
            return f"Set mode {args['mode']}{where}?"
        case _:
            return f"{spec.help}{where}?"


def confirmed(line: str, answer: Words) -> Words:
    return lines(join(["✅ ", code(line)]), answer)


def declined(line: str) -> Words:
    return lines(join(["✖️ ", code(line)]), "Nothing was done.")


def expired(line: str) -> Words:
    return lines(join(["⌛ ", code(line)]), "Not confirmed within a minute: nothing was done.")


def wants_code(line: str) -> Words:
    return lines(join(["🔑 ", code(line)]), "Send the six digits of your authenticator within a minute.")


def no_agent() -> Words:
    return Words("Commands begin with a slash: /help lists them.")
