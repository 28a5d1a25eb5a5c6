"""The store of virtual time: sqlite3 in the same thread. Its coroutines never wait."""

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from kokex.adapters.host.lock import FileLock
from kokex.adapters.sqlite import conversations, llm_calls, outbox, queries
from kokex.adapters.sqlite.errors import explain
from kokex.adapters.sqlite.opening import Opening, Start, begin, connect, lock
from kokex.adapters.sqlite.pruning import prune
from kokex.adapters.sqlite.queries import Query
from kokex.adapters.sqlite.rows import WRITERS, Statement, statements
from kokex.adapters.sqlite.writing import write
from kokex.messages import Candle, Fill, LlmCall, Message, NewsItem, Order, Portfolio, Remark
from kokex.ports import Entry, Row
from kokex.ports.chat import Letter

T = TypeVar("T")


def open_direct(
    path: Path | str,
    *,
    now_ns: int,
    mode: str,
    version: str,
    config_json: str,
    tag_factory: Callable[[], str],
    synchronous: Literal["OFF", "NORMAL", "FULL"] = "OFF",
    batch: int = 0,
) -> "DirectStore":
    """Opens or makes the database and enters a new session; `":memory:"` makes one that nobody else sees.

    `batch` > 0: a `BatchingStore`, which writes whenever that many rows are pending, and at `flush`.
    Raises StoreError.
    """
    with ExitStack() as undo:
        held = None if path == ":memory:" else lock(Path(path))
        if held is not None:
            undo.callback(held.release)
        connection = undo.enter_context(closing(connect(path, synchronous=synchronous)))
        opening = begin(connection, path, Start(now_ns, mode, version, config_json, tag_factory))
        undo.pop_all()
    if batch:
        from kokex.adapters.sqlite.batching import BatchingStore

        return BatchingStore(connection, path, held, opening, batch)
    return DirectStore(connection, path, held, opening)


class DirectStore:
    """`kokex.ports.Store` without waiting. Made by `open_direct`."""

    batches = False

    def __init__(
        self, connection: sqlite3.Connection, path: Path | str, held: FileLock | None, opening: Opening
    ) -> None:
        self.session = opening.session
        self.tag = opening.tag
        self.newest_ns = opening.newest_ns
        self._connection = connection
        self._path = path
        self._held = held
        self._rows: list[Row] = []
        # As `append`, for whoever sends only what the store keeps, and calls `relieve` now and then.
        self.gather: Callable[[Row], None] = self._rows.append

    def append(self, row: Row) -> None:
        """Buffers the row; a kind the store does not keep is dropped."""
        if type(row) in WRITERS:
            self._rows.append(row)

    def relieve(self) -> None:
        """Writes, should too much be pending: here it never is."""

    async def commit(self) -> None:
        """Writes what is pending."""
        self.flush()

    def flush(self) -> None:
        """Writes all that is pending in one transaction. Raises StoreError; then nothing was written, nothing lost."""
        if self._rows:
            self._write(statements(self._rows, self.session))
            self._rows.clear()

    def pending(self) -> int:
        return len(self._rows)

    async def saved(self, key: str) -> bytes | None:
        return self.ask(queries.saved(key))

    async def candles(self, instrument: str, span_ns: int, last: int) -> list[Candle]:
        return self.ask(queries.candles(instrument, span_ns, last))

    async def unsettled(self, account: str) -> list[Order]:
        return self.ask(queries.unsettled(account))

    async def amending(self, account: str) -> list[str]:
        return self.ask(queries.amending(account))

    async def fills_of_unsettled(self, account: str) -> list[Fill]:
        return self.ask(queries.fills_of_unsettled(account))

    async def entries(self, account: str) -> list[Entry]:
        return self.ask(queries.entries(account))

    async def fundings_since(self, account: str, due_ns: int) -> list[str]:
        return self.ask(queries.fundings_since(account, due_ns))

    async def open_verdicts(self, account: str) -> list[Message]:
        return self.ask(queries.open_verdicts(account))

    async def fills_after(self, account: str, fill: int) -> list[Message]:
        return self.ask(queries.fills_after(account, fill))

    async def news(self, since_ns: int) -> list[NewsItem]:
        return self.ask(queries.news(since_ns))

    async def portfolio(self, account: str) -> Portfolio | None:
        return self.ask(queries.portfolio(account))

    async def llm_calls(self, last_ns: int) -> list[LlmCall]:
        return self.ask(llm_calls.within(last_ns))

    async def remarks(self, conversation: int) -> list[Remark]:
        return self.ask(conversations.remarks(conversation))

    async def newest_letter(self) -> int:
        return self.ask(outbox.newest())

    async def letters(self, lane: int, after: int, most: int) -> list[Letter]:
        return self.ask(outbox.letters(lane, after, most))

    def ask(self, query: Query[T]) -> T:
        """Any of `queries`. Sees all that was appended, which it therefore writes first. Raises StoreError."""
        self.flush()
        try:
            return query.decode(self._connection.execute(query.sql, query.params).fetchall())
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise explain(error, self._path) from error

    async def prune(self, before_ns: int) -> None:
        """Forgets old market data and old noise of the journal; see `pruning`. Raises StoreError."""
        self.flush()
        self._write(prune(before_ns))

    def close(self) -> None:
        """Lets go of file and lock. What was not committed is lost, as in a crash: commit or flush first."""
        self._connection.close()
        if self._held is not None:
            self._held.release()

    def _write(self, batch: list[Statement]) -> None:
        write(self._connection, batch, self._path)
