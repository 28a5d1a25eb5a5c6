"""OKX's rate limits, kept before OKX has to: a token bucket for each endpoint, keyed as OKX keys it.

A bucket of capacity B that refills at r a second lets through B + 2r in the worst 2 s. OKX allows N in a window of
2 s without saying how the window lies, so B is a quarter of N and r the rest: N is never exceeded in any window.
REST and WebSocket draw from the same buckets, as they do at OKX; so one `Limits` serves all connections of a process.
"""

from typing import Literal, NamedTuple, final

import anyio

Scope = Literal["address", "type", "user", "instrument", "connection"]


class Rule(NamedTuple):
    """So many in so many seconds, for each of `scope` (an IP address, and instrument type; a user, and instrument)."""

    most: int
    scope: Scope
    window_s: float = 2.0


RULES: dict[str, Rule] = {
    "public/instruments": Rule(20, "type"),
    "public/time": Rule(10, "address"),
    "public/mark-price": Rule(10, "type"),
    "public/funding-rate": Rule(10, "instrument"),
    "public/funding-rate-history": Rule(10, "instrument"),
    "public/price-limit": Rule(20, "address"),
    "market/ticker": Rule(20, "address"),
    "market/tickers": Rule(20, "address"),
    "market/books": Rule(40, "address"),
    "market/candles": Rule(40, "address"),
    "market/history-candles": Rule(20, "address"),
    "market/trades": Rule(100, "address"),
    "account/balance": Rule(10, "user"),
    "account/positions": Rule(10, "user"),
    "account/config": Rule(5, "user"),
    "account/instruments": Rule(20, "user"),
    "account/set-leverage": Rule(20, "user"),
    "account/leverage-info": Rule(20, "user"),
    "account/set-position-mode": Rule(5, "user"),
    "account/max-size": Rule(20, "user"),
    "account/max-avail-size": Rule(20, "user"),
    "account/trade-fee": Rule(5, "user"),
    "account/bills": Rule(5, "user", 1.0),
    "trade/order": Rule(60, "instrument"),
    "trade/batch-orders": Rule(300, "instrument"),
    "trade/cancel-order": Rule(60, "instrument"),
    "trade/cancel-batch-orders": Rule(300, "instrument"),
    "trade/amend-order": Rule(60, "instrument"),
    "trade/amend-batch-orders": Rule(300, "instrument"),
    "trade/close-position": Rule(20, "instrument"),
    "trade/order-details": Rule(60, "instrument"),  # GET trade/order
    "trade/orders-pending": Rule(60, "user"),
    "trade/orders-history": Rule(40, "user"),
    "trade/orders-history-archive": Rule(20, "user"),
    "trade/fills": Rule(60, "user"),
    "trade/fills-history": Rule(10, "user"),
    "trade/order-algo": Rule(20, "instrument"),
    "trade/order-algo-details": Rule(20, "user"),  # GET trade/order-algo
    "trade/cancel-algos": Rule(20, "instrument"),
    "trade/amend-algos": Rule(20, "instrument"),
    "trade/orders-algo-pending": Rule(20, "user"),
    "trade/orders-algo-history": Rule(20, "user"),
    "trade/cancel-all-after": Rule(1, "user", 1.0),
    "trade/mass-cancel": Rule(5, "user"),
    "trade/order-precheck": Rule(5, "user"),
    # not of one endpoint
    "orders": Rule(1000, "user"),  # new and amended ones of an account together (50061)
    "connect": Rule(3, "address", 1.0),  # WebSocket connections
    "socket": Rule(480, "connection", 3600.0),  # subscribe, unsubscribe and login, of one connection, which keeps it
}


@final
class Bucket:
    """Tokens that come back with time. Below zero: how many are promised to those who wait."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rule: Rule) -> None:
        self._burst = max(1.0, rule.most // 4)
        self._rate = max(rule.most - self._burst, 1.0) / rule.window_s
        self._tokens = self._burst
        self._at = float("-inf")

    def reserve(self, count: float, now: float) -> float:
        """Takes tokens; the seconds to wait until they are there."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        self._tokens -= count
        return max(0.0, -self._tokens / self._rate)

    def empty(self, now: float) -> None:
        """The other side says it was too much: what is there is gone, and a second's worth with it."""
        self.reserve(0, now)
        self._tokens = min(self._tokens, 0.0) - self._rate


@final
class Limits:
    """All buckets of a process."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str], Bucket] = {}

    async def take(self, name: str, of: str = "", count: int = 1) -> None:
        """Waits for `count` tokens. `of`: whose bucket it is, as the rule's scope says; first come, first served."""
        wait_s = self._bucket(name, of).reserve(count, anyio.current_time())
        if wait_s:
            await anyio.sleep(wait_s)

    def exceeded(self, name: str, of: str = "") -> None:
        """OKX said it was too much."""
        self._bucket(name, of).empty(anyio.current_time())

    def _bucket(self, name: str, of: str) -> Bucket:
        bucket = self._buckets.get((name, of))
        if bucket is None:
            bucket = self._buckets[name, of] = Bucket(RULES[name])
        return bucket


def owner(name: str, user: str, instrument: str = "", kind: str = "") -> str:
    """Whose bucket a request draws from. `kind`: the instrument type, where that is what OKX counts by."""
    scope = RULES[name].scope
    if scope == "address":
        return ""
    if scope == "type":
        return kind
    return f"{user}/{instrument}" if scope == "instrument" else user
