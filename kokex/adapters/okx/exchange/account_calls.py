"""Account endpoints: balances, positions, settings, bills; and what clients ask of the funding account."""

from collections.abc import Iterator
from decimal import Decimal

from kokex.adapters.okx.exchange.calls import Answer, Call, Endpoint, Handler, instrument_type, matches, page, within
from kokex.adapters.okx.exchange.envelope import Failure, absent, wrong
from kokex.adapters.okx.exchange.holdings import short
from kokex.adapters.okx.exchange.limits import Limit
from kokex.adapters.okx.exchange.listing import RATES, Listing, Row, plain
from kokex.market.instruments import exact, floor_size, size_of
from kokex.market.money import EXACT
from kokex.paper.margin import Leg

ZERO = Decimal(0)
DAY_MS = 86_400_000
WEEK_MS, QUARTER_MS = 7 * DAY_MS, 92 * DAY_MS


def instruments(call: Call) -> Answer:
    kind = instrument_type(call.given, needed=True)
    found = [each for each in call.venue.floor.listings.values() if each.type == kind]
    if "instId" in call.given:
        found = [each for each in found if each.id == call.given.get("instId")]
        if not found:
            raise Failure("51001")
    return [each.row() for each in found]


def balance(call: Call) -> Answer:
    return [call.venue.holdings.balance(call.member, call.given.each("ccy"), call.now_ms)]


def positions(call: Call) -> Answer:
    kind, ids, numbers = instrument_type(call.given), call.given.each("instId"), call.given.each("posId")
    rows = [call.venue.holdings.position(call.member, leg) for leg, _ in call.venue.holdings.positions(call.member)]
    return [
        row
        for row in rows
        if (not kind or kind in {"SWAP", "ANY"})
        and (not ids or row["instId"] in ids)
        and (not numbers or row["posId"] in numbers)
    ]


def positions_history(call: Call) -> Answer:
    rows = [call.venue.holdings.history(call.member, leg) for leg in reversed(call.member.books.closed_legs)]
    return page(
        (row for row in rows if matches(call.given, row, "instType", "instId", "mgnMode", "posId")), call.given, "uTime"
    )


def risk(call: Call) -> Answer:
    holdings = call.venue.holdings
    rows: list[Row] = []
    for leg, _ in holdings.positions(call.member):
        row = holdings.position(call.member, leg)
        names = (
            "instType",
            "mgnMode",
            "posId",
            "instId",
            "pos",
            "baseBal",
            "quoteBal",
            "posSide",
            "posCcy",
            "ccy",
            "notionalUsd",
        )
        rows.append({**{name: row[name] for name in names}, "notionalCcy": ""})
    details = holdings.balance(call.member)["details"]
    return [{
        "adjEq": "", "balData": [{"ccy": each["ccy"], "disEq": each["disEq"], "eq": each["eq"]} for each in details],
        "posData": rows, "ts": str(call.now_ms),
    }]  # fmt: skip


def config(call: Call) -> Answer:
    member = call.member
    return [{
        "acctLv": member.level, "acctStpMode": "cancel_maker", "autoLoan": False, "ctIsoMode": "automatic",
        "enableSpotBorrow": False, "feeType": "0", "greeksType": "PA", "ip": "", "kycLv": "3", "label": member.name,
        "level": "Lv1", "levelTmp": "", "liquidationGear": "-1", "mainUid": member.uid, "mgnIsoMode": "automatic",
        "opAuth": "0", "perm": "read_only,trade", "posMode": member.position_mode, "roleType": "0", "settleCcy": "USDT",
        "settleCcyList": ["USDT"], "spotBorrowAutoRepay": False, "spotOffsetType": "", "spotRoleType": "0",
        "spotTraderInsts": [], "stgyType": "0", "traderInsts": [], "type": "0", "uid": member.uid,
    }]  # fmt: skip


def set_position_mode(call: Call) -> Answer:
    mode = call.given.one_of("posMode", "net_mode", "long_short_mode")
    member = call.member
    if member.level == "1":
        raise Failure("51010")
    busy = any(order.listing.type == "SWAP" for order in member.live.values()) or member.live_algos
    if mode != member.position_mode and (busy or any(True for _ in call.venue.funds.open_legs(member.books))):
        raise Failure("59000")
    member.position_mode = mode
    return [{"posMode": mode}]


def set_level(call: Call) -> Answer:
    level = call.given.one_of("acctLv", "1", "2", "3", "4")
    if level in {"3", "4"}:
        raise Failure("51070")
    if call.member.live or call.member.live_algos or any(True for _ in call.venue.funds.open_legs(call.member.books)):
        raise Failure("59000")
    call.member.level = level
    return [{"acctLv": level}]


