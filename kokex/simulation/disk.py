"""A disk that outlives the process, and the store a process has of it, with faults.

What was appended and not committed is the process's and dies with it; so on disk is always a prefix, as in life.
Candles are served by the market instead of by the disk: to write thirteen thousand of them a seed would take
longer than all the rest.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeVar, final

import anyio

from kokex.adapters.sqlite.direct import DirectStore
from kokex.adapters.sqlite.opening import Opening, Start, begin, connect
from kokex.adapters.sqlite.queries import Query
from kokex.messages import Candle
from kokex.ports import Row, StoreError
from kokex.simulation.faults import SECOND, Faults
from kokex.simulation.laws import Broken

T = TypeVar("T")
MEMORY = ":memory:"


@final
class Disk:
    """The database. `written` is told of the rows of each transaction; `recent` answers for candles."""

    def __init__(self, written: Callable[[Sequence[Row]], None], recent: Callable[[str, int], list[Candle]]) -> None:
        self._connection = connect(MEMORY, synchronous="OFF")
        self.written = written
        self.recent = recent

    def open(self, now_ns: int, faults: Faults, danger: Callable[[], None]) -> "FaultyStore":
        """A new session of the process that `danger` may kill."""
        opening = begin(self._connection, MEMORY, Start(now_ns, "simulation", "", "{}", lambda: "simul8"))
        return FaultyStore(self._connection, opening, self, faults, danger)

    def close(self) -> None:
        self._connection.close()


@final
class FaultyStore(DirectStore):
    """The store of one process."""

    def __init__(
        self, connection: sqlite3.Connection, opening: Opening, disk: Disk, faults: Faults, danger: Callable[[], None]
    ) -> None:
        super().__init__(connection, MEMORY, None, opening)
        self._disk = disk
        self._faults = faults
        self._danger = danger

    async def commit(self) -> None:
        self._danger()
        match self._faults.first_of("failed_commit", "lost_commit", "slow_commit"):
            case "failed_commit":
                raise StoreError("the disk is full")
            case "lost_commit":
                if self._faults.coin():
                    self.flush()
                await anyio.sleep_forever()
            case "slow_commit":
                await anyio.sleep(self._faults.between(0.05, 8.0) / SECOND)
            case _:
                pass
        self.flush()
        self._danger()

    def flush(self) -> None:
        """Writes what is pending. Raises Broken when the database itself refuses a row: no fault does that."""
        rows = list(self._rows)
        try:
            super().flush()
        except StoreError as error:
            raise Broken("store", str(error)) from error
        self._disk.written(rows)

    def ask(self, query: Query[T]) -> T:
        self._danger()
        if self._faults.strikes("failed_commit"):
            raise StoreError("the disk cannot be read")
        return super().ask(query)

    async def candles(self, instrument: str, span_ns: int, last: int) -> list[Candle]:
        return self._disk.recent(instrument, last)
