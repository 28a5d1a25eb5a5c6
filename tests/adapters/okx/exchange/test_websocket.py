"""The WebSocket side by hand: logins, subscriptions, the book's chain, candles, private streams, operations."""

import asyncio
import time
from collections.abc import Callable, Generator
from decimal import Decimal

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from kokex.adapters.okx.exchange.app import Server, serving
from tests.adapters.okx.exchange.raw import Row, Socket, Wire, socket
from tests.adapters.okx.exchange.servers import Running, exchange
from tests.adapters.okx.exchange.stage import Stage

SWAP, SPOT = "BTC-USDT-SWAP", "BTC-USDT"
Open = Callable[[str], Socket]


@pytest.fixture(scope="module")
def server() -> Generator[Running, None, None]:
    with exchange("--no-limits") as running:
        yield running


def private(opened: Open, *channels: Row) -> Socket:
    line = opened("private")
    assert line.login()["code"] == "0"
    line.subscribe(*channels)
    return line


# ---- the door -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "code"),
    [
        ({"key": "nobody"}, "60005"),
        ({"secret": "x"}, "60007"),
        ({"passphrase": "x"}, "60024"),
        ({"at": str(int(time.time()) - 60)}, "60006"),
        ({"at": "soon"}, "60004"),
        ({}, "0"),
    ],
)
def test_a_login_is_answered_with_its_code(opened: Open, login: dict[str, str], code: str) -> None:
    answer = opened("private").login(**login)
    assert answer["code"] == code
    assert answer["event"] == ("login" if code == "0" else "error")
    assert answer["connId"]


@pytest.mark.parametrize(
    ("door", "frame", "code"),
    [
        ("public", "what", "60012"),
        ("public", '{"op": "dance", "args": [{}]}', "60012"),
        ("public", '{"op": "subscribe", "args": []}', "60012"),
        ("public", '{"op": "subscribe", "args": [{"channel": "tickers", "instId": "NO-USDT"}]}', "60018"),
        ("public", '{"op": "subscribe", "args": [{"channel": "nothing", "instId": "BTC-USDT"}]}', "60018"),
        ("public", '{"op": "subscribe", "args": [{"channel": "candle1m", "instId": "BTC-USDT"}]}', "64001"),
        ("business", '{"op": "subscribe", "args": [{"channel": "candle7m", "instId": "BTC-USDT"}]}', "60018"),
        ("business", '{"op": "subscribe", "args": [{"channel": "tickers", "instId": "BTC-USDT"}]}', "64002"),
        ("private", '{"op": "subscribe", "args": [{"channel": "account"}]}', "60011"),
        ("business", '{"op": "subscribe", "args": [{"channel": "orders-algo", "instType": "ANY"}]}', "60011"),
        ("private", '{"id": "1", "op": "order", "args": [{}]}', "60011"),
        ("public", '{"id": "1", "op": "order", "args": [{}]}', "60028"),
    ],
)
def test_what_cannot_be_had_is_an_error_event(opened: Open, door: str, frame: str, code: str) -> None:
    line = opened(door)
    line.connection.send(frame)
    answer = line.hear()
    assert (answer["event"], answer["code"]) == ("error", code)
    assert answer["msg"]
    assert answer["connId"]


def test_a_subscription_is_acknowledged_argument_by_argument_and_ends(opened: Open) -> None:
    line = opened("public")
    args = [{"channel": "tickers", "instId": SPOT}, {"channel": "tickers", "instId": SWAP}]
    line.say(id="7", op="subscribe", args=args)
    for arg in args:
        ack = line.hear(lambda frame: "event" in frame)
        assert (ack["id"], ack["event"], ack["arg"]) == ("7", "subscribe", arg)
    assert line.push("tickers", lambda frame: frame["arg"]["instId"] == SWAP)["data"][0]["instId"] == SWAP
    line.say(op="unsubscribe", args=args)
    for _ in args:
        line.hear(lambda frame: frame.get("event") == "unsubscribe")
    with pytest.raises(TimeoutError):
        line.hear(within_s=0.6)


