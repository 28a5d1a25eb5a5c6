"""Which channels there are, at which door, and what a subscription to one must say."""

import re
from typing import NamedTuple

from kokex.adapters.okx.exchange.bars import Span, UnknownBar
from kokex.adapters.okx.exchange.envelope import Failure
from kokex.adapters.okx.exchange.floor import Floor
from kokex.adapters.okx.exchange.line import Door, Topic
from kokex.adapters.okx.exchange.listing import Row

BOOKS = {"books": 400, "books-l2-tbt": 400, "books50-l2-tbt": 50, "books5": 5, "bbo-tbt": 1}
CHAINED = ("books", "books-l2-tbt", "books50-l2-tbt")
BY_INSTRUMENT = {"tickers", "trades", "mark-price", "funding-rate", "price-limit", "open-interest", *BOOKS}
ACCOUNT = {"account", "positions", "balance_and_position", "orders", "fills", "liquidation-warning", "account-greeks"}
ALGO = {"orders-algo", "algo-advance"}
TYPES = {"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "ANY"}
COUNTED = ("orders", "account", "positions", "balance_and_position", "liquidation-warning", "account-greeks")

_CANDLE = re.compile(r"(mark-price-|index-)?candle(.+)")


class Ask(NamedTuple):
    topic: Topic
    private: bool


def read(floor: Floor, door: Door, arg: Row) -> Ask:
    """What an argument asks for. Raises Failure 60018, 64001 or 64002."""
    channel = str(arg.get("channel") or "")
    candle = _CANDLE.fullmatch(channel)
    private = channel in ACCOUNT or channel in ALGO
    business = bool(candle) or channel in ALGO or channel in {"trades-all", "deposit-info", "withdrawal-info"}
    public = channel in BY_INSTRUMENT or channel in {"instruments", "index-tickers", "status", "liquidation-orders"}
    if not (private or business or public):
        raise _unknown(arg)
    if business and door != "business":
        raise Failure(
            "64001",
            "This channel has been migrated to the '/business' URL. Please subscribe using the new URL. "
            "More details can refer to: https://www.okx.com/help-center/changes-to-v5-api-websocket-subscription-parameter-and-url",
        )
    if door == "business" and not business:
        raise Failure(
            "64002",
            'This channel is not supported by "/business" URL. Please use "/private" URL(for private channels), or '
            '"/public" URL(for public channels). More details can refer to: '
            "https://www.okx.com/help-center/changes-to-v5-api-websocket-subscription-parameter-and-url.",
        )
    if not business and ((private and door == "public") or (public and door == "private")):
        raise _unknown(arg)
    symbol = str(arg.get("instId") or "")
    if candle:
        kind, bar = candle.groups()
        try:
            Span(bar)
        except UnknownBar:
            raise _unknown(arg) from None
        known = symbol in floor.courses if kind == "index-" else symbol in floor.listings
        if not known:
            raise _unknown(arg)
        return Ask((channel, symbol), private=False)
    if channel in BY_INSTRUMENT or channel == "trades-all":
        if symbol not in floor.listings or (channel == "funding-rate" and not symbol.endswith("-SWAP")):
            raise _unknown(arg)
        return Ask((channel, symbol), private=False)
    if channel == "index-tickers":
        if symbol not in floor.courses:
            raise _unknown(arg)
        return Ask((channel, symbol), private=False)
    kind = str(arg.get("instType") or "")
    if channel in {"instruments", "liquidation-orders", "orders", "positions", "orders-algo", "algo-advance"}:
        if kind not in TYPES or (channel == "instruments" and kind == "ANY"):
            raise _unknown(arg)
        if symbol and symbol not in floor.listings:
            raise _unknown(arg)
        return Ask((channel, kind, str(arg.get("instFamily") or ""), symbol), private=private)
    if channel in {"status", "deposit-info", "withdrawal-info"}:
        return Ask((channel,), private=channel != "status")
    return Ask((channel, str(arg.get("ccy") or ""), symbol), private=True)


def _unknown(arg: Row) -> Failure:
    told = ",".join(f"{name}:{value}" for name, value in arg.items())
    return Failure(
        "60018",
        f"Wrong URL or {told} doesn't exist. "
        "Please use the correct URL, channel and parameters referring to API document.",
    )


def wants(topic: Topic, kind: str, symbol: str) -> bool:
    """Whether a topic by instrument type covers an instrument."""
    _, asked, family, one = topic
    if asked not in {"ANY", kind}:
        return False
    return (not one or one == symbol) and (not family or family == symbol.removesuffix("-SWAP"))
