"""What the exchange lists: instruments as OKX describes them, and the steps they trade in."""

from decimal import Decimal
from typing import Any, Literal, NamedTuple

from kokex.market.instruments import parse_symbol
from kokex.messages import Instrument
from kokex.paper.margin import Rates

Row = dict[str, Any]
InstType = Literal["SPOT", "SWAP"]

BASES = ("BTC", "ETH", "SOL", "DOGE", "XRP", "ADA", "AVAX", "DOT", "POL", "LTC")
LEVERAGE = {"BTC": 100, "ETH": 100, "SOL": 50, "DOGE": 50, "XRP": 50, "LTC": 50}
RATES: dict[InstType, Rates] = {
    "SPOT": Rates(Decimal("0.0008"), Decimal("0.001")),
    "SWAP": Rates(Decimal("0.0002"), Decimal("0.0005")),
}
LISTED_MS = 1_611_907_686_000
BAND = Decimal("0.05")  # limit orders further through the last price than this are refused


def plain(value: Decimal | float) -> str:
    """The number as OKX writes it: no exponent, no trailing zeros."""
    text = f"{value if isinstance(value, Decimal) else Decimal(repr(value)):f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def digits(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


class Listing(NamedTuple):
    """One instrument."""

    inst: Instrument
    code: int
    usual: float  # about what a unit of base costs

    @property
    def id(self) -> str:
        return self.inst.symbol

    @property
    def type(self) -> InstType:
        return "SWAP" if self.inst.kind == "swap" else "SPOT"

    @property
    def pair(self) -> str:
        return f"{self.inst.base}-{self.inst.quote}"

    @property
    def most_leverage(self) -> int:
        return LEVERAGE.get(self.inst.base, 20)

    @property
    def rates(self) -> Rates:
        return RATES[self.type]

    @property
    def most(self) -> Decimal:
        """The largest limit order."""
        return _round_number(50_000_000 / self.usual / float(self.inst.contract_value))

    @property
    def most_at_market(self) -> Decimal:
        return (
            Decimal(1_000_000)
            if self.type == "SPOT"
            else _round_number(10_000_000 / self.usual / float(self.inst.contract_value))
        )

    def row(self) -> Row:
        """As `public/instruments` tells it."""
        inst, swap = self.inst, self.type == "SWAP"
        most = plain(self.most)
        return {
            "alias": "",
            "auctionEndTime": "",
            "baseCcy": "" if swap else inst.base,
            "category": "1",
            "contTdSwTime": "",
            "ctMult": "1" if swap else "",
            "ctType": "linear" if swap else "",
            "ctVal": plain(inst.contract_value) if swap else "",
            "ctValCcy": inst.base if swap else "",
            "expTime": "",
            "futureSettlement": False,
            "groupId": "1",
            "instCategory": "1",
            "instFamily": self.pair if swap else "",
            "instId": self.id,
            "instIdCode": self.code,
            "instType": self.type,
            "lever": str(self.most_leverage) if swap else "",
            "listTime": str(LISTED_MS),
            "lotSz": plain(inst.lot),
            "maxIcebergSz": most,
            "maxLmtAmt": "20000000",
            "maxLmtSz": most,
            "maxMktAmt": "" if swap else "1000000",
            "maxMktSz": plain(self.most_at_market),
            "maxPlatOILmt": "",
            "maxStopSz": plain(self.most_at_market),
            "maxTriggerSz": most,
            "maxTwapSz": most,
            "minSz": plain(inst.minimum),
            "openType": "",
            "optType": "",
            "posLmtAmt": "",
            "posLmtPct": "",
            "preMktSwTime": "",
            "quoteCcy": "" if swap else inst.quote,
            "ruleType": "normal",
            "settleCcy": inst.quote if swap else "",
            "state": "live",
            "stk": "",
            "tickSz": plain(inst.tick),
            "tradeQuoteCcyList": [] if swap else [inst.quote],
            "uly": self.pair if swap else "",
            "upcChg": [],
        }


def _round_number(value: float) -> Decimal:
    """One significant digit, at least 1."""
    return Decimal(max(1, int(float(f"{value:.0e}"))))


def usual_listings(bases: tuple[str, ...] = BASES) -> list[Listing]:
    """The pairs that are listed unless told otherwise, spot and swap."""
    from kokex.market.instruments import usual_price

    found: list[Listing] = []
    for number, base in enumerate(bases):
        for offset, symbol in ((10_000, f"{base}-USDT"), (20_000, f"{base}-USDT-SWAP")):
            found.append(Listing(parse_symbol(symbol), offset + number, usual_price(symbol)))
    return found
