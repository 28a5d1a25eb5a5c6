"""Where OKX answers: a host for each region an account is registered in, and others that are configured instead."""

from typing import Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from msgspec import Struct

from kokex.config import Venue

Region = Literal["global", "eea", "us"]
Path = Literal["public", "private", "business"]

_REST: dict[Region, str] = {
    "global": "https://www.okx.com",
    "eea": "https://eea.okx.com",
    "us": "https://us.okx.com",
}
_SOCKETS: dict[Region, tuple[str, str]] = {  # live, demo
    "global": ("wss://ws.okx.com:8443/ws/v5", "wss://wspap.okx.com:8443/ws/v5"),
    "eea": ("wss://wseea.okx.com:8443/ws/v5", "wss://wseeapap.okx.com:8443/ws/v5"),
    "us": ("wss://wsus.okx.com:8443/ws/v5", "wss://wsuspap.okx.com:8443/ws/v5"),
}


class Hosts(Struct, frozen=True, kw_only=True):
    """One OKX: where to speak to it, and how."""

    rest: str  # without a slash at the end; paths begin with /api
    sockets: str  # a path is appended: /public, /private or /business
    demo: bool = False
    proxy: str = ""  # empty: the environment's

    def socket(self, path: Path) -> str:
        return f"{self.sockets}/{path}"

    def rest_proxy(self) -> str:
        """What REST goes through, or nothing.

        The environment is read here, once, because aiohttp reads it (and ~/.netrc) before each request, which takes
        longer than all else that a request needs.
        """
        host = urlsplit(self.rest)
        return self.proxy or ("" if proxy_bypass(host.netloc) else getproxies().get(host.scheme, ""))


def hosts_of(venue: Venue) -> Hosts:
    """The hosts of a configuration. Demo money has the live REST host, a header, and WebSockets of its own."""
    demo = str(venue.environment) == "demo"
    rest = venue.base_url.rstrip("/").removesuffix("/v5").removesuffix("/api") or _REST[venue.region]
    if venue.ws_url:
        sockets = _upto_version(venue.ws_url)
    elif venue.base_url:
        parts = urlsplit(rest)
        sockets = f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}/ws/v5"
    else:
        sockets = _SOCKETS[venue.region][demo]
    return Hosts(rest=rest, sockets=sockets, demo=demo, proxy=venue.proxy)


def _upto_version(url: str) -> str:
    """wss://host, wss://host/ws/v5 and wss://host/ws/v5/public all mean the same host."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    for end in ("/public", "/private", "/business"):
        path = path.removesuffix(end)
    return f"{parts.scheme}://{parts.netloc}{path or '/ws/v5'}"
