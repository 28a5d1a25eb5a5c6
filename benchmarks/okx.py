"""OKX's market data: frames decoded to messages per CPU-second, and the memory that 50 instruments take.

Frames of a random walk (no two alike) go through the very path of the daemon, from the bytes of a WebSocket frame to
the listener's call; a book's levels are text until they are asked for, so beside it stands a listener that asks for
all. On the same frames: `json.loads` with the same messages made of the dicts, and what msgspec takes to decode a
frame: to plain Python, where every number is still text, and to rows with exact numbers. Memory: a process that
follows candles, quotes and books of 50 instruments over loopback WebSockets, against itself before the first
subscription.

    python -m benchmarks.okx [--frames N] [--seconds N] [--json]
"""

import argparse
import asyncio
import gc
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import anyio
import msgspec
from msgspec import Struct
from websockets.asyncio.server import ServerConnection, serve

from kokex.adapters.okx.channels import Channels
from kokex.adapters.okx.hosts import Hosts
from kokex.adapters.okx.limits import Limits
from kokex.adapters.okx.transport import websocket
from kokex.adapters.okx.wire.frames import Push
from kokex.adapters.okx.wire.market import CandleRow
from kokex.messages import Book, Candle, Level, Quote

AIM_OF_RAW = 0.6
CHUNK = 1000
INSTRUMENT = "BTC-USDT-SWAP"
INSTRUMENTS = [f"COIN{number}-USDT-SWAP" for number in range(50)]
KINDS = ("tickers", "books5", "candle1s")


# ---- frames ---------------------------------------------------------------------------------


def frames(kind: str, instrument: str, count: int, seed: int) -> Iterator[bytes]:
    """Pushes of a price that walks."""
    chance = Random(seed)
    price = 600_000
    for number in range(count):
        price += chance.choice((-1, 0, 0, 0, 1))
        ms = 1_700_000_000_000 + 100 * number
        row = _ROWS[kind](chance, price, ms, instrument)
        yield f'{{"arg":{{"channel":"{kind}","instId":"{instrument}"}},"data":[{row}]}}'.encode()


def _text(tenths: int) -> str:
    return f"{tenths // 10}.{tenths % 10}"


def _size(chance: Random) -> str:
    return f"{chance.randrange(1, 100_000) / 100:g}"


def _ticker(chance: Random, price: int, ms: int, instrument: str) -> str:
    return (
        f'{{"instType":"SWAP","instId":"{instrument}","last":"{_text(price)}","lastSz":"{_size(chance)}",'
        f'"askPx":"{_text(price + 1)}","askSz":"{_size(chance)}","bidPx":"{_text(price)}","bidSz":"{_size(chance)}",'
        f'"open24h":"59571.4","high24h":"61003.3","low24h":"57930.8","sodUtc0":"58935.3","sodUtc8":"60320.5",'
        f'"volCcy24h":"{_size(chance)}","vol24h":"{_size(chance)}","ts":"{ms}"}}'
    )


