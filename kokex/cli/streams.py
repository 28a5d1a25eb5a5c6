"""Where the text of a model goes while it is said: over the control socket, and into the chat.

The agent names each request "TALK#PART"; over the socket TALK is "socket" and the number of the client's request.
"""

from typing import final

from kokex.adapters.control.server import TALK, ControlServer
from kokex.adapters.host.clock import moment
from kokex.messages import Spoken
from kokex.ports import Post

EVERY_NS = 1_000_000_000  # between two tellings of the chat: each is on record
MOST_TALKS = 32


class Text:
    """What was said so far in the newest part of a talk."""

    def __init__(self, part: int) -> None:
        self.part = part
        self.text = ""
        self.next_ns = 0


@final
class Streams:
    """Told by `Providers`, piece by piece."""

    def __init__(self, control: ControlServer, post: Post) -> None:
        self._control = control
        self._post = post
        self._texts: dict[str, Text] = {}

    def __call__(self, stream: str, piece: str) -> None:
        talk, _, part = stream.partition("#")
        where, _, number = talk.partition(" ")
        if where == TALK:
            self._control.tell(int(number), piece, int(part))
        else:
            self._gather(talk, piece, int(part))

    def _gather(self, talk: str, piece: str, part: int) -> None:
        told = self._texts.get(talk)
        if told is None or told.part != part:
            while len(self._texts) >= MOST_TALKS:
                del self._texts[next(iter(self._texts))]
            told = self._texts[talk] = Text(part)
        told.text += piece
        now_ns = moment().steady_ns
        if now_ns >= told.next_ns:
            told.next_ns = now_ns + EVERY_NS
            self._post("chat", Spoken(talk=talk, text=told.text))
