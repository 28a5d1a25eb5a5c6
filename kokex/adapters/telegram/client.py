"""`kokex.ports.chat.Chat` over the Bot API.

Each method is one request, made once: who calls decides whether and when again. What the API answers becomes a
Delivery or one of two errors:

    200                              sent
    400 message is not modified      sent: it already says so
    400 another, to an edit          the message is sent anew
    400 about entities               sent plainly
    400 chat not found, 401, 403     closed: the token or the bot is not welcome
    400 any other                    refused
    409                              ChatConflict, of a poll
    429                              later, as it says
    5xx, no connection, no answer    down
"""

import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import final

import anyio

os.environ.setdefault("PTB_TIMEDELTA", "true")  # before the import: pauses as timedelta, without a warning for each

from telegram import (
    Bot,
    BotCommand,
    BotCommandScopeChat,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputFile,
    LinkPreviewOptions,
    Message,
    MessageEntity,
    ReplyKeyboardMarkup,
    Update,
)
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
)
from telegram.request import HTTPXRequest

from kokex.adapters.host.chance import noise
from kokex.adapters.host.clock import TradingClock
from kokex.adapters.secrets.secret import Secret, redact
from kokex.adapters.telegram.totp import OneTimeCodes
from kokex.messages import Button, Span
from kokex.ports.chat import (
    ChatConflict,
    ChatRefused,
    Delivery,
    Greeting,
    Heard,
    MenuEntry,
    Outgoing,
)

POLL_S = 25  # that a poll may wait for something to happen
READ_S = 10.0
UPLOAD_S = 25.0
CLOSE_S = 1.0
LISTENED_TO = ("message", "edited_message", "callback_query", "inline_query")
NOT_MODIFIED = "message is not modified"
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)


@final
class TelegramChat:
    """One chat. Made by `open_chat`."""

    def __init__(self, bot: Bot, chat: int, codes: OneTimeCodes | None) -> None:
        self._bot = bot
        self._chat = chat
        self._codes = codes
        self._wall = TradingClock()

    # ---- listening

    async def greet(self, menu: tuple[MenuEntry, ...]) -> Greeting:
        try:
            me = await self._bot.get_me()
            with suppress(TelegramError):
                await self._bot.delete_webhook(drop_pending_updates=True)
            # Whatever was said while nobody listened is not obeyed.
            pending = await self._bot.get_updates(offset=-1, timeout=0, allowed_updates=LISTENED_TO)
            with suppress(TelegramError):
                commands = [BotCommand(each.command, each.description) for each in menu]
                await self._bot.set_my_commands(commands, scope=BotCommandScopeChat(self._chat))
        except TelegramError as error:
            raise _explained(error) from None
        return Greeting(
            name=me.username or me.first_name, offset=max((each.update_id for each in pending), default=-1) + 1
        )

    async def hear(self, offset: int) -> list[Heard]:
        try:
            updates = await self._bot.get_updates(
                offset=offset, timeout=POLL_S, read_timeout=READ_S, allowed_updates=LISTENED_TO
            )
        except TelegramError as error:
            raise _explained(error) from None
        return [heard(update) for update in updates]

    async def acknowledge(self, tap: str, text: str) -> None:
        with suppress(TelegramError):  # too late for it: the button waits no longer
            await self._bot.answer_callback_query(tap, text=text or None)

    # ---- telling

    async def send(self, message: Outgoing) -> Delivery:
        try:
            sent = await self._sent(message)
        except RetryAfter as error:
            pause = error.retry_after
            seconds = pause if isinstance(pause, int | float) else pause.total_seconds()
            return Delivery(state="later", retry_s=float(seconds), why=_plain(error))
        except ChatMigrated as error:
            why = f"the group has another number now: set telegram.chat to {error.new_chat_id}"
            return Delivery(state="closed", why=why)
        except (InvalidToken, Forbidden) as error:
            return Delivery(state="closed", why=_plain(error))
        except BadRequest as error:
            if "chat not found" in str(error).lower():
                return Delivery(state="closed", why=_plain(error))
            return Delivery(state="refused", why=_plain(error))
        except TelegramError as error:
            return Delivery(state="down", why=_plain(error))
        return Delivery(state="sent", message=sent)

    async def _sent(self, message: Outgoing) -> int:
        """The number of the message."""
        if message.picture:
            return await self._sent_picture(message)
        entities = [_entity(each) for each in message.words.spans]
        if message.edit:
            try:
                await self._edited(message, entities)
            except BadRequest as error:
                if NOT_MODIFIED not in str(error).lower():
                    return await self._sent_text(message, entities)
            return message.edit
        return await self._sent_text(message, entities)

    async def _edited(self, message: Outgoing, entities: list[MessageEntity]) -> None:
        await self._bot.edit_message_text(
            message.words.text, chat_id=self._chat, message_id=message.edit, entities=entities,
            reply_markup=_inline(message.buttons), link_preview_options=NO_PREVIEW,
        )  # fmt: skip

    async def _sent_text(self, message: Outgoing, entities: list[MessageEntity]) -> int:
        try:
            sent = await self._bot.send_message(
                self._chat, message.words.text, entities=entities, disable_notification=message.silent,
                reply_markup=_keyboard(message.keyboard) or _inline(message.buttons), link_preview_options=NO_PREVIEW,
            )  # fmt: skip
        except BadRequest as error:
            if not entities or "entit" not in str(error).lower():
                raise
            return await self._sent_text(message, [])
        return sent.message_id

    async def _sent_picture(self, message: Outgoing) -> int:
        path = anyio.Path(message.picture)
        try:
            body = await path.read_bytes()
        except OSError as error:
            raise BadRequest(f"the picture is gone: {error.strerror}") from None
        sent = await self._bot.send_photo(
            self._chat, InputFile(body, filename=path.name), caption=message.words.text,
            caption_entities=[_entity(each) for each in message.words.spans], disable_notification=message.silent,
            reply_markup=_inline(message.buttons), read_timeout=UPLOAD_S, write_timeout=UPLOAD_S,
        )  # fmt: skip
        with suppress(OSError):
            await path.unlink()
        return sent.message_id

    # ---- what only this side knows

    async def seed(self) -> str:
        return noise(16).hex()

    async def proves(self, code: str) -> bool:
        return self._codes is not None and self._codes.proves(code, self._wall.now())


