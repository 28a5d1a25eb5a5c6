"""How people reach the daemon in a chat: what `kokex run` opens for it."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from tempfile import TemporaryDirectory
from typing import NamedTuple

from kokex.adapters.drawing.pictures import ChildPictures
from kokex.adapters.secrets.sources import SecretsError
from kokex.adapters.sqlite.live import LiveStore
from kokex.cli.market import instruments_of
from kokex.cli.options import database
from kokex.cli.records import DatabaseRecords
from kokex.cli.secrets import secrets_of
from kokex.config import Config
from kokex.ports.chat import Chat, Pictures, Records


class People(NamedTuple):
    chat: Chat | None
    records: Records
    pictures: Pictures
    note: str = ""  # why there is no chat, for one line


@asynccontextmanager
async def people_of(config: Config, store: LiveStore) -> AsyncGenerator[People, None]:
    """The chat, where one is configured; the record and the pictures in any case."""
    instruments = {each.symbol: each for each in instruments_of(config)}
    records = DatabaseRecords(database(config), store, instruments, config.telegram.time_zone)
    async with AsyncExitStack() as around:
        folder = around.enter_context(TemporaryDirectory(prefix="kokex-"))
        pictures = ChildPictures(database(config), store, config, folder)
        chat, note = None, "no Telegram: `kokex telegram setup` connects a chat"
        if config.telegram.chat:
            try:
                chat, note = await _connected(config, around)
            except (SecretsError, ValueError) as error:
                note = f"no Telegram: {error}"
        yield People(chat, records, pictures, note)


async def _connected(config: Config, around: AsyncExitStack) -> tuple[Chat | None, str]:
    """Raises SecretsError; ValueError for a one-time secret that is none."""
    secrets, settings = secrets_of(config), config.telegram
    token = secrets("telegram.token")
    if token is None:
        return None, "no Telegram: there is no telegram.token; `kokex secrets set telegram.token` puts one in"
    totp = secrets("telegram.totp.secret") if settings.totp else None
    from kokex.adapters.telegram.client import open_chat

    chat = await around.enter_async_context(open_chat(token, settings.chat, settings.base_url, totp))
    if settings.totp and totp is None:
        return chat, "telegram.totp is on without a telegram.totp.secret: what owners do is refused"
    return chat, ""
