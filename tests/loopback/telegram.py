"""A strict Bot API server on loopback, for tests: refuses what Telegram refuses, and misbehaves when told to.

    server = BotApi(token="1:abc")
    async with server.serve() as base_url: ...

People are played by `server.says(user, text)`, `server.taps(user, message, data)` and so on; what the bot did is in
`server.messages` (as a screen shows it now), `server.sent` (in order, with times) and `server.calls`.

Strict in what the documentation says: https://core.telegram.org/bots/api
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

LONGEST_TEXT, LONGEST_CAPTION, LONGEST_DATA, LONGEST_TAP = 4096, 1024, 64, 200
LONGEST_PHOTO = 10_000_000
KINDS = {"bold", "italic", "underline", "strikethrough", "code", "pre", "spoiler", "blockquote", "text_link"}
UPDATES = {"message", "edited_message", "callback_query", "inline_query"}
BOT = {"id": 1, "is_bot": True, "first_name": "Kokex", "username": "kokex_bot"}
PNG = b"\x89PNG\r\n\x1a\n"


class Refused(Exception):
    """An error of the API: status, description, parameters."""

    def __init__(self, status: int, text: str, **parameters: Any) -> None:
        super().__init__(text)
        self.status, self.text, self.parameters = status, text, parameters


@dataclass
class Shown:
    """A message as the screen shows it now."""

    id: int
    chat: int
    text: str
    entities: list[dict[str, Any]]
    buttons: list[list[dict[str, str]]]
    at: float
    silent: bool = False
    photo: bytes = b""
    keyboard: list[list[Any]] = field(default_factory=list)
    edits: int = 0

    @property
    def data(self) -> list[str]:
        return [button["callback_data"] for row in self.buttons for button in row]


@dataclass
class Fault:
    """What the next calls of a method meet instead of an answer."""

    method: str  # "*": any
    status: int  # 0: the connection breaks before anything is done; -1: after it was done
    times: int
    parameters: dict[str, Any] = field(default_factory=dict)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


class BotApi:
    def __init__(self, token: str = "123456:loopback", *, rates: bool = True, chats: tuple[int, ...] = (7,)) -> None:
        """`rates`: more than a message a second to a chat, or twenty a minute to a group, is answered with 429."""
        self.token = token
        self.rates = rates
        self.chats = set(chats)
        self.messages: dict[int, Shown] = {}
        self.sent: list[Shown] = []
        self.calls: list[tuple[float, str, dict[str, Any]]] = []
        self.answered: list[tuple[str, str]] = []  # (tap, text)
        self.commands: list[dict[str, str]] = []
        self.faults: list[Fault] = []
        self.flooded = 0
        self.conflict = False  # another poller is active
        self._updates: deque[dict[str, Any]] = deque()
        self._next_update = 100
        self._next_message = 1
        self._taps: set[str] = set()
        self._polling = 0
        self._news = asyncio.Event()
        self._heard = asyncio.Event()
        self._times: dict[int, deque[float]] = {}

    # ---- people

    def says(self, user: int, text: str, *, chat: int = 7, edited: bool = False, forwarded: bool = False) -> int:
        message = self._message(chat, text, user)
        if forwarded:
            message["forward_origin"] = {"type": "hidden_user", "date": message["date"], "sender_user_name": "x"}
        if edited:
            message["edit_date"] = message["date"]
        return self._happen({"edited_message" if edited else "message": message})

    def taps(self, user: int, message: int, data: str, *, chat: int = 7) -> str:
        """A button of a message; in another chat it is a forwarded copy."""
        shown = self.messages[message]
        tap = f"tap{self._next_update}"
        self._taps.add(tap)
        place = {
            "message_id": message, "date": int(time.time()), "chat": _chat(chat), "from": BOT, "text": shown.text,
        }  # fmt: skip
        query = {"id": tap, "from": _user(user), "message": place, "chat_instance": "1", "data": data}
        self._happen({"callback_query": query})
        return tap

    def asks_inline(self, user: int, text: str) -> int:
        return self._happen({"inline_query": {"id": "1", "from": _user(user), "query": text, "offset": ""}})

    def _message(self, chat: int, text: str, user: int) -> dict[str, Any]:
        number, self._next_message = self._next_message, self._next_message + 1
        return {
            "message_id": number, "date": int(time.time()), "chat": _chat(chat), "from": _user(user), "text": text,
        }  # fmt: skip

    def _happen(self, update: dict[str, Any]) -> int:
        number, self._next_update = self._next_update, self._next_update + 1
        self._updates.append({"update_id": number, **update})
        self._news.set()
        return number

    # ---- what a test waits for

    async def until(self, holds: Callable[[], bool], timeout_s: float = 40.0) -> None:
        """Returns once it holds; looked at after each call."""
        async with asyncio.timeout(timeout_s):
            while not holds():
                self._heard.clear()
                await self._heard.wait()

    async def answer_to(self, tap: str) -> str:
        """What a tap was answered with."""
        await self.until(lambda: tap in dict(self.answered))
        return dict(self.answered)[tap]

    async def shows(self, message: int, text: str) -> None:
        """Returns when a message was edited to show the text."""
        await self.until(lambda: text in self.messages[message].text)

    async def edited(self, message: int) -> None:
        await self.until(lambda: self.messages[message].edits > 0)

    async def wait_for(self, text: str, *, after: int = 0, timeout_s: float = 40.0) -> Shown:
        """The first message from number `after` on that shows the text."""
        found: list[Shown] = []

        def there() -> bool:
            found[:] = [shown for shown in self.sent[after:] if text in shown.text][:1]
            return bool(found)

        try:
            await self.until(there, timeout_s)
        except TimeoutError:
            raise AssertionError(f"no message with {text!r}: {[shown.text for shown in self.sent[after:]]}") from None
        return found[0]

    def texts(self) -> list[str]:
        return [shown.text for shown in self.sent]

    def fail(self, method: str, status: int, times: int = 1, **parameters: Any) -> None:
        self.faults.append(Fault(method, status, times, parameters))

    # ---- the server

    @asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncGenerator[str, None]:
        app = web.Application(client_max_size=LONGEST_PHOTO + 1_000_000)
        app.router.add_route("*", "/bot{token}/{method}", self._serve)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/bot"
        finally:
            await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        try:
            if request.match_info["token"] != self.token:
                raise Refused(401, "Unauthorized")
            given = await _given(request)
            self.calls.append((time.monotonic(), method, given))
            self._heard.set()
            handler = getattr(self, f"_{method}", None)
            if handler is None:
                raise Refused(404, "Not Found: method not found")
            fault = next((each for each in self.faults if each.method in {"*", method} and each.times), None)
            if fault:
                fault.times -= 1
                if fault.status <= 0:
                    if fault.status < 0:
                        await handler(given)
                    assert request.transport
                    request.transport.abort()
                    return web.Response()
                raise Refused(fault.status, f"fault {fault.status}", **fault.parameters)
            result = await handler(given)
        except Refused as refused:
            body: dict[str, Any] = {"ok": False, "error_code": refused.status, "description": refused.text}
            if refused.parameters:
                body["parameters"] = refused.parameters
            return web.json_response(body, status=refused.status)
        self._heard.set()
        return web.json_response({"ok": True, "result": result})

    # ---- methods

    async def _getMe(self, given: dict[str, Any]) -> Any:  # noqa: N802
        return BOT

    async def _deleteWebhook(self, given: dict[str, Any]) -> Any:  # noqa: N802
        if _true(given.get("drop_pending_updates")):
            self._updates.clear()
        return True

    async def _setMyCommands(self, given: dict[str, Any]) -> Any:  # noqa: N802
        commands = json.loads(given["commands"])
        for each in commands:
            name = each["command"]
            if not (1 <= len(name) <= 32 and name.replace("_", "").isalnum() and name == name.lower()):
                raise Refused(400, "Bad Request: BOT_COMMAND_INVALID")
            if not 1 <= len(each["description"]) <= 256:
                raise Refused(400, "Bad Request: BOT_COMMAND_DESCRIPTION_INVALID")
        if len(commands) > 100:
            raise Refused(400, "Bad Request: BOT_COMMANDS_TOO_MUCH")
        self.commands = commands
        return True

    async def _getUpdates(self, given: dict[str, Any]) -> Any:  # noqa: N802
        if self.conflict or self._polling:
            raise Refused(
                409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
            )
        offset, timeout = int(given.get("offset", 0)), int(given.get("timeout", 0))
        limit = int(given.get("limit", 100))
        wanted = set(json.loads(given["allowed_updates"])) if "allowed_updates" in given else UPDATES
        if not wanted <= UPDATES | {"channel_post", "poll"}:
            raise Refused(400, "Bad Request: allowed_updates")
        self._polling += 1
        try:
            if offset < 0:
                while len(self._updates) > -offset:
                    self._updates.popleft()
            else:
                while self._updates and self._updates[0]["update_id"] < offset:
                    self._updates.popleft()
            end = time.monotonic() + timeout
            while not self._updates and (left := end - time.monotonic()) > 0:
                self._news.clear()
                try:
                    await asyncio.wait_for(self._news.wait(), left)
                except TimeoutError:
                    break
                if self.conflict:
                    raise Refused(409, "Conflict: terminated by other getUpdates request")
            return [each for each in list(self._updates)[:limit] if wanted & set(each)]
        finally:
            self._polling -= 1

    async def _sendMessage(self, given: dict[str, Any]) -> Any:  # noqa: N802
        chat = self._chat(given)
        text = given.get("text", "")
        _check_text(text, LONGEST_TEXT)
        entities = _entities(given, "entities", text)
        markup = _markup(given)
        self._limit(chat)
        shown = self._show(chat, text, entities, markup, given)
        return self._as_message(shown)

    async def _sendPhoto(self, given: dict[str, Any]) -> Any:  # noqa: N802
        chat = self._chat(given)
        caption = given.get("caption", "")
        if units(caption) > LONGEST_CAPTION:
            raise Refused(400, "Bad Request: message caption is too long")
        photo = given.get("photo")
        if isinstance(photo, str) and photo.startswith("attach://"):
            photo = given.get(photo.removeprefix("attach://"))
        if not isinstance(photo, bytes) or not photo:
            raise Refused(400, "Bad Request: there is no photo in the request")
        if len(photo) > LONGEST_PHOTO:
            raise Refused(400, "Bad Request: PHOTO_SAVE_FILE_INVALID")
        if not photo.startswith(PNG):
            raise Refused(400, "Bad Request: IMAGE_PROCESS_FAILED")
        entities = _entities(given, "caption_entities", caption)
        self._limit(chat)
        shown = self._show(chat, caption, entities, _markup(given), given)
        shown.photo = photo
        size = [{"file_id": "f", "file_unique_id": "u", "width": 1200, "height": 800}]
        return {**self._as_message(shown), "photo": size}

    async def _editMessageText(self, given: dict[str, Any]) -> Any:  # noqa: N802
        chat, number = self._chat(given), int(given["message_id"])
        shown = self.messages.get(number)
        if shown is None or shown.chat != chat:
            raise Refused(400, "Bad Request: message to edit not found")
        if shown.photo:
            raise Refused(400, "Bad Request: there is no text in the message to edit")
        text = given.get("text", "")
        _check_text(text, LONGEST_TEXT)
        entities, (buttons, _) = _entities(given, "entities", text), _markup(given)
        if (shown.text, shown.entities, shown.buttons) == (text, entities, buttons):
            raise Refused(
                400,
                "Bad Request: message is not modified: specified new message content and reply markup are exactly the "
                "same as a current content and reply markup of the message",
            )
        self._limit(chat)
        shown.text, shown.entities, shown.buttons = text, entities, buttons
        shown.edits += 1
        return self._as_message(shown)

    async def _answerCallbackQuery(self, given: dict[str, Any]) -> Any:  # noqa: N802
        tap, text = given["callback_query_id"], given.get("text", "")
        if tap not in self._taps:
            raise Refused(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        if len(text) > LONGEST_TAP:
            raise Refused(400, "Bad Request: MESSAGE_TOO_LONG")
        self._taps.discard(tap)
        self.answered.append((tap, text))
        return True

    # ---- rules

    def _chat(self, given: dict[str, Any]) -> int:
        chat = int(given["chat_id"])
        if chat not in self.chats:
            raise Refused(400, "Bad Request: chat not found")
        return chat

    def _limit(self, chat: int) -> None:
        """A message a second to a chat, twenty a minute to a group."""
        now = time.monotonic()
        times = self._times.setdefault(chat, deque(maxlen=20))
        wait = 0.0
        if times and now - times[-1] < 1.0:
            wait = 1.0 - (now - times[-1])
        if chat < 0 and len(times) == 20 and now - times[0] < 60:
            wait = max(wait, 60 - (now - times[0]))
        if wait and self.rates:
            self.flooded += 1
            seconds = int(wait) + 1
            raise Refused(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
        times.append(now)

    def _show(
        self, chat: int, text: str, entities: list[dict[str, Any]], markup: tuple[Any, Any], given: dict[str, Any]
    ) -> Shown:
        number, self._next_message = self._next_message, self._next_message + 1
        silent = _true(given.get("disable_notification"))
        shown = Shown(number, chat, text, entities, markup[0], time.monotonic(), silent, keyboard=markup[1])
        self.messages[number] = shown
        self.sent.append(shown)
        return shown

    def _as_message(self, shown: Shown) -> dict[str, Any]:
        return {
            "message_id": shown.id, "date": int(time.time()), "chat": _chat(shown.chat), "from": BOT,
            "text": shown.text, "entities": shown.entities,
        }  # fmt: skip


def _chat(number: int) -> dict[str, Any]:
    return {"id": number, "type": "private", "first_name": "x"} if number > 0 else {
        "id": number, "type": "group", "title": "x",
    }  # fmt: skip


def _user(number: int) -> dict[str, Any]:
    return {"id": number, "is_bot": False, "first_name": f"user {number}"}


def _true(value: Any) -> bool:
    return str(value).lower() in {"true", "1"}


async def _given(request: web.Request) -> dict[str, Any]:
    """Parameters however they are sent: query, form, JSON, multipart with files."""
    given: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        body = await request.json()
        given |= {key: value if isinstance(value, str) else json.dumps(value) for key, value in body.items()}
    elif request.can_read_body:
        for key, value in (await request.post()).items():
            given[key] = value.file.read() if isinstance(value, web.FileField) else value
    return given


def _check_text(text: str, longest: int) -> None:
    if not text.strip():
        raise Refused(400, "Bad Request: message text is empty")
    if units(text) > longest:
        raise Refused(400, "Bad Request: message is too long")


def _entities(given: dict[str, Any], key: str, text: str) -> list[dict[str, Any]]:
    entities = json.loads(given[key]) if given.get(key) else []
    length = units(text)
    for each in entities:
        start, count = each["offset"], each["length"]
        if each["type"] not in KINDS:
            raise Refused(400, f"Bad Request: can't parse entities: unsupported type {each['type']}")
        if start < 0 or count < 1 or start + count > length:
            raise Refused(400, "Bad Request: can't parse entities: entity is out of the text")
        part = text.encode("utf-16-le")[2 * start : 2 * (start + count)]
        try:
            part.decode("utf-16-le")
        except UnicodeDecodeError:
            raise Refused(400, "Bad Request: can't parse entities: an entity cuts a character in two") from None
    if len(entities) > 100:
        raise Refused(400, "Bad Request: too many entities")
    return entities


def _markup(given: dict[str, Any]) -> tuple[list[list[dict[str, str]]], list[list[Any]]]:
    """Inline buttons, and the keyboard."""
    markup = json.loads(given["reply_markup"]) if given.get("reply_markup") else {}
    rows = markup.get("inline_keyboard", [])
    for button in (button for row in rows for button in row):
        if not button["text"]:
            raise Refused(400, "Bad Request: text buttons must be non-empty")
        if not 1 <= len(button["callback_data"].encode()) <= LONGEST_DATA:
            raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")
    return rows, markup.get("keyboard", [])
