"""`kokex telegram setup`: from a token to a chat that hears and tells."""

import sys
from pathlib import Path

import anyio
import click

from kokex.adapters.secrets.secret import Secret
from kokex.adapters.secrets.sources import SecretsError, ask_hidden
from kokex.cli.options import CONFIG, JSON, YES, Span, configured, invocation
from kokex.cli.output import Mistake, emit_json
from kokex.cli.secrets import secrets_of
from kokex.config import Config
from kokex.config.editing import with_keys
from kokex.ports.chat import ChatConflict, ChatRefused, Heard, Outgoing
from kokex.present.rich import bold, join

TOKEN = "telegram.token"  # noqa: S105  its name
BOTFATHER = "https://t.me/BotFather"


class SetupError(click.ClickException):
    """What stands in the way, and the remedy."""


@click.group()
def telegram() -> None:
    """Alerts and commands on a phone. See docs/telegram.md."""


@telegram.command()
@CONFIG
@click.option("--wait", "wait_s", type=Span(), default="2m", show_default=True, help="For the first message.")
@YES
@JSON
def setup(config_file: Path | None, wait_s: float, yes: bool, as_json: bool) -> None:
    """Connects a chat: token, first message, configuration, test alert.

    Make a bot with @BotFather in Telegram first (/newbot); it answers with the token. Who writes the first message
    becomes the owner, so write it yourself. The token goes into the encrypted store and never into config.toml.

    \b
    Examples
      kokex telegram setup
      pass show telegram | kokex telegram setup --yes
    """
    config = configured(config_file, None)
    path = config_file or Path("config.toml")
    token = _token(config)
    first = anyio.run(_meet, token, config.telegram.base_url, wait_s)
    kind = "group" if first.chat < 0 else "private chat"
    click.echo(f"heard {first.name}, user {first.user}, in {kind} {first.chat}", err=True)
    if not yes and sys.stdin.isatty() and not click.confirm("is that you, and the place to tell?", err=True):
        raise click.ClickException("nothing was written; run it again, and write first")
    _write(path, first)
    kept = _keep(config, token)
    anyio.run(_test, token, first.chat, config.telegram.base_url)
    if as_json:
        emit_json({"chat": first.chat, "user": first.user, "config": str(path), "token": kept})
        return
    click.echo(f"{path}: [telegram] chat = {first.chat}, owners = [{first.user}]")
    click.echo(kept)
    click.echo(f"a test alert is in the chat; `{invocation()} run` trades and tells there")


def _token(config: Config) -> Secret:
    try:
        known = secrets_of(config)(TOKEN)
        if known is not None:
            return known
        if sys.stdin.isatty():
            click.echo(f"a token comes from @BotFather ({BOTFATHER}): send it /newbot", err=True)
            given = ask_hidden("token")
        else:
            given = sys.stdin.read().strip()
    except SecretsError as error:
        raise SetupError(str(error)) from None
    number, colon, key = given.partition(":")
    if not (colon and number.isdecimal() and key):
        raise Mistake("that is no token; one looks like 123456789:AAE... and comes from @BotFather")
    return Secret(given)


async def _meet(token: Secret, base_url: str, wait_s: float) -> Heard:
    """The first message somebody writes to the bot."""
    from kokex.adapters.telegram.client import open_chat

    async with open_chat(token, 0, base_url) as chat:
        try:
            greeting = await chat.greet(())
            click.echo(f"this is @{greeting.name}: write it anything, in the chat where it shall tell", err=True)
            offset = greeting.offset
            with anyio.move_on_after(wait_s):
                while True:
                    for heard in await chat.hear(offset):
                        offset = heard.update + 1
                        if heard.kind == "message" and heard.user:
                            return heard
        except ChatRefused as error:
            raise SetupError(f"Telegram does not accept this token ({error}); @BotFather shows it: /mybots") from None
        except ChatConflict:
            raise SetupError("another program listens with this token; stop it, and run this again") from None
        except ConnectionError as error:
            raise SetupError(f"{base_url}: cannot be reached: {error}") from None
    raise SetupError(f"nobody wrote within {wait_s:g} s; nothing was written")


def _write(path: Path, first: Heard) -> None:
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(
            with_keys(text, "telegram", {"chat": str(first.chat), "owners": f"[{first.user}]"}), encoding="utf-8"
        )
    except OSError as error:
        raise SetupError(f"{path}: cannot be written: {error.strerror}") from None


def _keep(config: Config, token: Secret) -> str:
    """Where the token is now, in words."""
    secrets = secrets_of(config)
    try:
        if TOKEN in secrets.sources():
            return f"the token: {secrets.sources()[TOKEN]}"
        secrets.put(TOKEN, token.reveal())
    except SecretsError as error:
        return f"the token was not kept ({error}): start with KOKEX__TELEGRAM__TOKEN in the environment"
    return f"the token: {config.secrets.path}, encrypted"


async def _test(token: Secret, chat: int, base_url: str) -> None:
    from kokex.adapters.telegram.client import open_chat

    words = join([bold("KOKEX is connected"), "\nThis is what an alert looks like. /help lists commands once it runs."])
    async with open_chat(token, chat, base_url) as connected:
        delivery = await connected.send(Outgoing(words=words))
        if delivery.state != "sent":
            raise SetupError(f"everything is written, but the test alert was not taken: {delivery.why}")
