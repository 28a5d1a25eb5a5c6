"""What is known of models: how each is spoken to, what it costs, what it allows, what it may remember.

Prices and quotas change without notice: each row is dated, and configuration overrides it. A model without a row
is taken for the dearest one with the plainest abilities, so that a budget is never exceeded by ignorance.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, Protocol

from msgspec import Struct

from kokex.brain.ledger import Quota
from kokex.messages.llm import Reply

Api = Literal["anthropic", "openai"]
# native: the provider enforces a JSON schema; json: it only promises some JSON; prose: the prompt has to ask for it
SchemaMode = Literal["native", "json", "prose"]


class Model(Struct, frozen=True, kw_only=True):
    """A row: all models whose name begins with `prefix`."""

    prefix: str
    api: Api
    base_url: str = ""  # where it is served, unless configured; empty: the library's own
    schema: SchemaMode = "native"
    tool_choice: bool = True  # it may be told which tool to use
    context: int = 128_000  # tokens
    usd_in: Decimal  # per million tokens
    usd_out: Decimal
    priced: str  # the day these prices were read; empty: they are those of the dearest
    rpm: int = 0  # of its free tier, 0: none known
    rpd: int = 0
    reset_zone: str = "UTC"  # where its day begins
    cutoff: str = ""  # month up to which it may remember the world; empty: unknown, so all of the past


class Wanted(Protocol):
    """A provider as [llm] names it. Below zero, or empty: what the row of its model says."""

    @property
    def label(self) -> str: ...
    @property
    def provider(self) -> str: ...
    @property
    def base_url(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def rpm(self) -> int: ...
    @property
    def rpd(self) -> int: ...
    @property
    def per_24h(self) -> int: ...
    @property
    def reset_zone(self) -> str: ...
    @property
    def usd_in(self) -> Decimal: ...
    @property
    def usd_out(self) -> Decimal: ...
    @property
    def schema_mode(self) -> str: ...
    @property
    def timeout_s(self) -> float: ...


class Endpoint(Struct, frozen=True, kw_only=True):
    """A provider ready to be spoken to: what is configured laid over what is known."""

    name: str
    api: Api
    base_url: str
    model: str
    schema: SchemaMode
    tool_choice: bool
    context: int
    usd_in: Decimal
    usd_out: Decimal
    priced: str  # empty: nobody knows, the dearest were assumed
    cutoff: str
    timeout_s: float
    quota: Quota

    def at_most(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Dollars that so many tokens cost when none is cached."""
        return (self.usd_in * input_tokens + self.usd_out * output_tokens) / 1_000_000

    def cost(self, reply: Reply) -> Decimal:
        """Dollars by the provider's own count. Cached tokens at a tenth of the price, as both wires bill them."""
        full = reply.input_tokens - reply.cached_tokens
        return (
            self.usd_in * full + self.usd_in * reply.cached_tokens / 10 + self.usd_out * reply.output_tokens
        ) / 1_000_000


def _row(prefix: str, api: Api, usd_in: str, usd_out: str, read: str, **more: object) -> Model:
    return Model(prefix=prefix, api=api, usd_in=Decimal(usd_in), usd_out=Decimal(usd_out), priced=read, **more)  # type: ignore[arg-type]


_GEMINI: Mapping[str, object] = {
    "base_url": "https://generativelanguage.googleapis.com/v1beta/openai/",
    # Google publishes no free quota any longer; twenty a day is what users were left with.
    "rpm": 5,
    "rpd": 20,
    "reset_zone": "America/Los_Angeles",
    "context": 1_000_000,
}
_QWEN: Mapping[str, object] = {
    "base_url": "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "schema": "json", "context": 991_000
}  # fmt: skip
_DEEPSEEK: Mapping[str, object] = {
    "base_url": "https://api.deepseek.com", "schema": "json", "tool_choice": False, "context": 1_000_000
}  # fmt: skip
_CLAUDE: Mapping[str, object] = {"context": 1_000_000}
_GPT: Mapping[str, object] = {"context": 1_050_000}
_DEAREST = ("10", "50")  # of all that follow; a model nobody has a row for is taken for it