def test_ping_is_text_and_so_is_pong(opened: Open) -> None:
    line = opened("public")
    line.connection.send("ping")
    assert line.connection.recv(2) == "pong"


def test_a_connection_without_data_for_30_seconds_is_closed() -> None:
    """The real door, on a clock that a test turns on."""
    stage = Stage()

    async def idle() -> tuple[int, str]:
        async with serving(Server(stage.venue), "127.0.0.1", 0) as port:
            url = f"ws://127.0.0.1:{port}/ws/v5/public"
            async with connect(url) as silent, connect(url) as kept:
                await kept.send('{"op": "subscribe", "args": [{"channel": "tickers", "instId": "BTC-USDT"}]}')
                await silent.send("ping")
                assert [await kept.recv(), await silent.recv()][1] == "pong"
                for _ in range(16):  # ticks of the market, and two seconds each
                    stage.now_ns += 2_000_000_000
                    stage.venue.tick()
                    stage.venue.hub.check_idle()
                    await asyncio.sleep(0.02)
                with pytest.raises(ConnectionClosed) as closed:
                    await asyncio.wait_for(silent.recv(), 2)
                assert closed.value.rcvd is not None
                await kept.send("ping")
                async with asyncio.timeout(5):
                    while await kept.recv() != "pong":
                        pass
                return closed.value.rcvd.code, closed.value.rcvd.reason

    assert asyncio.run(idle()) == (4004, "No data received in 30s")


# ---- the market ---------------------------------------------------------------------------------


def test_a_book_is_kept_by_its_chain_of_sequence_numbers(opened: Open, server: Running) -> None:
    line = opened("public")
    line.subscribe({"channel": "books", "instId": SWAP})
    first = line.push("books")
    [snapshot] = first["data"]
    assert (first["action"], snapshot["prevSeqId"], snapshot["checksum"]) == ("snapshot", -1, 0)
    sides = {name: {row[0]: row[1] for row in snapshot[name]} for name in ("asks", "bids")}
    sequence = snapshot["seqId"]
    for _ in range(12):
        frame = line.push("books")
        [update] = frame["data"]
        assert frame["action"] == "update"
        assert update["prevSeqId"] == sequence < update["seqId"]
        sequence = update["seqId"]
        for name, side in sides.items():
            for price, size, *_ in update[name]:
                if size == "0":
                    del side[price]  # a level that is taken away was there
                else:
                    side[price] = size
        asks, bids = sorted(map(Decimal, sides["asks"])), sorted(map(Decimal, sides["bids"]), reverse=True)
        assert (len(asks), len(bids)) == (400, 400)
        assert bids[0] < asks[0]
    late = opened("public")
    late.subscribe({"channel": "books", "instId": SWAP})
    joined = late.push("books")["data"][0]
    following = late.push("books")["data"][0]
    assert following["prevSeqId"] == joined["seqId"], "whoever joins late joins the same chain"


def test_books5_and_the_best_offer_are_whole_each_time(opened: Open) -> None:
    line = opened("public")
    line.subscribe({"channel": "books5", "instId": SPOT}, {"channel": "bbo-tbt", "instId": SPOT})
    for channel, levels in (("books5", 5), ("bbo-tbt", 1)):
        frame = line.push(channel)
        assert "action" not in frame
        assert [len(frame["data"][0][side]) for side in ("asks", "bids")] == [levels, levels]
        assert isinstance(frame["data"][0]["seqId"], int)


def test_a_candle_is_told_while_it_runs_and_confirmed_once(opened: Open, server: Running) -> None:
    line = opened("business")
    line.subscribe({"channel": "candle1s", "instId": SWAP})
    rows = [line.push("candle1s")["data"][0] for _ in range(6)]
    closed = [row for row in rows[1:] if row[8] == "1"]
    assert len({row[0] for row in closed}) == len(closed) >= 4
    again = {row[0]: row for row in Wire(server).get("market/candles", instId=SWAP, bar="1s", limit="20")["data"]}
    for row in closed:
        assert again[row[0]] == row, "REST tells the same afterwards"


