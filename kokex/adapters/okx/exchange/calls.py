"""REST endpoints as a table: what is called, by whom, how often, and what answers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from kokex.adapters.okx.exchange.envelope import Failure, Params
from kokex.adapters.okx.exchange.limits import Limit
from kokex.adapters.okx.exchange.listing import Row
from kokex.adapters.okx.exchange.member import Member

if TYPE_CHECKING:
    from kokex.adapters.okx.exchange.venue import Venue


@dataclass(slots=True)
class Call:
    """One request, let in."""

    venue: "Venue"
    given: Params
    body: Any  # of a POST, as it was decoded
    now_ms: int
    headers: Row
    who: Member | None = None

    @property
    def items(self) -> list[Row]:
        """Of a batch. Raises Failure where the body is none."""
        body = self.body
        rows = cast("list[Any]", body) if isinstance(body, list) else []
        if not rows or not all(isinstance(row, dict) for row in rows):
            raise Failure("50002")
        return rows

    @property
    def member(self) -> Member:
        assert self.who is not None
        return self.who


Answer = list[Any] | Row  # the data, or the whole envelope
Handler = Callable[[Call], Answer]


class Endpoint(NamedTuple):
    handler: Handler
    limit: Limit
    private: bool
    stamped: bool = False  # with inTime and outTime
    batch: bool = False  # the body is a list, and each item counts


def page(rows: Iterable[Row], given: Params, key: str, most: int = 100) -> list[Row]:
    """OKX's paging of rows that come newest first: `after` is older, `before` newer, both exclusive."""
    limit = given.limit(most)
    older, newer = given.whole("after"), given.whole("before")
    found: list[Row] = []
    for row in rows:
        at = int(row[key])
        if older is not None and at >= older:
            continue
        if newer is not None and at <= newer:
            break
        found.append(row)
        if len(found) == limit:
            break
    return found


def instrument_type(given: Params, *, needed: bool = False) -> str:
    kind = given.get("instType")
    if not kind and needed:
        given.need("instType")
    if kind and kind not in {"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "ANY"}:
        raise Failure("51000", "Parameter instType error")
    return kind


def matches(given: Params, row: Row, *names: str) -> bool:
    """Whether a row has what was asked for, where anything was."""
    for name in names:
        asked = given.get(name)
        if asked and not (name == "instType" and asked == "ANY") and row.get(name) != asked:
            return False
    family = given.get("instFamily") or given.get("uly")
    return not family or row.get("instId", "").removesuffix("-SWAP") == family


def within(given: Params, row: Row, name: str) -> bool:
    """`begin` and `end`, in milliseconds."""
    begin, end = given.whole("begin"), given.whole("end")
    at = int(row[name] or 0)
    return (begin is None or at >= begin) and (end is None or at <= end)
