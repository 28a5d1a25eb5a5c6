"""Whatever is sent, the exchange answers in its envelope, and its books stay sound."""

from decimal import Decimal
from random import Random
from typing import Any, cast

import pytest
from aiohttp import web

from kokex.adapters.okx.exchange.app import DOORS, TABLE
from kokex.adapters.okx.exchange.envelope import encode
from kokex.adapters.okx.exchange.line import Line
from tests.adapters.okx.exchange.stage import SPOT, SWAP, Stage

NAMES = [
    "instId", "instIdCode", "instType", "instFamily", "uly", "tdMode", "mgnMode", "side", "posSide", "ordType",
    "sz", "px", "tgtCcy", "reduceOnly", "clOrdId", "ordId", "tag", "newSz", "newPx", "cxlOnFail", "reqId", "after",
    "before", "begin", "end", "limit", "bar", "ccy", "lever", "acctLv", "posMode", "type", "amt", "from", "to",
    "timeOut", "slTriggerPx", "slOrdPx", "tpTriggerPx", "tpOrdPx", "triggerPx", "orderPx", "callbackRatio",
    "callbackSpread", "activePx", "closeFraction", "algoId", "algoClOrdId", "state", "subType", "attachAlgoOrds",
    "newSlTriggerPx", "quoteCcy", "index", "autoCxl", "posId",
]  # fmt: skip
VALUES: list[Any] = [
    "", None, "0", "1", "-1", "2.5", "0.01", "1e3", "1e400", "NaN", "Infinity", "x", "ü", " ", True, False, 0, 7, -3,
    1.5, [], {},
    [1], ["a"], [{"slTriggerPx": "59000", "slOrdPx": "-1"}], "9" * 40, "60000", "59000", "61000", SPOT, SWAP, "NO-USDT",
    "SPOT", "SWAP", "OPTION", "ANY", "cash", "cross", "isolated", "buy", "sell", "long", "short", "net", "market",
    "limit",
    "post_only", "ioc", "fok", "conditional", "oco", "trigger", "move_order_stop", "base_ccy", "quote_ccy", "true",
    "false",
    "1m", "1D", "1Mutc", "USDT", "BTC", "BTC,USDT", "live", "filled", "canceled", "10", "add", "6", "18", "net_mode",
    "long_short_mode", "20000",
]  # fmt: skip
ORDERS, ALGOS = ("market", "limit", "ioc", "fok", "post_only"), ("conditional", "oco", "trigger", "move_order_stop")


def sensible(chance: Random, stage: Stage, path: str) -> dict[str, Any]:
    """What a client would send."""
    pick = chance.choice
    if path in {"trade/order", "trade/batch-orders", "trade/order-algo"}:
        symbol = pick([SPOT, SWAP, SWAP])
        asked = {"instId": symbol, "tdMode": "cash" if symbol == SPOT else pick(["cross", "isolated"])}
        asked |= {
            "side": pick(["buy", "sell"]),
            "sz": pick(["1", "0.01", "3", "20"]),
            "px": pick(["60000", "59900", "60100", "59000"]),
        }
        if stage.member.hedged and symbol == SWAP:
            asked["posSide"] = pick(["long", "short"])
        if path != "trade/order-algo":
            return asked | {
                "ordType": pick(ORDERS),
                "reduceOnly": pick(["", "", "true"]),
                "clOrdId": pick(["", "a", "b"]),
            }
        return asked | {
            "ordType": pick(ALGOS), "slTriggerPx": pick(["59500", "60700"]), "slOrdPx": "-1", "orderPx": "-1",
            "tpTriggerPx": pick(["60700", "59500"]), "tpOrdPx": pick(["-1", "60000"]),
            "triggerPx": pick(["59500", "60400"]),
            "callbackRatio": "0.005", "reduceOnly": pick(["", "true"]),
        }  # fmt: skip
    orders, algos = list(stage.member.live.values()), list(stage.member.live_algos.values())
    named: dict[str, Any] = {"instId": SWAP}
    if "algo" in path and algos:
        named = {
            "instId": (algo := pick(algos)).listing.id,
            "algoId": algo.id,
            "newSlTriggerPx": pick(["59400", "60800"]),
        }
    elif orders:
        named = {"instId": (order := pick(orders)).listing.id, "ordId": order.id}
        named |= {"newSz": pick(["2", "4"]), "newPx": pick(["59100", "60100"])}
    likely = {
        "instType": pick(["SPOT", "SWAP"]),
        "mgnMode": pick(["cross", "isolated"]),
        "lever": pick(["3", "5", "10"]),
    }
    return named | likely | {"tdMode": "cross", "bar": pick(["1m", "1D"]), "ordType": "conditional", "timeOut": "0"}


