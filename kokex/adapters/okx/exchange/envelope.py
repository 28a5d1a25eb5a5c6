"""Requests and answers in OKX's envelope, and the codes that are used here with their HTTP statuses."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from kokex.adapters.okx.exchange.listing import Row

STATUS = {
    "50000": 400, "50001": 503, "50002": 400, "50004": 400, "50005": 410, "50006": 400, "50011": 429, "50013": 429,
    "50014": 400, "50015": 400, "50016": 400, "50026": 500, "50101": 401, "50102": 401, "50103": 401, "50104": 401,
    "50105": 401, "50106": 401, "50107": 401, "50111": 401, "50112": 401, "50113": 401, "50114": 401, "50115": 405,
    "51000": 400, "404": 404,
}  # fmt: skip
BARE = frozenset({"50011", "50013", "50001", "50026", *[str(code) for code in range(50101, 50116)]})  # without data

TEXTS = {
    "50000": "Body for POST request cannot be empty.",
    "50002": "JSON syntax error",
    "50006": 'Invalid Content-Type. Please use "application/JSON".',
    "50011": "Too Many Requests",
    "50036": "The expTime can't be earlier than the current system time. Please adjust the expTime and try again.",
    "50061": "You've reached the maximum order rate limit for this account.",
    "50101": "APIKey does not match current environment.",
    "50102": "Timestamp request expired",
    "50103": 'Request header "OK-ACCESS-KEY" cannot be empty.',
    "50104": 'Request header "OK-ACCESS-PASSPHRASE" cannot be empty.',
    "50105": 'Request header "OK-ACCESS-PASSPHRASE" incorrect.',
    "50106": 'Request header "OK-ACCESS-SIGN" cannot be empty.',
    "50107": 'Request header "OK-ACCESS-TIMESTAMP" cannot be empty.',
    "50111": "Invalid OK-ACCESS-KEY.",
    "50112": "Invalid OK-ACCESS-TIMESTAMP.",
    "50113": "Invalid Sign",
    "50115": "Invalid request method.",
    "51001": "Instrument ID, Instrument ID code, or Spread ID doesn't exist.",
    "51003": "Either client order ID or order ID is required.",
    "51004": "Order failed. The sum of position and pending orders exceeds the limit at this leverage.",
    "51005": "Your order amount exceeds the max order amount.",
    "51010": "Request unsupported under current account mode",
    "51015": "Instrument ID doesn't match instrument type.",
    "51016": "Client order ID already exists.",
    "51020": "Your order should meet or exceed the minimum order amount.",
    "51023": "Position doesn't exist.",
    "51025": "Order count exceeds the limit.",
    "51070": "You do not meet the requirements for switching to this account mode. Please upgrade the account mode on "
             "the OKX website or App",
    "51524": "Unable to modify the order quantity of a stop order that closes an entire position. Please modify the "
             "trigger price instead.",
    "60028": "The current operation is not supported by this URL. Please use the correct WebSocket URL for the "
             "operation.",
    "51065": "algoClOrdId already exists.",
    "51100": "Unable to place order. Take profit/Stop loss conditions cannot be added to reduce-only orders.",
    "51112": "Close order size exceeds available size for this position.",
    "51121": "Order quantity must be a multiple of the lot size.",
    "51131": "Insufficient balance.",
    "51140": "Purchase failed due to insufficient sell orders, please try later.",
    "51169": "Order failed because you don't have any positions in this direction for this contract to reduce or "
             "close.",
    "51170": "Failed to place order. A reduce-only order can't be the same trading direction as your existing "
             "positions.",
    "51202": "Market order amount exceeds the maximum amount.",
    "51204": "The price for the limit order cannot be empty.",
    "51205": "Reduce Only is not available.",
    "51277": "TP trigger price cannot be higher than the last price.",
    "51278": "SL trigger price cannot be lower than the last price.",
    "51279": "TP trigger price cannot be lower than the last price.",
    "51280": "SL trigger price cannot be higher than the last price.",
    "51328": "closeFraction is only available for reduceOnly orders",
    "51330": "closeFraction is only available for stop market orders",
    "51400": "Order cancellation failed as the order has been filled, canceled or does not exist.",
    "51407": "Either order ID or client order ID is required.",
    "51500": "You must enter a price, quantity, or TP/SL",
    "51503": "Your order has already been filled or canceled.",
    "51506": "Order modification unavailable for the order type.",
    "51511": "Modification failed as the order price did not meet the requirement for Post Only.",
    "51603": "Order does not exist.",
    "59000": "Settings failed. Close any open positions or orders before modifying settings.",
    "59102": "Leverage exceeds the maximum limit. Please lower the leverage.",
    "59107": "Leverage can't be modified. Please cancel all pending cross-margin orders before adjusting the leverage.",
    "59101": "Leverage can't be modified. Please cancel all pending isolated margin orders before adjusting the "
             "leverage.",
    "59105": "Leverage can't be less than 1. Please increase the leverage.",
}  # fmt: skip


class Failure(Exception):
    """A refusal: a code, and what it says."""

    def __init__(self, code: str, text: str | None = None) -> None:
        self.code = code
        self.text = TEXTS.get(code, "") if text is None else text
        super().__init__(f"{code} {self.text}")


def wrong(parameter: str) -> Failure:
    return Failure("51000", f"Parameter {parameter} error")


def absent(parameter: str) -> Failure:
    return Failure("50014", f"Parameter {parameter} can not be empty.")


def encode(value: object) -> bytes:
    return msgspec.json.encode(value)


def failed(failure: Failure) -> tuple[int, Row]:
    """Status and body of a request that was refused as a whole."""
    body: Row = {"msg": failure.text, "code": failure.code}
    if failure.code not in BARE:
        body["data"] = []
    return STATUS.get(failure.code, 200), body


def rows_answer(rows: list[Row]) -> Row:
    """The envelope of an operation on orders: each row has its own code."""
    bad = sum(row["sCode"] != "0" for row in rows)
    code = "0" if not bad else "1" if bad == len(rows) else "2"
    text = {"0": "", "1": "All operations failed", "2": "Bulk operation partially succeeded."}[code]
    return {"code": code, "data": rows, "msg": text}


class Params:
    """What a request says. Empty strings and nulls are absent; numbers and booleans are read as their text."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    def __contains__(self, name: str) -> bool:
        return self.text(name) is not None

    def raw(self, name: str) -> Any:
        return self._given.get(name)

    def text(self, name: str) -> str | None:
        value = self._given.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, bool):
            return "true" if value else "false"
        return value if isinstance(value, str) else str(value)

    def get(self, name: str, default: str = "") -> str:
        return self.text(name) or default

    def need(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise absent(name)
        return value

    def one_of(self, name: str, *allowed: str, default: str | None = None) -> str:
        value = self.text(name) or default
        if value is None:
            raise absent(name)
        if value not in allowed:
            raise wrong(name)
        return value

    def flag(self, name: str) -> bool:
        return self.one_of(name, "true", "false", default="false") == "true"

    def number(self, name: str) -> Decimal | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise wrong(name) from None
        if not number.is_finite() or len(value) > 32 or abs(number.adjusted()) > 20:
            raise wrong(name)
        return number

    def whole(self, name: str) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not value.lstrip("-").isdigit():
            raise wrong(name)
        return int(value)

    def limit(self, most: int, default: int = 100) -> int:
        """How many rows are wanted: more than the most is the most."""
        value = self.whole("limit")
        if value is None:
            return default
        if value < 1:
            raise wrong("limit")
        return min(value, most)

    def each(self, name: str) -> list[str]:
        """A comma-separated list."""
        return [part for part in self.get(name).split(",") if part]
