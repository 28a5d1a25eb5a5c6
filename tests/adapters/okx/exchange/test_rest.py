"""The REST side by hand: envelope, signatures, codes, limits, paging."""

import json
import time
from collections.abc import Generator
from decimal import Decimal

import pytest

from tests.adapters.okx.exchange.raw import Row, Wire, sign, stamp
from tests.adapters.okx.exchange.servers import Running, exchange

SWAP, SPOT = "BTC-USDT-SWAP", "BTC-USDT"
HOUR, DAY = 3_600_000, 86_400_000


@pytest.fixture(scope="module")
def server() -> Generator[Running, None, None]:
    with exchange("--no-limits") as running:
        yield running


@pytest.fixture
def wire(server: Running) -> Wire:
    return Wire(server)


# ---- who asks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"OK-ACCESS-KEY": ""}, "50103"),
        ({"OK-ACCESS-PASSPHRASE": ""}, "50104"),
        ({"OK-ACCESS-SIGN": ""}, "50106"),
        ({"OK-ACCESS-TIMESTAMP": ""}, "50107"),
        ({"OK-ACCESS-TIMESTAMP": "yesterday"}, "50112"),
        ({"OK-ACCESS-TIMESTAMP": stamp(-40)}, "50102"),
        ({"OK-ACCESS-KEY": "nobody"}, "50111"),
        ({"OK-ACCESS-PASSPHRASE": "wrong"}, "50105"),
        ({"OK-ACCESS-SIGN": "d3Jvbmc="}, "50113"),
    ],
)
def test_a_request_that_is_not_signed_well_is_told_why(wire: Wire, changed: dict[str, str], code: str) -> None:
    path = "/api/v5/account/balance"
    status, body = wire.send("GET", path, headers=wire.headers("GET", path) | changed)
    assert (status, body["code"]) == (401, code)
    assert set(body) == {"code", "msg"}, "these have no data on the real wire"
    assert body["msg"]


def test_the_signature_is_over_the_path_as_it_was_sent(wire: Wire) -> None:
    for path in ("/api/v5/account/balance?ccy=BTC,USDT", "/api/v5/account/balance?ccy=BTC%2CUSDT"):
        _, body = wire.send("GET", path, headers=wire.headers("GET", path) | {"x-simulated-trading": "1"})
        assert body["code"] == "0", path
    path, text = "/api/v5/trade/cancel-batch-orders", json.dumps([{"instId": SPOT, "ordId": "1"}], indent=3)
    assert wire.send("POST", path, text, wire.headers("POST", path, text))[1]["data"][0]["sCode"] == "51400"
    headers = wire.headers("GET", "/api/v5/account/config")
    assert wire.send("GET", "/api/v5/account/balance", headers=headers)[1]["code"] == "50113"
    at = str(time.time())  # seconds do as well
    told = headers | {"OK-ACCESS-TIMESTAMP": at, "OK-ACCESS-SIGN": sign("s", at + "GET/api/v5/account/config")}
    assert wire.send("GET", "/api/v5/account/config", headers=told)[1]["code"] == "0"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/api/v5/market/ticker", "", 400, "50014"),
        ("GET", "/api/v5/market/ticker?instId=NO-USDT", "", 200, "51001"),
        ("GET", "/api/v5/public/instruments", "", 400, "50014"),
        ("GET", "/api/v5/public/instruments?instType=STOCK", "", 400, "51000"),
        ("GET", "/api/v5/market/candles?instId=BTC-USDT&bar=7m", "", 400, "51000"),
        ("GET", "/api/v5/trade/orders-history", "", 400, "50014"),
        ("GET", "/api/v5/trade/order?instId=BTC-USDT&ordId=5", "", 200, "51603"),
        ("GET", "/api/v5/trade/order?instId=BTC-USDT", "", 200, "51003"),
        ("POST", "/api/v5/market/ticker", "{}", 405, "50115"),
        ("POST", "/api/v5/trade/order", "", 400, "50000"),
        ("POST", "/api/v5/trade/order", "{no", 400, "50002"),
        ("POST", "/api/v5/trade/batch-orders", "{}", 400, "50002"),
        ("GET", "/api/v5/no/such/thing", "", 404, "404"),
    ],
)
def test_a_request_that_cannot_be_done_has_okx_codes(
    wire: Wire, method: str, path: str, body: str, status: int, code: str
) -> None:
    got, told = wire.send(method, path, body, wire.headers(method, path, body))
    assert (got, told["code"]) == (status, code)
    assert told["msg"]