def test_public_channels_tell_what_rest_tells(opened: Open, server: Running) -> None:
    line = opened("public")
    topics = [
        {"channel": "trades", "instId": SPOT},
        {"channel": "mark-price", "instId": SWAP},
        {"channel": "funding-rate", "instId": SWAP},
        {"channel": "index-tickers", "instId": SPOT},
        {"channel": "instruments", "instType": "SWAP"},
        {"channel": "price-limit", "instId": SWAP},
        {"channel": "open-interest", "instId": SWAP},
    ]
    rows: dict[str, Row] = {}
    line.say(op="subscribe", args=topics)
    while len(rows) < len(topics):
        frame = line.hear(lambda frame: "data" in frame)
        rows.setdefault(frame["arg"]["channel"], frame["data"][0])
    wire = Wire(server)
    told = {
        "trades": wire.get("market/trades", instId=SPOT)["data"][0] | {"count": "1"},
        "mark-price": wire.get("public/mark-price", instType="SWAP", instId=SWAP)["data"][0],
        "funding-rate": wire.get("public/funding-rate", instId=SWAP)["data"][0],
        "index-tickers": wire.get("market/index-tickers", instId=SPOT)["data"][0],
        "instruments": wire.get("public/instruments", instType="SWAP")["data"][0],
    }
    for channel, row in told.items():
        assert set(rows[channel]) == set(row), channel


# ---- an account ---------------------------------------------------------------------------------


def test_an_order_is_told_from_live_to_filled_with_the_money_it_moved(opened: Open, server: Running) -> None:
    wire = Wire(server)
    line = private(opened, {"channel": "orders", "instType": "ANY"}, {"channel": "account"},
                   {"channel": "positions", "instType": "ANY"}, {"channel": "balance_and_position"})  # fmt: skip
    assert line.hear(lambda frame: frame.get("data") and frame["arg"]["channel"] == "balance_and_position")
    number = wire.order(SWAP, "buy", "2", clOrdId="told", tag="t1")["ordId"]
    live = line.push("orders")
    assert live["arg"]["uid"]
    assert [(row["state"], row["fillSz"], row["ordId"]) for row in live["data"]] == [("live", "0", number)]
    [row] = line.push("orders", lambda frame: frame["data"][0]["state"] == "filled")["data"]
    [fill] = wire.get("trade/fills", ordId=number)["data"]
    assert (row["clOrdId"], row["tag"], row["execType"], row["accFillSz"]) == ("told", "t1", "T", "2")
    pairs = {"fillPx": "fillPx", "fillSz": "fillSz", "fillFee": "fee", "fillFeeCcy": "feeCcy", "tradeId": "tradeId",
             "fillTime": "fillTime", "fillPnl": "fillPnl"}  # fmt: skip
    assert {name: row[name] for name in pairs} == {name: fill[other] for name, other in pairs.items()}
    event = line.push("account", lambda frame: frame["eventType"] == "event_update")
    assert event["data"][0]["details"][0]["ccy"] == "USDT"
    position = line.push("positions", lambda frame: bool(frame["data"]))["data"][0]
    assert (position["pos"], position["posSide"], position["mgnMode"]) == ("2", "net", "cross")
    wire.post("trade/close-position", {"instId": SWAP, "mgnMode": "cross"})
    closed = line.push("positions", lambda frame: bool(frame["data"]) and frame["data"][0]["pos"] == "0")
    assert closed["eventType"] == "event_update"


