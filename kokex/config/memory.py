"""[memory]: who remembers what became of decisions."""

from typing import Annotated, Literal

from msgspec import Struct

from kokex.config.rules import Matches

Url = Annotated[str, Matches(r"https?://[^\s/@]+(/\S*)?", "an address that begins with http:// or https://")]
Agent = Annotated[str, Matches(r"(agent-[0-9A-Za-z-]+)?", 'an agent\'s id, like "agent-123e4567-e89b-42d3"')]


class Memory(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The database always remembers; a Letta server may find what is like now in its place."""

    kind: Literal["sqlite", "letta"] = "sqlite"
    url: Url = "http://localhost:8283"  # of the Letta server; its key is the secret memory.token
    agent: Agent = ""  # whose archival memory it is
