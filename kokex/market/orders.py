"""Names of orders."""

from functools import lru_cache

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
PAIRS = [high + low for high in DIGITS for low in DIGITS]
TWO = len(PAIRS)  # numbers have at most two digits


def base36(number: int) -> str:
    """A number in digits and lower-case letters."""
    high, low = divmod(number, TWO)
    return f"{_pairs(high)}{PAIRS[low]}".lstrip("0") or "0"


@lru_cache(maxsize=64)  # ids rise: but for the last digits they are the same for long
def _pairs(number: int) -> str:
    high, low = divmod(number, TWO)
    return (_pairs(high) if high else "") + PAIRS[low]


def client_id(tag: str, decision: int, part: str = "") -> str:
    """The one client order id of a decision: derived, so that a second try has the same.

    `tag` names the installation, so that two of them never share an id at a venue. `part` tells the orders of
    one decision apart: "" the order itself, "s1", "s2", ... its protective stops. At most 32 letters and digits
    (OKX takes no more).
    """
    return f"k{tag}{base36(decision)}{part}"
