"""What `kokex doctor` finds out about language models, their texts, keys and prices, and about a memory elsewhere."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import anyio
from msgspec import Struct

from kokex.brain.models import Endpoint, endpoint
from kokex.cli.output import Mistake
from kokex.cli.outside import memory as remembering
from kokex.cli.thinking import providers, unlisted, wording
from kokex.config import Config
from kokex.messages import Fault
from kokex.present.words import apart

if TYPE_CHECKING:
    from kokex.adapters.llm.client import Providers

PROBE_S = 10.0


class Finding(Struct, frozen=True):
    what: str
    state: Literal["ok", "warn", "fail"]
    found: str
    remedy: str = ""


def models(config: Config) -> Iterator[Finding]:
    """Each provider is asked once for its entry of the model, which is no completion and costs nothing."""
    if not config.llm.provider:
        return
    try:
        texts, port = wording(config), providers(config)
    except Mistake as error:
        yield Finding("language models", "fail", error.message, "correct [llm], or `kokex secrets set llm.api_key`")
        return
    assert texts
    assert port
    yield Finding("prompts", "ok", f"wording {texts.version}")
    for each in (endpoint(table) for table in config.llm.chain):
        yield anyio.run(_probe, port, each)
        if told := apart(port.ahead_s(each.name), each.name):
            yield Finding("system clock", "warn", told, "set the system clock (NTP), then look again")
    for name, found, remedy in unlisted(config):
        yield Finding(f"price of {name}", "warn", found, remedy)


def memory(config: Config) -> Iterator[Finding]:
    """Whether a Letta server answers, where one is to."""
    if config.memory.kind != "letta":
        return
    from kokex.adapters.letta.memory import LettaError, LettaMemory

    async def probe() -> None:
        async with remembering(config) as opened:
            assert isinstance(opened, LettaMemory)
            await opened.probe()

    place = f"Letta at {config.memory.url}"
    try:
        anyio.run(probe)
    except Mistake as error:
        yield Finding("memory", "fail", error.message, "`kokex secrets set memory.token`")
    except LettaError as error:
        remedy = "check memory.url, memory.agent and memory.token; the database answers meanwhile"
        yield Finding("memory", "warn", f"{place}: {error}", remedy)
    else:
        yield Finding("memory", "ok", f"{place} answers for {config.memory.agent}")


async def _probe(port: "Providers", each: Endpoint) -> Finding:
    what = f"model {each.name}"
    answer = await port.probe(each.name, PROBE_S)
    await port.forget(each.name)
    quota = each.quota
    bounds = f"requests a minute: {quota.rpm or 'unbounded'}, a day ({quota.reset_zone}): {quota.rpd or 'unbounded'}"
    if not isinstance(answer, Fault):
        return Finding(what, "ok", f"{answer} is there; {bounds}")
    if answer.status == 404:
        found = f"{each.base_url or each.api} answers, but has no entry of {each.model}"
        return Finding(what, "warn", found, "compare the model's name with the provider's list; some keep none")
    said = f"{answer.kind.replace('_', ' ')} {answer.status or ''}".strip()
    return Finding(what, "fail", f"{said}: {answer.text[:160]}", "check key, base_url and network")
