"""What only the store of virtual time promises."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from kokex.adapters.sqlite.direct import DirectStore
from kokex.ports import Input, Saved, StoreError
from tests.adapters.sqlite.samples import approval, decision, direct, fill, intent, update


def _trade(store: DirectStore, base: int) -> None:
    client_id = f"order{base}"
    store.append(decision(base))
    store.append(approval(base + 1, base, client_id))
    store.append(intent(base + 2, client_id, of=base))
    store.append(fill(base + 3, client_id, f"trade{base}"))
    store.append(update(base + 4, client_id, "filled", "0.02"))
    store.append(Saved(key="schedule", body=str(base).encode()))
    store.append(Input(turn=base, at=0, actor="feed", kind="timer", ref=base, body=b""))


async def test_a_backtest_writes_by_itself_when_a_batch_is_full_and_no_sooner(tmp_path: Path) -> None:
    path = tmp_path / "kokex.db"
    store = direct(path, batch=10)

    def written() -> int:
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute("SELECT count(*) FROM journal").fetchone()[0]

    for number in range(1, 10):
        store.append(decision(number))
    assert store.pending() == 9
    await store.commit()
    assert written() == 0
    store.append(decision(10))
    assert written() == 10
    store.append(decision(11))
    store.flush()
    assert written() == 11
    store.close()


def test_what_was_gathered_is_written_when_the_store_is_relieved_of_a_full_batch_and_no_sooner(tmp_path: Path) -> None:
    store = direct(tmp_path / "kokex.db", batch=10)

    def written() -> int:
        with closing(sqlite3.connect(tmp_path / "kokex.db")) as connection:
            return connection.execute("SELECT count(*) FROM journal").fetchone()[0]

    for number in range(1, 10):
        store.gather(decision(number))
    store.relieve()
    assert written() == 0
    for number in range(10, 15):
        store.gather(decision(number))
    assert written() == 0
    store.relieve()
    assert written() == 14
    store.gather(decision(15))  # after a batch too
    store.flush()
    assert written() == 15
    store.close()


def test_the_same_rows_make_the_same_tables_however_they_were_batched(tmp_path: Path) -> None:
    dumps: list[list[str]] = []
    for name, batch in (("a", 0), ("b", 3), ("c", 1000)):
        path = tmp_path / f"{name}.db"
        store = direct(path, batch=batch)
        for number in range(120):  # more than twice as many as go into one statement
            _trade(store, 1 + number * 10)
        store.flush()
        store.close()
        with closing(sqlite3.connect(path)) as connection:
            dumps.append(list(connection.iterdump()))
    assert dumps[0] == dumps[1] == dumps[2]


def test_a_row_at_fault_among_many_is_named_and_none_of_them_is_written(tmp_path: Path) -> None:
    store = direct(tmp_path / "kokex.db", batch=1000)
    for number in range(1, 120):
        store.append(fill(number, "order", f"trade{number}"))
    store.append(fill(120, "order", "trade77"))
    with pytest.raises(StoreError, match=r"breaks a rule .*trade77"):
        store.flush()
    assert store.pending() == 120
    store.close()
    with closing(sqlite3.connect(tmp_path / "kokex.db")) as connection:
        assert connection.execute("SELECT count(*) FROM journal").fetchone()[0] == 0


def test_a_store_that_was_closed_can_be_opened_again_at_once(tmp_path: Path) -> None:
    for session in range(1, 4):
        store = direct(tmp_path / "kokex.db")
        assert store.session == session
        store.close()
