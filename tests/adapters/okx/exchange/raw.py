"""OKX's wire by hand: signed requests and WebSockets, with nothing between the test and the server."""

import base64
import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from websockets.sync.client import ClientConnection, connect

from tests.adapters.okx.exchange.servers import Running

Row = dict[str, Any]


def sign(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


def stamp(shift_s: float = 0) -> str:
    moment = datetime.fromtimestamp(time.time() + shift_s, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Wire:
    """Requests of one key."""

    def __init__(self, server: Running, key: str = "k", secret: str = "s", passphrase: str = "p") -> None:
        self.server, self.key, self.secret, self.passphrase = server, key, secret, passphrase

    def headers(self, method: str, path: str, body: str = "", shift_s: float = 0) -> dict[str, str]:
        at = stamp(shift_s)
        return {
            "OK-ACCESS-KEY": self.key,
            "OK-ACCESS-SIGN": sign(self.secret, at + method + path + body),
            "OK-ACCESS-TIMESTAMP": at,
            "OK-ACCESS-PASSPHRASE": self.passphrase,
            "Content-Type": "application/json",
        }

    def send(self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None) -> tuple[int, Row]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        try:
            connection.request(method, path, body or None, headers or {})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def get(self, path: str, /, **params: object) -> Row:
        """Signed, whether it has to be or not."""
        full = f"/api/v5/{path}" + (f"?{urlencode(params)}" if params else "")
        return self.send("GET", full, headers=self.headers("GET", full))[1]

    def post(self, path: str, body: object, /, **extra: str) -> Row:
        full, text = f"/api/v5/{path}", json.dumps(body)
        return self.send("POST", full, text, self.headers("POST", full, text) | extra)[1]

    def order(self, symbol: str = "BTC-USDT-SWAP", side: str = "buy", size: str = "1", /, **fields: Any) -> Row:
        """The row of one order: at the market unless it has a price."""
        swap = symbol.endswith("-SWAP")
        told = {
            "instId": symbol,
            "tdMode": "cross" if swap else "cash",
            "side": side,
            "ordType": "limit" if "px" in fields else "market",
            "sz": size,
            **fields,
        }
        return self.post("trade/order", told)["data"][0]

    def control(self, **fault: Any) -> Row:
        return self.send("POST", "/faults", json.dumps(fault))[1]


class Socket:
    """One WebSocket; everything it heard is kept."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.heard: list[Row] = []

    def say(self, **frame: Any) -> None:
        self.connection.send(json.dumps(frame))

    def hear(self, wanted: Callable[[Row], object] = bool, within_s: float = 5) -> Row:
        """The next frame that is wanted. Raises TimeoutError."""
        end = time.monotonic() + within_s
        while True:
            frame = json.loads(self.connection.recv(max(0.001, end - time.monotonic())))
            self.heard.append(frame)
            if wanted(frame):
                return frame

    def push(self, channel: str, wanted: Callable[[Row], object] = bool, within_s: float = 5) -> Row:
        """The next data of a channel."""
        return self.hear(
            lambda frame: frame.get("arg", {}).get("channel") == channel and "data" in frame and wanted(frame), within_s
        )

    def subscribe(self, *args: Row) -> None:
        self.say(op="subscribe", args=list(args))
        for _ in args:
            self.hear(lambda frame: frame.get("event") in {"subscribe", "error"})

    def login(self, key: str = "k", secret: str = "s", passphrase: str = "p", at: str | None = None) -> Row:
        moment = at or str(int(time.time()))
        signed = sign(secret, f"{moment}GET/users/self/verify")
        self.say(op="login", args=[{"apiKey": key, "passphrase": passphrase, "timestamp": moment, "sign": signed}])
        return self.hear(lambda frame: frame.get("event") in {"login", "error"})


@contextmanager
def socket(server: Running, door: str) -> Generator[Socket, None, None]:
    with connect(f"{server.ws}/{door}", open_timeout=5, close_timeout=1) as connection:
        yield Socket(connection)
