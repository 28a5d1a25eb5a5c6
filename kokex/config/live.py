"""What of a configuration may change while it runs, and what an edited file changes.

Limits of risk and how alerts arrive: whoever reads these reads them anew each time. All else is built in at the start.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec
from msgspec import Struct

from kokex.config.checks import Key
from kokex.config.schema import Config, Risk
from kokex.config.telegram import Telegram

RISK = frozenset(Risk.__struct_fields__) - {"stale_s"}  # which the brain goes by, too
TELEGRAM = frozenset({"quiet", "min_worth", "min_conviction"})


class Live(Struct, frozen=True):
    """What may change, as it is now."""

    risk: Risk
    plans: dict[str, Risk]
    telegram: Telegram


class Difference(Struct, frozen=True):
    key: str
    before: Any
    after: Any


class Merged(Struct, frozen=True):
    """A running configuration, with what an edited one may change of it."""

    config: Config
    changed: tuple[Difference, ...]
    restart: tuple[str, ...]  # keys that differ, and wait for a restart


def live(config: Config) -> Live:
    return Live(config.risk, {plan.name: plan.risk for plan in config.resolved_plans()}, config.telegram)


def merge(running: Config, edited: Config) -> Merged:
    """The running one with what may change taken from the edited one."""
    tables: Any = msgspec.to_builtins(running)
    before, after = dict(_leaves(tables, ())), dict(_leaves(msgspec.to_builtins(edited), ()))
    changed: list[Difference] = []
    restart: list[str] = []
    for key in dict.fromkeys((*before, *after)):
        was, now = before.get(key), after.get(key)
        if was == now and (key in before) == (key in after):
            continue
        if key not in before or key not in after:  # a table more or less
            restart.append(key[0])
        elif _is_live(key):
            changed.append(Difference(".".join(key), was, now))
            _put(tables, key, now)
        else:
            restart.append(".".join(key))
    return Merged(msgspec.convert(tables, Config), tuple(changed), tuple(dict.fromkeys(restart)))


def _is_live(key: Key) -> bool:
    match key:
        case ("risk", name) | ("plans", _, "risk", name):
            return name in RISK
        case ("telegram", name):
            return name in TELEGRAM
        case ("telegram", "alerts", _):
            return True
        case _:
            return False


def _leaves(value: Any, key: Key) -> Iterator[tuple[Key, object]]:
    """What stands at the ends of tables and lists of tables; an empty one is an end, too."""
    if value and isinstance(value, dict):
        below: Mapping[Any, Any] = cast("dict[str, Any]", value)
    elif value and isinstance(value, list) and isinstance(value[0], dict):
        below = dict(enumerate(cast("list[Any]", value)))
    else:
        yield key, value
        return
    for name, each in below.items():
        yield from _leaves(each, (*key, str(name)))


def _put(tables: Any, key: Key, value: object) -> None:
    *path, last = key
    here = tables
    for name in path:
        here = here[int(name) if isinstance(here, list) else name]
    here[last] = value
