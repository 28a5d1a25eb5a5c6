"""What Telegram costs trading: nothing, whether it works, fails or is flooded. Against the same daemon without it.

Three daemons one after the other, on the same simulated market: without a chat; with one on a loopback Bot API server
that takes every message; and with one whose server answers each message with 502 and hands out strangers' messages as
fast as it is asked. Of each, how long from a candle's close to its edge, and from a stop's intent, by way of the
disk, to the exchange's word that it works: what a slow neighbour on the event loop would lengthen.

    python -m benchmarks.chat [--seconds N] [--json]
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from pathlib import Path
from statistics import quantiles

from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.reader import Reader
from kokex.messages import Edge, OrderUpdate
from tests.cli.daemons import LIVELY, environment
from tests.loopback.telegram import BotApi

WARM_UP_S = 3.0
WITHOUT, GOOD, BAD = "without", "with", "failing and flooded"


async def measure(kind: str, seconds: float, home: Path) -> dict[str, float]:
    server = BotApi()
    async with server.serve() as url:
        settings = {**LIVELY, "KOKEX__MARKET__SPEED": "1", "KOKEX__MARKET__SEED": "7"}
        if kind != WITHOUT:
            chat = {"CHAT": "7", "OWNERS": "7", "BASE_URL": url, "TOKEN": server.token}
            settings |= {f"KOKEX__TELEGRAM__{key}": value for key, value in chat.items()}
        if kind == BAD:
            server.fail("sendMessage", 502, 1 << 30)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "kokex", "run", cwd=home, env=environment(settings), stdout=asyncio.subprocess.DEVNULL
        )
        strangers = asyncio.ensure_future(flood(server)) if kind == BAD else None
        await asyncio.sleep(WARM_UP_S + seconds)
        process.send_signal(signal.SIGTERM)
        await process.wait()
        if strangers:
            strangers.cancel()
    return latencies(home / "data/kokex.db")


async def flood(server: BotApi) -> None:
    while True:
        for _ in range(100):
            server.says(666, "/closeall")
        await asyncio.sleep(0.05)


def latencies(database: Path) -> dict[str, float]:
    """Milliseconds."""
    with Reader(database) as reader:
        found = reader.ask(queries.journal(kinds=("Edge", "OrderUpdate")))
    begin = found[0].at + round(WARM_UP_S * 1e9)
    edges = [(each.at - each.close_ns) / 1e6 for each in found if isinstance(each, Edge) and each.at > begin]
    updates = [each for each in found if isinstance(each, OrderUpdate)]
    meant = {each.client_id: each.at for each in updates if each.state == "intent"}
    stops = [(each.at - meant[each.client_id]) / 1e6 for each in updates if each.state == "working"]
    return {"edges": len(edges), **_of("edge", edges), "stops": len(stops), **_of("stop", stops)}


def _of(name: str, values: list[float]) -> dict[str, float]:
    if len(values) < 5:
        return {}
    cuts = quantiles(values, n=100)
    return {f"{name}_p50_ms": round(cuts[49], 2), f"{name}_p99_ms": round(cuts[98], 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="that are measured of each")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    for kind in (WITHOUT, GOOD, BAD):
        with tempfile.TemporaryDirectory() as home:
            found[kind] = asyncio.run(measure(kind, options.seconds, Path(home)))
    if options.json:
        print(json.dumps(found))
        return
    for kind, of in found.items():
        print(f"{kind:20}", ", ".join(f"{name} {value:g}" for name, value in of.items()))


if __name__ == "__main__":
    main()
