"""The memory of the daemon: episodes gathered from the record, recalled, and reflected on.

It has a connection of its own, opened for each use in a thread: nobody in the event loop waits for it, and it sees only
what is on disk. Its rows come after the fact and are no part of the record that a replay is compared with; what
recall answered is.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar, final

import msgspec

from kokex.adapters.sqlite import episodes
from kokex.adapters.sqlite.errors import explain
from kokex.adapters.sqlite.opening import connect
from kokex.adapters.sqlite.queries import Query
from kokex.adapters.sqlite.schema import MIGRATIONS, version
from kokex.brain import memory as rules
from kokex.messages import Briefing, Episode, Lesson, Situation
from kokex.ports import Recollection, StoreError

T = TypeVar("T")
CostsOf = Callable[[str, str], rules.Costs]
"""What trading an instrument costs an account (account, instrument)."""

AT_ONCE = 500  # decisions or episodes in one transaction: the daemon cannot write meanwhile
POOL = 500  # newest episodes among which like ones are looked for
FOUND = 50  # by words
LATE_NS = 86_400_000_000_000  # candles that have not come a day after the horizon will not
GAP = 0.1  # of the horizon, between its end and the last candle before it: more, and the outcome is not known
DEPTH = 8  # steps from a decision back to its briefing, at most
MARK = "newest decision in memory"  # in `meta`


@final
class SqliteMemory:
    """`kokex.ports.Memory`, and what commands do offline."""

    def __init__(self, path: Path | str, costs: CostsOf) -> None:
        self._path = Path(path)
        self._costs = costs

    async def recall(self, plan: str, at_ns: int, situations: tuple[Situation, ...]) -> Recollection:
        """Raises StoreError."""
        return Recollection(await asyncio.to_thread(self.look_back, plan, at_ns, situations))

    async def keep_up(self) -> str:
        """Raises StoreError."""
        await asyncio.to_thread(self.gather)
        return ""

    def look_back(self, plan: str, at_ns: int, situations: tuple[Situation, ...]) -> tuple[str, ...]:
        """`recall`, for whoever may wait."""
        with self._opened() as connection:
            about = _lessons(connection, plan, at_ns, situations)
            pool = _ask(connection, episodes.matured(at_ns, plan=plan, last=POOL))
            if not pool:
                return about
            since = pool[0].id
            found = [
                _ask(connection, episodes.alike(at_ns, plan, rules.words(each), since, FOUND)) for each in situations
            ]
        like = rules.recall(situations, pool, found)
        return (*about, *(rules.told(each) for each in like))

    def tell(self, plan: str, at_ns: int, situations: tuple[Situation, ...], ids: Sequence[int]) -> tuple[str, ...]:
        """The same of episodes that somebody else found, the most like first. Raises StoreError."""
        with self._opened() as connection:
            about = _lessons(connection, plan, at_ns, situations)
            found = _ask(connection, episodes.chosen(at_ns, plan, ids))
        return (*about, *(rules.told(each) for each in rules.balanced(found)))

    def not_handed_on(self, most: int) -> list[Episode]:
        """Episodes that have matured and which no memory elsewhere has. Raises StoreError."""
        with self._opened() as connection:
            return _ask(connection, episodes.not_handed_on(most))

    def handed_on(self, episode: int) -> None:
        """A memory elsewhere has it now. Raises StoreError."""
        with self._opened() as connection, _transaction(connection):
            connection.execute("INSERT OR IGNORE INTO handed_on VALUES (?)", (episode,))

    def gather(self) -> None:
        """Takes in every decision on record, and the outcome of those that have matured. Raises StoreError."""
        with self._opened() as connection:
            while _take(connection):
                pass
            _settle(connection, self._costs)

    def reflect(self) -> list[Lesson]:
        """Gathers, and writes the lessons of all that matured by the newest time on record in place of the last ones.

        Raises StoreError.
        """
        self.gather()
        with self._opened() as connection:
            at_ns = _ask(connection, episodes.newest_ns())
            lessons = rules.reflect(_ask(connection, episodes.matured(at_ns)), at_ns)
            with _transaction(connection):
                connection.execute("UPDATE lessons SET expires_ns = ? WHERE expires_ns > ?", (at_ns, at_ns))
                connection.executemany(episodes.INSERT_LESSON, [episodes.lesson_params(each) for each in lessons])
            return lessons

    @contextmanager
    def _opened(self) -> Generator[sqlite3.Connection, None, None]:
        if not self._path.is_file():
            raise StoreError(f"{self._path}: no such database; `kokex run` makes one, `--db` names another")
        connection = connect(self._path, synchronous="FULL")
        try:
            if version(connection) < len(MIGRATIONS):
                raise StoreError(f"{self._path}: an older kokex's database; `kokex run` brings it up")
            yield connection
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise explain(error, self._path) from error
        finally:
            connection.close()


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Generator[None, None, None]:
    """Whole, or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        yield


def _lessons(
    connection: sqlite3.Connection, plan: str, at_ns: int, situations: tuple[Situation, ...]
) -> tuple[str, ...]:
    known = _ask(connection, episodes.lessons(at_ns, plan=plan))
    return tuple([each.text for each in known if episodes.taught(each, situations)][: rules.MOST_LESSONS])


def _ask(connection: sqlite3.Connection, query: Query[T]) -> T:
    return query.decode(connection.execute(query.sql, query.params).fetchall())


# ---- from decisions to episodes -----------------------------------------------------------------

_DECISIONS = """SELECT id, at, plan, account, instrument, act, conviction, horizon_s, price, invalidation, reasons,
        "by", cause FROM decisions
    WHERE id > coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?), 0) ORDER BY id LIMIT ?"""
_REMEMBER = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


