"""`kokex models`: which models of candles there are, published or trained here, and getting them."""

from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import click

from kokex.adapters.sqlite.models import Recorded, versions
from kokex.adapters.sqlite.reader import Reader
from kokex.cli.options import JSON, RECORD
from kokex.cli.output import Mistake, emit_json, show
from kokex.kronos.config import CheckpointError
from kokex.kronos.registry import MODELS, NANO, NANO_MODEL, Installed, PullError, resolve
from kokex.kronos.registry import pull as fetch
from kokex.ports import StoreError
from kokex.present.tables import Table
from kokex.present.words import clock

REMEDY = "models come through huggingface-hub: pip install 'kokex[kronos]', or `make kronos`"


@click.group()
def models() -> None:
    """Models of candles (Kronos): what is here, and getting what is not."""


@models.command("list")
@click.option("--db", type=RECORD, metavar="FILE", help="Those trained at night, on record there.")
@JSON
def list_(db: Path | None, as_json: bool) -> None:
    """The one that is part of the program, the published ones, and with --db those the daemon has trained."""
    known = {NANO: NANO_MODEL} | MODELS
    here = {name: _found(name) for name in known}
    trained = _trained(db) if db else []
    if as_json:
        emit_json(
            [
                {
                    "name": name, "repository": each.model, "parameters": each.parameters, "context": each.max_context,
                    "model": str(found.model) if (found := here[name]) else None,
                    "tokenizer": str(found.tokenizer) if found else None,
                }
                for name, each in known.items()
            ]
            + [{"name": each.version.name, "trained_ns": each.trained_ns, "version": each.version} for each in trained]
        )  # fmt: skip
        return
    rows = tuple(
        (name, each.model, each.parameters, str(each.max_context), str(found.model) if (found := here[name]) else "no")
        for name, each in known.items()
    )
    show(Table("Models", ("name", "repository", "parameters", "context", "on this machine"), rows))
    if db:
        told = tuple(
            (each.version.name, clock(each.trained_ns), "yes" if each.version.champion else "no", each.version.against,
             each.version.verdict)
            for each in trained
        )  # fmt: skip
        show(Table("Trained at night", ("version", "done", "champion", "against", "how it did"), told))


def _trained(db: Path) -> list[Recorded]:
    try:
        with Reader(db) as reader:
            return reader.ask(versions())
    except StoreError as error:
        raise click.ClickException(str(error)) from None


@models.command()
@click.argument("name", type=click.Choice([NANO, *MODELS]))
@JSON
def pull(name: str, as_json: bool) -> None:
    """Fetches a model and its tokenizer into huggingface-hub's cache, where it stays.

    What is there already is not fetched again, and needs no network; nano always is. HF_HOME moves the cache.

    \b
    Example
      kokex models pull small
    """
    if name != NANO and find_spec("huggingface_hub") is None:
        raise Mistake(REMEDY)
    try:
        found = resolve(name) if name == NANO else fetch(name, _telling)
    except CheckpointError as error:
        raise Mistake(str(error)) from None
    except PullError as error:
        raise click.ClickException(f"{error}; with a network, `kokex models pull {name}` again") from None
    if as_json:
        emit_json({"name": name, "tokenizer": str(found.tokenizer), "model": str(found.model)})
    else:
        click.echo(f"tokenizer  {found.tokenizer}\nmodel      {found.model}")


def _found(name: str) -> Installed | None:
    if name != NANO and find_spec("huggingface_hub") is None:
        return None
    try:
        return resolve(name)
    except CheckpointError:
        return None


@contextmanager
def _telling(repository: str) -> Generator[None, None, None]:
    click.echo(f"fetching {repository}", err=True)
    yield
