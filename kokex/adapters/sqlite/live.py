"""The store of the daemon: aiosqlite, and each commit really on disk.

Group commit. Whoever commits while a batch is being written waits for the next one, which takes all that
has been appended by then: a hundred actors that commit at once cost one or two syncs, not a hundred.
A batch runs as a task of its own, shielded: the caller may be cancelled at any moment, but a transaction
and the book-keeping that follows it are never torn apart. It is made, written and synced on the thread, in one go:
an order waits for it. What SQLite would do with every thousandth page besides, bring the write-ahead log home, waits
until the order is gone.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
import msgspec

from kokex.adapters.host.lock import FileLock
from kokex.adapters.sqlite import conversations, llm_calls, outbox, queries
from kokex.adapters.sqlite.errors import explain
from kokex.adapters.sqlite.opening import Opening, Start, begin, connect, lock
from kokex.adapters.sqlite.pruning import prune
from kokex.adapters.sqlite.queries import Query
from kokex.adapters.sqlite.rows import WRITERS, Statement, statements
from kokex.adapters.sqlite.writing import BatchConnection
from kokex.messages import Candle, Fill, LlmCall, Message, NewsItem, Order, Portfolio, Remark
from kokex.ports import Entry, Row, StoreError
from kokex.ports.chat import Letter

T = TypeVar("T")

CHECKPOINT_ROWS = 2000  # about a thousand pages
CALM_S = 0.1  # after the batch that made them as many


async def open_live(
    path: Path | str, *, now_ns: int, mode: str, version: str, config_json: str, tag_factory: Callable[[], str]
) -> "LiveStore":
    """Opens or makes the database and enters a new session. Raises StoreError."""
    path = Path(path)
    start = Start(now_ns, mode, version, config_json, tag_factory)
    async with AsyncExitStack() as undo:
        held = lock(path)
        undo.callback(held.release)
        opening = await asyncio.to_thread(_begin, path, start)
        try:
            connection = BatchConnection(path, check_same_thread=False)  # made here, used on aiosqlite's thread
            connection.path = path
            database = await undo.enter_async_context(aiosqlite.Connection(lambda: connection, iter_chunk_size=64))
            await database.execute("PRAGMA synchronous = FULL")
            await database.execute("PRAGMA wal_autocheckpoint = 0")
        except sqlite3.Error as error:
            raise explain(error, path) from error
        undo.pop_all()
    return LiveStore(database, connection, path, held, opening)


def _begin(path: Path, start: Start) -> Opening:
    with closing(connect(path, synchronous="FULL")) as connection:
        return begin(connection, path, start)


class LiveStore:
    """`kokex.ports.Store` on asyncio. Made by `open_live`."""

    def __init__(
        self,
        database: aiosqlite.Connection,
        connection: BatchConnection,
        path: Path,
        held: FileLock,
        opening: Opening,
    ) -> None:
        """`connection` is the one that `database` keeps on its thread."""
        self.session = opening.session
        self.tag = opening.tag
        self.batches = False
        self.newest_ns = opening.newest_ns
        self._database = database
        self._connection = connection
        self._path = path
        self._held = held
        self._rows: list[Row] = []
        self._written = 0  # rows, ever
        self._batch: asyncio.Task[None] | None = None  # the one being written
        self._transaction = asyncio.Lock()
        self._checkpointed = 0  # of the rows written
        self._checkpoint: asyncio.Task[None] | None = None

    def append(self, row: Row) -> None:
        """Buffers the row; a kind the store does not keep is dropped."""
        if type(row) in WRITERS:
            self._rows.append(row)

    async def commit(self) -> None:
        """Raises StoreError; then nothing of the batch was written, and all of it is kept for the next try."""
        goal = self._written + len(self._rows)
        while self._written < goal:
            if self._batch is None:
                self._batch = asyncio.create_task(self._write_batch())
            await asyncio.shield(self._batch)

    def pending(self) -> int:
        return len(self._rows)

    async def saved(self, key: str) -> bytes | None:
        return await self.ask(queries.saved(key))

    async def candles(self, instrument: str, span_ns: int, last: int) -> list[Candle]:
        return await self.ask(queries.candles(instrument, span_ns, last))

    async def unsettled(self, account: str) -> list[Order]:
        return await self.ask(queries.unsettled(account))

    async def amending(self, account: str) -> list[str]:
        return await self.ask(queries.amending(account))

    async def fills_of_unsettled(self, account: str) -> list[Fill]:
        return await self.ask(queries.fills_of_unsettled(account))

    async def entries(self, account: str) -> list[Entry]:
        return await self.ask(queries.entries(account))

    async def fundings_since(self, account: str, due_ns: int) -> list[str]:
        return await self.ask(queries.fundings_since(account, due_ns))

    async def open_verdicts(self, account: str) -> list[Message]:
        return await self.ask(queries.open_verdicts(account))

    async def fills_after(self, account: str, fill: int) -> list[Message]:
        return await self.ask(queries.fills_after(account, fill))

    async def news(self, since_ns: int) -> list[NewsItem]:
        return await self.ask(queries.news(since_ns))

    async def portfolio(self, account: str) -> Portfolio | None:
        return await self.ask(queries.portfolio(account))

    async def llm_calls(self, last_ns: int) -> list[LlmCall]:
        return await self.ask(llm_calls.within(last_ns))

    async def remarks(self, conversation: int) -> list[Remark]:
        return await self.ask(conversations.remarks(conversation))

    async def newest_letter(self) -> int:
        return await self.ask(outbox.newest())

    async def letters(self, lane: int, after: int, most: int) -> list[Letter]:
        return await self.ask(outbox.letters(lane, after, most))

    async def ask(self, query: Query[T]) -> T:
        """Any of `queries`. Sees all that was appended, which it therefore commits first. Raises StoreError."""
        await self.commit()
        try:
            rows = await self._database.execute_fetchall(query.sql, query.params)
            return query.decode([tuple(row) for row in rows])
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise explain(error, self._path) from error

    async def prune(self, before_ns: int) -> None:
        """Forgets old market data and old noise of the journal; see `pruning`. Raises StoreError."""
        await _whole(self._transact(partial(prune, before_ns)))
        self._checkpointed -= CHECKPOINT_ROWS  # the log may be long now: the next batch makes a checkpoint due

    async def close(self) -> None:
        """Lets go of file and lock. What was not committed is lost, as in a crash: commit first."""
        await _whole(self._close())

    async def _close(self) -> None:
        if self._batch is not None:
            with suppress(StoreError):
                await self._batch
        if self._checkpoint is not None:
            await self._checkpoint
        async with self._transaction:
            try:
                await self._database.close()
            finally:
                self._held.release()

    async def _write_batch(self) -> None:
        try:
            rows = tuple(self._rows)
            await self._transact(partial(statements, rows, self.session))
            del self._rows[: len(rows)]
            self._written += len(rows)
        finally:
            self._batch = None
        if self._checkpoint is None and self._written - self._checkpointed >= CHECKPOINT_ROWS:
            self._checkpoint = asyncio.create_task(self._bring_home())

    async def _bring_home(self) -> None:
        """Moves the write-ahead log into the database; what cannot be moved now is with the next one."""
        await asyncio.sleep(CALM_S)
        self._checkpointed = self._written
        async with self._transaction:
            with suppress(sqlite3.Error):
                await self._database.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")
        self._checkpoint = None

    async def _transact(self, batch: Callable[[], list[Statement]]) -> None:
        async with self._transaction:
            self._connection.batch = batch
            await self._database.commit()


async def _whole(work: Coroutine[Any, Any, None]) -> None:
    """Awaits the work, which goes on to its end even when the caller is cancelled."""
    await asyncio.shield(asyncio.create_task(work))