def _swap(call: Call, symbol: str) -> Listing:
    found = call.venue.floor.listings.get(symbol)
    if found is None:
        raise Failure("51001")
    if found.type != "SWAP":
        raise Failure("51010")
    return found


def set_leverage(call: Call) -> Answer:
    given, member = call.given, call.member
    mode = given.one_of("mgnMode", "cross", "isolated")
    if "instId" not in given:
        raise Failure("51010") if "ccy" in given else absent("instId")
    swap = _swap(call, given.get("instId"))
    lever = given.number("lever")
    if lever is None:
        raise absent("lever")
    if lever > swap.most_leverage:
        raise Failure("59102")
    if lever < 1:
        raise Failure("59105")
    side = given.one_of("posSide", "long", "short", "net", default="net")
    if mode == "isolated" and member.hedged and side == "net":
        raise wrong("posSide")
    side = side if mode == "isolated" and member.hedged else "net"
    if any(order.listing is swap and order.mode == mode and not order.reduce_only for order in member.live.values()):
        raise Failure("59107" if mode == "cross" else "59101")
    legs = [leg for leg in call.venue.funds.open_legs(member.books) if leg.instrument == swap.id and leg.mode == mode
            and (mode == "cross" or leg.side == side)]  # fmt: skip
    more = sum((_margin_more(call, leg, lever) for leg in legs), ZERO)
    if more > 0 and more > call.venue.funds.available(member.books, swap.inst.quote):
        raise Failure("59103", "Account margin is insufficient and leverage is too low. Please increase the leverage.")
    for leg in legs:
        if leg.mode == "isolated":
            leg.margin = EXACT.divide(abs(leg.position.cost), lever)
        leg.leverage = lever
    member.leverage[swap.id, mode, side] = lever
    call.venue.moved(member, legs=legs)
    return [{"instId": swap.id, "lever": plain(lever), "mgnMode": mode, "posSide": side}]


def _margin_more(call: Call, leg: Leg, lever: Decimal) -> Decimal:
    worth = call.venue.funds.worth(leg)
    return EXACT.divide(worth, lever) - (leg.margin if leg.mode == "isolated" else EXACT.divide(worth, leg.leverage))


def leverage_info(call: Call) -> Answer:
    mode = call.given.one_of("mgnMode", "cross", "isolated")
    ids = call.given.each("instId")
    if not ids:
        raise absent("instId")
    rows: list[Row] = []
    for symbol in ids:
        listing = call.venue.floor.listings.get(symbol)
        if listing is None:
            raise Failure("51001")
        if listing.type == "SPOT":
            raise Failure("51010")
        sides = ("long", "short") if call.member.hedged else ("net",)
        rows += [
            {
                "ccy": "",
                "instId": symbol,
                "lever": plain(call.member.lever(listing, mode, side)),
                "mgnMode": mode,
                "posSide": side,
            }
            for side in sides
        ]
    return rows


def _room(call: Call, listing: Listing, mode: str, side: str, price: Decimal) -> Decimal:
    """The largest order that opens something."""
    member, funds = call.member, call.venue.funds
    if listing.type == "SPOT" and side == "sell":
        coins = max(ZERO, funds.available(member.books, listing.inst.base))
        return floor_size(listing.inst, coins)
    free = max(ZERO, funds.available(member.books, listing.inst.quote))
    if listing.type == "SPOT":
        return floor_size(listing.inst, EXACT.divide(free, price))
    lever = call.given.number("leverage") or member.lever(listing, mode, "net")
    each = EXACT.multiply(price, EXACT.add(EXACT.divide(Decimal(1), lever), listing.rates.taker))
    return min(size_of(listing.inst, EXACT.divide(free, each)), listing.most)


def max_size(call: Call) -> Answer:
    mode = call.given.one_of("tdMode", "cash", "cross", "isolated", "spot_isolated")
    rows: list[Row] = []
    for symbol in call.given.need("instId").split(","):
        listing = call.venue.floor.listings.get(symbol)
        if listing is None:
            raise Failure("51001")
        price = call.given.number("px") or exact(round(call.venue.floor.price(symbol), 10))
        rows.append({
            "ccy": listing.inst.quote if listing.type == "SWAP" else call.given.get("ccy"), "instId": symbol,
            "maxBuy": plain(_room(call, listing, mode, "buy", price)),
            "maxSell": plain(_room(call, listing, mode, "sell", price)),
        })  # fmt: skip
    return rows