def test_a_form_is_no_json(wire: Wire) -> None:
    path = "/api/v5/trade/order"
    headers = wire.headers("POST", path, "a=1") | {"Content-Type": "application/x-www-form-urlencoded"}
    status, body = wire.send("POST", path, "a=1", headers)
    assert (status, body["code"]) == (400, "50006")


# ---- the market ---------------------------------------------------------------------------------


def test_instruments_tell_their_steps_as_strings_and_their_code_as_a_number(wire: Wire) -> None:
    rows = wire.get("public/instruments", instType="SWAP")["data"]
    assert len(rows) == 10
    assert len({row["instIdCode"] for row in rows}) == 10
    for row in rows:
        assert isinstance(row["instIdCode"], int)
        assert (row["ctType"], row["settleCcy"], row["baseCcy"], row["quoteCcy"]) == ("linear", "USDT", "", "")
        assert all(Decimal(row[name]) > 0 for name in ("tickSz", "lotSz", "minSz", "ctVal", "lever"))
    [spot] = wire.get("public/instruments", instType="SPOT", instId=SPOT)["data"]
    assert (spot["baseCcy"], spot["quoteCcy"], spot["ctVal"], spot["lever"]) == ("BTC", "USDT", "", "")


@pytest.mark.parametrize(
    ("bar", "opens_ms", "step"),
    [
        ("1D", 16 * HOUR, DAY),
        ("1Dutc", 0, DAY),
        ("12H", 4 * HOUR, DAY // 2),
        ("6H", 4 * HOUR, DAY // 4),
        ("6Hutc", 0, DAY // 4),
        ("4H", 0, 4 * HOUR),
        ("1H", 0, HOUR),
        ("5m", 0, 300_000),
        ("1m", 0, 60_000),
        ("1s", 0, 1000),
    ],
)
def test_bars_open_where_okx_opens_them(wire: Wire, bar: str, opens_ms: int, step: int) -> None:
    rows = wire.get("market/candles", instId=SWAP, bar=bar, limit="60")["data"]
    opened = [int(row[0]) for row in rows]
    assert len(rows) == 60
    assert opened == [opened[0] - back * step for back in range(60)], "newest first, without holes"
    assert {at % DAY % step for at in opened} == {opens_ms % step}
    assert {row[8] for row in rows[1:]} == {"1"}
    for row in rows:
        low, *inside, high = sorted(map(Decimal, row[1:5]))
        assert (Decimal(row[3]), Decimal(row[2])) == (low, high)
        assert inside
        assert abs(Decimal(row[5]) * Decimal("0.01") - Decimal(row[6])) <= Decimal("0.0001")


def test_a_week_opens_on_monday_and_a_month_on_its_first_day(wire: Wire) -> None:
    for row in wire.get("market/history-candles", instId=SWAP, bar="1Wutc", limit="5")["data"]:
        assert time.gmtime(int(row[0]) // 1000).tm_wday == 0
    for row in wire.get("market/history-candles", instId=SWAP, bar="1Mutc", limit="5")["data"]:
        assert time.gmtime(int(row[0]) // 1000)[2:5] == (1, 0, 0)


def test_bars_of_all_sizes_tell_the_same_story(wire: Wire) -> None:
    hours = wire.get("market/history-candles", instId=SPOT, bar="1H", limit="4")["data"][1:]
    for hour in hours:
        at = int(hour[0])
        minutes = wire.get("market/history-candles", instId=SPOT, bar="1m", after=at + HOUR, before=at - 1)["data"]
        assert [int(row[0]) for row in minutes] == [at + minute * 60_000 for minute in reversed(range(60))]
        prices = [list(map(Decimal, row[1:5])) for row in minutes]
        whole = [prices[-1][0], max(p[1] for p in prices), min(p[2] for p in prices), prices[0][3]]
        assert whole == list(map(Decimal, hour[1:5]))


def test_candles_page_by_after_and_before_exclusively(wire: Wire) -> None:
    def opened(**params: object) -> list[int]:
        return [int(row[0]) for row in wire.get("market/history-candles", instId=SPOT, bar="1m", **params)["data"]]

    newest = opened(limit=10)
    assert opened(after=newest[3], limit=5) == newest[4:9]
    assert opened(before=newest[3], limit=100) == newest[:3]
    assert opened(after=newest[2], before=newest[7]) == newest[3:7]
    assert len(opened()) == 100
    assert len(opened(limit=500)) == 300
    pages, after = [], newest[0]
    for _ in range(3):
        pages += opened(after=after, limit=300)
        after = pages[-1]
    assert pages == [newest[0] - back * 60_000 for back in range(1, 901)]


def test_recent_candles_reach_1440_bars_back_and_history_further(wire: Wire) -> None:
    after = (int(time.time()) - 1500 * 60) * 1000
    assert wire.get("market/candles", instId=SPOT, bar="1m", after=after)["data"] == []
    assert len(wire.get("market/history-candles", instId=SPOT, bar="1m", after=after)["data"]) == 100


def test_the_book_has_two_sides_and_fills(wire: Wire) -> None:
    [book] = wire.get("market/books", instId=SWAP, sz="400")["data"]
    asks, bids = ([Decimal(row[0]) for row in book[side]] for side in ("asks", "bids"))
    assert len(asks) == len(bids) == 400
    assert asks == sorted(asks)
    assert bids == sorted(bids, reverse=True)
    assert bids[0] < asks[0]
    assert all(len(row) == 4 and row[2] == "0" and Decimal(row[1]) > 0 for row in book["asks"] + book["bids"])
    [one] = wire.get("market/books", instId=SWAP)["data"]
    assert len(one["asks"]) == 1


def test_funding_is_announced_and_remembered(wire: Wire) -> None:
    [row] = wire.get("public/funding-rate", instId=SWAP)["data"]
    at, following = int(row["fundingTime"]), int(row["nextFundingTime"])
    assert (at % (8 * HOUR), following - at) == (0, 8 * HOUR)
    assert 0 < at - int(time.time() * 1000) <= 8 * HOUR
    rows = wire.get("public/funding-rate-history", instId=SWAP, limit="3")["data"]
    assert [int(each["fundingTime"]) for each in rows] == [at - back * 8 * HOUR for back in (1, 2, 3)]
    assert len(wire.get("public/funding-rate", instId="ANY")["data"]) == 10


# ---- orders -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"instId": "NO-USDT-SWAP"}, "51001"),
        ({"sz": "0.005"}, "51121"),
        ({"sz": "0"}, "51000"),
        ({"sz": "x"}, "51000"),
        ({"sz": "0.000001", "instId": SPOT, "tdMode": "cash", "ordType": "limit", "px": "50000"}, "51020"),
        ({"sz": "90000"}, "51202"),
        ({"sz": "1000000", "ordType": "limit", "px": "55000"}, "51005"),
        ({"side": "hold"}, "51000"),
        ({"ordType": "maybe"}, "51000"),
        ({"ordType": "limit"}, "51204"),
        ({"ordType": "limit", "px": "70000"}, "51137"),
        ({"ordType": "limit", "px": "50000", "side": "sell"}, "51138"),
        ({"ordType": "limit", "px": "55000.05"}, "51150"),
        ({"clOrdId": "not-good"}, "51000"),
        ({"tag": "a" * 17}, "51000"),
        ({"posSide": "long"}, "51000"),
        ({"tdMode": "cash"}, "51000"),
        ({"reduceOnly": True}, "51169"),
        ({"sz": "1000"}, "51008"),
        ({"instId": SPOT, "tdMode": "cross"}, "51010"),
        ({"instId": SPOT, "tdMode": "cash", "side": "sell"}, "51008"),
        ({"attachAlgoOrds": [{"slTriggerPx": "99000", "slOrdPx": "-1"}]}, "51047"),
    ],
)
def test_an_order_that_cannot_be_has_its_code_in_its_row(wire: Wire, fields: Row, code: str) -> None:
    order = {"instId": SWAP, "tdMode": "cross", "side": "buy", "ordType": "market", "sz": "1", **fields}
    body = wire.post("trade/order", order)
    assert (body["code"], body["msg"]) == ("1", "All operations failed")
    [row] = body["data"]
    assert (row["sCode"], row["ordId"]) == (code, "")
    assert row["sMsg"]
    assert len(body["inTime"]) == len(body["outTime"]) == 16


def test_empty_strings_and_nulls_are_absent_and_numbers_are_read(wire: Wire) -> None:
    row = wire.order(
        SWAP,
        "buy",
        "1",
        lever=3,
        reduceOnly=False,
        posSide="",
        px="",
        clOrdId="",
        tag=None,
        attachAlgoOrds=None,
        ordType="market",
    )
    assert row["sCode"] == "0"
    assert wire.order(SWAP, "sell", "1", reduceOnly=True, sz=1)["sCode"] == "0"


def test_a_client_id_is_unique_among_pending_orders_only(wire: Wire) -> None:
    assert wire.order(SPOT, "buy", "0.01", px="58000", clOrdId="once")["sCode"] == "0"
    assert wire.order(SPOT, "buy", "0.01", px="58000", clOrdId="once")["sCode"] == "51016"
    assert wire.post("trade/cancel-order", {"instId": SPOT, "clOrdId": "once"})["code"] == "0"
    again = wire.order(SPOT, "buy", "0.01", clOrdId="once", tgtCcy="base_ccy")
    assert again["sCode"] == "0"
    [found] = wire.get("trade/order", instId=SPOT, clOrdId="once")["data"]
    assert (found["ordId"], found["state"]) == (again["ordId"], "filled"), "the latest of that name"
    once_more = wire.order(SPOT, "buy", "0.01", clOrdId="once", tgtCcy="base_ccy")
    assert once_more["sCode"] == "0", "a filled order's id guards nothing"


def test_orders_that_must_not_rest_end_as_okx_ends_them(wire: Wire) -> None:
    def ended(**fields: str) -> tuple[str, str]:
        row = wire.order(SWAP, "buy", "1", **fields)
        [order] = wire.get("trade/order", instId=SWAP, ordId=row["ordId"])["data"]
        return order["state"], order["cancelSource"]

    assert ended(ordType="ioc", px="58000") == ("canceled", "14")
    assert ended(ordType="fok", px="58000") == ("canceled", "13")
    assert ended(ordType="post_only", px="61000") == ("canceled", "31")
    assert ended(ordType="fok", px="61000") == ("filled", "")
    assert ended(ordType="optimal_limit_ioc") == ("filled", "")
    wire.post("trade/close-position", {"instId": SWAP, "mgnMode": "cross"})


def test_a_market_buy_of_spot_is_sized_in_quote_unless_told_otherwise(wire: Wire) -> None:
    row = wire.order(SPOT, "buy", "600")
    [order] = wire.get("trade/order", instId=SPOT, ordId=row["ordId"])["data"]
    assert (order["sz"], order["tgtCcy"], order["state"]) == ("600", "quote_ccy", "filled")
    spent = Decimal(order["accFillSz"]) * Decimal(order["avgPx"])
    assert Decimal(599) < spent <= Decimal(600)
    assert order["feeCcy"] == "BTC"
    assert Decimal(order["fee"]) == -Decimal(order["accFillSz"]) * Decimal("0.001")


def test_a_batch_says_for_each_order_what_became_of_it(wire: Wire) -> None:
    good = {"instId": SPOT, "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.01", "px": "58000"}
    body = wire.post("trade/batch-orders", [good, good | {"sz": "0.000001"}])
    assert (body["code"], [row["sCode"] for row in body["data"]]) == ("2", ["0", "51020"])
    number = body["data"][0]["ordId"]
    body = wire.post("trade/amend-batch-orders", [{"instId": SPOT, "ordId": number, "newSz": "0.02", "reqId": "r1"}])
    assert (body["code"], body["data"][0]["reqId"]) == ("0", "r1")
    assert wire.get("trade/orders-pending", instType="SPOT")["data"][0]["sz"] == "0.02"
    assert wire.post("trade/cancel-batch-orders", [{"instId": SPOT, "ordId": number}])["code"] == "0"
    assert wire.post("trade/batch-orders", [good] * 21)["code"] == "51111"
    assert (
        wire.post("trade/amend-order", {"instId": SPOT, "ordId": number, "newSz": "1"})["data"][0]["sCode"] == "51503"
    )
    assert wire.post("trade/cancel-order", {"instId": SPOT, "ordId": number})["data"][0]["sCode"] == "51400"
    assert wire.post("trade/cancel-order", {"instId": SPOT})["data"][0]["sCode"] == "51407"


def test_a_hundred_and_more_pending_orders_are_read_page_by_page(wire: Wire) -> None:
    one = {"instId": "DOGE-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "10", "px": "0.11"}
    placed: list[str] = []
    for _ in range(6):
        placed += [row["ordId"] for row in wire.post("trade/batch-orders", [one] * 20)["data"]]
    first = [row["ordId"] for row in wire.get("trade/orders-pending", instId="DOGE-USDT")["data"]]
    second = [row["ordId"] for row in wire.get("trade/orders-pending", instId="DOGE-USDT", after=first[-1])["data"]]
    assert len(first) == 100
    assert first + second == placed[::-1]
    newer = wire.get("trade/orders-pending", instId="DOGE-USDT", before=placed[-3])["data"]
    assert [row["ordId"] for row in newer] == [placed[-1], placed[-2]]
    for start in range(0, 120, 20):
        wire.post(
            "trade/cancel-batch-orders", [{"instId": "DOGE-USDT", "ordId": each} for each in placed[start : start + 20]]
        )
    assert wire.get("trade/orders-pending")["data"] == []


def test_a_deadline_that_has_passed_places_nothing(wire: Wire) -> None:
    order = {
        "instId": SPOT,
        "tdMode": "cash",
        "side": "buy",
        "ordType": "limit",
        "sz": "0.01",
        "px": "58000",
        "clOrdId": "late",
    }
    past, ahead = (str(int(time.time() * 1000) + shift) for shift in (-1000, 10_000))
    assert wire.post("trade/order", order, expTime=past)["code"] == "50036"
    assert wire.get("trade/order", instId=SPOT, clOrdId="late")["code"] == "51603"
    assert wire.post("trade/order", order, expTime=ahead)["code"] == "0"
    assert wire.post("trade/cancel-order", {"instId": SPOT, "clOrdId": "late"})["code"] == "0"


def test_fills_and_bills_of_a_trade_agree_to_the_last_digit(wire: Wire) -> None:
    before = Decimal(wire.get("account/balance", ccy="USDT")["data"][0]["details"][0]["cashBal"])
    wire.order("ETH-USDT-SWAP", "buy", "3")
    wire.order("ETH-USDT-SWAP", "sell", "3")
    after = Decimal(wire.get("account/balance", ccy="USDT")["data"][0]["details"][0]["cashBal"])
    fills = wire.get("trade/fills", instId="ETH-USDT-SWAP")["data"]
    bills = wire.get("account/bills", instId="ETH-USDT-SWAP")["data"]
    moved = sum((Decimal(row["fillPnl"]) + Decimal(row["fee"]) for row in fills), Decimal(0))
    assert after - before == moved == sum((Decimal(row["balChg"]) for row in bills), Decimal(0))
    assert Decimal(bills[0]["bal"]) == after
    assert [row["billId"] for row in fills] == [row["billId"] for row in bills]
    older = wire.get("trade/fills", instId="ETH-USDT-SWAP", after=fills[0]["billId"])["data"]
    assert older == fills[1:]
    assert wire.get("trade/fills-history", instType="SWAP", instId="ETH-USDT-SWAP")["data"] == fills


# ---- limits -------------------------------------------------------------------------------------


def test_every_endpoint_has_its_own_limit() -> None:
    with exchange() as running:
        wire = Wire(running)
        codes = [wire.get("account/config")["code"] for _ in range(6)]
        assert codes == ["0"] * 5 + ["50011"]
        path = "/api/v5/account/config"
        status, body = wire.send("GET", path, headers=wire.headers("GET", path))
        assert (status, body) == (429, {"code": "50011", "msg": "Too Many Requests"})
        assert wire.get("account/balance")["code"] == "0"
