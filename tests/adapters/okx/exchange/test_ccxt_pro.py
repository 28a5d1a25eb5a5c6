"""ccxt's WebSockets, unmodified but for the host: what it watches, and orders over the socket."""

import asyncio
from collections.abc import Generator
from typing import Any

import pytest

from tests.adapters.okx.exchange.servers import Running, exchange

pro = pytest.importorskip("ccxt.pro")
SWAP, SPOT = "BTC/USDT:USDT", "BTC/USDT"
pytestmark = pytest.mark.filterwarnings("ignore")  # its own


@pytest.fixture(scope="module")
def server() -> Generator[Running, None, None]:
    with exchange("--no-limits") as running:
        yield running


async def watch(server: Running) -> dict[str, Any]:
    okx = pro.okx({"apiKey": "k", "secret": "s", "password": "p", "enableRateLimit": False})
    okx.urls["api"]["rest"], okx.urls["api"]["ws"] = server.rest, server.ws
    seen: dict[str, Any] = {}
    try:
        async with asyncio.timeout(30):
            seen["ticker"] = await okx.watch_ticker(SPOT)
            seen["ohlcv"] = await okx.watch_ohlcv(SWAP, "1m")
            seen["trades"] = await okx.watch_trades(SPOT)
            for _ in range(10):  # it drops a book whose chain breaks, and raises
                seen["book"] = await okx.watch_order_book(SPOT)
            seen["funding"] = await okx.watch_funding_rate(SWAP)
            balance = asyncio.create_task(okx.watch_balance())
            orders = asyncio.create_task(okx.watch_orders(SWAP))
            trades = asyncio.create_task(okx.watch_my_trades(SWAP))
            await asyncio.sleep(1)
            await okx.create_order(SWAP, "market", "buy", 1)
            seen["balance"], seen["orders"], seen["my_trades"] = await asyncio.gather(balance, orders, trades)
            positions = asyncio.create_task(okx.watch_positions([SWAP]))
            await asyncio.sleep(0.5)
            await okx.create_order(SWAP, "market", "buy", 1)
            seen["positions"] = await positions
            made = await okx.create_order_ws(SWAP, "limit", "buy", 1, 58_000)
            await okx.edit_order_ws(made["id"], SWAP, "limit", "buy", 2, 58_100)
            seen["edited"] = await okx.fetch_order(made["id"], SWAP)
            await okx.cancel_order_ws(made["id"], SWAP)
            seen["cancelled"] = await okx.fetch_order(made["id"], SWAP)
    finally:
        await okx.close()
    return seen


def test_everything_is_watched_and_orders_go_over_the_socket(server: Running) -> None:
    seen = asyncio.run(watch(server))
    assert 57_000 < seen["ticker"]["last"] < 63_000
    assert seen["ohlcv"][-1][5] > 0
    assert seen["trades"][-1]["price"] > 0
    assert len(seen["book"]["bids"]) == len(seen["book"]["asks"]) == 400
    assert seen["book"]["bids"][0][0] < seen["book"]["asks"][0][0]
    assert seen["funding"]["fundingRate"] is not None
    assert seen["balance"]["USDT"]["total"] > 90_000
    assert {order["symbol"] for order in seen["orders"]} == {SWAP}
    assert seen["my_trades"][-1]["amount"] == 1
    assert seen["positions"][-1]["side"] == "long"
    assert (seen["edited"]["price"], seen["edited"]["amount"]) == (58_100, 2)
    assert seen["cancelled"]["status"] == "canceled"
