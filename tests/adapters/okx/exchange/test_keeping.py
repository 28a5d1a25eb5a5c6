"""What outlives the exchange: an account, its orders and records, and the market it saw."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from kokex.adapters.okx.exchange.app import TABLE
from kokex.adapters.okx.exchange.calls import Call
from kokex.adapters.okx.exchange.envelope import Params
from kokex.adapters.okx.exchange.listing import Row
from kokex.adapters.okx.exchange.opening import Opening, OpeningError, venue
from kokex.adapters.okx.exchange.venue import Venue

SWAP, SPOT = "BTC-USDT-SWAP", "ETH-USDT"


def opened(path: Path, **how: Any) -> Venue:
    made, _ = venue(Opening(data=path, **how))
    made.table = TABLE
    return made


def end(made: Venue) -> None:
    """As a kill does: nothing is written any more."""
    assert made._keeping
    made._keeping.close()


def call(made: Venue, method: str, path: str, **given: Any) -> list[Row]:
    said = Call(made, Params(given), given, made.now_ms(), {}, made.members["main"])
    answer = TABLE[method, path].handler(said)
    if method == "POST":
        said.member.noted(said.member, "", "", None)
        made.keep()
    rows: list[Row] = answer["data"] if isinstance(answer, dict) else answer
    assert all("sCode" not in row or row["sCode"] == "0" for row in rows), rows
    return rows


def told(made: Venue) -> dict[str, Any]:
    """All that an account may ask for, but for what moves with the price."""
    [balance] = call(made, "GET", "account/balance")
    moving = {"uTime"}
    return {
        "cash": {each["ccy"]: each["cashBal"] for each in balance["details"]},
        "positions": [
            {key: row[key] for key in ("posId", "pos", "avgPx", "fee", "lever", "cTime", "tradeId", "pnl")}
            for row in call(made, "GET", "account/positions")
        ],
        **{
            path: [{key: value for key, value in row.items() if key not in moving} for row in rows]
            for path, rows in {
                "pending": call(made, "GET", "trade/orders-pending"),
                "history": call(made, "GET", "trade/orders-history", instType="SWAP"),
                "fills": call(made, "GET", "trade/fills"),
                "bills": call(made, "GET", "account/bills"),
                "algos": call(made, "GET", "trade/orders-algo-pending", ordType="oco,move_order_stop"),
                "algo history": call(made, "GET", "trade/orders-algo-history", ordType="conditional", state="canceled"),
                "config": call(made, "GET", "account/config"),
                "leverage": call(made, "GET", "account/leverage-info", instId=SWAP, mgnMode="cross"),
                "closed": call(made, "GET", "account/positions-history"),
            }.items()
        },
    }


def candles(made: Venue, bar: str) -> dict[str, list[str]]:
    rows: Any = call(made, "GET", "market/history-candles", instId=SWAP, bar=bar, limit="50")
    return {row[0]: row for row in rows if row[8] == "1"}


def test_an_exchange_goes_on_with_every_order_position_and_digit_as_it_was_last_told(tmp_path: Path) -> None:
    path = tmp_path / "exchange.db"
    made = opened(path, seed=7)
    price = made.floor.price(SWAP)
    near, far = f"{price * 0.98:.1f}", f"{price * 1.03:.1f}"
    common = {"instId": SWAP, "tdMode": "cross"}
    call(made, "POST", "account/set-leverage", instId=SWAP, lever="7", mgnMode="cross")
    call(made, "POST", "trade/order", **common, side="buy", ordType="market", sz="3", clOrdId="entry")
    call(made, "POST", "trade/order", **common, side="sell", ordType="market", sz="1", reduceOnly="true")
    call(made, "POST", "trade/order", **common, side="buy", ordType="limit", sz="2", px=near, clOrdId="rests")
    call(made, "POST", "trade/order", instId=SPOT, tdMode="cash", side="buy", ordType="market", sz="500")
    guard = {**common, "side": "sell", "sz": "1", "reduceOnly": "true", "slTriggerPx": near, "slOrdPx": "-1"}
    call(made, "POST", "trade/order-algo", **guard, ordType="conditional", algoClOrdId="gone")
    call(made, "POST", "trade/order-algo", **guard, ordType="oco", tpTriggerPx=far, tpOrdPx="-1", algoClOrdId="both")
    call(made, "POST", "trade/order-algo", **common, side="sell", sz="1", ordType="move_order_stop",
         callbackRatio="0.1", algoClOrdId="trails")  # fmt: skip
    member = made.members["main"]
    made.algos.cancel(member, member.algo_by_client["gone"])
    for _ in range(40):
        made.tick()
    before, seconds, hours = told(made), candles(made, "1s"), candles(made, "1H")
    end(made)

    again = opened(path)
    assert told(again) == before
    assert again.desk.numbers() > before["bills"][0]["billId"]
    kept = candles(again, "1s")
    assert {at: kept[at] for at in seconds if at in kept} == {at: seconds[at] for at in seconds if at in kept}
    assert len(seconds.keys() & kept.keys()) > 30
    assert {at: row for at, row in candles(again, "1H").items() if at in hours} == hours
    # it is alive: what rests can be cancelled, what is held can be closed, ids are unique
    call(again, "POST", "trade/cancel-order", instId=SWAP, clOrdId="rests")
    call(again, "POST", "trade/close-position", instId=SWAP, mgnMode="cross")
    numbers = [(row["instId"], row["tradeId"]) for row in call(again, "GET", "trade/fills")]
    assert len(set(numbers)) == len(numbers) > len(before["fills"])
    assert [row["pos"] for row in call(again, "GET", "account/positions")] == []
    end(again)
    third = opened(path)
    assert told(third)["positions"] == []
    end(third)


def test_a_file_that_cannot_be_gone_on_from_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "exchange.db"
    end(opened(path, seed=7))
    with pytest.raises(OpeningError, match="began with --seed 7"):
        opened(path, seed=8)
    running = opened(path)
    with pytest.raises(OpeningError, match="another exchange is using it"):
        opened(path)
    end(running)
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version=99")
    other.close()
    with pytest.raises(OpeningError, match="another version"):
        opened(path)
    (tmp_path / "text").write_text("no database, but a text that is long enough to be one" * 20)
    with pytest.raises(OpeningError, match="not a database"):
        opened(tmp_path / "text")
