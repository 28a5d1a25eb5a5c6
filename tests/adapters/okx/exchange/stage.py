"""An exchange without a network, on a clock of its own and a price that a test writes down."""

from collections.abc import Sequence
from random import Random
from typing import Any

from kokex.adapters.okx.exchange.app import TABLE
from kokex.adapters.okx.exchange.calls import Call
from kokex.adapters.okx.exchange.course import Bar, Course
from kokex.adapters.okx.exchange.envelope import Failure, Params
from kokex.adapters.okx.exchange.listing import Row, usual_listings
from kokex.adapters.okx.exchange.signing import Key
from kokex.adapters.okx.exchange.venue import CASH, Owner, Venue

START = 1_790_000_000 - 1_790_000_000 % 3600  # an hour begins
SWAP, SPOT = "BTC-USDT-SWAP", "BTC-USDT"


class Stage:
    """`play` moves the price of BTC through what it is given, a second each. `heard` is what lines would be told."""

    def __init__(self, *, mode: str = "net_mode", funding_s: int = 28_800, seconds: int = 4000) -> None:
        self.now_ns = START * 1_000_000_000
        listings = usual_listings(("BTC",))
        self.path: list[float] = [60_000.0]
        flat = [(START - 60 + at, Bar(60_000.0, 60_000.0, 60_000.0, 60_000.0, 1.0)) for at in range(60)]
        course = Course(60_000.0, START, Random(1), Random, flat, 1)
        owner = Owner(Key("main", "k", "s", "p"), CASH, "2", mode)
        self.venue = Venue(listings, {"BTC-USDT": course}, [owner], Random(2), lambda: self.now_ns, funding_s=funding_s)
        self.venue.table = TABLE
        self.member = self.venue.members["main"]
        self.course = course
        self.course._ahead = self._ahead()
        self.play([60_000.0])

    def _ahead(self) -> Any:
        at = START
        while True:
            last, self.path[:] = self.path[0], self.path[1:] or self.path
            price = self.path[0]
            yield at, Bar(last, max(last, price), min(last, price), price, 1.0)
            at += 1

    def play(self, prices: Sequence[float]) -> None:
        """Each price is where a second ends."""
        for price in prices:
            self.path.append(price)
            for _ in range(4):
                self.now_ns += 250_000_000
                self.venue.tick()

    def wait(self, seconds: int) -> None:
        self.play([self.path[-1]] * seconds)

    def call(self, method: str, path: str, given: Row | list[Row] | None = None, **params: Any) -> Row:
        """The envelope, as the endpoint gives it."""
        body = given if given is not None else params
        first = body[0] if isinstance(body, list) else body
        call = Call(self.venue, Params(first), body, self.venue.now_ms(), {}, self.member)
        try:
            answer = TABLE[method, path].handler(call)
        except Failure as failure:
            return {"code": failure.code, "msg": failure.text, "data": []}
        return answer if isinstance(answer, dict) else {"code": "0", "msg": "", "data": answer}

    def get(self, path: str, **params: Any) -> list[Row]:
        answer = self.call("GET", path, **params)
        assert answer["code"] == "0", answer
        return answer["data"]

    def order(self, side: str, size: str, symbol: str = SWAP, **fields: Any) -> Row:
        """Its row now; one that was refused as the answer told it."""
        told: Row = {"instId": symbol, "tdMode": "cross" if symbol == SWAP else "cash", "side": side, "sz": size}
        told["ordType"] = "limit" if "px" in fields else "market"
        [row] = self.call("POST", "trade/order", told | fields)["data"]
        return self.get("trade/order", instId=symbol, ordId=row["ordId"])[0] if row["sCode"] == "0" else row

    def algo(self, side: str, kind: str, **fields: Any) -> Row:
        told: Row = {"instId": SWAP, "tdMode": "cross", "side": side, "ordType": kind, "sz": "1", "reduceOnly": "true"}
        [row] = self.call("POST", "trade/order-algo", told | fields)["data"]
        return row

    def state(self, algo: Row) -> Row:
        return self.get("trade/order-algo", algoId=algo["algoId"])[0]

    @property
    def position(self) -> Row:
        found = self.get("account/positions")
        return found[0] if found else {"pos": "0"}

    @property
    def detail(self) -> Row:
        return self.get("account/balance", ccy="USDT")[0]["details"][0]
