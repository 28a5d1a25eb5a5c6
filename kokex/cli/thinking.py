"""The language models of a configuration, ready to be asked."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from kokex.adapters.host.prompts import read_wording
from kokex.brain.models import endpoint
from kokex.brain.wording import BadWording, Wording
from kokex.cli.output import Mistake
from kokex.config import Config

if TYPE_CHECKING:
    from kokex.adapters.llm.client import Providers, Told


def providers(config: Config, told: "Told | None" = None) -> "Providers | None":
    """The port with its keys; None, and nothing imported, where no provider is configured. Raises Mistake."""
    if not config.llm.provider:
        return None
    from kokex.adapters.llm.client import Providers
    from kokex.adapters.secrets.sealed import SecretsError
    from kokex.cli.secrets import secrets_of

    source = secrets_of(config)
    try:
        keys = {each.label: key for each in config.llm.chain if (key := source(each.secret))}
    except SecretsError as error:
        raise Mistake(str(error)) from None
    for each in config.llm.chain:
        if each.label not in keys and not each.base_url:
            raise Mistake(f"no key for {each.label}: `kokex secrets set {each.secret}`, or put it into the environment")
    return Providers([endpoint(each) for each in config.llm.chain], keys, told)


def wording(config: Config) -> Wording | None:
    """The texts of prompts, None where no provider is configured. Raises Mistake."""
    if not config.llm.provider:
        return None
    try:
        return read_wording(config.llm.prompts)
    except BadWording as error:
        raise Mistake(f"llm.prompts: {error}") from None


class Unlisted(NamedTuple):
    """A model whose price nobody told, so that the dearest is assumed and budgets are used up early."""

    name: str
    found: str
    remedy: str


def unlisted(config: Config) -> Iterator[Unlisted]:
    for place, table in enumerate(config.llm.chain):
        each = endpoint(table)
        if each.priced:
            continue
        ways = [("in", table.usd_in, each.usd_in), ("out", table.usd_out, each.usd_out)]
        assumed = " and ".join(f"{usd} dollars a million tokens {way}" for way, told, usd in ways if told < 0)
        where = "[llm]" if place == 0 else f"{each.name} of [[llm.fallbacks]]"
        yield Unlisted(
            each.name,
            f"{each.model} is not in the list of prices: {assumed} are assumed, the dearest known",
            f"set usd_in and usd_out in {where}; until then what it may cost (usd_per_day) is used up too early",
        )
