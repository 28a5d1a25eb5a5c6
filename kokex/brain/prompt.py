"""The prompt of a decision: everything a model may know for one cycle, and nothing else.

The same briefing always makes the same text. No date and no time of day stands in it, so that a model cannot place it
in what it remembers. Numbers are rounded to what matters: a market that stands still makes the same prompt again, and
needs no second answer.
"""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from kokex.brain.answer import LEAST_ATR, LONGEST_WHY, MOST_ATR, clean, shape_for
from kokex.brain.models import tokens
from kokex.brain.wording import Wording
from kokex.market import timeframes
from kokex.market.instruments import exact, notional, quantity
from kokex.messages import Briefing, Forecast, Instrument, NewsNote, Readings, Shape, Turn

PRICE_DIGITS, READING_DIGITS = 5, 3
MOST_PARTS = 3  # questions of one briefing: each waits for the one before, and all must be answered in time
ZERO = Decimal(0)


class Shown(Struct, frozen=True):
    """What the prompt says of one instrument."""

    symbol: str
    price: float
    atr: float | None
    held: Decimal
    may_short: bool
    text: str


class Composed(Struct, frozen=True):
    """A prompt, and what is needed to judge the answer to it."""

    system: str
    turns: tuple[Turn, ...]
    shape: Shape
    shown: dict[str, Shown]
    common: str  # what stands there for all instruments
    size: int  # tokens, at most


class Terms(Struct, frozen=True):
    """What a prompt says that no briefing does."""

    round_trip_bp: float
    timeframe_ns: int
    most_tokens: int


def compose(
    briefing: Briefing,
    readings: Sequence[Readings],
    instruments: Mapping[str, Instrument],
    wording: Wording,
    terms: Terms,
) -> tuple[list[Composed], tuple[str, ...]]:
    """The prompt for these readings of a briefing; several, the most significant first, where one has no room for all.

    With it the instruments for which there is no room in `MOST_PARTS` either.
    """
    forecasts = {each.instrument: each for each in briefing.forecasts}
    shown = [_shown(each, briefing, forecasts.get(each.instrument), instruments, wording) for each in readings]
    system = "\n\n".join(
        (
            wording.say("mandate"),
            wording.say("red_lines"),
            wording.say("answer", least_atr=f"{LEAST_ATR:g}", most_atr=f"{MOST_ATR:g}", longest_why=str(LONGEST_WHY)),
        )
    )
    common = "\n".join(_common(briefing, readings, instruments, wording, terms))
    room = terms.most_tokens - tokens(system) - tokens(common)
    parts, left_out = _parted(shown, forecasts, {each.instrument: each for each in readings}, room)
    return [_composed(system, common, part, wording) for part in parts], left_out


def _composed(system: str, common: str, shown: Sequence[Shown], wording: Wording) -> Composed:
    symbols = tuple(each.symbol for each in shown)
    user = "\n\n".join((common, *(each.text for each in shown), wording.say("question", symbols=", ".join(symbols))))
    return Composed(
        system=system,
        turns=(Turn(role="user", text=user),),
        shape=shape_for(symbols),
        shown={each.symbol: each for each in shown},
        common=common,
        size=tokens(system) + tokens(user),
    )


def _common(
    briefing: Briefing,
    readings: Sequence[Readings],
    instruments: Mapping[str, Instrument],
    wording: Wording,
    terms: Terms,
) -> list[str]:
    prices = {each.instrument: each.price for each in readings}
    held = [_position(instruments[symbol], size) + f" {symbol}" for symbol, size in briefing.held.items() if size]
    worth = sum(
        abs(notional(instruments[symbol], size, exact(prices[symbol])))
        for symbol, size in briefing.held.items()
        if size and symbol in prices
    )
    share = 100 * float(worth / briefing.equity) if briefing.equity > 0 else 0.0
    lines = [
        wording.say("costs", round_trip_bp=f"{terms.round_trip_bp:g}", timeframe=_timeframe(terms.timeframe_ns)),
        wording.say("portfolio", held=", ".join(held) or "nothing", exposure_pct=f"{share:.0f}"),
    ]
    if briefing.lessons:
        lines.append(wording.say("lessons", lessons="\n".join(f"- {clean(lesson)}" for lesson in briefing.lessons)))
    return lines


