"""The port `Llm`: each `send` is exactly one HTTP request, whatever comes of it.

An SDK is imported when the first request to a provider that speaks its wire is made, in a thread, because that takes
a second or two; a daemon without a provider never pays for it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

import anyio
import anyio.to_thread

from kokex.adapters.host.clock import moment
from kokex.adapters.llm.dates import Dates
from kokex.adapters.llm.faults import fault_of
from kokex.adapters.secrets.secret import Secret
from kokex.brain.models import Endpoint
from kokex.messages.llm import Fault, Moment, Prompt, Reply, Sent

Told = Callable[[str, str], object]  # name of the stream, a piece of text


class Client(Protocol):
    """One provider through its SDK. Raises what the SDK raises."""

    async def ask(self, prompt: Prompt, timeout_s: float) -> Reply: ...
    async def stream(self, prompt: Prompt, timeout_s: float, tell: Callable[[str], object]) -> Reply: ...
    async def probe(self) -> str: ...
    async def close(self) -> None: ...


class Providers:
    """All configured endpoints. `told` hears streamed text as it comes."""

    def __init__(self, endpoints: Sequence[Endpoint], secrets: Mapping[str, Secret], told: Told | None = None) -> None:
        """`secrets`: API keys by name of the endpoint; a local server may need none."""
        self._endpoints = {each.name: each for each in endpoints}
        self._secrets = dict(secrets)
        self._clients: dict[str, Client] = {}
        self._dates = {name: Dates() for name in self._endpoints}
        self.told = told

    async def warm(self) -> None:
        """Imports what the first provider needs, so that the first request does not wait for it."""
        await self._client(next(iter(self._endpoints)))

    async def moment(self) -> Moment:
        return moment()

    async def send(self, provider: str, prompt: Prompt, timeout_s: float) -> Sent:
        """Exactly one request. Never raises: what goes wrong is a Fault."""
        client = await self._client(provider)
        begun = moment()
        outcome: Reply | Fault
        try:
            with anyio.fail_after(timeout_s):
                if prompt.stream and self.told:
                    outcome = await client.stream(prompt, timeout_s, partial(self.told, prompt.stream))
                else:
                    outcome = await client.ask(prompt, timeout_s)
        except Exception as error:  # a bug in an SDK is no reason to lose the count
            outcome = fault_of(error)
        ended = moment()
        took_ms = (ended.steady_ns - begun.steady_ns) // 1_000_000
        return Sent(outcome, ended, took_ms, ahead_s=self.ahead_s(provider))

    async def probe(self, provider: str, timeout_s: float) -> Fault | str:
        """Asks for the model's entry, which costs nothing: its name there, or what went wrong."""
        client = await self._client(provider)
        try:
            with anyio.fail_after(timeout_s):
                return await client.probe()
        except Exception as error:
            return fault_of(error)

    def ahead_s(self, provider: str) -> int:
        """By how much our clock is ahead of the provider's, as far as an answer has told."""
        return self._dates[provider].ahead_s

    async def forget(self, provider: str) -> None:
        """Closes its connections; the next request opens new ones."""
        if client := self._clients.pop(provider, None):
            await client.close()

    async def close(self) -> None:
        for name in list(self._clients):
            await self.forget(name)

    async def _client(self, provider: str) -> Client:
        if provider not in self._clients:
            secret = self._secrets.get(provider)
            made = partial(_make, self._endpoints[provider], secret.reveal() if secret else "", self._dates[provider])
            self._clients[provider] = await anyio.to_thread.run_sync(made)
        return self._clients[provider]


def _make(endpoint: Endpoint, secret: str, dates: Dates) -> Client:
    if endpoint.api == "anthropic":
        from kokex.adapters.llm.anthropic_wire import AnthropicClient

        return AnthropicClient(endpoint, secret, dates)
    from kokex.adapters.llm.openai_wire import OpenAIClient

    return OpenAIClient(endpoint, secret, dates)
