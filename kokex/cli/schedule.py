"""`kokex pause`, `resume`, `cycle`, `plans`: when the daemon thinks."""

from pathlib import Path
from typing import Any

import click
import msgspec

from kokex.cli.asking import command
from kokex.cli.options import COMMON, configured
from kokex.cli.output import Mistake, emit_json, show
from kokex.present import tables

PLAN = click.option("--plan", metavar="NAME", help="One plan; else all.")


@click.command()
@PLAN
@COMMON
def pause(plan: str | None, config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """No new cycles until `kokex resume`, restarts included; what one under way decides enters nothing.

    Protective stops stay, and people may still trade.

    \b
    Example:
      kokex pause --plan swing
    """
    _tell(command(configured(config_file, db), "pause", {"plan": plan}), as_json)


@click.command()
@PLAN
@COMMON
def resume(plan: str | None, config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """Cycles again after `kokex pause`.

    \b
    Example:
      kokex resume
    """
    _tell(command(configured(config_file, db), "resume", {"plan": plan}), as_json)


@click.command()
@PLAN
@COMMON
def cycle(plan: str | None, config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """Think now, without waiting for the clock or for an edge.

    \b
    Example:
      kokex cycle
    """
    answer = command(configured(config_file, db), "cycle", {"plan": plan})
    if as_json:
        emit_json(answer)
    elif answer["cycles"]:
        click.echo(f"a cycle each for: {', '.join(answer['cycles'])}")
    else:
        raise click.ClickException("no cycle: paused, stopped, warming up, or no market data; see `kokex status`")


@click.group(invoke_without_command=True)
@COMMON
@click.pass_context
def plans(context: click.Context, config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """List, start or stop plans of the running daemon; by itself it lists them.

    \b
    Example:
      kokex plans stop swing
    """
    if context.invoked_subcommand is None:
        _list(config_file, db, as_json)
    elif config_file or db or as_json:
        raise Mistake(f"options go behind the command: kokex plans {context.invoked_subcommand} ...")


@plans.command("list")
@COMMON
def list_plans(config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """The plans of the running daemon."""
    _list(config_file, db, as_json)


def _list(config_file: Path | None, db: Path | None, as_json: bool) -> None:
    answer = command(configured(config_file, db), "status")
    if as_json:
        emit_json({"paused": answer["paused"], "plans": answer["plans"]})
    else:
        listed = msgspec.convert(answer["plans"], type=tuple[tables.Plan, ...], strict=False)
        show(tables.plans(listed, answer["now_ns"]))


@plans.command("start")
@click.argument("name")
@COMMON
def start_plan(name: str, config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """Let a stopped plan think again; it stays so over restarts."""
    _tell(command(configured(config_file, db), "plans_start", {"plan": name}), as_json)


@plans.command("stop")
@click.argument("name")
@COMMON
def stop_plan(name: str, config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """Let a plan think no more; its positions stay, with their stops."""
    _tell(command(configured(config_file, db), "plans_stop", {"plan": name}), as_json)


def _tell(answer: Any, as_json: bool) -> None:
    """How things are after a command."""
    if as_json:
        emit_json(answer)
        return
    stopped = [plan["plan"] for plan in answer["plans"] if not plan["enabled"]]
    text = "paused: no new cycle until `kokex resume`" if answer["paused"] else "cycles run"
    click.echo(text + (f"; stopped: {', '.join(stopped)}" if stopped else ""))
