"""What the chat answers, in a terminal: the same words, and no daemon is needed."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from kokex.cli import COMMANDS, main
from kokex.present.commands import COMMANDS as IN_CHAT
from kokex.present.commands import Spec
from tests.cli.daemons import daemon, kokex

TWINS = ("profit", "daily", "weekly", "monthly", "performance", "logs", "health")
NAMED_OTHERWISE = {"why", "forecast", "brain", "health"}  # the terminal's have more to them, or answer more


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    with daemon(folder) as running:
        for _ in range(2):
            running.wait_for("fill")
        (folder / "health.txt").write_text(kokex(folder, "health").out)
        assert running.end() == 0
    return folder


@pytest.mark.parametrize("name", TWINS)
def test_the_record_answers_a_terminal_as_the_chat_without_a_daemon(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(place)
    told = CliRunner().invoke(main, [name])
    assert told.exit_code == 0, told.stderr
    assert told.stdout.startswith(name.capitalize())
    body = json.loads(CliRunner().invoke(main, [name, "--json"]).stdout)
    assert body
    assert "error" not in body


def test_days_are_as_many_as_asked_for_and_accounts_are_known(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    assert len(json.loads(CliRunner().invoke(main, ["daily", "--last", "3", "--json"]).stdout)["periods"]) == 3
    wrong = CliRunner().invoke(main, ["profit", "--account", "shadow"])
    assert (wrong.exit_code, wrong.stderr) == (1, "kokex: nothing on record of account 'shadow'\n")


def test_health_of_a_running_daemon_names_its_actors(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    assert "scheduler" in (place / "health.txt").read_text()
    after = CliRunner().invoke(main, ["health"])
    assert (after.exit_code, "scheduler" in after.stdout, "session" in after.stdout) == (0, False, True)


@pytest.mark.parametrize("of", IN_CHAT, ids=lambda of: of.name)
def test_a_command_that_both_know_has_one_description_and_the_same_arguments(of: Spec) -> None:
    if of.name not in COMMANDS or of.name in NAMED_OTHERWISE:
        return
    assert COMMANDS[of.name][1] == f"{of.help}."
    command = main.get_command(click.Context(main), of.name)
    assert command
    known = {parameter.name for parameter in command.params}
    assert {argument.name for argument in of.arguments} - {"account"} <= known, "cancel finds the account by itself"
