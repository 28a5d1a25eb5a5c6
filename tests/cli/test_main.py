"""The command line as such: found by name, loaded when called, one line for a mistake."""

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from kokex.cli import COMMANDS, main
from kokex.cli.options import Span


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    command = getattr(import_module(f"kokex.cli.{COMMANDS[name][0]}"), name)
    assert isinstance(command, click.Command)
    shown = CliRunner().invoke(main, [name, "--help"])
    assert shown.exit_code == 0
    assert "Example" in shown.output or isinstance(command, click.Group)
    assert len(COMMANDS[name][1]) < 70


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield (*path, name), command


MAY_BE_NEW = {("run",), ("data", "import"), ("data", "fetch"), ("backtest",), ("doctor",)}
LOOKING = [path for path, command in commands(main) if any("--db" in each.opts for each in command.params)]


@pytest.mark.parametrize("path", [each for each in LOOKING if each not in MAY_BE_NEW], ids=" ".join)
def test_a_database_named_on_the_command_line_that_is_not_there_is_the_users_mistake(
    path: tuple[str, ...], tmp_path: Path
) -> None:
    absent = tmp_path / "none.db"
    told = CliRunner().invoke(main, [*path, "--db", str(absent)])
    assert (told.exit_code, told.stdout) == (2, "")
    assert told.stderr == f"kokex: --db {absent}: no such database; `kokex run` makes one\n"
    assert not absent.exists()


def test_every_command_with_a_database_is_among_them() -> None:
    assert set(LOOKING) >= MAY_BE_NEW | {("balance",), ("pause",), ("plans", "stop"), ("explain",), ("data", "export")}


def test_the_list_of_commands_imports_none_of_them() -> None:
    code = (
        "import sys\nfrom kokex.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = ('kokex.', 'rich', 'asyncio', 'sqlite3')\n"
        "print(sorted(name for name in sys.modules if name.startswith(heavy)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    words = ["kokex.cli", "kokex.market", "kokex.market.names", "kokex.present", "kokex.present.commands"]
    assert done.stderr.strip() == str(words), "its own list, and the words it shares with the chat"
    assert all(name in done.stdout for name in COMMANDS)


def test_the_daemon_loads_nothing_heavy() -> None:
    heavy = "('rich', 'numpy', 'matplotlib', 'trio', 'torch', 'kokex.research', 'kokex.simulation')"
    code = f"import sys, kokex.cli.run, kokex.cli.daemon\nprint([m for m in sys.modules if m.startswith({heavy})])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rnu"], "kokex: no command 'rnu'; did you mean 'run'?; see `kokex --help`"),
        (["xyzzy"], "kokex: no command 'xyzzy'; see `kokex --help`"),
        (["run", "--colour"], "kokex: No such option '--colour'"),
        (["buy"], "kokex: Missing argument 'INSTRUMENT'; see `kokex buy --help`"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(words: list[str], said: str) -> None:
    result = CliRunner().invoke(main, words, prog_name="kokex")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(said)
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1h30m", 5400), ("2d", 172_800), ("250ms", 0.25), ("45", 45)]
)
def test_a_span_of_time_is_written_with_its_unit(text: str, seconds: float) -> None:
    assert Span().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5s", "5 minutes", "1x", "s"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Span().convert(text, None, None)
