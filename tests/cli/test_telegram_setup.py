"""`kokex telegram setup`: from a token to a chat that hears and tells."""

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from kokex.config import load
from kokex.config.editing import with_keys
from tests.cli.daemons import ROOT, Ended, environment
from tests.loopback.telegram import BotApi

PASSPHRASE = "correct horse battery staple"


def set_up(place: Path, token: str, says: str | None, *, wait: str = "20s") -> tuple[Ended, BotApi]:
    """The command and somebody who writes to the bot once it listens."""

    async def run() -> tuple[Ended, BotApi]:
        server = BotApi()
        async with server.serve() as url:
            settings = {"KOKEX__TELEGRAM__BASE_URL": url, "KOKEX_PASSPHRASE": PASSPHRASE}
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "kokex", "telegram", "setup", "--yes", "--wait", wait,
                cwd=place, env=environment(settings), stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            talking = asyncio.ensure_future(process.communicate(token.encode()))
            if says:
                await server.until(lambda: any(int(given.get("timeout", 0)) > 0 for _, _, given in server.calls))
                server.says(7, says)
            out, errors = await asyncio.wait_for(talking, 60)
            return Ended(process.returncode or 0, out.decode(), errors.decode()), server

    return asyncio.run(run())


def test_it_takes_the_first_message_and_writes_who_and_where_but_never_the_token(tmp_path: Path) -> None:
    shutil.copy(ROOT / "config.toml", tmp_path)
    before = (tmp_path / "config.toml").read_text().splitlines()
    ended, server = set_up(tmp_path, BotApi().token, "hello")
    assert ended.code == 0, ended.err
    assert "this is @kokex_bot" in ended.err
    assert "heard user 7, user 7, in private chat 7" in ended.err
    assert "[telegram] chat = 7, owners = [7]" in ended.out
    assert server.texts()[0].startswith("KOKEX is connected")
    after = (tmp_path / "config.toml").read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [new.partition(" #")[0] for _, new in changed] == ["chat = 7", "owners = [7]"]
    telegram = load(tmp_path / "config.toml", {}).telegram
    assert (telegram.chat, telegram.owners) == (7, (7,))
    token = server.token.encode()
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and token in file.read_bytes()]
    assert server.token not in ended.out + ended.err
    assert (tmp_path / "data/kokex.secrets").exists()


@pytest.mark.parametrize(
    ("token", "wait", "expected"),
    [
        ("123456:wrong", "20s", "Telegram does not accept this token"),
        ("not a token", "20s", "that is no token"),
        (BotApi().token, "1s", "nobody wrote within 1 s; nothing was written"),
    ],
)
def test_what_stands_in_the_way_is_one_line_and_nothing_is_written(
    tmp_path: Path, token: str, wait: str, expected: str
) -> None:
    ended, server = set_up(tmp_path, token, None, wait=wait)
    assert ended.code != 0
    assert expected in ended.err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
    assert server.sent == []


def test_keys_are_set_where_they_stand_and_the_rest_stays() -> None:
    assert with_keys("", "telegram", {"chat": "7"}) == "[telegram]\nchat = 7\n"
    text = "[a]\nchat = 1\n\n[telegram] # x\n# owners = [] # who\n\n[telegram.alerts]\nchat = 2\n"
    assert with_keys(text, "telegram", {"chat": "7", "owners": "[7]"}) == (
        "[a]\nchat = 1\n\n[telegram] # x\nchat = 7\nowners = [7] # who\n\n[telegram.alerts]\nchat = 2\n"
    )
