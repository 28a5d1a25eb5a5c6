"""The exchange on disk: accounts, orders, what is on record of them, and the market's candles, in one SQLite file.

What a request or a tick changed is written in one transaction at its end, before anybody is told of it: whoever kills
the process finds everything as it was last told. Nobody waits for the platter: a machine that loses its power
may lose the last moments.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TypeVar, final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from kokex.adapters.okx.exchange.course import Bar, Course
from kokex.adapters.okx.exchange.floor import Floor, Market
from kokex.adapters.okx.exchange.listing import Listing, Row
from kokex.adapters.okx.exchange.member import KEPT, Member
from kokex.adapters.okx.exchange.orders import Algo, Order
from kokex.paper.margin import MarginAccount

T = TypeVar("T")

VERSION = 1
LEGS_KEPT = 100  # closed positions
SCHEMA = """
CREATE TABLE IF NOT EXISTS thing (name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS entry (
    account TEXT NOT NULL, kind TEXT NOT NULL, number INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (account, kind, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bar (
    pair TEXT NOT NULL, span INTEGER NOT NULL, at INTEGER NOT NULL,
    open REAL NOT NULL, high REAL NOT NULL, low REAL NOT NULL, close REAL NOT NULL, volume REAL NOT NULL,
    PRIMARY KEY (pair, span, at)
) STRICT, WITHOUT ROWID;
"""


class KeepingError(Exception):
    """The file cannot be used. One line."""


class Begun(Struct, frozen=True):
    """What the market was made of."""

    seed: int
    start_s: int


class Settings(Struct):
    """An account, but for its orders and what is on record."""

    uid: str
    books: MarginAccount
    level: str
    position_mode: str
    leverage: dict[tuple[str, str, str], Decimal]
    cancel_at_ms: dict[str, int]
    changed_ms: int
    funding_balance: dict[str, Decimal]


@final
class Keeping:
    """`note` what changed; `flush` writes it."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or begins one. Raises KeepingError."""
        self._path = path
        self._changed: dict[tuple[str, str, int], object] = {}  # account, kind, number
        self._members: dict[str, Member] = {}
        self._seconds: dict[str, int] = {}  # that were written, by pair
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=0.2)
            self._db.executescript("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;")
            [version] = self._db.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                raise KeepingError(f"{path}: written by another version of kokex; name another file")
            self._db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")
        except sqlite3.Error as error:
            in_use = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
            raise KeepingError(f"{path}: {'another exchange is using it' if in_use else error}") from None

    def close(self) -> None:
        self._db.close()

    # ---- taking up ------------------------------------------------------------------------------

    def begun(self, begins: Begun) -> Begun:
        """As it is on record; otherwise it begins like this."""
        if found := self._thing("begun", Begun):
            return found
        self._put("begun", begins)
        return begins

    def resume(self, pair: str, course: Course) -> None:
        """Gives a course back what happened on it."""
        rows = self._db.execute("SELECT span, at, open, high, low, close, volume FROM bar WHERE pair = ?", (pair,))
        course.resume((span, at, Bar(*values)) for span, at, *values in rows)

    def market(self) -> Market | None:
        return self._thing("market", Market)

    def settings(self, account: str, listings: Mapping[str, Listing]) -> Settings | None:
        """Raises KeepingError."""
        found = self._thing(f"account {account}", Settings)
        if found:
            used = {leg.instrument for leg in found.books.legs.values() if leg.position.size}
            for symbol in used | {each.order.instrument for each in found.books.working.values()}:
                self._listed(symbol, listings)
        return found

    def take_up(self, member: Member, listings: Mapping[str, Listing]) -> None:
        """Gives an account back its orders and records; from now on it is kept. Raises KeepingError."""
        name = member.name
        for order in self._entries(name, "order", Order, lambda order: order.final):
            order.listing = self._listed(order.listing.id, listings)
            member.orders[order.id] = order
            if order.client_id:
                member.by_client[order.client_id] = order
            if not order.final:
                member.live[order.id] = order
        for algo in self._entries(name, "algo", Algo, lambda algo: algo.final):
            algo.listing = self._listed(algo.listing.id, listings)
            member.algos[algo.id] = algo
            if algo.client_id:
                member.algo_by_client[algo.client_id] = algo
            if not algo.final:
                member.live_algos[algo.id] = algo
        member.fills.extend(self._entries(name, "fill", Row, lambda _: True))
        member.bills.extend(self._entries(name, "bill", Row, lambda _: True))
        member.noted = self.note

    def _listed(self, symbol: str, listings: Mapping[str, Listing]) -> Listing:
        if symbol not in listings:
            raise KeepingError(f"{self._path}: an account traded {symbol}; give its --candles as before")
        return listings[symbol]

    def _entries(self, account: str, kind: str, as_: type[T], over: Callable[[T], bool]) -> Iterator[T]:
        """Oldest first. What is over is let go, but for the newest."""
        rows = self._db.execute(
            "SELECT number, body FROM entry WHERE account = ? AND kind = ? ORDER BY number", (account, kind)
        ).fetchall()
        for index, (number, body) in enumerate(rows):
            value = msgspec.msgpack.decode(body, type=as_)
            if index < len(rows) - KEPT and over(value):
                self._db.execute(
                    "DELETE FROM entry WHERE account = ? AND kind = ? AND number = ?", (account, kind, number)
                )
            else:
                yield value

    # ---- keeping --------------------------------------------------------------------------------

    def note(self, member: Member, kind: str, number: str, value: object) -> None:
        """`value` is new or has changed."""
        self._members[member.name] = member
        if kind:
            self._changed[member.name, kind, int(number)] = value

    def flush(self, floor: Floor) -> None:
        """Writes what was noted, and the market second by second."""
        fresh = {pair: course for pair, course in floor.courses.items() if self._seconds.get(pair) != course.next}
        if not (fresh or self._members):
            return
        self._db.execute("BEGIN")
        for name, member in self._members.items():
            self._put(f"account {name}", _settings(member))
        self._db.executemany(
            "INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?)",
            [(*key, msgspec.msgpack.encode(value)) for key, value in self._changed.items()],
        )
        for pair, course in fresh.items():
            self._seconds[pair] = course.next
            rows = [(pair, span, at, *bar) for span, at, bar in course.latest()]
            self._db.executemany("INSERT OR REPLACE INTO bar VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            if course.next % 60 == 0:
                self._db.execute("DELETE FROM bar WHERE pair = ? AND span = 1 AND at < ?", (pair, course.oldest_second))
        if fresh:
            self._put("market", floor.market())
        self._db.execute("COMMIT")
        self._members.clear()
        self._changed.clear()

    def _put(self, name: str, value: object) -> None:
        self._db.execute("INSERT OR REPLACE INTO thing VALUES (?, ?)", (name, msgspec.msgpack.encode(value)))

    def _thing(self, name: str, as_: type[T]) -> T | None:
        row = self._db.execute("SELECT body FROM thing WHERE name = ?", (name,)).fetchone()
        return msgspec.msgpack.decode(row[0], type=as_) if row else None


def _settings(member: Member) -> Settings:
    books = member.books
    terms = {number: terms for number, terms in books.terms.items() if number in books.working}
    books = replace(books, terms=terms, closed_legs=books.closed_legs[-LEGS_KEPT:], settled={}, fills=[], fundings=[])
    return Settings(
        uid=member.uid, books=books, level=member.level, position_mode=member.position_mode, leverage=member.leverage,
        cancel_at_ms=member.cancel_at_ms, changed_ms=member.changed_ms, funding_balance=member.funding_balance,
    )  # fmt: skip
