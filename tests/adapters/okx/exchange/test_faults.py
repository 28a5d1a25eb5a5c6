"""Faults on purpose: each switch does what it says, and only where it was asked for."""

import http.client
import json
import time
from collections.abc import Callable, Generator

import pytest
from websockets.exceptions import ConnectionClosed

from tests.adapters.okx.exchange.raw import Socket, Wire
from tests.adapters.okx.exchange.servers import Running, exchange

SWAP = "BTC-USDT-SWAP"
Open = Callable[[str], Socket]


@pytest.fixture(scope="module")
def server() -> Generator[Running, None, None]:
    with exchange("--no-limits", "--faults") as running:
        yield running


@pytest.fixture
def wire(server: Running) -> Generator[Wire, None, None]:
    made = Wire(server)
    yield made
    made.send("DELETE", "/faults")


def test_without_being_asked_for_there_are_none() -> None:
    with exchange() as running:
        status, body = Wire(running).send("POST", "/faults", '{"kind": "stale"}')
    assert (status, body["code"]) == (404, "404")


def test_an_order_whose_reply_is_dropped_was_executed_once(wire: Wire) -> None:
    wire.control(kind="drop", on="POST /trade/order")
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        wire.order(SWAP, "buy", "1", clOrdId="lost")
    assert wire.send("GET", "/faults")[1]["faults"] == []
    [order] = wire.get("trade/order", instId=SWAP, clOrdId="lost")["data"]
    assert order["state"] == "filled"
    assert wire.get("account/positions")["data"][0]["pos"] == "1"
    wire.post("trade/close-position", {"instId": SWAP, "mgnMode": "cross"})


def test_errors_and_busy_answers_execute_nothing(wire: Wire) -> None:
    wire.control(kind="error", on="/trade/order", status=502, code="50026")
    path, text = "/api/v5/trade/order", json.dumps({"instId": SWAP, "clOrdId": "never"})
    status, body = wire.send("POST", path, text, wire.headers("POST", path, text))
    assert (status, body["code"]) == (502, "50026")
    wire.control(kind="busy", count=2)
    for _ in range(2):
        status, body = wire.send("GET", "/api/v5/public/time")
        assert (status, body["code"]) == (429, "50011")
    assert wire.send("GET", "/api/v5/public/time")[0] == 200
    wire.control(kind="close", on="/trade/order")
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        wire.order(SWAP, "buy", "1", clOrdId="never")
    assert wire.get("trade/order", instId=SWAP, clOrdId="never")["code"] == "51603"


def test_a_delayed_answer_comes_late(wire: Wire) -> None:
    wire.control(kind="delay", on="/public/time", seconds=0.5)
    began = time.monotonic()
    assert wire.get("public/time")["code"] == "0"
    assert time.monotonic() - began > 0.45


def test_streams_go_stale_and_books_lose_an_update(wire: Wire, opened: Open) -> None:
    line = opened("public")
    line.subscribe({"channel": "books", "instId": SWAP})
    line.push("books")
    wire.control(kind="gap", count=1)
    sequence, gaps = None, 0
    for _ in range(6):
        row = line.push("books")["data"][0]
        gaps += sequence is not None and row["prevSeqId"] != sequence
        sequence = row["seqId"]
    assert gaps <= 1
    assert wire.control(kind="stale", seconds=1.5)["gaps"] == 0
    began = time.monotonic()
    line.push("books", lambda _: time.monotonic() - began > 0.5)
    assert time.monotonic() - began > 1.2


def test_sockets_are_announced_and_closed(wire: Wire, opened: Open) -> None:
    line = opened("private")
    wire.control(kind="sockets", notice=True, seconds=0.3)
    notice = line.hear()
    assert (notice["event"], notice["code"]) == ("notice", "64008")
    with pytest.raises(ConnectionClosed):
        line.connection.recv(3)


def test_an_operation_is_done_and_its_answer_kept_back(wire: Wire, opened: Open) -> None:
    line = opened("private")
    line.login()
    wire.control(kind="drop", on="order", over="ws")
    order = {"instId": SWAP, "tdMode": "cross", "side": "buy", "ordType": "market", "sz": "1", "clOrdId": "silent"}
    line.say(id="1", op="order", args=[order])
    with pytest.raises(TimeoutError):
        line.hear(within_s=0.5)
    assert wire.get("trade/order", instId=SWAP, clOrdId="silent")["data"][0]["state"] == "filled"


def test_an_exchange_that_is_down_comes_back_with_all_it_knew(wire: Wire, opened: Open) -> None:
    line = opened("public")
    wire.control(kind="down", seconds=1)
    with pytest.raises(ConnectionClosed):
        line.connection.recv(3)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        wire.get("account/positions")
    end = time.monotonic() + 5
    while True:
        try:
            assert wire.get("account/positions")["data"][0]["pos"] == "1"
            return
        except (ConnectionError, http.client.HTTPException):
            assert time.monotonic() < end
            time.sleep(0.1)


@pytest.mark.parametrize("fault", [{"kind": "earthquake"}, {"kind": "delay", "howlong": 3}, {}])
def test_a_switch_that_is_none_is_refused(wire: Wire, fault: dict[str, object]) -> None:
    assert "error" in wire.control(**fault)