def _take(connection: sqlite3.Connection) -> int:
    """The next decisions that change something become episodes; how many decisions were looked at."""
    with _transaction(connection):
        rows = connection.execute(_DECISIONS, (MARK, AT_ONCE)).fetchall()
        for row in rows:
            *told, reasons, by, cause = row
            _, _, _, _, _, act, _, horizon_s, price, _ = told
            if act != "hold" and horizon_s > 0 and price > 0 and (briefing := _briefing(connection, cause)):
                _take_one(connection, told, reasons, by, briefing)
        if rows:
            connection.execute(_REMEMBER, (MARK, str(rows[-1][0])))
    return len(rows)


def _take_one(connection: sqlite3.Connection, told: list[Any], reasons: str, by: str, briefing: Briefing) -> None:
    number, at_ns, plan, account, instrument, act, conviction, horizon_s, price, invalidation = told
    reading = next((each for each in briefing.readings if each.instrument == instrument), None)
    towards = rules.direction(act, briefing.held.get(instrument, Decimal(0)))
    if reading is None or not towards:
        return
    forecast = next((each for each in briefing.forecasts if each.instrument == instrument), None)
    here = rules.situation(reading, forecast)
    episode = Episode(
        id=number, at_ns=at_ns, plan=plan, account=account, instrument=instrument, act=act, direction=towards,
        conviction=conviction, horizon_s=horizon_s, price=price, invalidation=invalidation, by=by,
        features=here.features, matures_ns=at_ns + horizon_s * 1_000_000_000,
    )  # fmt: skip
    connection.execute(episodes.INSERT, episodes.params(episode))
    connection.execute(episodes.INSERT_WORDS, (number, " ".join(rules.words(here)), reasons))


def _briefing(connection: sqlite3.Connection, cause: int) -> Briefing | None:
    """What led to a decision; None: a person did, or it was forgotten."""
    for _ in range(DEPTH):
        row = connection.execute("SELECT kind, cause, body FROM journal WHERE id = ?", (cause,)).fetchone()
        if row is None:
            return None
        kind, cause, body = row
        if kind == "Briefing":
            return msgspec.json.decode(body, type=Briefing)
    return None


# ---- and what came of them ----------------------------------------------------------------------


def _settle(connection: sqlite3.Connection, costs: CostsOf) -> None:
    """Writes the outcomes of episodes whose horizon has ended."""
    now_ns = _ask(connection, episodes.newest_ns())
    due = _ask(connection, episodes.due(now_ns))
    for first in range(0, len(due), AT_ONCE):
        with _transaction(connection):
            for each in due[first : first + AT_ONCE]:
                _settle_one(connection, each, now_ns, costs)


def _settle_one(connection: sqlite3.Connection, of: Episode, now_ns: int, costs: CostsOf) -> None:
    span_ns, last_ns = _market(connection, of.instrument)
    if last_ns + span_ns < of.matures_ns and now_ns < of.matures_ns + LATE_NS:
        return  # its last candle is still to come
    filled = _fill_price(connection, of.id)
    end, came = _exit_price(connection, of, span_ns), None
    if end is not None:
        cost_bp = costs(of.account, of.instrument).of(of.act, filled=filled is not None)
        came = rules.outcome_bp(of.direction, filled or of.price, end, cost_bp)
    connection.execute(episodes.SETTLE, (_verdict(connection, of.id), filled, came, of.id))


def _market(connection: sqlite3.Connection, instrument: str) -> tuple[int, int]:
    """The finest candles' span, and the opening time of the newest; 0, 0 when there are none."""
    sql = (
        "SELECT span_ns, max(open_ns) FROM candles WHERE instrument = ? AND span_ns = (SELECT min(span_ns) FROM candles"
    )
    row = connection.execute(f"{sql} WHERE instrument = ?) GROUP BY span_ns", (instrument, instrument)).fetchone()
    return row or (0, 0)


def _exit_price(connection: sqlite3.Connection, of: Episode, span_ns: int) -> float | None:
    """The price at the horizon, or at the invalidation of an entry, whichever came first; None: nobody knows."""
    until_ns = of.matures_ns - span_ns
    within = (of.instrument, span_ns, of.at_ns, until_ns)
    sql = "FROM candles WHERE instrument = ? AND span_ns = ? AND open_ns >= ? AND open_ns <= ?"
    last = connection.execute(f"SELECT open_ns, close {sql} ORDER BY open_ns DESC LIMIT 1", within).fetchone()
    if last is None or until_ns - last[0] > max(span_ns, GAP * of.horizon_s * 1e9):
        return None
    if of.act.startswith("open") and of.invalidation is not None:
        touched = "low <= ?" if of.direction > 0 else "high >= ?"
        stopped = connection.execute(
            f"SELECT open {sql} AND {touched} ORDER BY open_ns LIMIT 1", (*within, of.invalidation)
        ).fetchone()
        if stopped:  # a market that opened beyond it gave no better price
            return (min if of.direction > 0 else max)(stopped[0], of.invalidation)
    return last[1]


def _verdict(connection: sqlite3.Connection, decision: int) -> str:
    row = connection.execute("SELECT approved, rule FROM verdicts WHERE decision = ?", (decision,)).fetchone()
    return "" if row is None else "approved" if row[0] else row[1]


def _fill_price(connection: sqlite3.Connection, decision: int) -> float | None:
    """The mean price of what the decision's own order filled; stops that followed it are others."""
    (price,) = connection.execute(
        """SELECT sum(CAST(f.size AS REAL) * CAST(f.price AS REAL)) / sum(CAST(f.size AS REAL))
        FROM verdicts v JOIN fills f ON f.client_id = v.client_id AND f.id > v.id WHERE v.decision = ?""",
        (decision,),
    ).fetchone()
    return price
