"""Numbers, instants and what wakes a cycle, as people read them. No exponents, no noise digits, always the unit."""

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from zoneinfo import ZoneInfo

from kokex.messages import Cycle

NOTHING = "n/a"

# Decimals that a currency's amounts are shown with; every other one is a coin with 8.
_PLACES = {"USDT": 2, "USDC": 2, "USD": 2, "EUR": 2, "GBP": 2, "KRW": 0, "JPY": 0}
_DUST = Decimal("5e-9")  # what quotients leave behind


def money(amount: Decimal, currency: str, *, signed: bool = False) -> str:
    """`1,234.50 USDT`, `0.00120000 BTC`; an amount that would round to zero keeps two digits: `0.0012 USDT`.

    `signed` writes a plus before a gain.
    """
    places = _PLACES.get(currency, 8)
    if abs(amount) < _DUST:
        amount = Decimal(0)
    elif abs(amount) < Decimal(5).scaleb(-places - 1):
        places = 1 - amount.adjusted()
    shown = amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)  # whatever a library made of the context
    return f"{shown:{'+' if signed and amount else ''},.{places}f} {currency}".rstrip()


def price(value: Decimal | float) -> str:
    """The digits as written, without an exponent or trailing zeros; a float to 8 significant digits.

    Sizes read the same way.
    """
    decimal = value if isinstance(value, Decimal) else Decimal(f"{value:.8g}")
    text = f"{decimal:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) if decimal else "0"


def reading(value: float) -> str:
    """An indicator's value: four significant digits, or all before the point: `0.8123`, `71.24`, `60010`."""
    return price(Decimal(f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"))


def pct(percent: float, *, signed: bool = False) -> str:
    """`1.23 %`."""
    shown = round(percent, 2) or 0.0  # never -0
    return f"{shown:{'+' if signed and shown else ''},.2f} %"


def age(span_ns: int) -> str:
    """How long, in its two largest units: `850 ms`, `12 s`, `3 min 20 s`, `4 h 05 min`, `12 d 3 h`."""
    if span_ns < 1_000_000_000:
        return f"{max(span_ns, 0) // 1_000_000} ms"
    seconds = span_ns // 1_000_000_000
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if not minutes:
        return f"{seconds} s"
    if not hours:
        return f"{minutes} min {seconds % 60:02} s"
    return f"{hours} h {minutes % 60:02} min" if not days else f"{days} d {hours % 24} h"


def clock(at_ns: int) -> str:
    """UTC in ISO 8601, whole seconds: `2025-01-31T12:00:00Z`."""
    return f"{datetime.fromtimestamp(at_ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def local(at_ns: int, zone: str) -> str:
    """The same for a phone, in somebody's own time zone: `31 Jan 13:00:00`."""
    return f"{datetime.fromtimestamp(at_ns // 1_000_000_000, ZoneInfo(zone)):%-d %b %H:%M:%S}"


def local_date(at_ns: int, zone: str) -> str:
    """`2025-01-31`."""
    return f"{datetime.fromtimestamp(at_ns // 1_000_000_000, ZoneInfo(zone)):%Y-%m-%d}"


def apart(ahead_s: float, whose: str) -> str:
    """What is to be said of the system clock, if it and somebody else's differ by more than a minute; else nothing."""
    if abs(ahead_s) <= 60:
        return ""
    way = "ahead of" if ahead_s > 0 else "behind"
    return f"the system clock is {age(round(abs(ahead_s) * 1e9))} {way} that of {whose}: set it (NTP)"


def listed(words: tuple[str, ...], most: int = 4) -> str:
    """`a, b, c` or, when there are many, `a, b, c, d and 3 more`."""
    more = len(words) - most
    return ", ".join(words[:most]) + (f" and {more} more" if more > 0 else "")


_WAKERS = {
    "first": "the end of its warm-up",
    "long": "the clock, in the calm rhythm",
    "short": "the clock, in the lively rhythm",
    "session": "the clock, for a session",
    "realtime": "the clock",
    "edge": "an edge",
    "signal": "a strategy's signal",
    "command": "a person",
    "recorded": "a model's answer on record",
    "trained": "a model just trained",
}


def woken_by(cycle: Cycle) -> str:
    return f"{len(cycle.edges)} edges" if len(cycle.edges) > 1 else _WAKERS[cycle.why]
