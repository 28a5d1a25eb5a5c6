"""What instruments are called. One name is shown and stored, the exchange's: BTC-USDT, BTC-USDT-SWAP."""

import re
from collections.abc import Sequence

_UNIFIED = re.compile(r"([A-Za-z0-9]+)/([A-Za-z0-9]+)(?::([A-Za-z0-9]+)(?:-(\d{6}))?)?")


def matching(name: str, symbols: Sequence[str]) -> list[str]:
    """Which of `symbols` a name can mean: the one that is called so, else all that begin so."""
    wanted = canonical(name).upper()
    return [each for each in symbols if each.upper() == wanted] or [
        each for each in symbols if each.upper().startswith(wanted)
    ]


def canonical(name: str) -> str:
    """The name as it is shown and stored: ccxt's unified BTC/USDT is BTC-USDT, BTC/USDT:USDT is BTC-USDT-SWAP."""
    unified = _UNIFIED.fullmatch(name.strip())
    if unified is None:
        return name
    base, quote, settled, expiry = unified.groups()
    end = f"-{expiry}" if expiry else "-SWAP" if settled else ""
    return f"{base}-{quote}".upper() + end
