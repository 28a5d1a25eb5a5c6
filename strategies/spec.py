"""What a strategy is, and strategies as data: which exist, and how one is built from a name and numbers.

A file `strategies/NAME.py` holds one class whose `name` is NAME. It is imported when it is asked for.
"""

import math
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import ClassVar, cast

import strategies
from kokex.messages import Candle, Signal


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number a strategy can be tuned by. A whole default means that only whole numbers will do."""

    name: str
    default: float
    low: float
    high: float
    doc: str

    def checked(self, value: float) -> float:
        """The value as the strategy gets it. Raises ValueError, saying what would be right."""
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        if math.isfinite(value) and self.low <= value <= self.high:
            if not isinstance(self.default, int):
                return float(value)
            if value == int(value):
                return int(value)
        raise ValueError(f"{self.name} = {value:g} must be {kind} from {self.low:g} to {self.high:g} ({self.doc})")


class Strategy(ABC):
    """A stream of one instrument's closed candles to signals. No I/O, no clock, no await.

    `__init__` takes each parameter by its name and raises ValueError for values that do not go together.
    """

    name: ClassVar[str]
    doc: ClassVar[str]  # one line for people
    parameters: ClassVar[tuple[Parameter, ...]]
    forecast: ClassVar[bool] = False  # whether a cycle of its plan wants a forecast
    warmup: int  # candles until the first signal

    @abstractmethod
    def update(self, candle: Candle) -> Signal | None:
        """None while warming up; then the very same object as before for as long as nothing changed."""


class UnknownStrategy(ValueError):
    """No strategy has this name."""


class BadParameter(ValueError):
    """A parameter that the strategy does not have, or a value that it cannot take."""


def names() -> list[str]:
    """The strategies there are."""
    return sorted(found.name for found in pkgutil.iter_modules(strategies.__path__) if found.name != "spec")


def find(name: str) -> type[Strategy]:
    """The class of a strategy: its `doc`, its `parameters`. Raises UnknownStrategy."""
    existing = names()
    if name not in existing:
        guess = get_close_matches(name, existing, n=1)
        hint = f" (did you mean {guess[0]}?)" if guess else ""
        raise UnknownStrategy(f"unknown strategy {name!r}{hint}: there are {', '.join(existing)}")
    module = import_module(f"strategies.{name}")
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Strategy) and getattr(value, "name", None) == name:
            return value
    raise UnknownStrategy(f"strategies/{name}.py has no Strategy with name = {name!r}")


def build(name: str, params: Mapping[str, float]) -> Strategy:
    """A fresh strategy; a parameter not given has its default. Raises UnknownStrategy, BadParameter."""
    strategy = find(name)
    values = {parameter.name: parameter.default for parameter in strategy.parameters}
    for given in params:
        if given not in values:
            raise BadParameter(f"{name} has no parameter {given!r}: there are {', '.join(values) or 'none'}")
    make = cast("Callable[..., Strategy]", strategy)
    try:
        for parameter in strategy.parameters:
            values[parameter.name] = parameter.checked(params.get(parameter.name, parameter.default))
        return make(**values)
    except ValueError as error:
        raise BadParameter(f"{name}: {error}") from error
