"""What only the live store promises: group commit, and transactions that cancellation cannot tear."""

import asyncio
from pathlib import Path

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
        await store._database.execute("PRAGMA max_page_count = 1")  # no more than there are: it is full
        for number in range(1, 4):
            store.append(intent(number, f"order{number}" + "." * 10_000))
        outcomes = await asyncio.gather(*(store.commit() for _ in range(3)), return_exceptions=True)
        assert all(isinstance(outcome, StoreError) and "the disk is full" in str(outcome) for outcome in outcomes)
        assert store.pending() == 3
        with Reader(tmp_path / "kokex.db") as reader:
            assert reader.ask(queries.journal()) == []
        await store._database.execute("PRAGMA max_page_count = 100000")
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


def test_the_write_ahead_log_does_not_grow_for_ever_and_no_commit_waits_for_that(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await live(tmp_path / "kokex.db")
        log, home = tmp_path / "kokex.db-wal", tmp_path / "kokex.db"
        before = home.stat().st_size
        sizes: list[int] = []
        for number in range(40):
            for row in range(500):
                store.append(Saved(key=f"{number}.{row}", body=b"x" * 2000))
            await store.commit()
            sizes.append(log.stat().st_size)
            if store._checkpoint is not None:
                assert home.stat().st_size == before, "the commit that made it due did not do it"
                await store._checkpoint
                before = home.stat().st_size
        assert before > 30_000_000, "it is brought home"
        assert max(sizes) < 12_000_000, "and its room is used again"
        await store.close()

    asyncio.run(scenario())
