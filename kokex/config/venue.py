"""[venue]: where orders go, and the hosts that orders and an exchange's market data share.

Keys of the API are secrets and stand nowhere here: they come from the environment (KOKEX__VENUE__KEY, __SECRET,
__PASSPHRASE), a systemd credential or the encrypted store.
"""

from typing import Annotated, Literal

from msgspec import Struct

from kokex.config.rules import Later, Matches

RestUrl = Annotated[str, Matches(r"(https?://[^\s/@]+(/\S*)?)?", 'a URL like "https://www.okx.com", or empty')]
SocketUrl = Annotated[str, Matches(r"(wss?://[^\s/@]+(/\S*)?)?", 'a URL like "wss://ws.okx.com:8443/ws/v5", or empty')]
ProxyUrl = Annotated[str, Matches(r"(https?://[^\s/]+/?)?", 'a URL like "http://127.0.0.1:3128", or empty')]


class Venue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where orders go."""

    kind: Annotated[Literal["paper"], Later(("okx", "kis"))] = "paper"
    environment: Annotated[Literal["paper"], Later(("demo", "live"))] = "paper"
    region: Literal["global", "eea", "us"] = "global"  # where the account is registered: okx.com, my. or app.okx.com
    base_url: RestUrl = ""  # REST, up to /api; empty: the region's
    ws_url: SocketUrl = ""  # WebSocket, up to /public; empty: the region's, or that of base_url
    proxy: ProxyUrl = ""  # empty: HTTPS_PROXY of the environment
