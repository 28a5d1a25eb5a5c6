"""The daemon on a live market: OKX's wire over real sockets, paper money, and a replay of it row for row."""

import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.reader import Reader
from tests.cli.daemons import daemon, environment, kokex


@contextmanager
def exchange(place: Path, *words: str, port: int = 0) -> Generator[tuple[subprocess.Popen[str], int], None, None]:
    """`kokex exchange` on loopback, and the port it listens on."""
    process = subprocess.Popen(
        [sys.executable, "-m", "kokex", "exchange", "--port", str(port), *words],
        cwd=place, env=environment({}), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        assert process.stdout
        line = process.stdout.readline()
        yield process, int(line.split("http://127.0.0.1:")[1].split("/")[0])
    finally:
        process.kill()
        process.communicate()


def settings(port: int) -> Mapping[str, str]:
    return {
        "KOKEX__MARKET__SOURCE": "okx",
        "KOKEX__MARKET__INSTRUMENTS": "BTC/USDT:USDT,SOL/USDT",
        "KOKEX__MARKET__STALE_S": "5",
        "KOKEX__VENUE__BASE_URL": f"http://127.0.0.1:{port}",
        "KOKEX__MODE__KIND": "realtime",
        "KOKEX__MODE__REALTIME_S": "2",
        "KOKEX__STRATEGIES__TREND__FAST": "5",
        "KOKEX__STRATEGIES__TREND__SLOW": "15",
        "KOKEX__STRATEGIES__TREND__BAND": "0.1",
    }


def test_it_trades_on_paper_against_live_candles_survives_an_outage_and_replays_exactly(tmp_path: Path) -> None:
    with exchange(tmp_path) as (process, port), daemon(tmp_path, settings=settings(port)) as running:
        running.wait_for("fill")
        process.kill()
        process.wait()
        while "no market data" not in running.wait_for("alert"):
            """Trades may come to an end before."""
        with exchange(tmp_path, port=port):
            while "market data is back" not in running.wait_for("alert"):
                """It comes back by itself."""
            assert running.end() == 0
    db = tmp_path / "data" / "kokex.db"
    with Reader(db) as reader:
        assert {each.instrument for each in reader.ask(queries.holdings())} == {"BTC-USDT-SWAP", "SOL-USDT"}
    ended = kokex(tmp_path, "replay", "--json", settings={})
    assert ended.code == 0, ended.err
    assert ended.json()["same"] is True
    assert ended.json()["rows"]["fills"] >= 1


def test_what_okx_does_not_list_or_a_host_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    nobody = kokex(tmp_path, "run", "--for", "1s", settings=settings(1))
    assert nobody.code == 2
    assert "OKX cannot be asked for its instruments" in nobody.err
    with exchange(tmp_path) as (_, port):
        odd = kokex(
            tmp_path, "run", "--for", "1s", settings={**settings(port), "KOKEX__MARKET__INSTRUMENTS": "NO-SUCH"}
        )
    assert odd.code == 2
    assert "lists no NO-SUCH" in odd.err
    assert not (tmp_path / "data").exists()
