"""A stream stays up: through broken, silent, refused and replaced connections, and nobody acts before it is whole."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import anyio
import pytest

from kokex.adapters.okx.limits import Limits
from kokex.adapters.okx.stream import MOST_PAUSE_S, Stream
from kokex.adapters.okx.transport import Connect, websocket
from kokex.adapters.okx.wire.frames import Arg
from kokex.ports import Ambiguous, Rejected
from kokex.simulation.virtual_time import TrioTime
from tests.adapters.okx.loopback import Loopback, Socket, loopback, until
from tests.adapters.okx.memory import Ear, Memory

TICKERS = [Arg(channel="tickers", inst_id=name) for name in ("BTC-USDT", "ETH-USDT")]
PUSH = {"arg": {"channel": "tickers", "instId": "BTC-USDT"}, "data": [{"instId": "BTC-USDT", "last": "1"}]}


async def proof() -> dict[str, str]:
    return {"apiKey": "k", "sign": "s"}


def stream_of(connect: Connect, ear: Ear, **how: Any) -> Stream:
    return Stream("public", connect, ear, chance=Random(1), limits=Limits(), **how)


@asynccontextmanager
async def running(stream: Stream) -> AsyncGenerator[None, None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.run)
        yield
        tasks.cancel_scope.cancel()


# ---- real WebSockets --------------------------------------------------------------------------


def over_sockets(scenario: Callable[[Loopback, Stream, Ear], Awaitable[None]], **how: Any) -> None:
    async def run() -> None:
        ear = Ear()
        async with loopback() as server:
            stream = stream_of(websocket(server.hosts, "public"), ear, **how)
            async with running(stream):
                await scenario(server, stream, ear)

    asyncio.run(run())


def test_after_each_break_it_logs_in_and_subscribes_again_and_only_then_says_so() -> None:
    async def scenario(server: Loopback, stream: Stream, ear: Ear) -> None:
        stream.subscribe(TICKERS)
        await until(lambda: stream.up)
        for number in (2, 3):
            await server.sockets[0].close(code=4004, message=b"No data received in 30s")
            await until(lambda number=number: stream.connections == number and stream.up)
        assert [frame["op"] for _, frame in server.frames] == ["login", "subscribe"] * 3
        assert server.asked("subscribe") == ["tickers", "tickers"] * 3
        assert [told.partition(":")[0] for told in ear.told] == ["restored", "lost", "restored", "lost", "restored"]
        assert "4004" in ear.told[1]

    over_sockets(scenario, login=proof)


def test_a_push_is_handed_on_as_it_came_and_one_that_cannot_be_read_breaks_nothing() -> None:
    async def scenario(server: Loopback, stream: Stream, ear: Ear) -> None:
        stream.subscribe(TICKERS)
        await until(lambda: stream.up)
        await server.sockets[0].send_str('{"arg":{"channel":"tickers"},"broken":1}')
        await server.sockets[0].send_str("not JSON at all")
        await server.sockets[0].send_json(PUSH)
        await until(lambda: ear.pushes)
        assert len(ear.troubles) == 2
        assert stream.connections == 1

    over_sockets(scenario)


def test_what_is_subscribed_to_later_is_asked_for_at_once_and_again_after_a_break() -> None:
    async def scenario(server: Loopback, stream: Stream, _: Ear) -> None:
        await until(lambda: stream.up)
        stream.subscribe(TICKERS)
        stream.subscribe(TICKERS)  # once is enough
        await until(lambda: len(server.asked("subscribe")) == 2)
        stream.unsubscribe(TICKERS[:1])
        await until(lambda: len(server.asked("unsubscribe")) == 1)
        await server.sockets[0].close()
        await until(lambda: len(server.asked("subscribe")) == 3)

    over_sockets(scenario)


def test_announced_maintenance_is_a_hand_over_without_a_gap() -> None:
    open_then: list[int] = []

    async def scenario(server: Loopback, stream: Stream, ear: Ear) -> None:
        async def subscribed(*_: Any) -> None:
            open_then.append(len(server.sockets))

        server.subscribed = subscribed
        stream.subscribe(TICKERS[:1])
        await until(lambda: stream.up)
        notice = {"event": "notice", "code": "64008", "msg": "The connection will soon be closed", "connId": "c"}
        await server.sockets[0].send_json(notice)
        await until(lambda: stream.connections == 2)
        await until(lambda: len(server.sockets) == 1)
        assert open_then == [1, 2], "the old connection stood until the new one was subscribed"
        assert ear.told == ["restored", "restored"]

    over_sockets(scenario)


def test_an_operation_has_its_answer_or_is_ambiguous_and_is_not_sent_while_down() -> None:
    async def scenario(server: Loopback, stream: Stream, _: Ear) -> None:
        async def operate(socket: Socket, frame: Any) -> None:
            if frame["op"] == "order":
                data = [{"ordId": "7", "clOrdId": "k1", "sCode": "0", "sMsg": ""}]
                await socket.send_json({"id": frame["id"], "op": "order", "code": "0", "msg": "", "data": data})
            elif frame["op"] == "cancel-order":
                await socket.close()

        server.operate = operate
        with pytest.raises(Rejected, match="not_connected"):
            await stream.request("order", [], timeout_s=1)
        await until(lambda: stream.up)
        answer = await stream.request("order", [{"instIdCode": 10}], timeout_s=5, expires_ms=1_700_000_000_000)
        assert b'"ordId":"7"' in bytes(answer.data).replace(b": ", b":")
        assert server.frames[-1][1]["expTime"] == "1700000000000"
        for op, patience_s in (("amend-order", 0.05), ("cancel-order", 5)):  # silence, and a broken connection
            with pytest.raises(Ambiguous):
                await stream.request(op, [{}], timeout_s=patience_s)

    over_sockets(scenario)


# ---- time -------------------------------------------------------------------------------------


async def test_it_pings_before_the_exchange_hangs_up_and_a_missing_pong_ends_the_connection(clock: TrioTime) -> None:
    memory, ear = Memory(), Ear()
    stream = stream_of(memory.connect, ear)
    async with running(stream):
        await anyio.sleep(300)
        assert (memory.connections, ear.told) == (1, ["restored"]), "a pong keeps it alive"
        memory.wires[0].deaf = True
        await anyio.sleep(35)
        assert memory.connections == 2
        assert "not even a pong" in ear.told[1]


async def test_pauses_between_tries_grow_are_jittered_and_capped(clock: TrioTime) -> None:
    memory, ear = Memory(), Ear()
    stream = stream_of(memory.connect, ear)
    pauses = [stream.pause_s(failures) for failures in range(20)]
    assert all(pause <= MOST_PAUSE_S for pause in pauses)
    assert len(set(pauses[10:])) == 10
    memory.up = False
    async with running(stream):
        await anyio.sleep(3600)
        assert not stream.up
        memory.up = True
        await anyio.sleep(MOST_PAUSE_S + 1)
        assert stream.up
    assert (ear.told, len(ear.troubles)) == (["restored"], 1)


async def test_a_silent_channel_is_asked_for_again_and_when_all_are_the_connection_is_replaced(clock: TrioTime) -> None:
    memory, ear = Memory(), Ear()
    stream = stream_of(memory.connect, ear)
    stream.subscribe(TICKERS, stale_s=60)
    async with running(stream):
        for _ in range(10):  # one speaks, the other does not
            await anyio.sleep(10)
            memory.wires[0].push(PUSH)
        assert [frame["op"] for frame in memory.frames] == ["subscribe", "unsubscribe", "subscribe"]
        assert memory.frames[-1]["args"] == [{"channel": "tickers", "instId": "ETH-USDT"}]
        assert "silent: tickers/ETH-USDT" in ear.troubles[0]
        await anyio.sleep(600)  # and now neither, though pings are answered
        assert memory.connections > 1
        assert any("all channels are silent" in told for told in ear.told)


async def test_a_refused_login_is_told_and_tried_again(clock: TrioTime) -> None:
    memory, ear = Memory(), Ear()
    heard, refusals = memory.heard, 3

    def refusing(wire: Any, text: str) -> None:
        nonlocal refusals
        if "login" in text and refusals:
            refusals -= 1
            wire.push({"event": "error", "code": "60006", "msg": "Timestamp request expired"})
        else:
            heard(wire, text)

    memory.heard = refusing
    stream = stream_of(memory.connect, ear, login=proof)
    stream.subscribe(TICKERS)
    async with running(stream):
        await anyio.sleep(60)
        assert stream.up
    assert "60006" in ear.troubles[0]
    assert memory.connections == 4
