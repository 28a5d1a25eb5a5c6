"""`kokex brain`: what language models were asked, what they said, and what it cost."""

from pathlib import Path
from typing import Any

import click
import msgspec

from kokex.adapters.host.prompts import read_wording
from kokex.adapters.sqlite import llm_calls
from kokex.brain.models import tokens
from kokex.brain.wording import CORE, SECTIONS, BadWording
from kokex.cli.asking import reading
from kokex.cli.options import COMMON, CONFIG, JSON, configured
from kokex.cli.output import Mistake, emit_json, show
from kokex.cli.thinking import unlisted
from kokex.messages import LlmCall
from kokex.present import brain as tables
from kokex.present.words import clock

PURPOSE = click.option(
    "--purpose", type=click.Choice(["scheduled", "event", "chat", "research", "news"]), help="Only requests for that."
)


@click.group()
def brain() -> None:
    """What language models were asked, what they said, and what it cost.

    Needs no daemon: it reads the record. Every HTTP request has a row, also one that failed or of which nobody knows
    what became (`reserved`: the process died; it counts as spent). See docs/brain.md.
    """


@brain.command()
@click.option("--last", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="The newest.")
@PURPOSE
@COMMON
def calls(last: int, purpose: str | None, config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """Every request that was sent or reserved, with its tokens, its cost and how it ended.

    \b
    Example: what failed lately
      kokex brain calls --last 1000 --json | jq '.calls[] | select(.state == "failed")'
    """
    with reading(configured(config_file, db)) as reader:
        found = reader.ask(llm_calls.newest(last, purpose))
    if as_json:
        emit_json({"calls": [_flat(each) for each in found]})
    else:
        show(tables.calls(found))


def _flat(call: LlmCall) -> dict[str, Any]:
    of: dict[str, Any] = msgspec.to_builtins(call)
    return {
        "state": call.state, "time": clock(call.begun.wall_ns), **of,
        "request": msgspec.json.decode(call.request) if call.request else None,
        "answer": msgspec.json.decode(call.answer) if call.answer else None,
    }  # fmt: skip


@brain.command()
@click.argument("call", type=int, required=False)
@click.option("--last", "newest", is_flag=True, help="The newest request; this is the default.")
@PURPOSE
@COMMON
def prompt(
    call: int | None, newest: bool, purpose: str | None, config_file: Path | None, db: Path | None, as_json: bool
) -> None:
    """One request word for word, and what came of it: the newest, or the CALL that `kokex brain calls` shows.

    \b
    Example
      kokex brain prompt --last
    """
    if call is not None and newest:
        raise click.UsageError("either a CALL or --last")
    with reading(configured(config_file, db)) as reader:
        found = reader.ask(llm_calls.newest(1, purpose) if call is None else llm_calls.one(call))
    if not found:
        raise click.ClickException("no request on record" if call is None else f"no request {call} on record")
    (of,) = found
    asked = msgspec.json.decode(of.request, type=dict[str, Any])
    texts = [asked["system"], *(turn.get("text", "") for turn in asked["turns"])]
    size = sum(tokens(text) for text in texts)
    if as_json:
        emit_json({**_flat(of), "tokens_at_most": size})
        return
    head = f"call {of.id}, {of.purpose}, to {of.provider} ({of.model}), prompt {of.prompt}, wording {of.wording}"
    click.echo(f"# {head}; at most {size} tokens, {of.input_tokens or 'unknown'} by the provider's count")
    click.echo("\n# system\n" + asked["system"])
    for turn in asked["turns"]:
        click.echo(f"\n# {turn['role']}\n{turn.get('text', '')}")
        for each in turn.get("calls", ()):
            click.echo(f"{each['name']}({each['arguments']})")
    answer = msgspec.json.decode(of.answer, type=dict[str, Any]) if of.answer else {}
    click.echo(f"\n# answer: {of.state}\n{answer.get('text', '')}")


@brain.command()
@click.option("--days", type=click.IntRange(1, 100_000), default=30, show_default=True, help="The newest, UTC.")
@COMMON
def cost(days: int, config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """Dollars a day, by model and purpose; what was reserved and never resolved counts at its most.

    A model whose price is not known is counted at the dearest, and that is said.

    \b
    Example
      kokex brain cost --days 7
    """
    config = configured(config_file, db)
    with reading(config) as reader:
        found = reader.ask(llm_calls.cost(days))
    assumed = [f"{each.found}; {each.remedy}" for each in unlisted(config)]
    if as_json:
        emit_json({"days": found, "usd": str(sum(each.usd for each in found)), "assumed": assumed})
    else:
        show(tables.cost(found))
        for note in assumed:
            click.echo(note, err=True)


@brain.command()
@click.argument("name", required=False)
@CONFIG
@JSON
def texts(name: str | None, config_file: Path | None, as_json: bool) -> None:
    """The texts that prompts are made of, each with its version: a person's to change, and nobody else's.

    Mandate, red lines and the rules of an answer are the core memory: they stand in every prompt. To change one, copy
    it into a folder, edit it there, and name the folder in [llm] prompts.

    \b
    Example: start from what is built in
      kokex brain texts mandate > my-prompts/mandate.md
    """
    config = configured(config_file, None)
    try:
        made = read_wording(config.llm.prompts)
    except BadWording as error:
        raise Mistake(f"llm.prompts: {error}") from None
    if name is not None:
        if name not in SECTIONS:
            raise Mistake(f"there is no text {name!r}; there are {', '.join(SECTIONS)}")
        click.echo(made.text(name), nl=False)
        return
    rows = [
        {"name": each, "version": made.versions[each], "core": each in CORE, "from": _origin(config.llm.prompts, each)}
        for each in SECTIONS
    ]
    if as_json:
        emit_json({"version": made.version, "texts": rows})
    else:
        show(tables.texts(rows))


def _origin(folder: str, name: str) -> str:
    file = Path(folder) / f"{name}.md"
    return str(file) if folder and file.is_file() else "built in"
