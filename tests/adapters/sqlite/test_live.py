"""What only the live store promises: group commit, and transactions that cancellation cannot tear."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.live import LiveStore
from kokex.adapters.sqlite.reader import Reader
from kokex.ports import Saved, StoreError
from tests.adapters.sqlite.samples import intent, live


def _count_transactions(store: LiveStore) -> list[int]:
    counted: list[int] = []
    commit = store._database.commit

    async def counting() -> None:
        counted.append(1)
        await commit()

    store._database.commit = counting  # pyright: ignore[reportAttributeAccessIssue]
    return counted


def test_commits_at_the_same_time_share_a_transaction(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await live(tmp_path / "kokex.db")
        transactions = _count_transactions(store)

        async def actor(number: int) -> None:
            store.append(intent(number, f"order{number}"))
            await store.commit()
            assert number in on_disk()

        def on_disk() -> list[int]:
            with Reader(tmp_path / "kokex.db") as reader:
                return [m.id for m in reader.ask(queries.journal())]

        await asyncio.gather(*(actor(number) for number in range(1, 51)))
        assert len(transactions) <= 2
        await store.close()

    asyncio.run(scenario())


def test_a_commit_that_arrives_during_another_waits_for_its_own_rows(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await live(tmp_path / "kokex.db")
        transactions = _count_transactions(store)
        store.append(Saved(key="a", body=b"1"))
        first = asyncio.create_task(store.commit())
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # by now the first batch is on its way to the thread
        store.append(Saved(key="b", body=b"2"))
        await store.commit()
        assert first.done()
        assert (len(transactions), store.pending()) == (2, 0)
        await store.close()

    asyncio.run(scenario())


def test_a_cancelled_commit_still_writes_once_and_keeps_its_books(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await live(tmp_path / "kokex.db")
        store.append(intent(1, "one"))
        waiting = asyncio.create_task(store.commit())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        store.append(intent(2, "two"))
        await store.commit()
        assert [placed.client_id for placed in await store.unsettled("main")] == ["one", "two"]
        await store.close()

    asyncio.run(scenario())


def test_a_failed_commit_reaches_all_who_wait_and_the_next_one_writes_everything(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await live(tmp_path / "kokex.db")
        executemany = store._database.executemany

        async def full(sql: str, rows: Any) -> None:
            if "INTO orders" in sql:
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
            await executemany(sql, rows)

        store._database.executemany = full  # pyright: ignore[reportAttributeAccessIssue]
        for number in range(1, 4):
            store.append(intent(number, f"order{number}"))
        outcomes = await asyncio.gather(*(store.commit() for _ in range(3)), return_exceptions=True)
        assert all(isinstance(outcome, StoreError) and "the disk is full" in str(outcome) for outcome in outcomes)
        assert store.pending() == 3
        store._database.executemany = executemany  # pyright: ignore[reportAttributeAccessIssue]
        await store.commit()
        assert len(await store.unsettled("main")) == 3
        await store.close()

    asyncio.run(scenario())


def test_every_commit_is_synced(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await live(tmp_path / "kokex.db")
        (synchronous,) = await store._database.execute_fetchall("PRAGMA synchronous")
        (mode,) = await store._database.execute_fetchall("PRAGMA journal_mode")
        assert (synchronous[0], mode[0]) == (2, "wal")
        await store.close()

    asyncio.run(scenario())
