"""[llm]: which language models may be asked, and at what price."""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Struct

from kokex.config.rules import Filled, Matches, Name, Range, Seconds, Share

Dollars = Annotated[Decimal, Range(least=0, most=100_000)]
# -1: what is known of the model (kokex/brain/models.py)
Price = Annotated[Decimal, Range(least=-1, most=100_000)]
Quota = Annotated[int, Range(least=-1, most=10_000_000)]
Requests = Annotated[int, Range(least=0, most=10_000_000)]
Url = Annotated[str, Matches(r"|https?://\S+", "an address that begins with http:// or https://")]
Zone = Annotated[str, Matches(r"[A-Za-z0-9_+/-]*", "a time zone, like America/Los_Angeles")]
SchemaMode = Literal["", "native", "json", "prose"]


class Shares(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a day's requests and dollars are shared; what is left is a reserve for cycles."""

    scheduled: Share = 0.4  # cycles by the clock
    event: Share = 0.2  # cycles that an edge or a person woke
    chat: Share = 0.15
    news: Share = 0.1
    research: Share = 0.05


class Fallback(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[llm.fallbacks]]`: asked when those before it did not answer."""

    name: Name  # in reports, and of its key: the secret llm.NAME.api_key
    provider: Literal["openai", "anthropic"]
    model: Filled
    base_url: Url = ""
    rpm: Quota = -1
    rpd: Quota = -1
    per_24h: Requests = 0
    reset_zone: Zone = ""
    usd_in: Price = Decimal(-1)
    usd_out: Price = Decimal(-1)
    schema_mode: SchemaMode = ""
    timeout_s: Seconds = 20

    @property
    def label(self) -> str:
        return self.name

    @property
    def secret(self) -> str:
        """The name of its key."""
        return f"llm.{self.name}.api_key"


class Llm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first provider, and what all of them together may cost."""

    provider: Literal["", "openai", "anthropic"] = ""  # empty: none
    model: str = ""
    name: str = ""  # in reports; else the model's
    base_url: Url = ""  # empty: the provider's own
    rpm: Quota = -1  # requests a minute; 0: no bound
    rpd: Quota = -1  # requests a day
    per_24h: Requests = 0  # requests in any 24 hours; 0: no bound
    reset_zone: Zone = ""  # where the provider's day begins
    usd_in: Price = Decimal(-1)  # per million tokens
    usd_out: Price = Decimal(-1)
    schema_mode: SchemaMode = ""  # how an answer's form is asked for; empty: what is known of the model
    timeout_s: Seconds = 20
    usd_per_day: Dollars = Decimal(1)  # 0: no bound
    usd_per_month: Dollars = Decimal(20)
    shares: Shares = Shares()
    prompt_tokens: Annotated[int, Range(least=500, most=1_000_000)] = 6_000  # longest prompt of a decision
    answer_tokens: Annotated[int, Range(least=200, most=100_000)] = 2_000
    prompts: str = ""  # folder with texts that replace the built-in ones
    keep_plan_s: Annotated[float, Range(least=0, most=86_400)] = 900  # how long an answer stands in for a missing one
    repair: bool = True  # ask once more when an answer cannot be read, if the ledger lets it
    fallbacks: tuple[Fallback, ...] = ()

    @property
    def label(self) -> str:
        return self.name or self.model

    @property
    def secret(self) -> str:
        """The name of its key."""
        return "llm.api_key"

    @property
    def chain(self) -> "tuple[Llm | Fallback, ...]":
        """All providers in the order in which they are asked."""
        return (self, *self.fallbacks) if self.provider else ()
