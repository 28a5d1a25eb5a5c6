"""Accounts at OKX for the daemon: their keys, whether they are fit, and their lines once the actors run.

The OKX adapter is imported where an account is there; the daemon on paper money never sees it.
"""

import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
from msgspec.structs import replace

from kokex.adapters.host.chance import Random
from kokex.adapters.host.clock import TradingClock
from kokex.cli.output import Mistake
from kokex.config import Account, Config
from kokex.messages import Instrument
from kokex.ports import Ambiguous, Post, Rejected, Venue

if TYPE_CHECKING:
    from kokex.adapters.okx.account import AccountStreams
    from kokex.adapters.okx.preflight import Check, Standing
    from kokex.adapters.okx.private import PrivateRest
    from kokex.adapters.okx.rest import Rest
    from kokex.adapters.okx.sign import Credentials

PARTS = ("key", "secret", "passphrase")
AGAIN_S = 5.0  # between tries to reach OKX, and after a stream's own task failed, which it should not

Console = Callable[[int, str, str, str], None]
Beside = Callable[[anyio.Event], Coroutine[Any, Any, None]]


class Fit(NamedTuple):
    """An account at OKX that may trade."""

    account: Account
    credentials: "Credentials"
    standing: "Standing"


def at_okx(config: Config) -> list[Account]:
    return [each for each in config.resolved_accounts() if each.venue.kind == "okx"]


def credentials_of(config: Config) -> dict[str, "Credentials"]:
    """The API key of each account at OKX: its own, or with only one the venue's. Raises Mistake."""
    from kokex.adapters.okx.sign import Credentials
    from kokex.adapters.secrets.environment import variable_of
    from kokex.adapters.secrets.sources import SecretsError
    from kokex.cli.secrets import secrets_of

    accounts, secrets = at_okx(config), secrets_of(config)
    found: dict[str, Credentials] = {}
    for account in accounts:
        places = [f"accounts.{account.name}"] + (["venue"] if len(accounts) == 1 else [])
        values: list[str] = []
        for part in PARTS:
            try:
                secret = next((each for place in places if (each := secrets(f"{place}.{part}"))), None)
            except SecretsError as error:
                raise Mistake(str(error)) from None
            if secret is None:
                name = f"{places[-1]}.{part}"
                remedy = f"`kokex secrets set {name}`, or set {variable_of(name)}"
                raise Mistake(f"account {account.name}: {name} is missing: {remedy}; see docs/secrets.md")
            values.append(secret.reveal())
        found[account.name] = Credentials(*values)
    keys = [each.key for each in found.values()]
    if len(set(keys)) < len(keys):
        raise Mistake("accounts: two have the same API key; each account of its own needs a sub-account at OKX")
    return found


@asynccontextmanager
async def private_rest(
    account: Account, credentials: "Credentials", now: Callable[[], int]
) -> AsyncGenerator["PrivateRest", None]:
    from kokex.adapters.okx.hosts import hosts_of
    from kokex.adapters.okx.private import PrivateRest
    from kokex.adapters.okx.rest import Rest

    rest = Rest(hosts_of(account.venue), now=now, chance=Random(), credentials=credentials, user=account.name)
    async with rest:
        yield PrivateRest(rest)


# ---- before the start -------------------------------------------------------------------------


async def findings(
    account: Account, credentials: "Credentials", instruments: Sequence[Instrument]
) -> "tuple[list[Check], Standing | None]":
    """What there is to say of an account; no Standing: it must not trade. Raises Ambiguous when OKX cannot be asked."""
    from kokex.adapters.okx.preflight import Check, examine

    async with private_rest(account, credentials, TradingClock().now) as rest:
        said = [each async for each in examine(rest, instruments)]
    checks = [each for each in said if isinstance(each, Check)]
    return checks, next((each for each in said if not isinstance(each, Check)), None)


