"""What a type cannot say of a key of config.toml, as annotations; every complaint about a key is worded from them."""

import re
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Struct

from kokex.market import timeframes


class Range(Struct, frozen=True, kw_only=True):
    """above < value, least <= value <= most."""

    above: float | None = None
    least: float | None = None
    most: float | None = None
    why: str = ""

    def holds(self, value: object) -> bool:
        return (
            isinstance(value, int | float | Decimal)
            and (self.above is None or value > self.above)
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
        )

    def words(self, unit: str) -> str:
        bounds = (("above", self.above), ("at least", self.least), ("at most", self.most))
        text = " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
        return text + (f" {unit}" if unit else "") + (f" ({self.why})" if self.why else "")


class OneOf(Struct, frozen=True):
    """What a Literal says, for words that are listed elsewhere."""

    words: tuple[str, ...]


class Later(Struct, frozen=True):
    """Words that will mean something one day."""

    words: tuple[str, ...]


class Matches(Struct, frozen=True):
    """The whole text matches."""

    pattern: str
    meaning: str

    def holds(self, value: object) -> bool:
        return re.fullmatch(self.pattern, str(value)) is not None

    def words(self, _: str) -> str:
        return self.meaning


class Named(Struct, frozen=True):
    """The name of an instrument, which may be written in ccxt's unified form too; it is read as the one it has."""


TIGHTER = "a built-in limit: it can be tightened, never loosened"

Seconds = Annotated[float, Range(above=0, most=86_400)]
Hours = Annotated[float, Range(above=0, most=24)]
Percent = Annotated[float, Range(above=0, most=100)]
Share = Annotated[float, Range(least=0, most=1)]
Count = Annotated[int, Range(least=1, most=100_000)]
Rsi = Annotated[float, Range(above=0, most=100)]
Positive = Annotated[float, Range(above=0)]
Cash = Annotated[Decimal, Range(above=0)]
Fee = Annotated[Decimal, Range(least=-0.01, most=0.05, why="a fraction of the turnover; a rebate is negative")]
Filled = Annotated[str, Matches(r"\S(.*\S)?", "a text that is not empty")]
Name = Annotated[str, Matches(r"[a-z0-9_-]{1,16}", "1 to 16 lower-case letters, digits, _ or -")]

Symbol = Annotated[str, Matches(r"\S(.*\S)?", "a text that is not empty"), Named()]

AccountKind = Literal["margin", "cash"]
Timeframe = Annotated[str, OneOf(tuple(timeframes.SPANS))]
Parameters = dict[str, dict[str, float | int]]  # strategy -> parameter -> value