def request(chance: Random, stage: Stage, path: str) -> dict[str, Any]:
    """What a client would send, mostly; with nonsense in it, often."""
    given = sensible(chance, stage, path)
    for _ in range(chance.choice([0, 0, 1, 1, 2, 6])):
        given[chance.choice(NAMES)] = chance.choice(VALUES)
    return given


@pytest.mark.parametrize("seed", range(3))
def test_nonsense_is_answered_and_breaks_nothing(seed: int) -> None:
    chance, stage = Random(seed), Stage(mode="long_short_mode" if seed % 2 else "net_mode")
    routes = sorted(TABLE)
    weights = [4 if path.startswith("trade/") else 1 for _, path in routes]
    for turn in range(1500):
        (method, path) = chance.choices(routes, weights)[0]
        given: Any = request(chance, stage, path)
        if TABLE[method, path].batch:
            given = [request(chance, stage, path) for _ in range(chance.randrange(1, 4))]
        answer = stage.call(method, path, given)
        assert {"code", "msg", "data"} <= set(answer), (path, given)
        assert encode(answer)
        if turn % 20 == 0:
            stage.play([chance.choice([59_500, 60_000, 60_500])])
    books, member = stage.member.books, stage.member
    assert len(member.fills) > 20
    assert len(member.algos) > 3
    assert set(member.live) == set(books.working)
    assert all(not order.final for order in member.live.values())
    cash = 100_000 - member.funding_balance.get("USDT", Decimal(0))
    bills = [row for row in member.bills if row["ccy"] == "USDT" and row["type"] != "1"]
    assert books.balance("USDT") == cash + sum(Decimal(row["balChg"]) for row in bills)
    for (symbol, mode, side), leg in books.legs.items():
        fills = [row for row in member.fills if row["instId"] == symbol and row["posSide"] == side]
        fills = [row for row in fills if member.orders[row["ordId"]].mode == mode]
        signed = [Decimal(row["fillSz"]) * (1 if row["side"] == "buy" else -1) for row in fills]
        assert leg.position.size == sum(signed, Decimal(0))


@pytest.mark.parametrize("seed", range(3))
def test_every_frame_is_answered_whatever_it_says(seed: int) -> None:
    chance, stage = Random(seed), Stage()
    hub = stage.venue.hub
    channels = [
        "tickers", "books", "books5", "candle1m", "candle1D", "orders", "account", "positions", "orders-algo",
        "trades", "mark-price", "instruments", "funding-rate", "index-tickers", "index-candle1H", "status",
        "balance_and_position",
    ]  # fmt: skip
    ops = [
        "subscribe",
        "unsubscribe",
        "login",
        "order",
        "cancel-order",
        "amend-order",
        "batch-orders",
        "mass-cancel",
        "nothing",
    ]

    def argument() -> Any:
        given: dict[str, Any] = {"channel": chance.choice(channels), "instId": chance.choice([SPOT, SWAP])}
        given["instType"] = chance.choice(["SPOT", "SWAP"])
        for _ in range(chance.choice([0, 0, 1, 3])):
            given[chance.choice([*NAMES, "channel"])] = chance.choice(VALUES)
        return chance.choice([given, given, given, sensible(chance, stage, "trade/order"), chance.choice(VALUES)])

    for door in DOORS:
        line = Line(cast("web.WebSocketResponse", None), None, door, "c1", stage.venue.now_ms())
        line.member = stage.member if door != "public" else None
        hub.private["main"][line] = None
        for _ in range(300):
            frame: Any = {
                "id": "1",
                "op": chance.choice(ops),
                "args": [argument() for _ in range(chance.randrange(0, 3))],
            }
            for _ in range(chance.choice([0, 0, 0, 1])):
                frame[chance.choice(["id", "op", "args", "expTime"])] = chance.choice(VALUES)
            hub._heard(line, encode(frame).decode() if chance.random() < 0.95 else str(frame))
            assert not line._out.empty(), frame
            while not line._out.empty():
                line._out.get_nowait()
            line.requests.clear()
        stage.wait(2)