def _shown(
    reading: Readings,
    briefing: Briefing,
    forecast: Forecast | None,
    instruments: Mapping[str, Instrument],
    wording: Wording,
) -> Shown:
    of = instruments[reading.instrument]
    held = briefing.held.get(reading.instrument, ZERO)
    may_short = of.kind == "swap"
    atr = reading.values.get("atr")
    signals = [
        f"{name} {_side(signal.side)} {number(signal.strength, 2)}" + (f" ({signal.reason})" if signal.reason else "")
        for name, signal in reading.signals.items()
    ]
    values = ", ".join(f"{name} {number(value, READING_DIGITS)}" for name, value in reading.values.items())
    text = wording.say(
        "instrument",
        symbol=reading.instrument,
        kind=of.kind,
        price=number(reading.price, PRICE_DIGITS),
        position=_position(of, held) if held else "none",
        acts=", ".join(acts(held, may_short=may_short)),
        readings=values or "none",
        signals=", ".join(signals) or "none",
        forecast=_forecast(forecast) if forecast else "none",
        news="; ".join(_news(note) for note in briefing.news if note.instrument == reading.instrument) or "none",
    )
    return Shown(reading.instrument, reading.price, atr, held, may_short, text)


def acts(held: Decimal, *, may_short: bool) -> tuple[str, ...]:
    """What may be done with an instrument of which so much is held."""
    if held:
        return ("hold", "reduce", "close")
    return ("hold", "open_long", "open_short") if may_short else ("hold", "open_long")


def _position(of: Instrument, size: Decimal) -> str:
    return f"{'long' if size > 0 else 'short'} {number(float(abs(quantity(of, size))), READING_DIGITS)} {of.base}"


def _side(side: int) -> str:
    return {1: "up", -1: "down"}.get(side, "flat")


def _forecast(forecast: Forecast) -> str:
    last = forecast.steps[-1] if forecast.steps else None
    quantiles = (
        ""
        if last is None
        else ", ".join(
            f"{name} {number(value, PRICE_DIGITS)}"
            for name, value in (
                ("q05", last.q05), ("q25", last.q25), ("q50", last.q50), ("q75", last.q75), ("q95", last.q95)
            )
        )
    )  # fmt: skip
    span = _timeframe(forecast.span_ns * len(forecast.steps))
    return (
        f"{forecast.model} over {span}: p_up {number(forecast.p_up, 2)}, {quantiles}, "
        f"low {number(forecast.range_low, PRICE_DIGITS)}, high {number(forecast.range_high, PRICE_DIGITS)}"
    )


def _news(note: NewsNote) -> str:
    """Labels only; its age in words, so that a market that stands still makes the same prompt again."""
    age = "fresh" if note.age_s < 3_600 else "hours old" if note.age_s < 6 * 3_600 else "old"
    return f"{note.event}, {note.sentiment.replace('_', ' ')} ({age})"


def _timeframe(span_ns: int) -> str:
    for name, unit in (("d", timeframes.DAY), ("h", timeframes.HOUR), ("m", timeframes.HOUR // 60)):
        if span_ns >= unit and not span_ns % unit:
            return f"{span_ns // unit}{name}"
    return f"{span_ns / 1e9:g}s"


def number(value: float, digits: int) -> str:
    """Rounded to so many significant digits, written plainly: 43211, 0.0123, -1.5."""
    if not math.isfinite(value):
        return "unknown"
    if not value:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(decimals, 12)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


# ---- when there is no room for all --------------------------------------------------------------


def _parted(
    shown: list[Shown], forecasts: Mapping[str, Forecast], readings: Mapping[str, Readings], room: int
) -> tuple[list[list[Shown]], tuple[str, ...]]:
    """Parts with so much room each, the significant before the others; and the symbols for which there is none."""
    ranked = sorted(shown, key=lambda each: -_significance(each, forecasts.get(each.symbol), readings[each.symbol]))
    parts: list[set[str]] = []
    left = 0
    for each in ranked:
        size = tokens(each.text) + 2 * tokens(each.symbol)  # it is named again in the question and in the form
        if not parts or size > left:
            if len(parts) == MOST_PARTS:
                break
            parts.append(set())
            left = room
        left -= size
        parts[-1].add(each.symbol)
    told = set[str]().union(*parts)
    return [[each for each in shown if each.symbol in part] for part in parts], tuple(
        each.symbol for each in shown if each.symbol not in told
    )


def _significance(shown: Shown, forecast: Forecast | None, reading: Readings) -> float:
    """What is held comes first, then what strategies and forecasts speak of."""
    loudest = max((abs(signal.side) * signal.strength for signal in reading.signals.values()), default=0.0)
    return (10.0 if shown.held else 0.0) + loudest + (abs(forecast.p_up - 0.5) if forecast else 0.0)
