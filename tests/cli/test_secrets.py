"""`kokex secrets`, and a running daemon that is looked at from all sides."""

from pathlib import Path

from tests.cli.daemons import LIVELY, daemon, kokex

TOKEN = "not-to-be-seen-anywhere"
WORDS = "correct horse battery"
SETTINGS = {"KOKEX_PASSPHRASE": WORDS}


def test_a_value_goes_in_by_stdin_is_listed_by_name_and_goes_again(tmp_path: Path) -> None:
    put = kokex(tmp_path, "secrets", "set", "telegram.token", settings=SETTINGS, stdin=TOKEN + "\n")
    assert (put.code, put.err) == (0, "")
    listed = kokex(tmp_path, "secrets", "list", "--json", settings=SETTINGS)
    assert listed.json() == [{"name": "telegram.token", "source": "data/kokex.secrets"}]
    assert TOKEN not in put.out + listed.out
    wrong = kokex(tmp_path, "secrets", "list", settings={"KOKEX_PASSPHRASE": "incorrect"})
    assert (wrong.code, wrong.err) == (1, "kokex: data/kokex.secrets: wrong passphrase\n")
    assert kokex(tmp_path, "secrets", "remove", "telegram.token", settings=SETTINGS).code == 0
    gone = kokex(tmp_path, "secrets", "remove", "telegram.token", settings=SETTINGS)
    assert gone.code == 1
    assert "has no telegram.token" in gone.err


def test_mistakes_are_one_line_and_write_nothing(tmp_path: Path) -> None:
    for words, stdin, complaint in (
        (("set", "venue.kye"), TOKEN, "did you mean venue.key"),
        (("set", "token"), TOKEN, "section.key"),
        (("set", "venue.key"), "", "no value"),
        (("set", "venue.key", TOKEN), "", "unexpected extra argument"),  # never on the command line
    ):
        ended = kokex(tmp_path, "secrets", *words, settings=SETTINGS, stdin=stdin)
        assert ended.code == 2
        assert complaint in ended.err
        assert ended.err.count("\n") == 1
    (tmp_path / "config.toml").write_text(f'[telegram]\ntoken = "{TOKEN}"\n')
    ended = kokex(tmp_path, "run", settings={})
    assert ended.code == 2
    assert "kokex secrets set" in ended.err
    assert TOKEN not in ended.err
    assert not (tmp_path / "data").exists()


def test_a_daemon_with_secrets_in_its_environment_shows_none(tmp_path: Path) -> None:
    with daemon(tmp_path, settings={**LIVELY, **SETTINGS, "KOKEX__VENUE__SECRET": TOKEN}) as running:
        running.wait_for("price")
        command_line = Path(f"/proc/{running.pid}/cmdline").read_bytes()
        kokex(tmp_path, "status", settings={"KOKEX__VENUE__SECRET": TOKEN})
        assert running.end() == 0
        seen = "\n".join(running.lines).encode() + command_line
    seen += b"".join(file.read_bytes() for file in (tmp_path / "data").iterdir() if file.is_file())
    assert TOKEN.encode() not in seen
    assert WORDS.encode() not in seen
