"""`kokex secrets`: keys and tokens, encrypted at rest."""

import os
import re
import sys
from difflib import get_close_matches
from pathlib import Path

import click

from kokex.adapters.secrets.sources import Secrets, SecretsError, ask_hidden
from kokex.cli.options import CONFIG, JSON, configured
from kokex.cli.output import Mistake, emit_json, show
from kokex.config import SECRETS, Config
from kokex.present.tables import Table


def secrets_of(config: Config) -> Secrets:
    """Where this configuration's secrets come from."""
    key_file = Path(config.secrets.key_file) if config.secrets.key_file else None
    return Secrets(Path(config.secrets.path), key_file, environ=os.environ, prompt=ask_hidden)


@click.group()
def secrets() -> None:
    """Keys and tokens, encrypted at rest.

    Named like keys of config.toml: venue.key, venue.secret, venue.passphrase, telegram.token, llm.api_key,
    accounts.NAME.key. The environment (KOKEX__VENUE__KEY) beats a systemd credential, and that the store. See
    docs/secrets.md.
    """


@secrets.command("set")
@click.argument("name")
@CONFIG
def set_(name: str, config_file: Path | None) -> None:
    """Puts one in. The value is asked for without showing it, or read from stdin; never from the command line.

    \b
    Examples:
      kokex secrets set venue.key
      pass show telegram | kokex secrets set telegram.token
    """
    _check(name)
    config = configured(config_file, None)
    try:
        value = ask_hidden(f"Value of {name}") if sys.stdin.isatty() else sys.stdin.read().rstrip("\r\n")
        if not value:
            raise Mistake(f"{name}: no value given; type it, or pipe it in")
        secrets_of(config).put(name, value)
    except SecretsError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{name}: kept in {config.secrets.path}")


@secrets.command("list")
@CONFIG
@JSON
def list_(config_file: Path | None, as_json: bool) -> None:
    """Which there are, and where each comes from. Values are never shown."""
    try:
        found = secrets_of(configured(config_file, None)).sources()
    except SecretsError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        emit_json([{"name": name, "source": source} for name, source in found.items()])
    else:
        show(Table("Secrets", ("name", "from"), tuple(found.items())))


@secrets.command()
@click.argument("name")
@CONFIG
def remove(name: str, config_file: Path | None) -> None:
    """Takes one out of the store.

    \b
    Example:
      kokex secrets remove venue.key
    """
    config = configured(config_file, None)
    try:
        secrets_of(config).remove(name)
    except SecretsError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{name}: removed from {config.secrets.path}")


def _check(name: str) -> None:
    """Raises Mistake for what no part of KOKEX would ever ask for."""
    *sections, leaf = name.split(".")
    if not sections or not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+", name):
        raise Mistake(f"{name}: a secret is named section.key, such as venue.key or telegram.token")
    if leaf not in SECRETS:
        close = get_close_matches(leaf, SECRETS, 1)
        hint = f"did you mean {'.'.join((*sections, close[0]))}?" if close else f"there is {', '.join(sorted(SECRETS))}"
        raise Mistake(f"{name}: no secret is called {leaf}; {hint}")
