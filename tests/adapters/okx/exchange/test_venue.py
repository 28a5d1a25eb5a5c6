"""What the exchange does with orders, positions and money, on a price that is written down."""

from decimal import Decimal

import pytest

from tests.adapters.okx.exchange.stage import SPOT, START, SWAP, Stage

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


@pytest.fixture
def stage() -> Stage:
    return Stage()


def later(stage: Stage, ms: int) -> None:
    """Time passes while nothing happens."""
    stage.now_ns += ms * 1_000_000


# ---- orders and the book ------------------------------------------------------------------------


def test_a_resting_order_fills_as_maker_at_its_price_once_the_market_is_through_it(stage: Stage) -> None:
    order = stage.order("buy", "1", px="59900")
    stage.play([59_950])
    assert stage.get("trade/orders-pending")[0]["state"] == "live"
    stage.play([59_899])
    [found] = stage.get("trade/order", instId=SWAP, ordId=order["ordId"])
    [fill] = stage.get("trade/fills")
    assert (found["state"], found["avgPx"], fill["execType"]) == ("filled", "59900", "M")
    assert Decimal(fill["fee"]) == Decimal("-0.1198"), "0.02 % of 599"


def test_a_large_taker_walks_the_book_fill_by_fill(stage: Stage) -> None:
    order = stage.order("buy", "100", px="60100", ordType="ioc")
    fills = stage.get("trade/fills", ordId=order["ordId"])[::-1]
    prices = [Decimal(row["fillPx"]) for row in fills]
    assert len(prices) > 1
    assert prices == sorted(set(prices))
    assert sum(Decimal(row["fillSz"]) for row in fills) == Decimal(order["accFillSz"]) == 100
    worth = sum((Decimal(row["fillSz"]) * Decimal(row["fillPx"]) for row in fills), Decimal(0))
    assert abs(Decimal(order["avgPx"]) - worth / 100) < Decimal("1E-9")
    assert Decimal(order["fee"]) == sum(Decimal(row["fee"]) for row in fills)
    [ask] = stage.get("market/books", instId=SWAP)[0]["asks"]
    assert Decimal(ask[0]) >= prices[-1], "what was taken is gone until the next look"


def test_reduce_only_is_cut_to_the_position_and_never_turns_it(stage: Stage) -> None:
    stage.order("buy", "2")
    order = stage.order("sell", "5", reduceOnly="true")
    assert (order["sz"], order["state"], stage.position["pos"]) == ("2", "filled", "0")
    stage.order("buy", "2")
    assert stage.order("buy", "1", reduceOnly="true")["sCode"] == "51170"


def test_an_amended_order_keeps_its_number_and_may_fill_at_once(stage: Stage) -> None:
    order = stage.order("buy", "1", px="59000")
    answer = stage.call("POST", "trade/amend-order", instId=SWAP, ordId=order["ordId"], newPx="60100", newSz="2")
    assert answer["data"][0]["sCode"] == "0"
    [found] = stage.get("trade/order", instId=SWAP, ordId=order["ordId"])
    assert (found["state"], found["accFillSz"], found["px"]) == ("filled", "2", "60100")
    order = stage.order("buy", "1", px="59000")
    for change, code in (
        ({"newSz": "5000"}, "51502"),
        ({"newPx": "59000.01"}, "51150"),
        ({"newSz": "0.005"}, "51121"),
        ({}, "51500"),
    ):
        answer = stage.call("POST", "trade/amend-order", {"instId": SWAP, "ordId": order["ordId"], **change})
        assert answer["data"][0]["sCode"] == code, change
    assert stage.get("trade/orders-pending")[0]["sz"] == "1", "a refused change changes nothing"
    asked = {"instId": SWAP, "ordId": order["ordId"], "newSz": "5000", "cxlOnFail": "true"}
    failed = stage.call("POST", "trade/amend-order", asked)
    assert failed["data"][0]["sCode"] == "51502"
    assert stage.get("trade/orders-pending") == []


def test_spot_cannot_be_sold_twice(stage: Stage) -> None:
    stage.order("buy", "1", SPOT, tgtCcy="base_ccy")
    assert stage.order("sell", "0.6", SPOT, px="61000")["state"] == "live"
    assert stage.order("sell", "0.6", SPOT, px="61000")["sCode"] == "51008"
    [row] = stage.get("account/balance", ccy="BTC")[0]["details"]
    assert (row["cashBal"], row["ordFrozen"], row["availBal"]) == ("0.999", "0.6", "0.399"), "the fee was taken in BTC"


# ---- positions and money ------------------------------------------------------------------------


