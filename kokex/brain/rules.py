"""The brain `rules`: strategies vote.

Each strategy's signal counts its side times its strength; the mean of all votes gives direction and conviction.
A strategy that says nothing yet (warming up) does not vote; one that says "flat" votes zero.

A signal is good for one position. Once it has been traded on it is spent for as long as it lasts, so that a
position that was stopped out, or that a person closed, is not opened again at the next cycle: that takes a signal
that came since.
"""

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from kokex.messages import Act, Signal

ZERO = Decimal(0)

Spent = Mapping[str, int]  # strategy -> the side it said when a position was opened on it


class Wish(Struct, frozen=True, gc=False):
    act: Act
    conviction: int  # 1..5
    invalidation: float | None
    reasons: tuple[str, ...]


def vote(signals: Mapping[str, Signal], held: Decimal, *, may_short: bool, min_conviction: int, spent: Spent) -> Wish:
    """What to do with an instrument of which the plan holds `held` (negative: short)."""
    if not signals:
        return Wish("hold", 1, None, ("no strategy has an opinion yet",))
    total, reasons = 0.0, ()
    for name, each in signals.items():
        if each.side:
            total += each.side * each.strength
            reasons = (*reasons, f"{name}: {each.reason or _WORDS[each.side]}")
    mean = total / len(signals)
    side = (mean > 0) - (mean < 0)
    conviction = max(1, min(5, round(abs(mean) * 5)))
    own = (held > ZERO) - (held < ZERO)
    if not reasons:
        if own:
            return Wish("close", 3, None, ("no strategy wants the position any longer",))
        return Wish("hold", 1, None, ("every strategy is flat",))
    if side == 0 or (conviction < min_conviction and side != -own):
        return Wish("hold", conviction, None, (*reasons, "too little agreement"))
    if side == own:
        return Wish("hold", conviction, None, (*reasons, "already held"))
    obstacle = ""
    if side < 0 and not may_short:
        obstacle = "spot cannot be short"
    elif spent and agreeing(signals, side).items() <= spent.items():
        obstacle = "already traded on: waiting for a new signal"
    if own and (obstacle or conviction < min_conviction):  # enough to leave, not enough to turn
        return Wish("close", conviction, None, reasons)
    if obstacle:
        return Wish("hold", conviction, None, (*reasons, obstacle))
    invalidation = None
    for each in signals.values():
        if each.side == side and invalidation is None:
            invalidation = each.invalidation
    return Wish("open_long" if side > 0 else "open_short", conviction, invalidation, reasons)


def agreeing(signals: Mapping[str, Signal], side: int) -> dict[str, int]:
    """The strategies on that side."""
    return {name: side for name, signal in signals.items() if signal.side == side}


def now_spent(spent: Spent, signals: Mapping[str, Signal], held: Decimal) -> dict[str, int]:
    """A signal that went, or turned, may come again; one that agrees with the position is being traded on."""
    now = {name: side for name, side in spent.items() if name not in signals or signals[name].side == side}
    if held:
        now.update(agreeing(signals, 1 if held > ZERO else -1))
    return now


def is_stale(now_ns: int, close_ns: int, timeframe_ns: int, stale_s: float) -> bool:
    """Whether the last candle, closed at `close_ns`, is too old to decide on: the next one is overdue by `stale_s`."""
    return now_ns - close_ns > timeframe_ns + stale_s * 1e9


_WORDS = {-1: "down", 0: "flat", 1: "up"}
