"""Who we are, proved: HMAC-SHA256 over what is sent, exactly as it is sent."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import final


@final
class Credentials:
    """An API key. Its text never shows it."""

    __slots__ = ("key", "passphrase", "secret")

    def __init__(self, key: str, secret: str, passphrase: str) -> None:
        self.key = key
        self.secret = secret
        self.passphrase = passphrase

    def __repr__(self) -> str:
        return "Credentials(...)"


def headers(credentials: Credentials, server_ns: int, method: str, path: str, body: bytes) -> dict[str, str]:
    """Of a REST request. `path` from /api on, with its query; `server_ns` is OKX's time."""
    moment = datetime.fromtimestamp(server_ns // 1_000_000 / 1000, UTC)
    timestamp = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{server_ns // 1_000_000 % 1000:03d}Z"
    return {
        "OK-ACCESS-KEY": credentials.key,
        "OK-ACCESS-SIGN": signature(credentials, f"{timestamp}{method}{path}".encode() + body),
        "OK-ACCESS-TIMESTAMP": timestamp,
        "OK-ACCESS-PASSPHRASE": credentials.passphrase,
    }


def login(credentials: Credentials, server_ns: int) -> dict[str, str]:
    """The argument of a WebSocket's `login`, whose timestamp is in seconds."""
    timestamp = str(server_ns // 1_000_000_000)
    return {
        "apiKey": credentials.key,
        "passphrase": credentials.passphrase,
        "timestamp": timestamp,
        "sign": signature(credentials, f"{timestamp}GET/users/self/verify".encode()),
    }


def signature(credentials: Credentials, text: bytes) -> str:
    """Base64 of the HMAC."""
    return base64.b64encode(hmac.digest(credentials.secret.encode(), text, hashlib.sha256)).decode()
