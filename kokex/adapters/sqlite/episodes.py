"""Episodes and lessons: the tables, and what is asked of them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from kokex.adapters.sqlite.queries import Cells, Query
from kokex.messages import Episode, Lesson, Situation

TABLES = (
    """CREATE TABLE episodes (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        plan TEXT NOT NULL,
        account TEXT NOT NULL,
        instrument TEXT NOT NULL,
        act TEXT NOT NULL,
        direction INTEGER NOT NULL,
        conviction INTEGER NOT NULL,
        horizon_s INTEGER NOT NULL,
        price REAL NOT NULL,
        invalidation REAL,
        "by" TEXT NOT NULL,
        features TEXT NOT NULL,
        matures_ns INTEGER NOT NULL,
        settled INTEGER NOT NULL,
        verdict TEXT NOT NULL,
        fill_price REAL,
        outcome_bp REAL
    )""",
    "CREATE INDEX unsettled_episodes ON episodes(matures_ns) WHERE NOT settled",
    # The row id is the episode's. `situation` is what recall searches; `reasons` may be a model's words.
    "CREATE VIRTUAL TABLE episode_words USING fts5(situation, reasons)",
    """CREATE TABLE lessons (
        id INTEGER PRIMARY KEY,
        plan TEXT NOT NULL,
        instrument TEXT NOT NULL,
        text TEXT NOT NULL,
        episodes INTEGER NOT NULL,
        won INTEGER NOT NULL,
        mean_bp REAL NOT NULL,
        t REAL NOT NULL,
        written_ns INTEGER NOT NULL,
        expires_ns INTEGER NOT NULL
    )""",
)

HANDED_ON = ("CREATE TABLE handed_on (episode INTEGER PRIMARY KEY)",)  # to a memory elsewhere

INSERT = f"INSERT INTO episodes VALUES ({', '.join('?' * 18)})"
INSERT_WORDS = "INSERT INTO episode_words(rowid, situation, reasons) VALUES (?, ?, ?)"
SETTLE = "UPDATE episodes SET settled = 1, verdict = ?, fill_price = ?, outcome_bp = ? WHERE id = ?"
INSERT_LESSON = f"INSERT INTO lessons VALUES (NULL, {', '.join('?' * 9)})"

_COLUMNS = """e.id, e.at, e.plan, e.account, e.instrument, e.act, e.direction, e.conviction, e.horizon_s, e.price,
    e.invalidation, e."by", e.features, e.matures_ns, e.settled, e.verdict, e.fill_price, e.outcome_bp"""
_KNOWN = "e.settled AND e.outcome_bp IS NOT NULL AND e.matures_ns <= ?"


def params(e: Episode) -> Cells:
    return (
        e.id, e.at_ns, e.plan, e.account, e.instrument, e.act, e.direction, e.conviction, e.horizon_s, e.price,
        e.invalidation, e.by, msgspec.json.encode(e.features).decode(), e.matures_ns, e.settled, e.verdict,
        e.fill_price, e.outcome_bp,
    )  # fmt: skip


def lesson_params(each: Lesson) -> Cells:
    return msgspec.structs.astuple(each)


def _episodes(rows: list[Cells]) -> list[Episode]:
    return [_episode(*row) for row in rows]


def _episode(*cells: Any) -> Episode:
    (
        number, at_ns, plan, account, instrument, act, direction, conviction, horizon_s, price, invalidation, by,
        features, matures_ns, settled, verdict, fill_price, outcome_bp,
    ) = cells  # fmt: skip
    return Episode(
        id=number, at_ns=at_ns, plan=plan, account=account, instrument=instrument, act=act, direction=direction,
        conviction=conviction, horizon_s=horizon_s, price=price, invalidation=invalidation, by=by,
        features=msgspec.json.decode(features, type=dict[str, float]), matures_ns=matures_ns, settled=bool(settled),
        verdict=verdict, fill_price=fill_price, outcome_bp=outcome_bp,
    )  # fmt: skip


def due(at_ns: int) -> Query[list[Episode]]:
    """Those whose horizon has ended and whose outcome is not written yet."""
    sql = f"SELECT {_COLUMNS} FROM episodes e WHERE NOT e.settled AND e.matures_ns <= ? ORDER BY e.matures_ns, e.id"
    return Query(sql, (at_ns,), _episodes)


def matured(at_ns: int, *, plan: str | None = None, last: int = -1) -> Query[list[Episode]]:
    """The newest `last` (-1: all) whose outcome was known by then, oldest first."""
    sql = f"SELECT {_COLUMNS} FROM episodes e WHERE {_KNOWN} AND (? IS NULL OR e.plan = ?) ORDER BY e.id DESC LIMIT ?"
    return Query(sql, (at_ns, plan, plan, last), lambda rows: _episodes(rows[::-1]))


def chosen(at_ns: int, plan: str, ids: Sequence[int]) -> Query[list[Episode]]:
    """Of these the ones whose outcome was known by then, in the order given."""
    sql = (
        f"SELECT {_COLUMNS} FROM episodes e WHERE {_KNOWN} AND e.plan = ? AND e.id IN (SELECT value FROM json_each(?))"
    )
    wanted = msgspec.json.encode(list(ids)).decode()
    return Query(sql, (at_ns, plan, wanted), lambda rows: sorted(_episodes(rows), key=lambda each: ids.index(each.id)))


def not_handed_on(most: int) -> Query[list[Episode]]:
    """Those whose outcome is known and which no other memory has, oldest first."""
    sql = f"""SELECT {_COLUMNS} FROM episodes e WHERE e.settled AND e.outcome_bp IS NOT NULL
        AND e.id NOT IN (SELECT episode FROM handed_on) ORDER BY e.id LIMIT ?"""
    return Query(sql, (most,), _episodes)


def alike(at_ns: int, plan: str, words: list[str], since: int, most: int) -> Query[list[int]]:
    """Ids of such episodes, from id `since` on, by how well the words of their situation match, the best first."""
    sql = f"""SELECT e.id FROM episode_words w JOIN episodes e ON e.id = w.rowid
        WHERE episode_words MATCH ? AND w.rowid >= ? AND {_KNOWN} AND e.plan = ?
        ORDER BY bm25(episode_words), e.id DESC LIMIT ?"""
    wanted = f"situation : ({' OR '.join(quoted(word) for word in words)})"
    return Query(sql, (wanted, since, at_ns, plan, most), lambda rows: [number for (number,) in rows])


def newest(
    last: int, *, plan: str | None = None, instrument: str | None = None, search: str | None = None
) -> Query[list[Episode]]:
    """The newest `last`, oldest first, matured or not; `search`: all its words are in the situation or the reasons."""
    found = "AND e.id IN (SELECT rowid FROM episode_words WHERE episode_words MATCH ?)" if search else ""
    sql = f"""SELECT {_COLUMNS} FROM episodes e
        WHERE (? IS NULL OR e.plan = ?) AND (? IS NULL OR e.instrument = ?) {found} ORDER BY e.id DESC LIMIT ?"""
    wanted = (" ".join(quoted(word) for word in search.split()),) if search else ()
    return Query(sql, (plan, plan, instrument, instrument, *wanted, last), lambda rows: _episodes(rows[::-1]))


def quoted(word: str) -> str:
    """A word as FTS5 takes it, whatever is in it. https://sqlite.org/fts5.html#full_text_query_syntax"""
    return '"' + word.replace('"', '""') + '"'


def lessons(at_ns: int | None = None, *, plan: str | None = None) -> Query[list[Lesson]]:
    """Those that held at that time (None: all there ever were), the surest first."""
    sql = """SELECT plan, instrument, text, episodes, won, mean_bp, t, written_ns, expires_ns FROM lessons
        WHERE (? IS NULL OR (written_ns <= ? AND expires_ns > ?)) AND (? IS NULL OR plan = ?)
        ORDER BY abs(t) DESC, id"""
    return Query(sql, (at_ns, at_ns, at_ns, plan, plan), lambda rows: [_lesson(*row) for row in rows])


def _lesson(*cells: Any) -> Lesson:
    return Lesson(**dict(zip(Lesson.__struct_fields__, cells, strict=True)))


def taught(of: Lesson, situations: tuple[Situation, ...]) -> bool:
    """Whether a lesson is about one of these instruments."""
    return not of.instrument or any(of.instrument == each.instrument for each in situations)


def newest_ns() -> Query[int]:
    """The newest time on record, by the trading clock; 0 for an empty one."""
    sql = "SELECT at FROM journal ORDER BY id DESC LIMIT 1"
    return Query(sql, (), lambda rows: rows[0][0] if rows else 0)
