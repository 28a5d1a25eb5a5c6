"""Episodes and lessons as tables."""

from collections.abc import Iterable

from kokex.messages import Episode, Lesson
from kokex.present.tables import Table
from kokex.present.words import NOTHING, age, clock, price


def episodes(found: Iterable[Episode]) -> Table:
    rows = tuple(
        (
            clock(each.at_ns), str(each.id), each.plan, each.instrument, each.act, str(each.conviction), each.by,
            price(each.price), age(each.horizon_s * 1_000_000_000), each.verdict or NOTHING, _outcome(each),
        )
        for each in found
    )  # fmt: skip
    columns = (
        "time",
        "decision",
        "plan",
        "instrument",
        "act",
        "conviction",
        "by",
        "price",
        "horizon",
        "verdict",
        "net bp",
    )
    return Table("Episodes", columns, rows)


def _outcome(of: Episode) -> str:
    if not of.settled:
        return "open"
    return "unknown" if of.outcome_bp is None else f"{of.outcome_bp:+.1f}"


def lessons(found: Iterable[Lesson]) -> Table:
    rows = tuple(
        (
            each.plan, each.text, str(each.episodes), str(each.won), f"{each.mean_bp:+.1f}", f"{each.t:+.1f}",
            clock(each.expires_ns),
        )
        for each in found
    )  # fmt: skip
    return Table("Lessons", ("plan", "lesson", "episodes", "won", "mean bp", "t", "until"), rows)
