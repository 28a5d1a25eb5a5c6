"""`kokex models`: which published models of candles there are, and getting them here."""

from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec

import click

from kokex.cli.options import JSON
from kokex.cli.output import Mistake, emit_json, show
from kokex.kronos.config import CheckpointError
from kokex.kronos.registry import MODELS, Installed, PullError, resolve
from kokex.kronos.registry import pull as fetch
from kokex.present.tables import Table

REMEDY = "models come through huggingface-hub: pip install 'kokex[kronos]', or `make kronos`"


@click.group()
def models() -> None:
    """Published models of candles (Kronos): what is here, and getting what is not."""


@models.command("list")
@JSON
def list_(as_json: bool) -> None:
    """The published models, and which of them are on this machine."""
    here = {name: _found(name) for name in MODELS}
    if as_json:
        emit_json(
            [
                {
                    "name": name, "repository": each.model, "parameters": each.parameters, "context": each.max_context,
                    "model": str(found.model) if (found := here[name]) else None,
                    "tokenizer": str(found.tokenizer) if found else None,
                }
                for name, each in MODELS.items()
            ]
        )  # fmt: skip
        return
    rows = tuple(
        (name, each.model, each.parameters, str(each.max_context), str(found.model) if (found := here[name]) else "no")
        for name, each in MODELS.items()
    )
    show(Table("Models", ("name", "repository", "parameters", "context", "on this machine"), rows))


@models.command()
@click.argument("name", type=click.Choice(list(MODELS)))
@JSON
def pull(name: str, as_json: bool) -> None:
    """Fetches a model and its tokenizer into huggingface-hub's cache, where it stays.

    What is there already is not fetched again, and needs no network. HF_HOME moves the cache.

    \b
    Example
      kokex models pull small
    """
    if find_spec("huggingface_hub") is None:
        raise Mistake(REMEDY)
    try:
        found = fetch(name, _telling)
    except CheckpointError as error:
        raise Mistake(str(error)) from None
    except PullError as error:
        raise click.ClickException(f"{error}; with a network, `kokex models pull {name}` again") from None
    if as_json:
        emit_json({"name": name, "tokenizer": str(found.tokenizer), "model": str(found.model)})
    else:
        click.echo(f"tokenizer  {found.tokenizer}\nmodel      {found.model}")


def _found(name: str) -> Installed | None:
    if find_spec("huggingface_hub") is None:
        return None
    try:
        return resolve(name)
    except CheckpointError:
        return None


@contextmanager
def _telling(repository: str) -> Generator[None, None, None]:
    click.echo(f"fetching {repository}", err=True)
    yield