def max_available(call: Call) -> Answer:
    call.given.one_of("tdMode", "cash", "cross", "isolated", "spot_isolated")
    rows: list[Row] = []
    for symbol in call.given.need("instId").split(","):
        listing = call.venue.floor.listings.get(symbol)
        if listing is None:
            raise Failure("51001")
        quote = max(ZERO, call.venue.funds.available(call.member.books, listing.inst.quote))
        base = max(ZERO, call.venue.funds.available(call.member.books, listing.inst.base))
        rows.append(
            {"availBuy": short(quote), "availSell": short(base if listing.type == "SPOT" else quote), "instId": symbol}
        )
    return rows


def trade_fee(call: Call) -> Answer:
    kind = instrument_type(call.given, needed=True)
    rates = RATES["SPOT" if kind in {"SPOT", "MARGIN"} else "SWAP"]
    spot = kind in {"SPOT", "MARGIN"}
    maker, taker = plain(-rates.maker), plain(-rates.taker)
    group = {"groupId": "1", "maker": maker, "taker": taker}
    return [{
        "category": "1", "delivery": "", "exercise": "", "feeGroup": [group], "fiat": [], "instType": kind,
        "level": "Lv1",
        "maker": maker if spot else "", "makerU": "" if spot else maker, "makerUSDC": maker, "ruleType": "normal",
        "settle": "", "taker": taker if spot else "", "takerU": "" if spot else taker, "takerUSDC": taker,
        "ts": str(call.now_ms),
    }]  # fmt: skip


def margin_balance(call: Call) -> Answer:
    """Adds to, or takes from, the margin of an isolated position."""
    given, member = call.given, call.member
    swap = _swap(call, given.need("instId"))
    side = given.one_of("posSide", "long", "short", "net")
    kind, amount = given.one_of("type", "add", "reduce"), given.number("amt")
    if amount is None or amount <= 0:
        raise wrong("amt")
    leg = member.books.leg(swap.id, "isolated", side)
    if leg is None or not leg.position.size:
        raise Failure("59300", "Margin call failed. Position does not exist.")
    if kind == "add" and amount > call.venue.funds.available(member.books, swap.inst.quote):
        raise Failure("51008", f"Order failed. Insufficient {swap.inst.quote} margin in account")
    if kind == "reduce" and leg.margin - amount < EXACT.divide(call.venue.funds.worth(leg), leg.leverage):
        raise Failure("59301", "Margin adjustment failed for exceeding the max limit.")
    leg.margin = EXACT.add(leg.margin, amount if kind == "add" else -amount)
    call.venue.moved(member, legs=[leg])
    return [{
        "amt": plain(amount), "ccy": swap.inst.quote, "instId": swap.id,
        "leverage": short(call.venue.funds.worth(leg) / leg.margin, 4), "posSide": side, "type": kind,
    }]  # fmt: skip


def _bills(call: Call, age_ms: int) -> Answer:
    oldest = call.now_ms - age_ms

    def rows() -> Iterator[Row]:
        for row in reversed(call.member.bills):
            if int(row["ts"]) < oldest:
                return
            if matches(call.given, row, "instType", "instId", "ccy", "mgnMode", "type", "subType") and within(
                call.given, row, "ts"
            ):
                yield row

    return page(rows(), call.given, "billId")


def bills(call: Call) -> Answer:
    return _bills(call, WEEK_MS)


def bills_archive(call: Call) -> Answer:
    return _bills(call, QUARTER_MS)


def max_withdrawal(call: Call) -> Answer:
    rows: list[Row] = []
    for currency in call.given.each("ccy") or list(call.member.books.balances):
        free = short(max(ZERO, call.venue.funds.available(call.member.books, currency)))
        rows.append({"ccy": currency, "maxWd": free, "maxWdEx": free, "spotOffsetMaxWd": "0", "spotOffsetMaxWdEx": "0"})
    return rows


def nothing(call: Call) -> Answer:
    return []


def greeks_type(call: Call) -> Answer:
    return [{"greeksType": call.given.one_of("greeksType", "PA", "BS")}]


def isolated_mode(call: Call) -> Answer:
    return [{"isoMode": call.given.one_of("isoMode", "automatic", "autonomy")}]


def risk_state(call: Call) -> Answer:
    return [{"atRisk": False, "atRiskIdx": [], "atRiskMgn": [], "ts": str(call.now_ms)}]


# ---- funding account ----------------------------------------------------------------------------


