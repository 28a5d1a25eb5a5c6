"""ccxt, unmodified but for the host, trades here as it trades on OKX."""

import time
from collections.abc import Generator
from decimal import Decimal
from typing import Any

import pytest

from tests.adapters.okx.exchange.servers import Running, exchange

ccxt = pytest.importorskip("ccxt")
SWAP, SPOT = "BTC/USDT:USDT", "ETH/USDT"


@pytest.fixture(scope="module")
def server() -> Generator[Running, None, None]:
    with exchange("--no-limits") as running:
        yield running


def client(server: Running, secret: str = "s") -> Any:
    okx = ccxt.okx({"apiKey": "k", "secret": secret, "password": "p", "enableRateLimit": False})
    okx.urls["api"]["rest"] = server.rest
    return okx


@pytest.fixture(scope="module")
def okx(server: Running) -> Generator[Any, None, None]:
    made = client(server)
    made.load_markets()
    yield made
    made.close()


def test_ten_coins_as_spot_and_swap_around_present_prices(okx: Any) -> None:
    assert {market["type"] for market in okx.markets.values()} == {"spot", "swap"}
    assert len(okx.markets) == 20
    btc = okx.fetch_ticker(SWAP)
    assert 57_000 < btc["bid"] < btc["ask"] < 63_000
    assert btc["low"] <= btc["last"] <= btc["high"]


def test_candles_page_back_without_holes_or_repeats(okx: Any) -> None:
    since = int(time.time() * 1000) // 3_600_000 * 3_600_000 - 500 * 3_600_000
    first = okx.fetch_ohlcv(SWAP, "1h", since=since, limit=200)
    second = okx.fetch_ohlcv(SWAP, "1h", since=first[-1][0] + 3_600_000, limit=200)
    opened = [row[0] for row in first + second]
    assert opened == [since + hour * 3_600_000 for hour in range(400)]
    assert all(low <= min(o, c) <= max(o, c) <= high for _, o, high, low, c, _ in first)
    assert [a[4] for a in first[:-1]] == pytest.approx([b[1] for b in first[1:]], rel=1e-5)


def test_a_swap_is_bought_held_and_closed_to_the_cent(okx: Any) -> None:
    before = Decimal(okx.fetch_balance()["info"]["data"][0]["details"][0]["cashBal"])
    okx.set_leverage(10, SWAP, {"marginMode": "cross"})
    assert okx.fetch_leverage(SWAP, {"marginMode": "cross"})["longLeverage"] == 10
    order = okx.create_order(SWAP, "market", "buy", 1.5, params={"clientOrderId": "first"})
    found = okx.fetch_order(None, SWAP, {"clientOrderId": "first"})
    assert (found["id"], found["status"], found["filled"]) == (order["id"], "closed", 1.5)
    position = okx.fetch_positions([SWAP])[0]
    assert (position["side"], position["contracts"], position["leverage"]) == ("long", 1.5, 10)
    okx.close_position(SWAP, params={"marginMode": "cross"})
    assert okx.fetch_positions([SWAP]) == []
    fills = [trade["info"] for trade in okx.fetch_my_trades(SWAP)]
    moved = sum(Decimal(fill["fillPnl"]) + Decimal(fill["fee"]) for fill in fills)
    after = Decimal(okx.fetch_balance()["info"]["data"][0]["details"][0]["cashBal"])
    assert after - before == moved
    for fill in fills:
        assert Decimal(fill["fee"]) == -Decimal(fill["fillPx"]) * Decimal(fill["fillSz"]) * Decimal("0.01") * Decimal(
            "0.0005"
        )


def test_spot_pays_its_fee_in_what_it_brings(okx: Any) -> None:
    okx.create_order(SPOT, "market", "buy", 0.5)
    okx.create_market_buy_order_with_cost(SPOT, 500)
    bought = okx.fetch_my_trades(SPOT)
    assert {trade["fee"]["currency"] for trade in bought} == {"ETH"}
    held = Decimal(okx.fetch_balance()["ETH"]["total"]).quantize(Decimal("1E-9"))
    got = [Decimal(trade["info"]["fillSz"]) + Decimal(trade["info"]["fee"]) for trade in bought]
    assert held == sum(got, Decimal(0)).quantize(Decimal("1E-9"))
    okx.create_order(SPOT, "market", "sell", 0.3)
    assert okx.fetch_my_trades(SPOT)[-1]["fee"]["currency"] == "USDT"


def test_limit_orders_are_amended_and_cancelled_alone_and_in_batches(okx: Any) -> None:
    order = okx.create_order(SPOT, "limit", "buy", 1, 2800)
    okx.edit_order(order["id"], SPOT, "limit", "buy", 2, 2810)
    assert [(each["price"], each["amount"]) for each in okx.fetch_open_orders(SPOT)] == [(2810, 2)]
    okx.cancel_order(order["id"], SPOT)
    assert okx.fetch_order(order["id"], SPOT)["status"] == "canceled"
    asked = [{"symbol": SWAP, "type": "limit", "side": "buy", "amount": size, "price": 58_500} for size in (1, 2)]
    placed = okx.create_orders(asked)
    assert all(okx.cancel_orders([each["id"] for each in placed], SWAP))
    assert okx.fetch_open_orders() == []
    with pytest.raises(ccxt.OrderNotFound):
        okx.cancel_order(order["id"], SPOT)


def test_stops_targets_and_trailing_stops_wait_as_algo_orders(okx: Any) -> None:
    okx.create_order(
        SWAP, "market", "buy", 1, params={"stopLoss": {"triggerPrice": 55_000}, "takeProfit": {"triggerPrice": 65_000}}
    )
    okx.create_order(SWAP, "market", "sell", 1, params={"stopLossPrice": 55_500, "reduceOnly": True})
    trailing = okx.create_order(SWAP, "market", "sell", 1, params={"trailingPercent": 1, "reduceOnly": True})
    attached = okx.fetch_open_orders(SWAP, params={"ordType": "oco", "trigger": True})
    assert [(each["stopLossPrice"], each["takeProfitPrice"]) for each in attached] == [(55_000, 65_000)]
    assert len(okx.fetch_open_orders(SWAP, params={"ordType": "conditional", "trigger": True})) == 1
    okx.cancel_orders([trailing["id"]], SWAP, {"trailing": True})
    okx.close_position(SWAP, params={"marginMode": "cross"})


def test_a_wrong_signature_is_no_authentication(server: Running) -> None:
    with pytest.raises(ccxt.AuthenticationError):
        client(server, secret="x").fetch_balance()
