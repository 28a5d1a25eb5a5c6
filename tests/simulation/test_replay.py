"""A recorded session gives the same again, and a record that was touched is found out."""

import shutil
import sqlite3
from decimal import Decimal
from pathlib import Path
from random import Random

import anyio
import msgspec
import pytest

from kokex.adapters.sqlite.direct import open_direct
from kokex.adapters.sqlite.reader import Reader
from kokex.adapters.sqlite.recorder import recorder
from kokex.config import Config, Market
from kokex.kernel.system import Hooks, System
from kokex.kernel.tasks import Tasks
from kokex.messages import Command, Message
from kokex.paper.exchange import Exchange
from kokex.paper.matching import Rules
from kokex.paper.simulated import SimulatedMarket
from kokex.paper.venue import PaperVenue
from kokex.simulation.replay import RECORDED, Replayed, replay
from kokex.simulation.virtual_time import TrioTime, run_trio
from kokex.topology import JOURNALED, JOURNALED_POSTS, Ports, daemon
from tests.actors.desk import Deaf
from tests.chat.scene import Blank

START_NS = 1_700_000_000_000_000_000
CONFIG = Config(market=Market(instruments=("BTC-USDT-SWAP", "ETH-USDT"), history_s=0))


def _unheard(at: int, level: str, kind: str, text: str) -> None:
    """Nobody reads the lines."""


class Desk:
    """A daemon in virtual time whose exchange outlives it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now_ns = START_NS
        self.system: System
        instruments = CONFIG.resolved_instruments()
        self.exchange = Exchange(instruments, Rules(leverage=Decimal(3)), lambda: self.system.now, self.post)
        self.exchange.open_account("main", Decimal(100_000), "margin")
        span_ns = CONFIG.market.span_ns
        self.market = SimulatedMarket(
            instruments, Random(7), START_NS, span_ns, None, 0, self.post, self.exchange, 600 * 10**9
        )

    def post(self, actor: str, message: Message) -> None:
        self.system.post(actor, message)

    def run(self, seconds: float, *, kill: bool) -> None:
        """One session; a kill loses what was not committed."""
        store = open_direct(
            self.path, now_ns=self.now_ns, mode=RECORDED, version="0",
            config_json=msgspec.json.encode(CONFIG).decode(), tag_factory=lambda: "abcdef",
        )  # fmt: skip

        async def main(clock: TrioTime) -> None:
            self.system = daemon(
                CONFIG,
                Ports(
                    store=store, venues={"main": PaperVenue(self.exchange, "main", 0)}, chance=Random,
                    control=Deaf(), source=self.market, console=_unheard, memory=Blank(),
                ),
                start_ns=self.now_ns,
                hooks=Hooks(
                    tap=store.append, journaled=JOURNALED, journaled_posts=JOURNALED_POSTS, record=recorder(store)
                ),
            )  # fmt: skip
            driver = Tasks(self.system, clock, virtual=clock)
            async with anyio.create_task_group() as group:
                group.start_soon(driver.run)
                await anyio.sleep(seconds / 2)
                self.system.post("control", Command(verb="buy", args={"instrument": "BTC-USDT-SWAP"}, by="person"))
                await anyio.sleep(seconds / 2)
                if kill:
                    group.cancel_scope.cancel()
                else:
                    driver.stop()
            self.now_ns = clock.now()

        run_trio(main, start_ns=self.now_ns)
        if not kill:
            store.flush()
        store.close()


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sessions, the first two killed."""
    path = tmp_path_factory.mktemp("record") / "kokex.db"
    desk = Desk(path)
    desk.run(900.5, kill=True)
    desk.run(600.25, kill=True)
    desk.run(600, kill=False)
    return path


def replayed(path: Path, expect: Path | None = None) -> Replayed:
    with Reader(path) as record, Reader(expect or path) as expected:
        return replay(record, expected)


def test_a_recorded_session_replays_row_for_row(record: Path) -> None:
    outcome = replayed(record)
    assert outcome.differences == ()
    assert outcome.sessions == (1, 2, 3)
    assert outcome.rows["decisions"] > 20
    assert outcome.rows["fills"] > 5


def test_a_decision_altered_by_hand_is_named(record: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    shutil.copy(record, copy)
    with sqlite3.connect(copy) as database:
        (decision,) = database.execute("SELECT id FROM decisions WHERE act != 'hold' LIMIT 1 OFFSET 5").fetchone()
        database.execute("UPDATE decisions SET act = 'close', conviction = 1 WHERE id = ?", (decision,))
    database.close()
    (difference,) = replayed(copy).differences
    assert (difference.table, difference.key) == ("decisions", str(decision))
    assert "conviction is 1" in difference.what


def test_a_copy_without_decisions_verdicts_and_orders_gives_the_original_again(record: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    shutil.copy(record, copy)
    with sqlite3.connect(copy) as database:
        for table in ("decisions", "verdicts", "orders"):
            database.execute(f"DELETE FROM {table}")
        database.execute("DELETE FROM journal WHERE kind IN ('Decision', 'Approved', 'Refused', 'OrderUpdate')")
    database.close()
    assert replayed(copy, expect=record).differences == ()
    assert replayed(copy).differences != ()