def currencies(call: Call) -> Answer:
    wanted = call.given.each("ccy")
    known = sorted({listing.inst.base for listing in call.venue.floor.listings.values()} | {"USDT"})
    return [
        {
            "burningFeeRate": "", "canDep": True, "canInternal": True, "canWd": False, "ccy": currency,
            "chain": f"{currency}-KOKEX",
            "ctAddr": "", "depEstOpenTime": "", "depQuotaFixed": "", "depQuoteDailyLayer2": "", "fee": "0",
            "logoLink": "",
            "mainNet": True, "maxFee": "0", "maxFeeForCtAddr": "", "maxWd": "0", "minDep": "0.00000001",
            "minDepArrivalConfirm": "1", "minFee": "0", "minFeeForCtAddr": "", "minInternal": "0.00000001",
            "minWd": "0.00000001",
            "minWdUnlockConfirm": "1", "name": currency, "needTag": False, "usedDepQuotaFixed": "", "usedWdQuota": "0",
            "wdEstOpenTime": "", "wdQuota": "0", "wdTickSz": "8",
        }
        for currency in known
        if not wanted or currency in wanted
    ]  # fmt: skip


def asset_balances(call: Call) -> Answer:
    wanted = call.given.each("ccy")
    return [
        {"availBal": plain(amount), "bal": plain(amount), "ccy": currency, "frozenBal": "0"}
        for currency, amount in call.member.funding_balance.items()
        if amount and (not wanted or currency in wanted)
    ]


def transfer(call: Call) -> Answer:
    """Between the funding account (6) and the trading account (18)."""
    given, member = call.given, call.member
    currency, amount = given.need("ccy"), given.number("amt")
    origin, target = given.one_of("from", "6", "18"), given.one_of("to", "6", "18")
    if amount is None or amount <= 0:
        raise wrong("amt")
    if origin == target:
        raise Failure("58110", "Transfer failed: both accounts are the same.")
    there = member.funding_balance.get(currency, ZERO)
    free = there if origin == "6" else call.venue.funds.available(member.books, currency)
    if amount > free:
        raise Failure("58350", "Insufficient balance.")
    incoming = origin == "6"
    member.funding_balance[currency] = there - amount if incoming else there + amount
    call.venue.ledger.transfer(member, currency, amount if incoming else -amount, "11" if incoming else "12")
    return [{
        "amt": plain(amount), "ccy": currency, "clientId": given.get("clientId"), "from": origin, "to": target,
        "transId": call.venue.numbers(),
    }]  # fmt: skip


def valuation(call: Call) -> Answer:
    total = call.venue.holdings.balance(call.member)["totalEq"]
    return [
        {
            "details": {"classic": "0", "earn": "0", "funding": "0", "trading": total},
            "totalBal": total,
            "ts": str(call.now_ms),
        }
    ]


def _private(handler: Handler, count: int, window_s: float = 2.0) -> Endpoint:
    return Endpoint(handler, Limit(count, window_s), private=True)


ACCOUNT: dict[tuple[str, str], Endpoint] = {
    ("GET", "account/instruments"): _private(instruments, 20),
    ("GET", "account/balance"): _private(balance, 10),
    ("GET", "account/positions"): _private(positions, 10),
    ("GET", "account/positions-history"): _private(positions_history, 10),
    ("GET", "account/account-position-risk"): _private(risk, 10),
    ("GET", "account/config"): _private(config, 5),
    ("POST", "account/set-position-mode"): _private(set_position_mode, 5),
    ("POST", "account/set-account-level"): _private(set_level, 5),
    ("POST", "account/set-leverage"): _private(set_leverage, 20),
    ("GET", "account/leverage-info"): _private(leverage_info, 20),
    ("GET", "account/max-size"): _private(max_size, 20),
    ("GET", "account/max-avail-size"): _private(max_available, 20),
    ("GET", "account/trade-fee"): _private(trade_fee, 5),
    ("POST", "account/position/margin-balance"): _private(margin_balance, 20),
    ("GET", "account/bills"): _private(bills, 5, 1.0),
    ("GET", "account/bills-archive"): _private(bills_archive, 5),
    ("GET", "account/max-withdrawal"): _private(max_withdrawal, 20),
    ("GET", "account/max-loan"): _private(nothing, 20),
    ("GET", "account/interest-accrued"): _private(nothing, 5),
    ("GET", "account/interest-rate"): _private(nothing, 5),
    ("GET", "account/greeks"): _private(nothing, 10),
    ("GET", "account/risk-state"): _private(risk_state, 10),
    ("POST", "account/set-greeks"): _private(greeks_type, 5),
    ("POST", "account/set-isolated-mode"): _private(isolated_mode, 5),
    ("GET", "asset/currencies"): _private(currencies, 6, 1.0),
    ("GET", "asset/balances"): _private(asset_balances, 6, 1.0),
    ("POST", "asset/transfer"): _private(transfer, 2, 1.0),
    ("GET", "asset/asset-valuation"): _private(valuation, 1, 1.0),
    ("GET", "asset/deposit-history"): _private(nothing, 6, 1.0),
    ("GET", "asset/withdrawal-history"): _private(nothing, 6, 1.0),
    ("GET", "asset/bills"): _private(nothing, 6, 1.0),
}
