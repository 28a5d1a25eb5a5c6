"""Who asks: the headers of a REST request, and the login of a WebSocket."""

import base64
import hashlib
import hmac
import re
from calendar import timegm
from collections.abc import Mapping
from typing import Any, NamedTuple

from kokex.adapters.okx.exchange.envelope import TEXTS, Failure

WINDOW_MS = 30_000
LOGIN_PATH = "/users/self/verify"
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?Z")

SHORT = {"60004": "Invalid timestamp", "60005": "Invalid apiKey", "60006": "Timestamp request expired",
         "60007": "Invalid sign", "60009": "Login failed.", "60024": "Wrong passphrase"}  # fmt: skip


class Key(NamedTuple):
    """An API key of an account."""

    account: str
    key: str
    secret: str
    passphrase: str


def signature(secret: str, *parts: str | bytes) -> str:
    """Base64 of the HMAC-SHA256 of all parts."""
    text = b"".join(part if isinstance(part, bytes) else part.encode() for part in parts)
    return base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha256).digest()).decode()


def read_timestamp(text: str) -> int | None:
    """Milliseconds of `2020-12-08T09:08:57.715Z`, or of seconds since 1970; None: neither."""
    if found := _ISO.fullmatch(text):
        *whole, fraction = found.groups()
        year, month, day, hour, minute, second = (int(part) for part in whole)
        if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):
            return None
        return timegm((year, month, day, hour, minute, second)) * 1000 + int((fraction or "0").ljust(3, "0")[:3])
    if re.fullmatch(r"\d{9,11}(\.\d+)?", text):
        return int(float(text) * 1000)
    return None


class Keys:
    """All keys of the exchange."""

    def __init__(self, keys: list[Key]) -> None:
        self._keys = {key.key: key for key in keys}

    def check(self, method: str, path: str, body: bytes, headers: Mapping[str, str], now_ms: int) -> Key:
        """Whose request it is; `path` exactly as it was sent, query included. Raises Failure."""
        for name, code in (("KEY", "50103"), ("PASSPHRASE", "50104"), ("SIGN", "50106"), ("TIMESTAMP", "50107")):
            if not headers.get(f"OK-ACCESS-{name}"):
                raise Failure(code)
        stamp = headers["OK-ACCESS-TIMESTAMP"]
        at = read_timestamp(stamp)
        if at is None:
            raise Failure("50112")
        if abs(now_ms - at) > WINDOW_MS:
            raise Failure("50102")
        key = self._keys.get(headers["OK-ACCESS-KEY"])
        if key is None:
            raise Failure("50111")
        if not _same(headers["OK-ACCESS-PASSPHRASE"], key.passphrase):
            raise Failure("50105")
        if not _same(headers["OK-ACCESS-SIGN"], signature(key.secret, stamp, method, path, body)):
            raise Failure("50113")
        return key

    def login(self, given: Mapping[str, Any], now_ms: int) -> Key:
        """The same for a WebSocket, whose time is in seconds. Raises Failure."""
        values = {name: str(given.get(name) or "") for name in ("apiKey", "passphrase", "timestamp", "sign")}
        if not re.fullmatch(r"\d{9,11}(\.\d+)?", values["timestamp"]):
            raise _login("60004")
        if abs(now_ms - int(float(values["timestamp"]) * 1000)) > WINDOW_MS:
            raise _login("60006")
        key = self._keys.get(values["apiKey"])
        if key is None:
            raise _login("60005")
        if not _same(values["passphrase"], key.passphrase):
            raise _login("60024")
        if not _same(values["sign"], signature(key.secret, values["timestamp"], "GET", LOGIN_PATH)):
            raise _login("60007")
        return key


def _login(code: str) -> Failure:
    return Failure(code, SHORT.get(code) or TEXTS.get(code, ""))


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(), right.encode())
