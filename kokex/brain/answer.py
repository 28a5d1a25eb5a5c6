"""What a model may answer, and what becomes of it.

Nothing here trusts the provider: whatever form it promises to keep, msgspec decides. No JSON is looked for in prose.
What cannot be read as a whole is an abstention; what is wrong with one item costs that item alone; and what is left is
held against what the model was shown. An answer can only ever make less happen than it says.
"""

import math
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from kokex.brain.fingerprint import digest
from kokex.messages import Act, Shape

if TYPE_CHECKING:
    from kokex.brain.prompt import Composed, Shown

LONGEST_WHY = 240
LARGEST = 64 * 1024  # characters of an answer
LEAST_ATR, MOST_ATR = 0.3, 8.0  # distance of the invalidation from the price, in average true ranges
ACTS: tuple[Act, ...] = ("hold", "open_long", "open_short", "reduce", "close")
HORIZONS = (1, 4, 12, 24, 72)

Verdict = Literal["", "missing", "bad", "mismatch", "invalidation", "doubt", "moot", "stale"]


class Item(Struct, frozen=True, forbid_unknown_fields=True):
    """One decision as it must be written."""

    symbol: str
    act: Act
    conviction: Annotated[int, Meta(ge=1, le=5)]
    horizon_h: Literal[1, 4, 12, 24, 72]
    invalidation: float | None = None
    target: float | None = None
    refs: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=16)] = []
    why: Annotated[str, Meta(max_length=2_000)] = ""


