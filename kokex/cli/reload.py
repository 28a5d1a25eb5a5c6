"""`kokex reload`, and what the daemon does then: config.toml is read once more."""

from pathlib import Path

import anyio.to_thread
import click
import msgspec

from kokex.cli.asking import command
from kokex.cli.options import COMMON, YES, configured
from kokex.cli.output import emit_json
from kokex.cli.trading import confirm
from kokex.config import Config
from kokex.config.live import live, merge
from kokex.ports import Change, Reread
from kokex.present.answers import reloaded
from kokex.present.conversation import act


class ConfigFile:
    """`kokex.ports.Settings`: the file that `kokex run` was started with, against what is in force."""

    def __init__(self, file: Path | None, db: Path | None, running: Config) -> None:
        self._file = file
        self._db = db
        self._running = running

    async def read(self) -> Reread:
        """Raises Mistake; then nothing has changed."""
        return await anyio.to_thread.run_sync(self.reread)

    def reread(self) -> Reread:
        merged = merge(self._running, configured(self._file, self._db))
        self._running = merged.config
        changed = tuple(Change(each.key, str(each.before), str(each.after)) for each in merged.changed)
        return Reread(changed, merged.restart, msgspec.to_builtins(live(merged.config)))


@click.command()
@YES
@COMMON
def reload(yes: bool, config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """Let the running daemon read its config.toml again.

    Limits of risk and how alerts arrive change at once; a limit below what is held reduces it. Of all else that differs
    it says that a restart is needed. A file with a mistake changes nothing. See docs/running.md.

    \b
    Example: after editing [risk]
      kokex reload
    """
    config = configured(config_file, db)
    confirm(act("reload", {}), yes)
    answer = command(config, "reload")
    if as_json:
        emit_json(answer)
    else:
        click.echo(reloaded(answer))