def test_margin_profit_and_fees_add_up(stage: Stage) -> None:
    stage.call("POST", "account/set-leverage", instId=SWAP, lever="10", mgnMode="cross")
    stage.order("buy", "10")
    rows = stage.get("trade/fills")
    bought = sum((Decimal(row["fillPx"]) * Decimal(row["fillSz"]) for row in rows), Decimal(0)) / 10
    stage.play([61_000])
    position, detail = stage.position, stage.detail
    assert Decimal(position["avgPx"]) == bought
    assert Decimal(position["upl"]) == (Decimal(position["markPx"]) - bought) * Decimal("0.1")
    assert Decimal(position["imr"]) == Decimal(position["markPx"]) * Decimal("0.01")
    assert Decimal(detail["eq"]) == Decimal(detail["cashBal"]) + Decimal(position["upl"])
    assert Decimal(detail["availEq"]) == Decimal(detail["eq"]) - Decimal(position["imr"])
    stage.order("sell", "4", reduceOnly="true")
    stage.order("sell", "6", reduceOnly="true")
    fills = stage.get("trade/fills")
    moved = sum(Decimal(row["fillPnl"]) + Decimal(row["fee"]) for row in fills)
    assert Decimal(stage.detail["cashBal"]) == 100_000 + moved
    [closed] = stage.get("account/positions-history")
    assert Decimal(closed["realizedPnl"]) == moved
    assert (closed["direction"], closed["closeTotalPos"], closed["openMaxPos"]) == ("long", "10", "10")


def test_a_position_turns_from_long_to_short_with_one_order(stage: Stage) -> None:
    stage.order("buy", "2")
    stage.order("sell", "5")
    assert stage.position["pos"] == "-3"
    assert [row["subType"] for row in stage.get("trade/fills")][-1] == "3"
    stage.play([59_000])
    assert Decimal(stage.position["upl"]) > 29


def test_isolated_margin_is_kept_apart(stage: Stage) -> None:
    stage.call("POST", "account/set-leverage", instId=SWAP, lever="5", mgnMode="isolated")
    stage.order("buy", "10", tdMode="isolated")
    stage.order("buy", "1")
    isolated, cross = sorted(stage.get("account/positions"), key=lambda row: row["mgnMode"], reverse=True)
    assert (isolated["mgnMode"], isolated["lever"], cross["lever"]) == ("isolated", "5", "3")
    margin = Decimal(isolated["margin"])
    assert abs(margin - Decimal(isolated["avgPx"]) * Decimal("0.1") / 5) < Decimal("1E-6")
    answer = stage.call("POST", "account/position/margin-balance", instId=SWAP, posSide="net", type="add", amt="100")
    assert answer["code"] == "0"
    assert Decimal(stage.get("account/positions", posId=isolated["posId"])[0]["margin"]) == margin + 100
    stage.order("sell", "5", tdMode="isolated", reduceOnly="true")
    left = stage.get("account/positions", posId=isolated["posId"])[0]
    assert abs(Decimal(left["margin"]) - (margin + 100) / 2) < Decimal("1E-9")


def test_leverage_waits_for_pending_orders_and_no_order_exceeds_the_margin(stage: Stage) -> None:
    order = stage.order("buy", "1", px="59000")
    answer = stage.call("POST", "account/set-leverage", instId=SWAP, lever="10", mgnMode="cross")
    assert answer["code"] == "59107"
    stage.call("POST", "trade/cancel-order", instId=SWAP, ordId=order["ordId"])
    [room] = stage.get("account/max-size", instId=SWAP, tdMode="cross")
    most = Decimal(room["maxBuy"])
    assert stage.order("buy", str(most + 10))["sCode"] == "51008"
    assert stage.order("buy", str(most - 5))["state"] == "filled"


def test_funding_is_paid_by_longs_and_stands_in_bills_and_position(stage: Stage) -> None:
    stage = Stage(funding_s=600)
    stage.order("buy", "10")
    before = Decimal(stage.detail["cashBal"])
    [announced] = stage.get("public/funding-rate", instId=SWAP)
    stage.wait(600)
    [bill] = stage.get("account/bills", type="8")
    [paid] = stage.get("public/funding-rate-history", instId=SWAP, limit="1")
    assert paid["fundingTime"] == announced["fundingTime"] == str((START + 600) * 1000)
    assert paid["fundingRate"] == announced["fundingRate"]
    amount = -Decimal("0.1") * Decimal(bill["px"]) * Decimal(paid["fundingRate"])
    assert Decimal(bill["balChg"]) == amount
    assert bill["subType"] == ("173" if amount < 0 else "174")
    assert Decimal(stage.detail["cashBal"]) - before == amount == Decimal(stage.position["fundingFee"])
    stage.wait(600)
    assert len(stage.get("account/bills", type="8")) == 2