class Envelope(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole answer; each item is read by itself."""

    decisions: list[msgspec.Raw]
    note: str = ""


class Judged(Struct, frozen=True):
    """What becomes of one instrument. `verdict` says why it is less than the model said."""

    symbol: str
    act: Act
    conviction: int
    horizon_s: int
    invalidation: float | None
    reasons: tuple[str, ...]
    verdict: Verdict = ""


class Unreadable(ValueError):
    """The answer as a whole is none. One line."""


_envelope = msgspec.json.Decoder(Envelope)
_item = msgspec.json.Decoder(Item)


def shape_for(symbols: tuple[str, ...]) -> Shape:
    """The form of an answer on these symbols: flat, all fields required, no bounds, as every provider can keep it."""
    item: dict[str, Any] = {
        "symbol": {"type": "string", "enum": list(symbols)},
        "act": {"type": "string", "enum": list(ACTS)},
        "conviction": {"type": "integer", "enum": [1, 2, 3, 4, 5]},
        "horizon_h": {"type": "integer", "enum": list(HORIZONS)},
        "invalidation": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "target": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "refs": {"type": "array", "items": {"type": "string"}},
        "why": {"type": "string"},
    }
    whole = {"decisions": {"type": "array", "items": _object(item)}, "note": {"type": "string"}}
    return Shape("decisions", _object(whole), SHAPE_VERSION)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False
    }  # fmt: skip


SHAPE_VERSION = digest(msgspec.json.schema(Item))


def read(text: str) -> list[Item | str]:
    """The items, in order; in place of one that is wrong, what is wrong with it. Raises Unreadable."""
    if not text.strip():
        raise Unreadable("it is empty")
    if len(text) > LARGEST:
        raise Unreadable(f"it has {len(text)} characters")
    try:
        whole = _envelope.decode(text.encode("utf-8", "replace"))
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise Unreadable(str(error)[:200]) from None
    return [_read_item(raw) for raw in whole.decisions]


def _read_item(raw: msgspec.Raw) -> Item | str:
    try:
        item = _item.decode(raw)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        return str(error)[:200]
    for price in (item.invalidation, item.target):
        if price is not None and not (math.isfinite(price) and price > 0):
            return "a price must be a number above zero"
    return item


def judge(items: list[Item | str], composed: "Composed", *, min_conviction: int, shown: str = "") -> list[Judged]:
    """Exactly one for each instrument of the question, in that order.

    `shown`: what the model had before it, where that was another question (a recording).
    """
    said: dict[str, Item] = {}
    twice: set[str] = set()
    for item in items:
        if isinstance(item, Item) and item.symbol in composed.shown:  # an unknown symbol is dropped
            if item.symbol in said:
                twice.add(item.symbol)
            said.setdefault(item.symbol, item)
    bad = sum(isinstance(item, str) for item in items)
    judged: list[Judged] = []
    for symbol, of in composed.shown.items():
        item = said.get(symbol)
        if symbol in twice:
            judged.append(_hold(of, "bad", "the model spoke of it twice"))
        elif item is None:
            lost = f"{bad} of its items could not be read" if bad else "the model said nothing of it"
            judged.append(_hold(of, "bad" if bad else "missing", lost))
        else:
            judged.append(_judge(item, of, shown or f"{of.text}\n{composed.common}", min_conviction))
    return judged


def _judge(item: Item, shown: "Shown", read_by_it: str, min_conviction: int) -> Judged:
    why = clean(item.why)
    if strangers := invented(item, read_by_it):
        quoted = ", ".join(strangers[:3])
        return _hold(shown, "mismatch", f"the model quoted {quoted}, which it was not shown", item, why)
    act = item.act
    if act in {"open_long", "open_short"}:
        long = act == "open_long"
        if shown.held:
            if (shown.held > 0) == long:
                return _hold(shown, "moot", "already held", item, why)
            return _act(item, "close", why)  # a turn is an exit first; the entry is for the next cycle to judge
        if not long and not shown.may_short:
            return _hold(shown, "moot", "spot cannot be short", item, why)
        if item.conviction < min_conviction:
            return _hold(shown, "doubt", f"conviction {item.conviction} is below {min_conviction}", item, why)
        if fault := _misplaced(item, shown, long=long):
            return _hold(shown, "invalidation", fault, item, why)
        return _act(item, act, why)
    if act in {"close", "reduce"} and not shown.held:
        return _hold(shown, "moot", "nothing is held", item, why)
    return _act(item, act, why)


def _misplaced(item: Item, shown: "Shown", *, long: bool) -> str:
    """What is wrong with the prices of an entry, or nothing."""
    price, wrong, atr = shown.price, item.invalidation, shown.atr
    if wrong is None:
        return "an entry without a price at which it is wrong"
    if (wrong < price) != long or wrong == price:
        return f"invalidation {wrong:g} is not on the losing side of {price:g}"
    if atr is None or not atr > 0:
        return "there is no average true range to measure its invalidation by"
    if not LEAST_ATR * atr <= abs(price - wrong) <= MOST_ATR * atr:
        return f"invalidation {wrong:g} is {abs(price - wrong) / atr:.2g} average true ranges away"
    if item.target is not None and ((item.target > price) != long or item.target == price):
        return f"target {item.target:g} is not on the winning side of {price:g}"
    return ""


def _act(item: Item, act: Act, why: str) -> Judged:
    refs = f"relies on {', '.join(clean(ref) for ref in item.refs)}" if item.refs else ""
    target = f"target {item.target:g}" if item.target is not None and act.startswith("open") else ""
    reasons = tuple(text for text in (why, target, refs) if text)
    invalidation = item.invalidation if act.startswith("open") else None
    return Judged(item.symbol, act, item.conviction, item.horizon_h * 3600, invalidation, reasons)


def _hold(shown: "Shown", verdict: Verdict, reason: str, item: Item | None = None, why: str = "") -> Judged:
    wanted = f"the model wanted {item.act}: {why}" if item and item.act != "hold" and why else why
    conviction, horizon_s = (item.conviction, item.horizon_h * 3600) if item else (1, 0)
    reasons = tuple(text for text in (wanted, reason) if text)
    return Judged(shown.symbol, "hold", conviction, horizon_s, None, reasons, verdict)


def clean(text: str) -> str:
    """One line of printable characters, no longer than is asked for."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= LONGEST_WHY else line[: LONGEST_WHY - 3] + "..."


# ---- numbers that were not shown ----------------------------------------------------------------

# Not within a word or a name (q05, BTC-USDT-3); thousands grouped by commas or not.
_NUMBER = re.compile(
    r"(?<![\w$])(?<![A-Za-z]-)(?<!\d[.,])[-+]?\$?(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"(?:[eE]([-+]?\d{1,2}))?([kKmM]?)"
)
_SHOWN = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")
COUNTS = 5  # whole numbers up to it are words: "2 signals agree"
TOLERANCE = 0.005


def invented(item: Item, shown: str) -> list[str]:
    """The numbers in `why` that stand neither in what was shown nor in the decision itself."""
    known = [float(found) for found in _SHOWN.findall(shown)]
    known += [abs(each) for each in (item.invalidation, item.target) if each is not None]
    known += [item.horizon_h, item.conviction]
    strangers: list[str] = []
    for found in _NUMBER.finditer(item.why):
        text = found.group(1).replace(",", "")
        value = float(text) * 10.0 ** int(found.group(2) or 0)
        decimals = len(text.partition(".")[2])
        if value <= COUNTS and not decimals and value.is_integer():
            continue
        scaled = value * {"k": 1e3, "m": 1e6}.get(found.group(3).lower(), 1.0)  # 43k; but 15m are minutes
        if not any(_same(value, each, decimals) or _same(scaled, each, decimals) for each in known):
            strangers.append(found.group(0))
    return strangers


def _same(quoted: float, shown: float, decimals: int) -> bool:
    if abs(quoted - shown) <= TOLERANCE * shown:
        return True
    return shown >= 10 and round(shown, decimals) == quoted  # rounded, as one does
