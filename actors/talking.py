"""Free text in the chat: part of the actor `chat`, in a room of its own.

What somebody says without a slash goes to the agent. While a model speaks, the beginning of its answer is shown and
edited in place, slowly enough that alerts find room between; the whole answer then takes its place. What the agent
prepared is asked back like any command that moves money.
"""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, final

from kokex.kernel.cell import Failure
from kokex.messages import Command, Notice, Spoken, Words
from kokex.ports.chat import Heard
from kokex.present import conversation
from kokex.present.commands import Role, find, may
from kokex.present.rich import LONGEST, split

if TYPE_CHECKING:
    from actors.chat import Listener

ANSWER_S = 140.0  # the agent gives itself less
EDIT_S, GROUP_EDIT_S = 2.0, 8.0  # a chat takes a message a second, a group twenty a minute
GOES_ON_S = 3600.0  # what is said later begins a new conversation
UNDER_WAY = " …"


@final
class Talk:
    """A question of a person that the agent has not answered yet."""

    def __init__(self, name: str, heard: Heard) -> None:
        self.name = name
        self.user = heard.user
        self.message = 0  # that shows the answer
        self.showing = False  # a message or an edit is under way
        self.next_ns = 0
        self.body: Mapping[str, Any] | None = None


@final
class Talking:
    def __init__(self, listener: "Listener", chat: int, speed: float) -> None:
        self._listener = listener
        self._speed = speed
        self._pause_ns = round((EDIT_S if chat > 0 else GROUP_EDIT_S) * 1e9 * speed)
        self._asked = 0
        self._talks: dict[int, Talk] = {}  # by the number of the command
        self._last: dict[int, tuple[str, int]] = {}  # user -> conversation, and when it was

    def hear(self, heard: Heard, role: Role, by: str) -> None:
        if any(talk.user == heard.user for talk in self._talks.values()):
            self._listener.say(conversation.one_at_a_time())
            return
        self._asked += 1
        name = f"chat {self._asked}"
        args = {"text": heard.text.strip(), "talk": name, "trades": "yes" if may(role, "trader") else "no"}
        number, at_ns = self._last.get(heard.user, ("", 0))
        if number and self._listener.now - at_ns < GOES_ON_S * 1e9 * self._speed:
            args["conversation"] = number
        command = self._listener.emit(Command(verb="chat", args=args, by=by))
        self._talks[command] = Talk(name, heard)
        self._listener.later(ANSWER_S * self._speed, self.answer, command, {"error": "no answer in time"})

    # ---- while it is said

    def spoken(self, spoken: Spoken) -> None:
        talk = next((each for each in self._talks.values() if each.name == spoken.talk), None)
        if talk and not talk.showing and self._listener.now >= talk.next_ns and spoken.text.strip():
            head = split(Words(spoken.text), LONGEST - len(UNDER_WAY))[0]
            self._show(talk, Words(head.text.rstrip() + UNDER_WAY))

    def _show(self, talk: Talk, words: Words) -> None:
        talk.showing = True
        notice = Notice(words=words, edit=talk.message)
        self._listener.ask("notifier", notice, then=partial(self._shown, talk), timeout_s=ANSWER_S * self._speed)

    def _shown(self, talk: Talk, message: int | Failure) -> None:
        talk.showing = False
        talk.next_ns = self._listener.now + self._pause_ns
        if not isinstance(message, Failure):
            talk.message = message
        if talk.body is not None:
            self._finish(talk, talk.body)

    # ---- when it was said

    def answer(self, command: int, body: Mapping[str, Any]) -> None:
        """The agent's, if that is what the command asked for."""
        talk = self._talks.pop(command, None)
        if talk is None:
            return
        talk.body = body
        if number := body.get("conversation"):
            self._last[talk.user] = (str(number), self._listener.now)
        if not talk.showing:
            self._finish(talk, body)

    def _finish(self, talk: Talk, body: Mapping[str, Any]) -> None:
        first, *others = split(conversation.agent_said(body)) or [Words("-")]
        self._listener.say(first, edit=talk.message)
        for part in others:
            self._listener.say(part)
        for each in body.get("proposals", ()):
            if spec := find(each["verb"]):
                said = conversation.prepared(each)
                self._listener.ask_back(spec, each["args"], talk.user, proposal=str(each["proposal"]), said=said)
