"""`kokex data fetch`: what an exchange has, once, and the rest of it after an interruption."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.reader import Reader
from tests.cli.daemons import kokex
from tests.cli.test_okx_market import exchange

DAY = timedelta(days=1)
HOUR_NS = 3_600_000_000_000


def test_what_is_on_record_is_not_fetched_again_and_gaps_are(tmp_path: Path) -> None:
    with exchange(tmp_path) as (_, port):
        settings = {"KOKEX__VENUE__BASE_URL": f"http://127.0.0.1:{port}"}

        day = datetime.now(UTC) - 6 * DAY

        def fetch(*words: str) -> str:
            ended = kokex(tmp_path, "data", "fetch", *words, settings=settings)
            assert ended.code == 0, ended.err
            return ended.out

        days = ("--timeframe", "15m", "--from", f"{day:%Y-%m-%d}", "--to", f"{day + 3 * DAY:%Y-%m-%d}")
        assert "288 candles of 15m" in fetch("BTC/USDT:USDT", *days)
        assert "BTC-USDT-SWAP: 0 candles" in fetch("BTC-USDT-SWAP", *days)
        assert ": 8 candles" in fetch(
            "BTC-USDT-SWAP", *days[:2], "--from", f"{day:%Y-%m-%d}", "--to", f"{day + 3 * DAY:%Y-%m-%d}T02:00"
        )
        odd = kokex(tmp_path, "data", "fetch", "NO/SUCH", settings=settings)
        assert (odd.code, odd.err.strip()) == (2, "kokex: OKX lists no NO-SUCH")
    with Reader(tmp_path / "data" / "kokex.db") as reader:
        candles = reader.ask(queries.candles_between("BTC-USDT-SWAP", HOUR_NS // 4, 0, 2**63 - 1))
    assert [after.open_ns - before.open_ns for before, after in itertools.pairwise(candles)] == [HOUR_NS // 4] * 295
