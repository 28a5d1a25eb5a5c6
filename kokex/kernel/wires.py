"""Who tells what to whom, and what happens when the reader is slow.

The wires are data: `check` refuses a table that could lose a message or deadlock, before anything starts.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from kokex.messages import Message

KERNEL = "kernel"  # the sender of Lifecycle
OUTSIDE = "outside"  # market, venue streams, chat, socket
TAP = "tap"  # as a target: nobody but the journal reads it
ANYONE = "anyone"  # every actor that emits the message

Kind = Literal["block", "drop_oldest", "conflate", "fail", "ask"]


class WiringError(Exception):
    """The table of wires does not fit the actors. The text lists each fault on a line of its own."""


class Policy(Struct, frozen=True):
    """What happens when `size` messages of a wire already wait in the reader's mailbox."""

    kind: Kind
    size: int = 0
    key: str = ""


def block(size: int) -> Policy:
    """The sender takes no further message until the reader has caught up."""
    return Policy("block", size)


def drop_oldest(size: int) -> Policy:
    """The oldest waiting message gives way."""
    return Policy("drop_oldest", size)


def conflate(key: str) -> Policy:
    """A newer message with the same `key` (an attribute) takes the place of the waiting one."""
    return Policy("conflate", key=key)


def fail(size: int) -> Policy:
    """Never blocks, never drops: overflow is a fault of the reader, which is restarted."""
    return Policy("fail", size)


def ask() -> Policy:
    """A question; the handler's return value is the answer."""
    return Policy("ask")


class Wire(Struct, frozen=True):
    source: str
    message: type[Message]
    target: str
    policy: Policy
    by: str = ""  # deliver only to target[getattr(message, by)]


def wire(source: str, message: type[Message], target: str, policy: Policy, *, by: str = "") -> Wire:
    return Wire(source, message, target, policy, by)


def record(source: str, message: type[Message]) -> Wire:
    """A message that goes to the journal only."""
    return Wire(source, message, TAP, Policy("drop_oldest"))


def handler_name(message: type[Message]) -> str:
    """`OrderUpdate` is handled by `on_order_update`."""
    return "on_" + re.sub(r"(?<!^)(?=[A-Z])", "_", message.__name__).lower()


class Ends(Struct, frozen=True):
    """What an actor class declares, for the check."""

    emits: frozenset[type[Message]]
    asks: frozenset[type[Message]]
    handles: frozenset[str]


def ends_of(actor: type[Any]) -> Ends:
    handles = frozenset(name for name in dir(actor) if name.startswith("on_"))
    return Ends(frozenset(actor.emits), frozenset(actor.asks), handles)


def check(wires: Sequence[Wire], actors: Mapping[str, Ends]) -> None:
    """Raises WiringError unless each message sent has a wire, each wire is used, and no blocking cycle exists."""
    faults = list(_faults(wires, actors))
    if faults:
        raise WiringError("\n".join(faults))


def _faults(wires: Sequence[Wire], actors: Mapping[str, Ends]) -> Iterator[str]:
    seen: set[tuple[str, type[Message], str]] = set()
    for each in wires:
        name = f"{each.source} -{each.message.__name__}-> {each.target}"
        for end in ((source, each.message, each.target) for source in _sources(each, actors)):
            if end in seen:
                yield f"{name}: declared twice" + (f" for {end[0]}" if each.source == ANYONE else "")
            seen.add(end)
        yield from (f"{name}: {fault}" for fault in (*_source_faults(each, actors), *_target_faults(each, actors)))
    for actor, ends in actors.items():
        for asked, messages in ((True, ends.asks), (False, ends.emits)):
            for message in sorted(messages, key=lambda m: m.__name__):
                wired = [w for w in wires if w.source in (actor, ANYONE) and w.message is message]
                if not any((w.policy.kind == "ask") == asked for w in wired):
                    yield f"{actor} sends {message.__name__} but no wire carries it"
    yield from _blocking_cycles(wires, actors)


def _source_faults(each: Wire, actors: Mapping[str, Ends]) -> Iterator[str]:
    if each.source in (KERNEL, OUTSIDE):
        return
    if each.source != ANYONE and each.source not in actors:
        yield f"there is no actor {each.source!r}"
    elif not any(_sends(actors[source], each) for source in _sources(each, actors)):
        yield f"{each.source} never sends it"


def _target_faults(each: Wire, actors: Mapping[str, Ends]) -> Iterator[str]:
    if each.target == TAP:
        return
    if each.target not in actors:
        yield f"there is no actor {each.target!r}"
    elif handler_name(each.message) not in actors[each.target].handles:
        yield f"{each.target} has no {handler_name(each.message)}()"
    if each.policy.kind in ("block", "drop_oldest", "fail") and each.policy.size < 1:
        yield f"{each.policy.kind}({each.policy.size}) has no room for a message"
    for attribute in (each.by, each.policy.key):
        if attribute and not hasattr(each.message, attribute):
            yield f"{each.message.__name__} has no {attribute!r}"


def _sources(each: Wire, actors: Mapping[str, Ends]) -> list[str]:
    if each.source == ANYONE:
        return [name for name, ends in actors.items() if _sends(ends, each)]
    return [each.source]


def _sends(ends: Ends, each: Wire) -> bool:
    return each.message in (ends.asks if each.policy.kind == "ask" else ends.emits)


def _blocking_cycles(wires: Sequence[Wire], actors: Mapping[str, Ends]) -> Iterator[str]:
    graph: dict[str, set[str]] = {}
    for each in wires:
        if each.policy.kind == "block":
            for source in _sources(each, actors):
                graph.setdefault(source, set()).add(each.target)
    done: set[str] = set()

    def visit(node: str, path: tuple[str, ...]) -> Iterator[str]:
        if node in path:
            yield "blocking wires form a cycle (deadlock): " + " -> ".join((*path[path.index(node) :], node))
            return
        if node in done:
            return
        for target in sorted(graph.get(node, ())):
            yield from visit(target, (*path, node))
        done.add(node)

    for node in sorted(graph):
        yield from visit(node, ())
