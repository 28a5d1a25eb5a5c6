"""[venue]: where orders go, and the hosts that orders and an exchange's market data share.

Keys of the API are secrets and stand nowhere here: they come from the environment (KOKEX__VENUE__KEY, __SECRET,
__PASSPHRASE), a systemd credential or the encrypted store.
"""

from typing import Annotated, Literal

from msgspec import Struct

from kokex.config.rules import Later, Matches, Range

RestUrl = Annotated[str, Matches(r"(https?://[^\s/@]+(/\S*)?)?", 'a URL like "https://www.okx.com", or empty')]
SocketUrl = Annotated[str, Matches(r"(wss?://[^\s/@]+(/\S*)?)?", 'a URL like "wss://ws.okx.com:8443/ws/v5", or empty')]
ProxyUrl = Annotated[str, Matches(r"(https?://[^\s/]+/?)?", 'a URL like "http://127.0.0.1:3128", or empty')]


class Venue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where orders go."""

    kind: Annotated[Literal["paper", "okx"], Later(("kis",))] = "paper"
    environment: Literal["paper", "demo", "live"] = "paper"
    allow_live: bool = False  # the second word that real money needs
    leverage: Annotated[int, Range(least=1, most=100)] = 3  # of swaps, set at the start; [risk] limits what is held
    region: Literal["global", "eea", "us"] = "global"  # where the account is registered: okx.com, my. or app.okx.com
    base_url: RestUrl = ""  # REST, up to /api; empty: the region's
    ws_url: SocketUrl = ""  # WebSocket, up to /public; empty: the region's, or that of base_url
    proxy: ProxyUrl = ""  # empty: HTTPS_PROXY of the environment