def test_orders_are_placed_amended_and_cancelled_over_the_socket(opened: Open, server: Running) -> None:
    code = Wire(server).get("public/instruments", instType="SPOT", instId=SPOT)["data"][0]["instIdCode"]
    line = private(opened, {"channel": "orders", "instType": "SPOT"})

    def ask(op: str, *args: Row, **more: str) -> Row:
        line.say(id="x1", op=op, args=list(args), **more)
        answer = line.hear(lambda frame: frame.get("op") == op)
        assert answer["id"] == "x1"
        assert len(answer["inTime"]) == 16
        return answer

    order = {"instIdCode": code, "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.01", "px": "58000"}
    placed = ask("order", order)
    assert (placed["code"], placed["msg"], placed["data"][0]["sCode"]) == ("0", "", "0")
    number = placed["data"][0]["ordId"]
    amended = ask("amend-order", {"instIdCode": code, "ordId": number, "newPx": "58100", "reqId": "r9"})
    assert amended["data"][0]["reqId"] == "r9"
    pushed = next(frame for frame in line.heard if "data" in frame and frame["data"][0].get("amendResult") == "0")
    assert (pushed["data"][0]["px"], pushed["data"][0]["reqId"]) == ("58100", "r9")
    assert ask("cancel-order", {"instIdCode": code, "ordId": number})["code"] == "0"
    failed = ask("cancel-order", {"instId": SPOT, "ordId": number})
    assert (failed["code"], failed["msg"], failed["data"][0]["sCode"]) == ("1", "", "51400")
    both = ask("batch-orders", order, order | {"sz": "0.000001"})
    assert (both["code"], [row["sCode"] for row in both["data"]]) == ("2", ["0", "51020"])
    number = both["data"][0]["ordId"]
    assert ask("batch-amend-orders", {"instId": SPOT, "ordId": number, "newSz": "0.02"})["code"] == "0"
    assert ask("batch-cancel-orders", {"instId": SPOT, "ordId": number})["code"] == "0"
    assert ask("order", order, expTime="1700000000000")["code"] == "50036"
    assert ask("order", order | {"instIdCode": 5})["data"][0]["sCode"] == "51001"
    assert Wire(server).get("trade/orders-pending")["data"] == []


def test_algo_orders_are_told_on_the_business_door(opened: Open, server: Running) -> None:
    wire, line = Wire(server), opened("business")
    line.login()
    line.subscribe({"channel": "orders-algo", "instType": "ANY"})
    stop = {"instId": SPOT, "tdMode": "cash", "side": "sell", "ordType": "conditional", "sz": "0.01"}
    stop.update(slTriggerPx="50000", slOrdPx="-1", algoClOrdId="guard")
    number = wire.post("trade/order-algo", stop)["data"][0]["algoId"]
    [row] = line.push("orders-algo")["data"]
    assert (row["algoId"], row["algoClOrdId"], row["state"], row["slTriggerPx"]) == (number, "guard", "live", "50000")
    wire.post("trade/amend-algos", {"instId": SPOT, "algoClOrdId": "guard", "newSlTriggerPx": "51000"})
    assert line.push("orders-algo")["data"][0]["slTriggerPx"] == "51000"
    assert wire.post("trade/cancel-algos", [{"instId": SPOT, "algoId": number}])["data"][0]["sCode"] == "0"
    assert line.push("orders-algo")["data"][0]["state"] == "canceled"


def test_an_account_hears_nothing_of_another(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("accounts") / "accounts.toml"
    file.write_text(
        "".join(
            f'[[accounts]]\nname = "{name}"\nkey = "{name}"\nsecret = "s"\npassphrase = "p"\n'
            f'cash = {{ USDT = "{cash}" }}\n'
            for name, cash in (("one", 1000), ("two", 2000))
        )
    )
    with exchange("--accounts", str(file)) as running, socket(running, "private") as line:
        line.login(key="two")
        line.subscribe({"channel": "orders", "instType": "ANY"})
        wire = Wire(running, key="one")
        wire.order(SPOT, "buy", "100")
        cash = {name: Wire(running, key=name).get("account/balance", ccy="USDT") for name in ("one", "two")}
        assert [cash[name]["data"][0]["details"][0]["cashBal"] for name in cash][1] == "2000"
        assert Decimal(cash["one"]["data"][0]["details"][0]["cashBal"]) < Decimal(901)
        with pytest.raises(TimeoutError):
            line.push("orders", within_s=1)