# The first row that fits counts. Prices are of prompts as short as ours are: some cost more beyond 200,000 tokens.
MODELS: tuple[Model, ...] = (
    # platform.claude.com/docs: the overview of models and the page of each
    _row("claude-haiku-5-5", "anthropic", "0.10", "0.50", "2026-11-26", **_CLAUDE, cutoff="2026-06"),
    _row("claude-haiku-4-5", "anthropic", "1", "5", "2026-11-26", context=200_000, cutoff="2025-02"),
    _row("claude-sonnet-5-5", "anthropic", "2", "10", "2026-11-26", **_CLAUDE, cutoff="2026-06"),
    _row("claude-sonnet-5", "anthropic", "2", "10", "2026-11-26", **_CLAUDE, cutoff="2026-01"),
    _row("claude-opus-5-5", "anthropic", "4", "20", "2026-11-26", **_CLAUDE, cutoff="2026-06"),
    _row("claude-opus-5", "anthropic", "5", "25", "2026-11-26", **_CLAUDE, cutoff="2026-05"),
    _row("claude-fable-5-2", "anthropic", "8", "40", "2026-11-26", **_CLAUDE, cutoff="2026-06"),
    _row("claude-fable-5-1", "anthropic", "10", "50", "2026-11-26", **_CLAUDE, cutoff="2026-06"),
    _row("claude", "anthropic", *_DEAREST, "", context=200_000),
    # developers.openai.com/api/docs/models; gpt-6-sol and gpt-6-luna as announced on 2026-09-22
    _row("gpt-6.2-astra", "openai", "8", "40", "2026-11-26", **_GPT, cutoff="2026-05"),
    _row("gpt-6.2-sol", "openai", "2", "10", "2026-11-26", **_GPT, cutoff="2026-06"),
    _row("gpt-6.1-terra", "openai", "1", "5", "2026-11-26", **_GPT),
    _row("gpt-6-luna", "openai", "0.10", "0.50", "2026-11-26", **_GPT),
    _row("gpt-6-sol", "openai", "2", "10", "2026-11-26", **_GPT),
    _row("gpt-6-astra", "openai", "10", "50", "2026-11-26", **_GPT, cutoff="2026-04"),
    _row("gpt-5.6-luna", "openai", "0.20", "1.20", "2026-11-26", **_GPT, cutoff="2026-02"),
    _row("gpt-5.6-terra", "openai", "2", "12", "2026-11-26", **_GPT, cutoff="2026-02"),
    _row("gpt-5.6", "openai", "4", "20", "2026-11-26", **_GPT, cutoff="2026-02"),  # sol by another name
    _row("gpt", "openai", *_DEAREST, ""),
    # ai.google.dev/gemini-api/docs/pricing as others quote it; 3.8 Flash costs half of this until the end of 2026
    _row("gemini-3.8-flash", "openai", "1.50", "7.50", "2026-10-07", **_GEMINI),
    _row("gemini-3.5-flash-lite", "openai", "0.30", "2.50", "2026-07-31", **_GEMINI),
    _row("gemini-3.5-flash", "openai", "1.50", "9", "2026-07-31", **_GEMINI),
    _row("gemini-3.1-flash-lite", "openai", "0.25", "1.50", "2026-07-31", **_GEMINI, cutoff="2025-01"),
    _row("gemini-3.1-pro", "openai", "2", "12", "2026-07-31", **_GEMINI),
    _row("gemini-2.5-flash-lite", "openai", "0.10", "0.40", "2026-07-31", **_GEMINI),
    _row("gemini-2.5-flash", "openai", "0.30", "2.50", "2026-07-31", **_GEMINI),
    _row("gemini-2.5-pro", "openai", "1.25", "10", "2026-07-31", **_GEMINI),
    _row("gemini", "openai", *_DEAREST, "", **_GEMINI),
    # Alibaba Cloud Model Studio, international, as Vercel's gateway passes it on
    _row("qwen3.8-max", "openai", "2", "6", "2026-11-26", **_QWEN),
    _row("qwen3.8-flash", "openai", "0.15", "0.47", "2026-11-26", **_QWEN),
    _row("qwen", "openai", *_DEAREST, "", **_QWEN),
    # api-docs.deepseek.com/quick_start/pricing, the hours in which it costs most; older names are served as flash
    _row("deepseek-flash", "openai", "0.30", "1.20", "2026-11-15", **_DEEPSEEK),
    _row("deepseek-v4-flash", "openai", "0.30", "1.20", "2026-11-15", **_DEEPSEEK),
    _row("deepseek", "openai", "1.32", "3.96", "2026-11-15", **_DEEPSEEK),  # v4-pro, its dearest
)
UNKNOWN = Model(
    prefix="", api="openai", usd_in=Decimal(_DEAREST[0]), usd_out=Decimal(_DEAREST[1]), priced="", context=32_000
)


def known(model: str) -> Model:
    """The row of a model."""
    name = model.rpartition("/")[2].lower()
    return next((row for row in MODELS if name.startswith(row.prefix)), UNKNOWN)


def endpoint(wanted: Wanted) -> Endpoint:
    """What is configured, and the row's word where nothing is."""
    row = known(wanted.model)
    api: Api = "anthropic" if wanted.provider == "anthropic" else "openai"
    mode: SchemaMode = wanted.schema_mode or row.schema  # type: ignore[assignment]
    priced = wanted.usd_in >= 0 and wanted.usd_out >= 0
    return Endpoint(
        name=wanted.label,
        api=api,
        base_url=wanted.base_url or row.base_url,
        model=wanted.model,
        schema=mode,
        tool_choice=row.tool_choice,
        context=row.context,
        usd_in=row.usd_in if wanted.usd_in < 0 else wanted.usd_in,
        usd_out=row.usd_out if wanted.usd_out < 0 else wanted.usd_out,
        priced="configured" if priced else row.priced,
        cutoff=row.cutoff,
        timeout_s=wanted.timeout_s,
        quota=Quota(
            rpm=row.rpm if wanted.rpm < 0 else wanted.rpm,
            rpd=row.rpd if wanted.rpd < 0 else wanted.rpd,
            per_24h=wanted.per_24h,
            reset_zone=wanted.reset_zone or row.reset_zone,
        ),
    )


def tokens(text: str) -> int:
    """At least as many tokens as a text has, for any tokenizer known: prompts here are half numbers."""
    ascii_only = text.isascii()
    return len(text.encode()) // (3 if ascii_only else 2) + 1


def about_its_past(model: str) -> str:
    """Why a model is not asked about candles of old: it may have read what came of them."""
    cutoff = known(model).cutoff
    until = f"was trained on texts up to {cutoff}" if cutoff else "was trained on texts nobody knows the end of"
    return (
        f"{model or 'a language model'} {until} and may remember how these candles went on: its decisions on them "
        "would prove nothing. Let it decide forward, on paper money: every answer is recorded, and "
        "`--brain recorded --recordings DB` plays what it said when the candles were new"
    )
