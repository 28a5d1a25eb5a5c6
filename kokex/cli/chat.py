"""`kokex chat`: the agent, in a terminal."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, final

import click
import msgspec

from kokex.adapters.control.client import Refused
from kokex.adapters.sqlite import conversations
from kokex.cli.asking import command, reading, talk
from kokex.cli.options import COMMON, configured
from kokex.cli.output import Mistake, emit_json, show
from kokex.cli.trading import described, tell_outcome
from kokex.config import Config
from kokex.messages import Order, Remark
from kokex.present import brain as tables
from kokex.present.conversation import act, prepared
from kokex.present.text import plain
from kokex.present.words import price

TYPES = ["manual_chat", "scheduled_decision", "auto_inference"]


@click.command()
@click.argument("question", required=False)
@click.option("--resume", type=click.IntRange(1, 10**15), metavar="ID", help="Go on with a conversation of --list.")
@click.option("--list", "listed", is_flag=True, help="The newest conversations; needs no daemon.")
@click.option("--search", metavar="WORDS", help="Those in which all these words were said at once; needs no daemon.")
@click.option(
    "--type", "kind", type=click.Choice(TYPES), default=TYPES[0], show_default=True,
    help="With --list or --search: people's conversations, or what the daemon asked by itself.",
)  # fmt: skip
@click.option("--last", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="So many of them.")
@COMMON
def chat(
    question: str | None, resume: int | None, listed: bool, search: str | None, kind: conversations.Type, last: int,
    config_file: Path | None, db: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Ask the running daemon in your own words; with a QUESTION once, else until Ctrl-D.

    The agent looks up prices, positions, orders, limits, forecasts and reasons. Orders it only prepares: risk checks
    them, and you are asked before one is sent. It needs a language model ([llm], docs/chat.md) and draws on its share
    for chat.

    \b
    Example:
      kokex chat "why did we buy bitcoin?"
      kokex chat --search "breaker"
      kokex chat --resume 3
    """
    config = configured(config_file, db)
    if listed or search is not None:
        if question or resume:
            raise Mistake("--list and --search look into the record; they take neither a question nor --resume")
        _list(config, kind, search, last, as_json)
    elif question:
        _once(config, question, resume, as_json)
    elif as_json:
        raise Mistake("--json wants a QUESTION, --list or --search")
    else:
        _converse(config, resume)


def _list(config: Config, kind: conversations.Type, search: str | None, last: int, as_json: bool) -> None:
    if search is not None and not search.strip():
        raise Mistake("--search wants at least one word")
    with reading(config) as reader:
        found = reader.ask(conversations.newest(last, kind, search))
    if as_json:
        emit_json({"conversations": found})
    else:
        show(tables.conversations(found))


# ---- asking ---------------------------------------------------------------------------------------


def _once(config: Config, question: str, resume: int | None, as_json: bool) -> None:
    if not as_json:
        _ask(config, question, resume)
        return
    answer = talk(config, _args(question, resume), lambda _, __: None)
    for each in answer["proposals"]:
        command(config, "decline", {"proposal": str(each["proposal"])})
    emit_json(answer)


def _converse(config: Config, number: int | None) -> None:
    about = command(config, "chat", {"conversation": str(number) if number else None})
    if number:
        with reading(config) as reader:
            _show(reader.ask(conversations.remarks(number)))
    click.echo(f"{about['model']} answers; Ctrl-D ends", err=True)
    with suppress(ImportError):
        import readline  # noqa: F401  # pyright: ignore[reportUnusedImport]  lines can be edited, and had again
    while True:
        try:
            text = input("> " if sys.stdin.isatty() else "")
        except (EOFError, KeyboardInterrupt):
            click.echo()
            break
        if not text.strip():
            continue
        try:
            number = _ask(config, text, number)
        except KeyboardInterrupt:
            click.echo("\nnot waited for", err=True)
        except click.ClickException as error:
            click.echo(f"kokex: {error.format_message()}", err=True)
    if number:
        click.echo(f"`kokex chat --resume {number}` goes on from here", err=True)


def _show(remarks: Sequence[Remark]) -> None:
    for each in remarks:
        if each.note:
            click.echo(f"[{plain(each.turn.text)}]")
        elif each.turn.role == "user":
            click.echo(f"> {plain(each.turn.text)}")
        elif each.turn.role == "assistant":
            if each.turn.text:
                click.echo(plain(each.turn.text))
            _tell_tools([{"name": call.name, "failed": False} for call in each.turn.calls])


def _args(question: str, number: int | None) -> dict[str, str]:
    return {"text": question, **({"conversation": str(number)} if number else {})}


@final
class Printer:
    """Prints what a model says as it comes, each of its answers on lines of its own."""

    def __init__(self) -> None:
        self._part = 0
        self.said = ""  # in this part

    def __call__(self, said: str, part: int) -> None:
        if part != self._part:
            self.end()
            self._part, self.said = part, ""
        click.echo(plain(said), nl=False)
        sys.stdout.flush()
        self.said += said

    def end(self) -> None:
        if self.said and not self.said.endswith("\n"):
            click.echo()


def _ask(config: Config, question: str, number: int | None) -> int:
    """Asks, shows, and asks back what was prepared; the number of the conversation."""
    printer = Printer()
    if sys.stdout.isatty():
        click.echo("…\r", nl=False)  # until the first word stands in its place
    try:
        answer = talk(config, _args(question, number), printer)
    finally:
        printer.end()
    if answer["text"] != printer.said:  # another provider had to begin anew
        click.echo(plain(answer["text"]))
    _tell_tools(answer["tools"])
    if answer["note"]:
        click.echo(f"({answer['note']})")
    for each in answer["proposals"]:
        _ask_back(config, each)
    return answer["conversation"]


def _tell_tools(tools: Sequence[dict[str, Any]]) -> None:
    if tools:
        names = ", ".join(plain(each["name"]) + (" (failed)" if each["failed"] else "") for each in tools)
        click.secho(f"· {names}", dim=True)


# ---- a person's yes -----------------------------------------------------------------------------


def _says_yes(question: str) -> bool:
    """Ctrl-C and Ctrl-D are a no."""
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)
        return False


def _ask_back(config: Config, proposal: dict[str, Any]) -> None:
    """The question is the program's own: no word of it comes from the model."""
    question = act(proposal["verb"], proposal["args"])
    click.echo(prepared(proposal), err=True)
    number = {"proposal": str(proposal["proposal"])}
    if not sys.stdin.isatty():
        command(config, "decline", number)
        click.echo(f"{question} Nobody is there to say yes: nothing was done", err=True)
        return
    if not _says_yes(question):
        command(config, "decline", number)
        click.echo("nothing was done")
        return
    try:
        answer = command(config, "confirm", number)
    except Refused as refused:
        raise click.ClickException(f"refused by {refused.answer['rule']}: {refused}") from None
    if proposal["verb"] == "cancel":
        click.echo(f"order {answer['order']}: {answer['state']}, {price(Decimal(answer['filled']))} filled")
        return
    order = msgspec.convert(answer["order"], type=Order, strict=False)
    click.echo(f"approved: {described(order)}")
    tell_outcome(config, order)
