"""One-time codes as RFC 6238 has them: SHA-1, 30 seconds, six digits."""

import base64
import binascii
import hmac
from typing import final

STEP_NS = 30_000_000_000
DIGITS = 6
SKEW = 1  # steps that the two clocks may differ


def code(secret: bytes, step: int, digits: int = DIGITS) -> str:
    """The code of a step (RFC 4226)."""
    mac = hmac.digest(secret, step.to_bytes(8), "sha1")
    at = mac[-1] & 15
    number = int.from_bytes(mac[at : at + 4]) & 0x7FFFFFFF
    return f"{number % 10**digits:0{digits}}"


@final
class OneTimeCodes:
    """Checks codes, each once."""

    def __init__(self, secret: str) -> None:
        """`secret`: base32, as authenticators take it. Raises ValueError."""
        plain = secret.replace(" ", "").upper()
        try:
            self._secret = base64.b32decode(plain + "=" * (-len(plain) % 8))
        except binascii.Error:
            raise ValueError("not base32: letters A to Z and digits 2 to 7") from None
        if len(self._secret) < 10:
            raise ValueError("too short: 16 letters at least")
        self._used = -1  # the newest step whose code was accepted

    def proves(self, given: str, now_ns: int) -> bool:
        step = now_ns // STEP_NS
        for near in range(step - SKEW, step + SKEW + 1):
            if near > self._used and hmac.compare_digest(code(self._secret, near), given):
                self._used = near
                return True
        return False
