"""The language models of a configuration, ready to be asked."""

from typing import TYPE_CHECKING

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
