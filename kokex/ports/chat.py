"""What the actors need to speak with people: a chat, the record people ask about, and pictures."""

from typing import Any, Literal, Protocol

from msgspec import Struct

from kokex.messages import Button, Words


class ChatConflict(Exception):
    """Somebody else listens to the same chat with the same token."""


class ChatRefused(Exception):
    """The token is not accepted."""


class Letter(Struct, frozen=True, kw_only=True):
    """An alert on its way to people: on disk before it is sent, and until it is known to have arrived."""

    id: int  # rises with time
    at: int
    lane: int  # 0 goes before all others
    kind: str
    silent: bool
    words: Words
    expires_ns: int = 0  # of no use later; 0: always


class Posted(Struct, frozen=True, kw_only=True):
    """What became of a letter."""

    letter: int
    at: int
    why: str = ""  # it was not sent: refused by the chat, or too late


class Outgoing(Struct, frozen=True, kw_only=True):
    """One message to the chat."""

    words: Words
    buttons: tuple[tuple[Button, ...], ...] = ()
    keyboard: tuple[tuple[str, ...], ...] = ()
    silent: bool = False
    edit: int = 0  # the message to replace; 0: a new one
    picture: str = ""  # file of a picture to show above the words; gone once it was sent


class Delivery(Struct, frozen=True, kw_only=True):
    """What came of an Outgoing.

    sent     `message` is its number there
    later    the chat asks for a pause of `retry_s`
    down     nobody knows, or the chat cannot be reached: try again
    closed   the token or the bot is not welcome: try again much later
    refused  this message will never be taken
    """

    state: Literal["sent", "later", "down", "closed", "refused"]
    message: int = 0
    retry_s: float = 0.0
    why: str = ""


class Heard(Struct, frozen=True, kw_only=True):
    """Something that somebody did in a chat, allowed or not."""

    update: int
    kind: Literal["message", "edit", "tap", "inline", "other"]
    chat: int = 0  # 0: none
    user: int = 0
    name: str = ""  # as shown; anybody can call themselves anything
    text: str = ""  # of a tap: the button's data
    message: int = 0  # its number; of a tap: that of the message with the button
    tap: str = ""  # id of a tap, to be acknowledged
    at: int = 0  # UTC nanoseconds by the chat's clock; 0: not told
    forwarded: bool = False


class MenuEntry(Struct, frozen=True, array_like=True):
    command: str
    description: str


class Greeting(Struct, frozen=True, kw_only=True):
    """Who we are there, and from where on to listen: what was said before is dropped."""

    name: str
    offset: int


class Chat(Protocol):
    """One chat with people: Telegram."""

    async def greet(self, menu: tuple[MenuEntry, ...]) -> Greeting:
        """Sets the menu, drops what waited. Raises ChatRefused, ChatConflict, or anything: it is down."""
        ...

    async def hear(self, offset: int) -> list[Heard]:
        """Waits for what people do; empty after a while without anything. Raises as `greet`."""
        ...

    async def send(self, message: Outgoing) -> Delivery:
        """Never raises for what the chat says."""
        ...

    async def acknowledge(self, tap: str, text: str) -> None:
        """Ends the waiting state of a button; `text` is shown for a moment."""
        ...

    async def seed(self) -> str:
        """Something nobody can guess, for nonces."""
        ...

    async def proves(self, code: str) -> bool:
        """Whether it is the one-time code of this half minute, used for the first time."""
        ...


class Records(Protocol):
    """What people ask about the past. Reads beside the daemon, so that nobody waits for it."""

    async def ask(self, verb: str, args: dict[str, str], now_ns: int) -> dict[str, Any]:
        """Plain values, as the control socket answers; with the key "error" when it cannot be answered."""
        ...


class Pictures(Protocol):
    """Draws, elsewhere."""

    async def draw(self, verb: str, args: dict[str, str], now_ns: int) -> dict[str, Any]:
        """{"picture": a file, "caption": ...}, or {"error": ...}."""
        ...
