"""journal: brings to disk what the tap appended, and tells when it cannot."""

from actors.journal import Journal
from kokex.adapters.sqlite.direct import DirectStore
from kokex.messages import Alert
from kokex.ports import Saved, StoreError
from tests.actors.desk import Desk, memory


class Disk:
    """A store whose commits are counted, and fail while it is full."""

    def __init__(self) -> None:
        self.store: DirectStore = memory()
        self.full = False
        self.tries = 0
        self._commit = self.store.commit
        self.store.commit = self.commit  # type: ignore[method-assign]

    async def commit(self) -> None:
        self.tries += 1
        if self.full:
            raise StoreError("disk full")
        await self._commit()

    def append(self) -> None:
        self.store.append(Saved(key="a", body=b""))


def desk_of(disk: Disk, commit_s: float = 1.0) -> Desk:
    return Desk({"journal": Journal(disk.store, commit_s)})


def test_what_was_appended_is_on_disk_within_the_commit_time_in_one_batch() -> None:
    disk = Disk()
    desk = desk_of(disk)
    for _ in range(100):
        disk.append()
    desk.wait(1)
    assert (disk.store.pending(), disk.tries) == (0, 1)


def test_with_nothing_to_write_nothing_is_committed() -> None:
    disk = Disk()
    desk_of(disk).wait(100)
    assert disk.tries == 0


def test_a_failure_is_told_once_and_so_is_the_recovery_and_nothing_is_lost() -> None:
    disk = Disk()
    desk = desk_of(disk)
    disk.full = True
    disk.append()
    desk.wait(300)
    (told,) = desk.take(Alert)
    assert told.severity == "critical"
    assert told.text == "the database cannot be written: disk full; no order is sent until it can"
    disk.full = False
    desk.wait(31)
    assert [(alert.severity, alert.text) for alert in desk.take(Alert)] == [
        ("info", "the database takes writes again; nothing was lost")
    ]
    assert disk.store.pending() == 0


def test_tries_come_less_and_less_often_up_to_half_a_minute_and_quickly_again_after_the_recovery() -> None:
    disk = Disk()
    desk = desk_of(disk)
    disk.full = True
    disk.append()
    desk.wait(31)
    assert disk.tries == 5  # after 1, 2, 4, 8 and 16 more seconds
    disk.tries = 0
    desk.wait(24 * 3600)
    assert disk.tries == 24 * 3600 // 31
    disk.full = False
    desk.wait(31)
    disk.append()
    desk.wait(1)
    assert disk.store.pending() == 0


def test_in_a_backtest_the_store_flushes_by_itself() -> None:
    disk = Disk()
    desk = desk_of(disk, commit_s=0)
    disk.append()
    assert desk.system.next_at() is None
