"""chat: hears people in the chat, and answers them.

Listens by long polling. Whatever somebody does passes the gate (gate.py) before anything else looks at it. A command
becomes a Command for control; what that answers is shown, in the place of a button's message or as a new one. What
moves money or lifts a guard is asked back first, and done only on a tap of the same person, within a minute, once;
what waits for a tap outlives a restart.
Free text goes to the agent (talking.py).

When somebody else listens with the same token, commands wait and are told why; alerts go out all the same.
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from actors.control import CHAT
from actors.gate import VALID_S, Gate, Nonces, Pending
from actors.talking import Talking
from kokex.config import Telegram
from kokex.kernel.actor import Actor
from kokex.kernel.cell import Failure
from kokex.messages import Alert, Answer, Button, Command, Instrument, Notice, Spoken, Words
from kokex.ports import Saved, Store
from kokex.ports.chat import Chat, Greeting, Heard, MenuEntry
from kokex.present import conversation
from kokex.present.answers import About, Shown, show
from kokex.present.commands import COMMANDS, Known, Misunderstood, Role, Spec, Unnamed, a, line_of, may, understand
from kokex.present.rich import LONGEST, LONGEST_CAPTION, split

KEY = "chat"
HEAR_S = 60.0  # of a poll, all told
GREET_S = 30.0
ACKNOWLEDGE_S = 10.0
ANSWER_S = 30.0  # what control is given
NOTICE_S = 90.0
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 60.0
CONFLICT_S = 10.0  # a shorter one is none
REFUSED_S = 300.0
CODE = re.compile(r"\d{3}[ ]?\d{3}")
MOST_WAITING = 100
STRANGERS_S = 1.0  # after a poll that brought nothing but strangers
MENU = tuple(MenuEntry(spec.name, spec.help) for spec in COMMANDS)


class Kept(Struct, frozen=True):
    """What is on record: acts that wait for a tap, by nonce, and for a one-time code, by user."""

    taps: dict[str, Pending] = {}
    codes: dict[int, Pending] = {}


class Loaded(Struct, frozen=True):
    seed: str = ""  # of nonces; "": there is no chat
    kept: Kept = Kept()


class Waiting(Struct, frozen=True):
    """Who waits for an answer of control, and where it goes."""

    spec: Spec
    args: dict[str, str]
    edit: int  # message; 0: a new one
    page: int = 1
    said: str = ""  # what was confirmed


class Listener(Actor):
    emits = (Command, Alert)
    asks = (Notice,)
    state = Loaded

    def __init__(
        self, port: Chat | None, settings: Telegram, instruments: Mapping[str, Instrument], known: Known, speed: float,
        runs: str, store: Store, *, talks: bool = False,
    ) -> None:  # fmt: skip
        """`port` None: no token, so nobody is heard. `speed`: of trading time. `runs`: what runs here, in words.

        `talks`: there is an agent, who understands free text.
        """
        self._port: Any = port
        self._store = store
        self._settings = settings
        currency = next(iter(instruments.values())).quote
        self._about = About(instruments, currency, settings.time_zone)
        self._known = known
        self._runs = runs
        self._speed = speed
        self._gate = Gate(settings)
        self._nonces = Nonces("")
        self._offset = 0
        self._waiting: dict[int, Waiting] = {}
        self._talking = Talking(self, settings.chat, speed) if talks else None
        self._codes: dict[int, Pending] = {}  # user -> the act that wants a one-time code
        self._backoff_s = FIRST_BACKOFF_S
        self._trouble = ""
        self._conflict_ns = 0  # since when somebody else listens

    async def load(self) -> Loaded:
        if not self._port:
            return Loaded()
        body = await self._store.saved(KEY)
        return Loaded(await self._port.seed(), msgspec.msgpack.decode(body, type=Kept) if body else Kept())

    def start(self, state: Loaded) -> None:
        if state.seed:
            self._nonces = Nonces(state.seed, state.kept.taps)
            self._codes = dict(state.kept.codes)
            for nonce, pending in state.kept.taps.items():
                self.later(max(0, pending.until_ns - self.now) / 1e9, self._expire, nonce)
            self._greet()

    def _keep(self) -> None:
        kept = Kept(self._nonces.pending, self._codes)
        self._store.append(Saved(key=KEY, body=msgspec.msgpack.encode(kept)))

    # ---- listening

    def _greet(self) -> None:
        self.call(self._port.greet, MENU, returns=Greeting, then=self._greeted, timeout_s=GREET_S)

    def _greeted(self, greeting: Greeting | Failure) -> None:
        if self._runs:  # told once people can be heard too, or that was tried
            self.emit(Alert(severity="info", kind="start", text=self._runs))
            self._runs = ""
        if isinstance(greeting, Failure):
            self._fail(greeting, self._greet)
            return
        self._offset = greeting.offset
        self._listen()

    def _listen(self) -> None:
        if not self.draining:
            self.call(self._port.hear, self._offset, returns=list[Heard], then=self._hear, timeout_s=HEAR_S)

    def _hear(self, heard: list[Heard] | Failure) -> None:
        if isinstance(heard, Failure):
            self._fail(heard, self._listen)
            return
        self._recover()
        listed = False
        for each in heard:
            self._offset = max(self._offset, each.update + 1)
            listed |= self._admit(each)
        if heard and not listed:  # strangers do not get to set the pace
            self.later(STRANGERS_S * self._speed, self._listen)
        else:
            self._listen()

    def _fail(self, failure: Failure, again: Any) -> None:
        """Tries again later; says why, once, where somebody can do something about it."""
        wait_s = self._backoff_s
        self._backoff_s = min(2 * self._backoff_s, LONGEST_BACKOFF_S)
        text = ""
        if failure.kind == "ChatConflict":
            self._conflict_ns = self._conflict_ns or self.now
            if self.now - self._conflict_ns < CONFLICT_S * 1e9 * self._speed:
                self.later(wait_s * self._speed, again)  # a poll of the run before may not have ended yet
                return
            text = f"another program listens with the same token, so commands are not heard here: {failure.text}"
        elif failure.kind == "ChatRefused":
            wait_s = REFUSED_S
            text = f"Telegram does not accept the token: {failure.text}; trading goes on without it"
        if text and failure.kind != self._trouble:
            self._trouble = failure.kind
            self.emit(Alert(severity="warning", kind="chat", text=text))
        self.later(wait_s * self._speed, again)

    def _recover(self) -> None:
        self._backoff_s, self._conflict_ns = FIRST_BACKOFF_S, 0
        if self._trouble:
            self._trouble = ""
            self.emit(Alert(severity="info", kind="chat", text="commands are heard again"))

    # ---- the gate

    def _admit(self, heard: Heard) -> bool:
        """Whether whoever did it is listed."""
        role = self._gate.admit(heard)
        if role is None:
            if self._gate.is_news(heard):
                text = f"not listed, and not answered: user {heard.user} in chat {heard.chat} ({heard.kind})"
                self.emit(Alert(severity="warning", kind="security", text=text))
            return False
        if heard.kind == "tap":
            self._tap(heard, role)
        elif heard.kind == "message" and not heard.forwarded:
            self._message(heard, role)
        return True

    def _message(self, heard: Heard, role: Role) -> None:
        text = heard.text.strip()
        pending = self._codes.pop(heard.user, None)
        if pending:
            self._keep()
        if pending is not None and CODE.fullmatch(text):
            self._check_code(pending, text.replace(" ", ""))
        elif text.startswith("/"):
            self._command(text, heard, role)
        elif text and self._talking:
            self._talking.hear(heard, role, f"{CHAT} {heard.user}")
        elif text:
            self.say(conversation.no_agent())

    def on_spoken(self, spoken: Spoken) -> None:
        if self._talking:
            self._talking.spoken(spoken)

    def _tap(self, heard: Heard, role: Role) -> None:
        action, _, rest = heard.text.partition(":")
        text = ""
        if action in {"y", "n"}:
            text = self._confirmed(rest, heard, yes=action == "y")
        elif action == "r":
            self._command(rest, heard, role)
        elif action[:1] == "e":
            page = action[1:]
            self._command(rest, heard, role, edit=heard.message, page=int(page) if page.isdecimal() else 1)
        else:
            text = "this button means nothing any longer"
        self.call(
            self._port.acknowledge, heard.tap, text, returns=None, then=_ignore, timeout_s=ACKNOWLEDGE_S
        )  # fmt: skip

    # ---- commands

    def _command(self, line: str, heard: Heard, role: Role, *, edit: int = 0, page: int = 1) -> None:
        try:
            spec, args = understand(line, self._known)
        except Unnamed as unclear:
            choices = [Button(each, f"r:{line.split(maxsplit=1)[0]} {each}") for each in unclear.choices]
            rows = tuple(tuple(choices[at : at + 2]) for at in range(0, len(choices), 2))
            self.say(Words(str(unclear)), rows)
            return
        except Misunderstood as misunderstood:
            self.say(Words(str(misunderstood)))
            return
        if not may(role, spec.role):
            self.say(Words(f"/{spec.name} is for {a(spec.role)}; you are {a(role)}"))
        elif spec.verb == "-":
            words, keyboard = conversation.help_for(args.get("command", ""), role)
            self.say(words, keyboard=keyboard)
        elif spec.sensitive and not conversation.only_asks(spec, args):
            self.ask_back(spec, args, heard.user)
        else:
            self._do(spec, args, heard.user, edit=edit, page=page)

    def _do(
        self, spec: Spec, args: dict[str, str], user: int, *, edit: int = 0, page: int = 1, said: str = "",
        proposal: str = "",
    ) -> None:  # fmt: skip
        if len(self._waiting) >= MOST_WAITING:
            self.say(Words("too much is asked at once; try again in a moment"))
            return
        verb, asked = ("confirm", {"proposal": proposal}) if proposal else (spec.asks, args)
        number = self.emit(Command(verb=verb, args=asked, by=f"{CHAT} {user}"))
        self._waiting[number] = Waiting(spec, args, edit, page, said)
        self.later(ANSWER_S * self._speed, self._overdue, number)

    def on_answer(self, answer: Answer) -> None:
        if waiting := self._waiting.pop(answer.command, None):
            self._show(waiting, answer.body)
        elif self._talking:
            self._talking.answer(answer.command, answer.body)

    def _overdue(self, number: int) -> None:
        if waiting := self._waiting.pop(number, None):
            self._show(waiting, {"error": f"no answer within {ANSWER_S:.0f} s"})

    def _show(self, waiting: Waiting, body: dict[str, Any]) -> None:
        shown = show(waiting.spec, waiting.args, body, self._about, self.now, waiting.page)
        words = conversation.confirmed(waiting.said, shown.words) if waiting.said else shown.words
        first, *others = split(words, LONGEST_CAPTION if shown.picture else LONGEST) or [Words("-")]
        buttons = _buttons(waiting, shown) if not others else ()
        self.say(first, buttons, edit=waiting.edit, picture=shown.picture)
        for number, part in enumerate(others, 1):
            self.say(part, _buttons(waiting, shown) if number == len(others) else ())

    # ---- confirmation

    def ask_back(self, spec: Spec, args: dict[str, str], user: int, *, proposal: str = "", said: str = "") -> None:
        """Asks before it is done; `proposal`: the number of the agent's, `said`: what it comes to."""
        valid_ns = round(VALID_S * 1e9 * self._speed)
        line = line_of(spec, args)
        pending = Pending(user, spec.asks, args, line, self.now + valid_ns, name=spec.name, proposal=proposal)
        pending.wants_code = self._settings.totp and spec.role == "owner"
        nonce = self._nonces.make(pending)
        self._keep()
        buttons = ((Button("✅ Yes", f"y:{nonce}"), Button("✖️ No", f"n:{nonce}")),)
        notice = Notice(words=conversation.question(spec, args, said), buttons=buttons)
        self.ask("notifier", notice, then=partial(self._asked_back, nonce), timeout_s=NOTICE_S * self._speed)

    def _asked_back(self, nonce: str, message: int | Failure) -> None:
        """The minute begins when the question is there."""
        pending = self._nonces.get(nonce)
        if pending is None:
            return
        if isinstance(message, Failure):
            self._forget(nonce)
            return
        valid_s = VALID_S * self._speed
        pending.message, pending.until_ns = message, self.now + round(valid_s * 1e9)
        self._keep()
        self.later(valid_s, self._expire, nonce)

    def _expire(self, nonce: str) -> None:
        if pending := self._nonces.get(nonce):
            self._forget(nonce)
            self.say(conversation.expired(pending.line), edit=pending.message)

    def _forget(self, nonce: str) -> None:
        self._nonces.forget(nonce)
        self._keep()

    def _confirmed(self, nonce: str, heard: Heard, *, yes: bool) -> str:
        """What to show for a moment."""
        pending = self._nonces.take(nonce, heard, self.now)
        if isinstance(pending, str):
            return pending
        self._keep()  # before whatever comes of it: also after a crash it is done once
        pending.message = heard.message
        if not yes:
            if pending.proposal:
                args = {"proposal": pending.proposal}
                self.emit(Command(verb="decline", args=args, by=f"{CHAT} {pending.user}"))
            self.say(conversation.declined(pending.line), edit=heard.message)
            return "nothing was done"
        if pending.wants_code:
            pending.until_ns = self.now + round(VALID_S * 1e9 * self._speed)
            self._codes[heard.user] = pending
            self._keep()
            self.say(conversation.wants_code(pending.line), edit=heard.message)
            return ""
        self._execute(pending)
        return ""

    def _execute(self, pending: Pending) -> None:
        spec = next(each for each in COMMANDS if each.name == pending.name)
        self._do(
            spec, pending.args, pending.user, edit=pending.message, said=pending.line, proposal=pending.proposal
        )  # fmt: skip

    def _check_code(self, pending: Pending, code: str) -> None:
        if self.now > pending.until_ns:
            self.say(conversation.expired(pending.line))
            return
        then = partial(self._code_checked, pending)
        self.call(self._port.proves, code, returns=bool, then=then, timeout_s=ACKNOWLEDGE_S)

    def _code_checked(self, pending: Pending, proves: bool | Failure) -> None:
        if proves is True:
            self._execute(pending)
        else:
            self.say(Words("that is not the code of this half minute; nothing was done"))

    # ---- saying

    def say(
        self, words: Words, buttons: Sequence[Sequence[Button]] = (), *, edit: int = 0, picture: str = "",
        keyboard: tuple[tuple[str, ...], ...] = (),
    ) -> None:  # fmt: skip
        notice = Notice(words=words, buttons=tuple(map(tuple, buttons)), keyboard=keyboard, edit=edit, picture=picture)
        self.ask("notifier", notice, then=_ignore, timeout_s=NOTICE_S * self._speed)


def _buttons(waiting: Waiting, shown: Shown) -> tuple[tuple[Button, ...], ...]:
    """Former page, again, next page."""
    line = line_of(waiting.spec, waiting.args)
    row: list[Button] = []
    if waiting.page > 1:
        row.append(Button("◀️", f"e{waiting.page - 1}:{line}"))
    if waiting.spec.again:
        row.append(Button("🔄 Refresh", f"e{waiting.page}:{line}"))
    if shown.more:
        row.append(Button("▶️", f"e{waiting.page + 1}:{line}"))
    fitting = tuple(each for each in row if len(each.data.encode()) <= 64)
    return (fitting,) if fitting else ()


def _ignore(_: object) -> None:
    """Whether it was shown is seen in the chat."""