def _book(chance: Random, price: int, ms: int, instrument: str) -> str:
    """Of a market whose resting orders mostly rest: a level's size is another one in every fourth frame."""

    def levels(step: int) -> str:
        best = price + (step > 0)
        prices = [best + step * at for at in range(5)]
        sizes = [(at * 7919 + (ms // 100 + at) // 4 * 104_729) % 100_000 / 100 for at in prices]
        return ",".join(f'["{_text(at)}","{size:g}","0","1"]' for at, size in zip(prices, sizes, strict=True))

    return (
        f'{{"asks":[{levels(1)}],"bids":[{levels(-1)}],"instId":"{instrument}","ts":"{ms}","checksum":0,'
        f'"seqId":{ms},"prevSeqId":-1}}'
    )


def _candle(chance: Random, price: int, ms: int, _: str) -> str:
    high, low = price + chance.randrange(30), price - chance.randrange(30)
    return (
        f'["{ms - ms % 1000}","{_text(price)}","{_text(high)}","{_text(low)}","{_text(price)}","{_size(chance)}",'
        f'"{_size(chance)}","{_size(chance)}","{chance.randrange(2)}"]'
    )


_ROWS: dict[str, Callable[[Random, int, int, str], str]] = {
    "tickers": _ticker,
    "books5": _book,
    "candle1s": _candle,
}


class _ExactBook(Struct):
    """A book whose levels msgspec itself makes decimals of, as the message wants them."""

    asks: list[tuple[Decimal, Decimal, str, str]]
    bids: list[tuple[Decimal, Decimal, str, str]]


class _ExactTicker(Struct, rename="camel"):
    bid_px: Decimal
    bid_sz: Decimal
    ask_px: Decimal
    ask_sz: Decimal


_TYPES: dict[str, Any] = {"tickers": _ExactTicker, "books5": _ExactBook, "candle1s": CandleRow}


# ---- decoding -------------------------------------------------------------------------------


def _listening(kind: str, told: Callable[[Any], object]) -> Channels:
    def nowhere(*_: object) -> Any:
        return None

    channels = Channels(nowhere, chance=Random(1), limits=Limits())
    if kind == "tickers":
        channels.quotes(INSTRUMENT, told)
    elif kind == "books5":
        channels.books(INSTRUMENT, told)
    else:
        channels.candles(INSTRUMENT, "1s", told)
    return channels


def _read(told: object) -> None:
    """Asks for every number of a book."""
    assert isinstance(told, Book)
    for level in (*told.bids, *told.asks):
        _ = level.price, level.size


def _of_dicts(kind: str) -> Callable[[bytes], object]:
    def levels(rows: list[list[str]]) -> tuple[Level, ...]:
        return tuple(Level(row[0], row[1]) for row in rows)

    def quote(row: dict[str, str]) -> Quote:
        return Quote(
            instrument=row["instId"], bid=Decimal(row["bidPx"]), ask=Decimal(row["askPx"]),
            bid_size=Decimal(row["bidSz"]), ask_size=Decimal(row["askSz"]),
        )  # fmt: skip

    def book(row: dict[str, Any]) -> Book:
        return Book(instrument=row["instId"], bids=levels(row["bids"]), asks=levels(row["asks"]))

    def candle(row: list[str]) -> tuple[Candle, bool]:
        values = [float(text) for text in (*row[1:5], row[6])]
        return Candle(INSTRUMENT, int(row[0]) * 1_000_000, *values), row[8] == "1"

    make: Callable[[Any], object] = {"tickers": quote, "books5": book, "candle1s": candle}[kind]
    return lambda frame: [make(row) for row in json.loads(frame)["data"]]


def _per_s(works: dict[str, Callable[[bytes], object]], sample: list[bytes]) -> dict[str, float]:
    """Frames per CPU-second: all in turn on a thousand frames at a time, and of each thousand the best of seven rounds,
    because others use the machine too. Between two rounds all other frames went through every cache."""
    chunks = [sample[begin : begin + CHUNK] for begin in range(0, len(sample), CHUNK)]
    best = {name: [float("inf")] * len(chunks) for name in works}
    gc.collect()
    for _ in range(7):
        for number, chunk in enumerate(chunks):
            for name, work in works.items():
                began = time.process_time()
                for frame in chunk:
                    work(frame)
                best[name][number] = min(best[name][number], time.process_time() - began)
    return {name: len(sample) / sum(best[name]) for name in works}


def decoding(count: int) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for kind in KINDS:
        sample = list(frames(kind, INSTRUMENT, count, 1))
        heard: list[Any] = []
        _listening(kind, heard.append)._received(sample[0])
        assert len(heard) == 1
        read = {"kokex_read": _listening(kind, _read)._received} if kind == "books5" else {}
        speeds = _per_s(
            read
            | {
                "kokex": _listening(kind, lambda _: None)._received,
                "json_dict": _of_dicts(kind),
                "msgspec_raw": msgspec.json.Decoder().decode,
                "msgspec_typed": msgspec.json.Decoder(Push[_TYPES[kind]]).decode,
            },
            sample,
        )
        found[kind] = {f"{name}_per_s": round(speed) for name, speed in speeds.items()} | {
            "over_json_dict": round(speeds["kokex"] / speeds["json_dict"], 2),
            "of_msgspec_raw": round(speeds["kokex"] / speeds["msgspec_raw"], 2),
            "of_msgspec_typed": round(speeds["kokex"] / speeds["msgspec_typed"], 2),
        }
        if read:
            found[kind]["read_of_msgspec_raw"] = round(speeds["kokex_read"] / speeds["msgspec_raw"], 2)
    return found


# ---- memory ---------------------------------------------------------------------------------


async def _exchange(socket: ServerConnection) -> None:
    """Acknowledges, and pushes to each channel four times a second."""
    args: list[tuple[str, str]] = []

    async def push() -> None:
        numbers = 0
        while True:
            for kind, instrument in args:
                numbers += 1
                for frame in frames(kind, instrument, 1, numbers):
                    await socket.send(frame, text=True)
            await asyncio.sleep(0.25)

    pushing = asyncio.create_task(push())
    try:
        async for text in socket:
            if text == "ping":
                await socket.send("pong")
                continue
            for arg in json.loads(text)["args"]:
                args.append((arg["channel"], arg["instId"]))
                await socket.send(json.dumps({"event": "subscribe", "arg": arg, "connId": "c"}))
    finally:
        pushing.cancel()


def _follow(port: int, seconds: float, answer: Any) -> None:
    """In a process of its own: MiB before, MiB after, frames heard, connections."""
    heard = 0

    def told(_: object) -> None:
        nonlocal heard
        heard += 1

    async def run() -> None:
        hosts = Hosts(rest="", sockets=f"ws://127.0.0.1:{port}/ws/v5")
        channels = Channels(lambda path: websocket(hosts, path), chance=Random(1), limits=Limits())
        import websockets.asyncio.client  # counted as Python, not as market data

        assert websockets.asyncio.client
        gc.collect()
        before = _rss_mib()
        for name in INSTRUMENTS:
            channels.candles(name, "1s", told)
            channels.quotes(name, told)
            channels.books(name, told)
        with anyio.move_on_after(seconds):
            await channels.run()
        answer.send((before, _rss_mib(), heard, channels.connections))

    asyncio.run(run())


def _rss_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("no memory is told")


def memory(seconds: float) -> dict[str, float]:
    async def run() -> tuple[float, float, int, int]:
        async with serve(_exchange, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            ours, theirs = multiprocessing.Pipe()
            child = multiprocessing.get_context("spawn").Process(target=_follow, args=(port, seconds, theirs))
            child.start()
            found = await asyncio.to_thread(ours.recv)
            child.join()
            return found

    before, after, heard, connections = asyncio.run(run())
    return {
        "instruments": len(INSTRUMENTS), "channels": 3 * len(INSTRUMENTS), "connections": connections,
        "frames": heard, "before_mib": round(before, 1), "after_mib": round(after, 1),
        "added_mib": round(after - before, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=50_000, help="of each kind that are decoded")
    parser.add_argument("--seconds", type=float, default=10.0, help="that 50 instruments are followed")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    decoded, used = decoding(options.frames), memory(options.seconds)
    if options.json:
        print(json.dumps({"decoding": decoded, "memory": used}))
        return
    for kind, found in decoded.items():
        print(
            f"{kind:<9} {found['kokex_per_s']:>9,.0f} frames/CPU-s; json and dicts {found['json_dict_per_s']:>9,.0f} "
            f"(x {found['over_json_dict']}); aim {AIM_OF_RAW:.0%} of msgspec alone: to plain Python "
            f"{found['msgspec_raw_per_s']:>9,.0f} ({found['of_msgspec_raw']:.0%}), to typed rows "
            f"{found['msgspec_typed_per_s']:>9,.0f} ({found['of_msgspec_typed']:.0%})"
        )
        if "read_of_msgspec_raw" in found:
            print(f"          with every number of the book asked for: {found['read_of_msgspec_raw']:.0%}")
    print(
        f"{used['instruments']} instruments, {used['channels']} channels over {used['connections']} connections: "
        f"{used['added_mib']} MiB more ({used['before_mib']} to {used['after_mib']}), {used['frames']:,} frames heard"
    )


if __name__ == "__main__":
    main()