# ---- algo orders --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields", "path", "source"),
    [
        ("conditional", {"slTriggerPx": "59500", "slOrdPx": "-1"}, [59_600, 59_400], "7"),
        ("conditional", {"tpTriggerPx": "60500", "tpOrdPx": "-1"}, [60_400, 60_600], "7"),
        ("trigger", {"triggerPx": "59500", "orderPx": "-1"}, [59_600, 59_400], "6"),
        ("move_order_stop", {"callbackRatio": "0.01"}, [61_000, 60_300], "25"),
        ("move_order_stop", {"callbackSpread": "500", "activePx": "60900"}, [60_100, 61_000, 60_400], "25"),
    ],
)
def test_an_algo_order_waits_for_its_price_and_then_is_an_order(
    stage: Stage, kind: str, fields: dict[str, str], path: list[float], source: str
) -> None:
    stage.order("buy", "1")
    algo = stage.algo("sell", kind, **fields)
    stage.play(path[:-1])
    assert stage.state(algo)["state"] == "live"
    assert stage.get("trade/orders-algo-pending", ordType=kind)
    stage.play(path[-1:])
    done = stage.state(algo)
    assert (done["state"], done["actualSz"]) == ("effective", "1")
    [order] = stage.get("trade/order", instId=SWAP, ordId=done["ordId"])
    assert (order["state"], order["algoId"], order["source"]) == ("filled", algo["algoId"], source)
    assert stage.position["pos"] == "0"
    assert stage.get("trade/orders-algo-history", ordType=kind, state="effective")[0]["algoId"] == algo["algoId"]


def test_one_of_two_triggers_and_the_other_is_gone(stage: Stage) -> None:
    stage.order("buy", "1")
    both = {"tpTriggerPx": "60500", "tpOrdPx": "-1", "slTriggerPx": "59500", "slOrdPx": "-1"}
    algo = stage.algo("sell", "oco", **both)
    stage.play([60_600])
    assert (stage.state(algo)["state"], stage.state(algo)["actualSide"]) == ("effective", "tp")
    stage.play([59_000])
    assert stage.position["pos"] == "0"


def test_what_is_attached_becomes_an_algo_order_once_its_parent_is_filled(stage: Stage) -> None:
    attached = [
        {"slTriggerPx": "59000", "slOrdPx": "-1", "tpTriggerPx": "61000", "tpOrdPx": "-1", "attachAlgoClOrdId": "mine"}
    ]
    stage.order("buy", "1", px="59900", attachAlgoOrds=attached)
    assert stage.get("trade/orders-algo-pending", ordType="oco") == []
    stage.play([59_800])
    [algo] = stage.get("trade/orders-algo-pending", ordType="oco")
    assert (algo["algoClOrdId"], algo["side"], algo["sz"], algo["reduceOnly"]) == ("mine", "sell", "1", "true")
    stage.play([58_900])
    assert stage.position["pos"] == "0"


@pytest.mark.parametrize(
    ("side", "fields", "code"),
    [
        ("sell", {"slTriggerPx": "61000", "slOrdPx": "-1"}, "51280"),
        ("sell", {"tpTriggerPx": "59000", "tpOrdPx": "-1"}, "51279"),
        ("buy", {"slTriggerPx": "59000", "slOrdPx": "-1"}, "51278"),
        ("buy", {"tpTriggerPx": "61000", "tpOrdPx": "-1"}, "51277"),
        ("sell", {"slTriggerPx": "59000"}, "50014"),
        ("sell", {}, "50015"),
        ("sell", {"slTriggerPx": "59000", "slOrdPx": "-1", "sz": "0.001"}, "51020"),
        ("sell", {"slTriggerPx": "59000", "slOrdPx": "-1", "sz": "", "closeFraction": "1", "reduceOnly": ""}, "51328"),
        ("sell", {"slTriggerPx": "59000", "slOrdPx": "58000", "sz": "", "closeFraction": "1"}, "51330"),
    ],
)
def test_a_trigger_on_the_wrong_side_is_refused(stage: Stage, side: str, fields: dict[str, str], code: str) -> None:
    assert stage.algo(side, "conditional", **fields)["sCode"] == code


def test_a_stop_for_the_whole_position_grows_and_goes_with_it(stage: Stage) -> None:
    stage.order("buy", "1")
    stop = stage.algo("sell", "conditional", sz="", closeFraction="1", slTriggerPx="59000", slOrdPx="-1")
    stage.order("buy", "2")
    stage.play([58_900])
    assert (stage.state(stop)["actualSz"], stage.position["pos"]) == ("3", "0")
    stage.order("buy", "1")
    stop = stage.algo("sell", "conditional", sz="", closeFraction="1", slTriggerPx="58000", slOrdPx="-1")
    stage.call("POST", "trade/close-position", instId=SWAP, mgnMode="cross")
    assert stage.state(stop)["state"] == "canceled"


