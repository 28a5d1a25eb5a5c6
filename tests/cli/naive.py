"""The crossing of two averages, calculated the slow way: a loop, exact fractions, and nothing of kokex in it."""

import csv
import gzip
import math
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

DAY_MS = 86_400_000


class Row(NamedTuple):
    at_ms: int
    open: Decimal
    close: Decimal


def read(path: Path) -> list[Row]:
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    lines = csv.DictReader(text.splitlines())
    return [Row(int(line["timestamp_ms"]), Decimal(line["open"]), Decimal(line["close"])) for line in lines]


def crossings(rows: list[Row], fast: int, slow: int) -> list[int]:
    """For each candle: 1 when the fast average came to stand above the slow one, -1 on the reverse, else 0."""
    signals: list[int] = []
    relation: int | None = None  # the last one that was not equal; 0: they began equal
    for index in range(len(rows)):
        if index + 1 < slow:
            signals.append(0)
            continue
        closes = [Fraction(row.close) for row in rows[index + 1 - slow : index + 1]]
        spread = sum(closes[-fast:]) / fast - sum(closes) / slow
        now = (spread > 0) - (spread < 0)
        if relation is None:
            relation = now
            signals.append(0)
        elif now and now != relation:
            relation = now
            signals.append(now)
        else:
            signals.append(0)
    return signals


def calculate(
    path: Path, fast: int, slow: int, size: str, fee: str, cash: str, *, short: bool = False
) -> dict[str, Any]:
    """What the report must say. Decided on a close, filled at the next open; `short`: a crossing down turns round."""
    rows = read(path)
    with localcontext(prec=100):
        return _walk(rows, crossings(rows, fast, slow), Decimal(size), Decimal(fee), Decimal(cash), short=short)


def _walk(
    rows: list[Row], signals: list[int], size: Decimal, fee: Decimal, cash: Decimal, *, short: bool
) -> dict[str, Any]:
    trips: list[tuple[Decimal, Decimal]] = []  # gross and fees of each
    held = entry = entry_fee = fall = Decimal(0)
    want, peak, equity = 0, cash, cash
    days: dict[int, Decimal] = {rows[0].at_ms // DAY_MS - 1: cash}  # equity at the end of each UTC day
    for row, signal in zip(rows, signals, strict=True):
        target = {1: size, -1: -size if short else Decimal(0), 0: held}[want]
        if target != held:
            if held:
                leaving = abs(held) * row.open * fee
                trips.append(((row.open - entry) * held, entry_fee + leaving))
                cash += held * row.open - leaving
            entry, entry_fee = row.open, abs(target) * row.open * fee
            cash -= target * row.open + entry_fee
            held = target
        want = signal
        equity = cash + held * row.close
        peak = max(peak, equity)
        fall = max(fall, peak - equity)
        days[row.at_ms // DAY_MS] = equity
    gross, fees = sum((g for g, _ in trips), Decimal(0)), sum((f for _, f in trips), Decimal(0))
    lost = sum((f - g for g, f in trips if g < f), Decimal(0))
    return {
        "candles": len(rows),
        "round_trips": len(trips),
        "wins": sum(g > f for g, f in trips),
        "gross": gross,
        "fees": fees,
        "net": gross - fees,
        "final_equity": equity,
        "max_drawdown": fall,
        "profit_factor": float(sum((g - f for g, f in trips if g > f), Decimal(0)) / lost) if lost else None,
        "sharpe_daily": _sharpe([days.get(day) for day in range(min(days), max(days) + 1)]),
        "held": held,
        "entry": entry,
    }


def _sharpe(ends: list[Decimal | None]) -> float | None:
    kept: list[Fraction] = []
    for end in ends:
        kept.append(kept[-1] if end is None else Fraction(end))
    returns = [after / before - 1 for before, after in pairwise(kept)]
    mean = sum(returns) / len(returns)
    deviation = math.sqrt(sum((one - mean) ** 2 for one in returns) / len(returns))
    return float(mean) / deviation * math.sqrt(365) if len(returns) > 1 and deviation else None