@asynccontextmanager
async def open_chat(
    token: Secret, chat: int, base_url: str, totp: Secret | None = None
) -> AsyncGenerator[TelegramChat, None]:
    """The chat, its connections closed at the end. Raises ValueError for a one-time secret that is none."""
    for name in ("httpx", "httpcore", "telegram"):  # they log addresses, and the token is part of those
        logging.getLogger(name).setLevel(logging.CRITICAL)
    requests = [HTTPXRequest(connection_pool_size=size, read_timeout=READ_S, pool_timeout=READ_S) for size in (4, 2)]
    bot = Bot(token.reveal(), base_url=api_url(base_url), request=requests[0], get_updates_request=requests[1])
    try:
        yield TelegramChat(bot, chat, OneTimeCodes(totp.reveal()) if totp else None)
    finally:
        with anyio.move_on_after(CLOSE_S, shield=True):
            for request in requests:
                await request.shutdown()


def api_url(base_url: str) -> str:
    """`http://127.0.0.1:8081` and `http://127.0.0.1:8081/bot/` -> `http://127.0.0.1:8081/bot`."""
    plain = base_url.rstrip("/")
    return plain if plain.endswith("/bot") else f"{plain}/bot"


# ---- to and fro -------------------------------------------------------------------------------


def heard(update: Update) -> Heard:
    """An update as the gate wants it. Whose chat or user is not told has 0 there."""
    if update.message or update.edited_message:
        return _message(update, update.message or update.edited_message)
    if (tap := update.callback_query) is not None:
        place = tap.message
        return Heard(
            update=update.update_id, kind="tap", chat=place.chat.id if place else 0, user=tap.from_user.id,
            name=tap.from_user.full_name, text=tap.data or "", message=place.message_id if place else 0, tap=tap.id,
        )  # fmt: skip
    if (asked := update.inline_query) is not None:
        return Heard(
            update=update.update_id, kind="inline", user=asked.from_user.id, name=asked.from_user.full_name,
            text=asked.query,
        )  # fmt: skip
    return Heard(update=update.update_id, kind="other")


def _message(update: Update, message: Message | None) -> Heard:
    assert message
    who = message.from_user
    return Heard(
        update=update.update_id,
        kind="message" if update.message else "edit",
        chat=message.chat.id,
        user=who.id if who else 0,
        name=who.full_name if who else "",
        text=message.text or "",
        message=message.message_id,
        at=int(message.date.timestamp()) * 1_000_000_000,
        forwarded=message.forward_origin is not None,
    )


def _explained(error: TelegramError) -> Exception:
    if isinstance(error, Conflict):
        return ChatConflict(_plain(error))
    if isinstance(error, InvalidToken | Forbidden):
        return ChatRefused(_plain(error))
    return ConnectionError(_plain(error))


def _plain(error: TelegramError) -> str:
    """One line without secrets."""
    return redact(" ".join(str(error).split()))[:300]


def _entity(span: Span) -> MessageEntity:
    return MessageEntity(span.kind, span.start, span.length)


def _inline(rows: tuple[tuple[Button, ...], ...]) -> InlineKeyboardMarkup | None:
    if not rows:
        return None
    return InlineKeyboardMarkup(
        [[InlineKeyboardButton(each.label, callback_data=each.data) for each in row] for row in rows]
    )


def _keyboard(rows: tuple[tuple[str, ...], ...]) -> ReplyKeyboardMarkup | None:
    return ReplyKeyboardMarkup(rows, resize_keyboard=True, is_persistent=True) if rows else None
