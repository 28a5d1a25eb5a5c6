"""`[training]`: a model of candles trained anew at night."""

from typing import Annotated, Literal

from msgspec import Struct

from kokex.config.rules import Filled, Hours, Range


class Training(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In a process of its own, on the candles on record; the better model is the one that forecasts."""

    enabled: bool = False
    from_h: Annotated[float, Range(least=0, most=23.99)] = 2.0  # UTC
    hours: Hours = 3.0  # what is not done by then goes on in the next night
    every_days: Annotated[int, Range(least=1, most=365)] = 7
    folder: Filled = "data/models"  # champion/ in it is the best so far
    size: Literal["nano", "mini", "small", "base"] = "nano"
    threads: Annotated[int, Range(least=1, most=64)] = 1
    niceness: Annotated[int, Range(least=0, most=19)] = 19  # 19: only what nobody else wants of the CPU
