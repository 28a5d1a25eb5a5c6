"""The public channels against the exchange server, over real WebSockets."""

import asyncio
import json
import urllib.request
from collections import Counter

import anyio

from kokex.adapters.host.chance import Random
from kokex.adapters.okx.channels import DEPTH, Channels
from kokex.adapters.okx.frames import DeepBook
from kokex.adapters.okx.hosts import Hosts
from kokex.adapters.okx.limits import Limits
from kokex.adapters.okx.transport import websocket
from kokex.messages import Book
from tests.adapters.okx.exchange.servers import exchange

SWAP = "BTC-USDT-SWAP"


class Follower:
    """Keeps the book of one instrument on a connection of its own; `seen` is what it looked like, by seqId."""

    def __init__(self, sockets: str) -> None:
        self.seen: dict[int, Book] = {}
        self.snapshots = 0
        self.channels = Channels(
            lambda path: websocket(Hosts(rest="", sockets=sockets), path), chance=Random(1), limits=Limits()
        )
        self.channels.books(SWAP, self.told, "books")
        [channel] = self.channels._channels.values()
        assert isinstance(channel.read, DeepBook)
        self.book, self.stream = channel.read.book, channel.stream
        snapshot = self.book.snapshot

        def counted(row: object) -> object:
            self.snapshots += 1
            return snapshot(row)  # pyright: ignore[reportArgumentType]

        self.book.snapshot = counted  # pyright: ignore[reportAttributeAccessIssue]

    def told(self, book: Book) -> None:
        assert self.book.valid
        assert self.book.seq_id is not None
        self.seen[self.book.seq_id] = book


def test_a_book_that_lost_an_update_is_not_served_and_begins_again_with_a_snapshot() -> None:
    with exchange("--faults", "--no-limits", "--seed", "7") as server:
        body = json.dumps({"kind": "gap", "count": 1}).encode()

        async def run() -> list[Follower]:
            followers = [Follower(server.ws) for _ in range(2)]
            async with anyio.create_task_group() as tasks:
                for each in followers:
                    tasks.start_soon(each.channels.run)
                with anyio.fail_after(10):
                    while any(len(each.seen) < 3 for each in followers):  # noqa: ASYNC110
                        await anyio.sleep(0.05)
                    await asyncio.to_thread(urllib.request.urlopen, server.rest + "/faults", body)
                    while sum(each.snapshots for each in followers) < 3:  # noqa: ASYNC110
                        await anyio.sleep(0.05)
                    newest = max(max(each.seen) for each in followers)
                    while any(sum(seq > newest for seq in each.seen) < 3 for each in followers):  # noqa: ASYNC110
                        await anyio.sleep(0.05)
                tasks.cancel_scope.cancel()
            return followers

        followers = asyncio.run(run())
    assert Counter(each.snapshots for each in followers) == {1: 1, 2: 1}  # who lost nothing went on
    first, second = (each.seen for each in followers)
    both = sorted(first.keys() & second.keys())
    assert len(both) >= 5
    for seq in both:
        assert first[seq] == second[seq]
    book = first[both[-1]]
    assert len(book.bids) == len(book.asks) == DEPTH
    assert book.bids[0].price < book.asks[0].price