def examined(config: Config, instruments: Sequence[Instrument]) -> tuple[Config, tuple[Fit, ...]]:
    """Every account at OKX, found fit and its leverage set; and the configuration with the money and the fees there.

    Waits for an OKX that cannot be reached. Raises Mistake.
    """
    keys = credentials_of(config)
    fit = tuple(
        Fit(account, keys[account.name], anyio.run(_standing, account, keys[account.name], instruments))
        for account in at_okx(config)
    )
    money = {each.account.name: each.standing.cash for each in fit}
    accounts = tuple(replace(each, cash=money.get(each.name, each.cash)) for each in config.resolved_accounts())
    fees = {each.account.name: each.standing.fees for each in fit}
    return replace(config, accounts=accounts, fees=fees), fit


async def _standing(account: Account, credentials: "Credentials", instruments: Sequence[Instrument]) -> "Standing":
    from kokex.adapters.okx.preflight import set_leverage

    while True:
        try:
            checks, standing = await findings(account, credentials, instruments)
            for each in checks:
                text = f"account {account.name}: {each.what}: {each.found}; {each.remedy}"
                if each.state == "fail":
                    raise Mistake(text)
                if each.state == "warn":
                    _say(text)
            async with private_rest(account, credentials, TradingClock().now) as rest:
                await rest.rest.sync_clock()
                await set_leverage(rest, instruments, account.venue.leverage)
            assert standing
            return standing
        except Rejected as error:
            raise Mistake(f"account {account.name}: the leverage could not be set: {error}") from None
        except Ambiguous as error:
            _say(f"account {account.name}: waiting for OKX: {error}")
        await anyio.sleep(AGAIN_S)


def _say(text: str) -> None:
    from kokex.adapters.secrets.secret import redact

    print(f"kokex: {redact(text)}", file=sys.stderr, flush=True)


# ---- while the actors run ---------------------------------------------------------------------


@asynccontextmanager
async def okx_accounts(
    fit: Sequence[Fit], instruments: Mapping[str, Instrument], tag: str, post: Post, now: Callable[[], int],
    console: Console,
) -> AsyncGenerator[tuple[dict[str, Venue], Beside], None]:  # fmt: skip
    """The venues by account, and what is to be run beside the actors."""
    from kokex.adapters.okx.account import AccountStreams
    from kokex.adapters.okx.venue import OkxVenue

    venues: dict[str, Venue] = {}
    streams: list[AccountStreams] = []
    connections: list[Rest] = []

    def trouble(what: str) -> None:
        console(now(), "WARNING", "venue", what)

    def connected(account: str) -> None:
        console(now(), "INFO", "venue", f"account {account}: connected to OKX")

    async with AsyncExitStack() as open_ones:
        for account, credentials, standing in fit:
            rest = await open_ones.enter_async_context(private_rest(account, credentials, now))
            try:
                await rest.rest.sync_clock()
            except (Rejected, Ambiguous) as error:
                trouble(f"account {account.name}: OKX's time is not known: {error}")
            connections.append(rest.rest)
            venue = OkxVenue(rest, instruments, standing.mode, tag=f"kokex{tag}", now=now)
            venues[account.name] = venue
            known = partial(connected, account.name)
            streams.append(AccountStreams(account.name, venue, rest.rest.hosts, post, now, Random(), known, trouble))

        async def run(started: anyio.Event) -> None:
            await started.wait()
            async with anyio.create_task_group() as tasks:
                for each in streams:
                    tasks.start_soon(_keep, each, trouble)
                for rest in connections:
                    tasks.start_soon(rest.stay_warm)

        yield venues, run


async def _keep(streams: "AccountStreams", trouble: Callable[[str], None]) -> None:
    while True:
        try:
            await streams.run()
        except Exception as error:  # whatever it is: exits must go on being managed
            trouble(f"the private streams' task failed and begins anew: {error!r}")
            streams.lost("private", "its task failed")
            streams.lost("business", "its task failed")
        await anyio.sleep(AGAIN_S)
