"""What goes wrong with files and disks: one clear line each, and nothing lost."""

import asyncio
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.errors import explain
from kokex.adapters.sqlite.reader import Reader, integrity
from kokex.ports import Saved, StoreError
from tests.adapters.sqlite.samples import AT, direct, fill, intent, live


@pytest.fixture(params=["direct", "live"])
def try_to_open(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    async def open_and_close(path: Path) -> None:
        await (await live(path)).close()

    def run(path: Path) -> None:
        if request.param == "live":
            asyncio.run(open_and_close(path))
        else:
            direct(path).close()

    return run


def test_a_second_instance_is_told_which_process_holds_the_database(
    tmp_path: Path, try_to_open: Callable[[Path], None]
) -> None:
    path = tmp_path / "kokex.db"
    holder = f"""
import sys
from pathlib import Path
from tests.adapters.sqlite.samples import direct
store = direct(Path({str(path)!r}))
print("open", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(StoreError, match=f"already in use by process {other.pid}; stop that one first"):
            try_to_open(path)
        other.kill()
    try_to_open(path)  # a lock dies with its holder


def test_a_failed_opening_leaves_no_lock_behind(tmp_path: Path) -> None:
    path = tmp_path / "kokex.db"
    path.write_text("not a database at all, " * 50)
    for _ in range(2):
        with pytest.raises(StoreError, match="not a database"):
            direct(path)


def test_a_newer_database_is_left_alone(tmp_path: Path, try_to_open: Callable[[Path], None]) -> None:
    path = tmp_path / "kokex.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"newer kokex .schema 999.*upgrade kokex"):
        try_to_open(path)
    with pytest.raises(StoreError, match="newer kokex"):
        Reader(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_with_what_to_do(
    tmp_path: Path, try_to_open: Callable[[Path], None]
) -> None:
    path = tmp_path / "kokex.db"
    path.write_text("timestamp_ms,open,high,low,close,volume\n" * 100)
    with pytest.raises(StoreError, match="not a database; move it away, or name another"):
        try_to_open(path)
    with pytest.raises(StoreError, match="not a database"):
        Reader(path)


def test_a_damaged_database_is_found_by_the_integrity_check(tmp_path: Path) -> None:
    path = tmp_path / "kokex.db"
    store = direct(path)
    for number in range(1, 400):
        store.append(intent(number, f"order{number}"))
    store.flush()
    store.close()
    assert integrity(path) == []
    content = bytearray(path.read_bytes())
    content[5 * 4096 : -4096] = b"\xff" * len(content[5 * 4096 : -4096])
    path.write_bytes(content)
    assert integrity(path)
    with pytest.raises(StoreError, match=r"damaged; restore a copy of it, or rescue it"), Reader(path) as reader:
        reader.ask(queries.journal())


def test_a_fill_that_the_journal_does_not_know_is_found_by_the_integrity_check(tmp_path: Path) -> None:
    path = tmp_path / "kokex.db"
    store = direct(path)
    store.append(fill(1, "it", "trade1"))
    store.flush()
    store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM journal")
    assert integrity(path) == ["a fill is not in the journal: trade1"]


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path, try_to_open: Callable[[Path], None]) -> None:
    (tmp_path / "data").write_text("a file where the directory should be")
    with pytest.raises(StoreError, match="data: the data directory cannot be made or written"):
        try_to_open(tmp_path / "data" / "kokex.db")


def test_a_missing_database_is_not_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such database"):
        Reader(tmp_path / "kokex.db")
    assert not list(tmp_path.iterdir())


def test_a_read_only_database_says_whose_rights_to_check(tmp_path: Path) -> None:
    path = tmp_path / "kokex.db"
    direct(path).close()
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        with pytest.raises(sqlite3.Error) as caught:
            connection.execute("INSERT INTO saved VALUES ('a', 'b')")
        assert "cannot be written; check the owner and mode" in str(explain(caught.value, path))


def test_a_journal_line_that_does_not_read_is_an_error_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "kokex.db"
    store = direct(path)
    store.append(intent(1, "it"))
    store.flush()
    store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE journal SET body = '{'")
    with Reader(path) as reader, pytest.raises(StoreError, match=r"kokex\.db"):
        reader.ask(queries.orders())


def test_a_full_disk_loses_nothing_and_the_next_try_after_it_writes_all(tmp_path: Path) -> None:
    store = direct(tmp_path / "kokex.db")
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    store.append(Saved(key="small", body=b"1"))
    for number in range(1, 300):
        store.append(intent(number, f"order{number}"))
    with pytest.raises(StoreError, match="the disk is full; free some space, nothing written so far is lost"):
        store.flush()
    assert store.pending() == 300
    store._connection.execute("PRAGMA max_page_count = 1000000")
    store.append(intent(300, "order300"))
    store.flush()
    assert [placed.client_id for placed in asyncio.run(store.unsettled("main"))] == [
        f"order{number}" for number in range(1, 301)
    ]
    store.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(room=st.integers(0, 250_000), batches=st.lists(st.integers(1, 30), min_size=5, max_size=12))
def test_what_is_on_a_failing_disk_is_always_a_prefix_of_what_was_appended(
    tmp_path_factory: pytest.TempPathFactory, room: int, batches: list[int]
) -> None:
    """The system call fails in the middle of a write, at any byte, as soon as a file outgrows `room`."""
    path = tmp_path_factory.mktemp("disk") / "kokex.db"
    store = direct(path)
    appended = committed = 0
    log = path.with_name(path.name + "-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log + room, hard))
    try:
        for size in batches:
            for _ in range(size):
                appended += 1
                store.append(intent(appended, f"order{appended}"))
            try:
                store.flush()
                committed = appended
            except StoreError:
                assert store.pending() == appended - committed
                event("a commit failed" if committed else "the first commit failed")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    store.close()
    with Reader(path) as reader:
        assert [m.id for m in reader.ask(queries.journal())] == list(range(1, committed + 1))
    assert integrity(path) == []


def test_a_clock_set_back_shows_in_the_newest_time_on_record(tmp_path: Path) -> None:
    direct(tmp_path / "kokex.db", now_ns=AT).close()
    store = direct(tmp_path / "kokex.db", now_ns=AT - 1)
    assert store.newest_ns == AT
    store.close()
