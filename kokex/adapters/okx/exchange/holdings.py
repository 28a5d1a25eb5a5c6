"""What an account has, as OKX writes it: balances and positions. Isolated margin counts as equity, not as available."""

from collections.abc import Iterable
from decimal import Decimal

from kokex.adapters.okx.exchange.floor import Floor
from kokex.adapters.okx.exchange.listing import Listing, Row, plain
from kokex.adapters.okx.exchange.member import Member
from kokex.market.instruments import exact, quantity
from kokex.market.money import EXACT
from kokex.market.positions import unrealised
from kokex.paper.margin import Leg, MarginFunds

ZERO = Decimal(0)
MAINTENANCE = Decimal("0.004")  # of a position's worth


def short(value: Decimal, places: int = 12) -> str:
    """For what is computed, not booked: rounded."""
    return plain(value.quantize(Decimal(1).scaleb(-places), context=EXACT))


class Holdings:
    def __init__(self, floor: Floor, funds: MarginFunds) -> None:
        self._floor = floor
        self.funds = funds

    def usd(self, currency: str) -> Decimal:
        if currency in {"USDT", "USDC", "USD"}:
            return Decimal(1)
        symbol = f"{currency}-USDT"
        return exact(round(self._floor.price(symbol), 10)) if symbol in self._floor.listings else ZERO

    # ---- balances -------------------------------------------------------------------------------

    def balance(self, member: Member, currencies: Iterable[str] = (), now_ms: int = 0) -> Row:
        wanted = set(currencies)
        books = member.books
        details = [
            self._detail(member, currency)
            for currency, amount in books.balances.items()
            if (amount or currency == "USDT") and (not wanted or currency in wanted)
        ]
        total = sum((Decimal(row["eqUsd"]) for row in details), ZERO)
        isolated = sum((Decimal(row["isoEq"]) for row in details), ZERO)
        worth = sum((self.funds.worth(leg) for leg in self.funds.open_legs(books)), ZERO)
        return {
            "adjEq": "", "availEq": "", "borrowFroz": "", "delta": "", "deltaLever": "", "deltaNeutralStatus": "",
            "details": details, "imr": "", "isoEq": short(isolated), "mgnRatio": "", "mmr": "",
            "notionalUsd": short(worth) if member.level != "2" else "", "notionalUsdForBorrow": "",
            "notionalUsdForFutures": "", "notionalUsdForOption": "", "notionalUsdForSwap": "", "ordFroz": "",
            "totalEq": short(total), "uTime": str(now_ms), "upl": "",
        }  # fmt: skip

    def _detail(self, member: Member, currency: str) -> Row:
        books, funds = member.books, self.funds
        cash = books.balance(currency)
        legs = list(funds.open_legs(books, currency))
        cross = [leg for leg in legs if leg.mode != "isolated"]
        isolated = [leg for leg in legs if leg.mode == "isolated"]
        profit = sum((funds.profit(leg) for leg in cross), ZERO)
        own_profit = sum((funds.profit(leg) for leg in isolated), ZERO)
        own_margin = sum((leg.margin for leg in isolated), ZERO)
        margin = sum((funds.margin(leg) for leg in cross), ZERO)
        worth = sum((funds.worth(leg) for leg in cross), ZERO)
        maintenance = worth * MAINTENANCE
        frozen = funds.frozen(books, currency)
        equity = cash + profit + own_profit
        free = max(ZERO, funds.available(books, currency))
        usd = self.usd(currency)
        swaps = bool(legs) or currency == "USDT"
        row: Row = dict.fromkeys((
            "accAvgPx", "clSpotInUseAmt", "coinUsdPrice", "colBorrAutoConversion", "collateralEnabled", "crossLiab",
            "interest", "liab", "maxLoan", "maxSpotInUse", "openAvgPx", "spotBal", "spotUpl", "spotUplRatio",
            "totalPnl",
            "totalPnlRatio", "uplLiab", "isoLiab", "borrowFroz",
        ), "")  # fmt: skip
        row.update({
            "autoLendMtAmt": "0", "autoLendStatus": "unsupported", "availBal": short(free), "availEq": short(free),
            "cashBal": plain(cash), "ccy": currency, "colRes": "0", "collateralRestrict": False,
            "disEq": short(equity * usd),
            "eq": short(equity), "eqUsd": short(equity * usd), "fixedBal": "0",
            "frozenBal": short(max(ZERO, equity - free)),
            "frpType": "0", "imr": short(margin + (frozen if swaps else ZERO)) if swaps else "0",
            "isoEq": short(own_margin + own_profit),
            "isoUpl": short(own_profit),
            "mgnRatio": short((cash - own_margin + profit) / maintenance, 4) if maintenance else "",
            "mmr": short(maintenance), "notionalLever": short(worth / equity, 6) if equity > 0 else "0",
            "ordFrozen": short(frozen), "rewardBal": "0", "smtSyncEq": "0",
            "spotCopyTradingEq": "0", "spotInUseAmt": "", "spotIsoBal": "0", "stgyEq": "0", "twap": "0",
            "uTime": str(member.changed_ms), "upl": short(profit),
        })  # fmt: skip
        return row

    # ---- positions ------------------------------------------------------------------------------

    def positions(self, member: Member) -> list[tuple[Leg, Listing]]:
        """Those that are open, in order of opening."""
        legs = sorted(self.funds.open_legs(member.books), key=lambda leg: leg.number)
        return [(leg, self._floor.listings[leg.instrument]) for leg in legs]

    def position(self, member: Member, leg: Leg, *, event: bool = False) -> Row:
        listing = self._floor.listings[leg.instrument]
        inst, position = listing.inst, leg.position
        board = self._floor.boards[listing.id]
        size = position.size
        mark = exact(round(board.price, 10)).quantize(inst.tick) if inst.tick else exact(board.price)
        last = exact(board.last)
        coins = quantity(inst, size)
        average = EXACT.divide(position.cost, coins) if size else ZERO
        profit, at_last = unrealised(position, inst, mark), unrealised(position, inst, last)
        worth = abs(EXACT.multiply(coins, mark))
        margin = leg.margin if leg.mode == "isolated" else ZERO
        initial = EXACT.divide(abs(position.cost), leg.leverage) if size else ZERO
        maintenance = worth * MAINTENANCE
        shown = size if leg.side == "net" else abs(size)
        isolated = leg.mode == "isolated"
        row: Row = dict.fromkeys((
            "baseBal", "baseBorrowed", "baseInterest", "bizRefId", "bizRefType", "clSpotInUseAmt", "deltaBS", "deltaPA",
            "gammaBS", "gammaPA", "interest", "liab", "liabCcy", "maxSpotInUseAmt", "nonSettleAvgPx", "optVal",
            "pendingCloseOrdLiabVal", "posCcy", "quoteBal", "quoteBorrowed", "quoteInterest", "settledPnl",
            "spotInUseAmt",
            "spotInUseCcy", "thetaBS", "thetaPA", "vegaBS", "vegaPA",
        ), "")  # fmt: skip
        closing = member.closing(listing, leg.mode, leg.side) if leg.side != "net" else ZERO
        fees = position.fees
        sign = 1 if size >= 0 else -1
        row.update({
            "adl": "1" if size else "", "availPos": plain(abs(size) - closing) if leg.side != "net" else "",
            "avgPx": short(average) if size else "",
            "bePx": short(average + (average * 2 * listing.rates.taker) * sign) if size else "",
            "cTime": str(leg.opened_ns // 1_000_000), "ccy": inst.quote,
            "closeOrderAlgo": self._closing_algos(member, leg), "fee": plain(-fees),
            "fundingFee": plain(position.funding), "hedgedPos": "", "idxPx": plain(mark),
            "imr": "" if isolated or not size else short(worth / leg.leverage),
            "instId": listing.id, "instType": "SWAP", "last": plain(last), "lever": plain(leg.leverage),
            "liqPenalty": "0", "liqPx": self._liquidation(member, leg, mark) if size else "",
            "margin": short(margin) if isolated else "", "markPx": plain(mark) if size else "",
            "mgnMode": leg.mode, "mgnRatio": self._ratio(member, leg, maintenance) if size else "",
            "mmr": short(maintenance) if size else "", "notionalUsd": short(worth) if size else "",
            "pnl": plain(position.realised), "pos": plain(shown),
            "posId": str(member.books.numbers and self._id(member, leg)),
            "posSide": leg.side, "realizedPnl": plain(position.realised - fees + position.funding),
            "tradeId": leg.trade_id, "uTime": str(leg.changed_ns // 1_000_000),
            "upl": short(profit) if size else "", "uplLastPx": short(at_last) if size else "",
            "uplRatio": short(profit / initial) if initial else "",
            "uplRatioLastPx": short(at_last / initial) if initial else "", "usdPx": "1",
        })  # fmt: skip
        if event:
            row["pTime"] = str(self._floor.now_ms)
        return row

    @staticmethod
    def _closing_algos(member: Member, leg: Leg) -> list[Row]:
        names = ("algoId", "slTriggerPx", "slTriggerPxType", "tpTriggerPx", "tpTriggerPxType", "closeFraction")
        place = (leg.instrument, leg.mode, leg.side)
        whole = [algo for algo in member.live_algos.values() if algo.close_whole]
        rows = [algo.row() for algo in whole if (algo.listing.id, algo.mode, algo.position_side) == place]
        return [{name: row[name] for name in names} for row in rows]

    @staticmethod
    def _id(member: Member, leg: Leg) -> int:
        return int(member.uid) * 10_000 + leg.number

    def _free(self, member: Member, leg: Leg) -> Decimal:
        currency = self._floor.listings[leg.instrument].inst.quote
        if leg.mode == "isolated":
            return leg.margin + self.funds.profit(leg)
        return member.books.balance(currency) + sum(
            (self.funds.profit(each) if each.mode != "isolated" else -each.margin)
            for each in self.funds.open_legs(member.books, currency)
        )

    def _ratio(self, member: Member, leg: Leg, maintenance: Decimal) -> str:
        return short(self._free(member, leg) / maintenance, 4) if maintenance else ""

    def _liquidation(self, member: Member, leg: Leg, mark: Decimal) -> str:
        """Where equity would meet the maintenance margin, were this the only price to move. Nothing is liquidated."""
        coins = quantity(self._floor.listings[leg.instrument].inst, leg.position.size)
        spare = self._free(member, leg) - abs(coins) * mark * MAINTENANCE
        price = mark - spare / (coins - abs(coins) * MAINTENANCE)
        return short(price, 6) if price > 0 else ""

    def history(self, member: Member, leg: Leg) -> Row:
        """A closed position."""
        listing = self._floor.listings[leg.instrument]
        position = leg.position
        realised = position.realised - position.fees + position.funding
        opened = EXACT.divide(leg.opened_worth, leg.opened) if leg.opened else ZERO
        invested = EXACT.divide(quantity(listing.inst, leg.opened) * opened, leg.leverage)
        longs = leg.side == "long" or (leg.side == "net" and leg.opened_worth * position.realised >= 0)
        return {
            "cTime": str(leg.opened_ns // 1_000_000), "ccy": listing.inst.quote,
            "closeAvgPx": short(EXACT.divide(leg.closed_worth, leg.closed)) if leg.closed else "",
            "closeTotalPos": plain(leg.closed),
            "direction": leg.side if leg.side != "net" else ("long" if longs else "short"),
            "fee": plain(-position.fees), "fundingFee": plain(position.funding), "instId": listing.id,
            "instType": "SWAP",
            "lever": plain(leg.leverage), "liqPenalty": "0", "mgnMode": leg.mode, "nonSettleAvgPx": "",
            "openAvgPx": short(opened), "openMaxPos": plain(leg.most), "pnl": plain(position.realised),
            "pnlRatio": short(realised / invested) if invested else "0", "posId": str(self._id(member, leg)),
            "posSide": leg.side, "realizedPnl": plain(realised), "settledPnl": "", "triggerPx": "", "type": "2",
            "uTime": str(leg.changed_ns // 1_000_000), "uly": listing.pair,
        }  # fmt: skip