def test_a_stop_without_a_position_fails_with_a_code(stage: Stage) -> None:
    stop = stage.algo("sell", "conditional", slTriggerPx="59500", slOrdPx="-1")
    stage.play([59_400])
    done = stage.state(stop)
    assert (done["state"], done["failCode"]) == ("order_failed", "51169")


# ---- the dead man, and what is remembered -------------------------------------------------------


def test_cancel_all_after_fires_unless_it_is_fed(stage: Stage) -> None:
    stage.order("buy", "1", px="59000", tag="a")
    stage.order("buy", "1", px="59000", tag="b")
    for _ in range(3):
        [answer] = stage.call("POST", "trade/cancel-all-after", timeOut="10", tag="a")["data"]
        assert int(answer["triggerTime"]) == int(answer["ts"]) + 10_000
        stage.wait(8)
    assert len(stage.get("trade/orders-pending")) == 2
    stage.wait(3)
    [left] = stage.get("trade/orders-pending")
    assert left["tag"] == "b"
    gone = stage.get("trade/orders-history", instType="SWAP")[0]
    assert (gone["state"], gone["cancelSource"]) == ("canceled", "20")
    stage.call("POST", "trade/cancel-all-after", timeOut="10")
    stage.call("POST", "trade/cancel-all-after", timeOut="0")
    stage.wait(12)
    assert len(stage.get("trade/orders-pending")) == 1
    for wrong in ("5", "121", "x"):
        assert stage.call("POST", "trade/cancel-all-after", timeOut=wrong)["code"] == "51000"


def test_windows_of_history_close_as_okx_closes_them(stage: Stage) -> None:
    filled = stage.order("buy", "1")["ordId"]
    order = stage.order("buy", "1", px="59000")["ordId"]
    stage.call("POST", "trade/cancel-order", instId=SWAP, ordId=order)
    assert len(stage.get("trade/orders-history", instType="SWAP")) == 2
    later(stage, 2 * HOUR_MS + 1000)
    assert [row["ordId"] for row in stage.get("trade/orders-history", instType="SWAP")] == [filled], "2 h if unfilled"
    assert stage.call("GET", "trade/order", instId=SWAP, ordId=order)["code"] == "51603"
    later(stage, 3 * DAY_MS)
    assert stage.get("trade/fills") == []
    assert len(stage.get("trade/fills-history", instType="SWAP")) == 1
    later(stage, 4 * DAY_MS)
    assert stage.get("trade/orders-history", instType="SWAP") == []
    assert stage.get("account/bills") == []
    assert len(stage.get("trade/orders-history-archive", instType="SWAP")) == 1
    assert len(stage.get("account/bills-archive")) == 1
    later(stage, 90 * DAY_MS)
    assert stage.get("trade/orders-history-archive", instType="SWAP") == []
    assert stage.get("trade/fills-history", instType="SWAP") == []


def test_spot_mode_knows_no_swaps_and_levels_change_only_when_flat(stage: Stage) -> None:
    stage.order("buy", "1")
    assert stage.call("POST", "account/set-account-level", acctLv="1")["code"] == "59000"
    stage.order("sell", "1")
    assert stage.call("POST", "account/set-account-level", acctLv="1")["code"] == "0"
    assert stage.order("buy", "1")["sCode"] == "51010"
    assert stage.call("POST", "account/set-position-mode", posMode="long_short_mode")["code"] == "51010"


def test_a_hedge_has_two_positions_that_do_not_meet() -> None:
    stage = Stage(mode="long_short_mode")
    stage.order("buy", "2", posSide="long")
    stage.order("sell", "2", posSide="short")
    assert sorted(row["posSide"] for row in stage.get("account/positions")) == ["long", "short"]
    stage.play([61_000])
    profits = {row["posSide"]: Decimal(row["upl"]) for row in stage.get("account/positions")}
    assert profits["long"] > 19
    assert profits["short"] < -19
    stop = stage.algo("sell", "conditional", reduceOnly="", posSide="long", sz="2", slTriggerPx="60500", slOrdPx="-1")
    stage.play([60_400])
    assert stage.state(stop)["state"] == "effective"
    [left] = stage.get("account/positions")
    assert (left["posSide"], left["pos"]) == ("short", "2")
    assert stage.order("sell", "1", posSide="long")["sCode"] == "51169"
