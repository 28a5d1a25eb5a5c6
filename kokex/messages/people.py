"""People, and the kernel's own word."""

from typing import Literal

from kokex.messages.values import Message, Severity


class Alert(Message, frozen=True, kw_only=True, gc=False):
    """Something a person should know."""

    severity: Severity
    kind: str  # "order", "fill", "breaker", "crash", ...
    text: str
    account: str = ""
    plan: str = ""


class Command(Message, frozen=True, kw_only=True, gc=False):
    """What a person asked for."""

    verb: str
    args: dict[str, str] = {}
    by: str = "local"
    request: int = 0  # whom to answer


class Lifecycle(Message, frozen=True, kw_only=True, gc=False):
    """An actor's change of state, from the kernel."""

    actor: str
    event: Literal["started", "crashed", "restarting", "stopped", "escalated", "dead_letter"]
    error: str = ""
    restarts: int = 0
