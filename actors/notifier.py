"""notifier: tells people.

Receives Alert from everybody and Lifecycle from the kernel, and writes them to the console; the same again within a
minute is counted, and the count told at the end of it.

With a chat it also hears what is wanted, traded, held, and puts into the outbox (outbox.py) what [telegram.alerts]
turns on: the same alert again within five minutes is counted; in quiet hours only what is critical makes a sound. A
Notice, which somebody waits for, goes out the same way and at the same pace.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors.outbox import HELD, Outbox
from actors.reloading import as_live, kept
from actors.telling import Telling
from kokex.config import Telegram
from kokex.kernel.actor import DEFERRED, Actor
from kokex.kernel.cell import Failure
from kokex.messages import (
    Alert,
    Cycle,
    Decision,
    Fill,
    Instrument,
    Lifecycle,
    Notice,
    OrderUpdate,
    Portfolio,
    Refused,
    Reloaded,
)
from kokex.ports import Console, Saved, Store
from kokex.ports.chat import Chat, Letter, Records
from kokex.present import alerts, answers
from kokex.present.alerts import LANES, Told
from kokex.present.words import price

REPEAT_S = 60.0  # on the console
ECHO_S = 300.0  # in the chat
MOST_ECHOES = 1000
LEVELS = {"info": "INFO", "warning": "WARNING", "critical": "CRITICAL"}
KEY = "notifier"
STOPPED_S = 120.0  # after so long nobody wants to hear that the daemon had stopped
ASK_S = 30.0


class Kept(Struct, frozen=True):
    """What a restart must not forget."""

    digest_day: int = 0  # ordinal of the last day whose digest was made


class Loaded(Struct, frozen=True):
    connected: bool = False
    kept: Kept = Kept()
    lanes: tuple[list[Letter], ...] = ()
    newest: int = 0  # id of a letter
    portfolios: tuple[Portfolio, ...] = ()
    settings: dict[str, Any] | None = None  # of a Reloaded of this session


class Talk(Struct, frozen=True, kw_only=True):
    """What the notifier needs to speak to a chat."""

    chat: Chat | None  # None: no token
    settings: Telegram
    instruments: Mapping[str, Instrument]
    accounts: tuple[str, ...]
    speed: float  # of trading time
    records: Records | None = None


class Echo(Struct):
    """An alert that was told, and how often it came again since."""

    told: Told
    critical: bool
    times: int = 0


class Notifier(Actor):
    state = Loaded

    def __init__(self, console: Console | None, store: Store | None = None, talk: Talk | None = None) -> None:
        self._console = console
        self._store = store
        self._talk = talk
        self._repeats: dict[tuple[str, str], int] = {}  # level, text -> how often again within the last minute
        self._outbox: Outbox | None = None
        self._telling: Telling | None = None
        self._echoes: dict[str, Echo] = {}
        self._digest_day = 0

    async def load(self) -> Loaded:
        talk, store = self._talk, self._store
        if talk is None or talk.chat is None or store is None:
            return Loaded()
        body = await store.saved(KEY)
        books = [await store.portfolio(account) for account in talk.accounts]
        return Loaded(
            connected=True,
            kept=msgspec.msgpack.decode(body, type=Kept) if body else Kept(),
            lanes=tuple([await store.letters(lane, 0, HELD) for lane in range(LANES)]),
            newest=await store.newest_letter(),
            portfolios=tuple(book for book in books if book),
            settings=await kept(store),
        )

    def start(self, state: Loaded) -> None:
        talk, store = self._talk, self._store
        if not state.connected or talk is None or store is None:
            return
        chat: Any = talk.chat  # a replay has none, and calls nothing
        self._zone = ZoneInfo(talk.settings.time_zone)
        self._outbox = Outbox(self, store, chat, talk.settings.chat, talk.speed, state.lanes, state.newest)
        self._telling = Telling(self, talk.instruments, state.portfolios)
        if state.settings:
            self.on_reloaded(Reloaded(account="", settings=state.settings))
        self._digest_day = state.kept.digest_day
        self._outbox.pump()
        self._next_digest()

    def on_reloaded(self, reloaded: Reloaded) -> None:
        if self._talk:
            self._talk = replace(self._talk, settings=as_live(reloaded.settings).telegram)

    # ---- the console

    def on_alert(self, alert: Alert) -> None:
        self._print(LEVELS[alert.severity], f"{_where(alert.account)}{alert.kind}: {alert.text}")
        if self._outbox:
            self._echo(alerts.alert(alert), critical=alert.severity == "critical")

    def _print(self, level: str, text: str) -> None:
        if self._console is None:
            return
        if (level, text) in self._repeats:
            self._repeats[level, text] += 1
            return
        self._repeats[level, text] = 0
        self._console(self.now, level, "alert", text)
        self.later(REPEAT_S, self._sum_up, level, text)

    def _sum_up(self, level: str, text: str) -> None:
        assert self._console
        if again := self._repeats.pop((level, text)):
            self._console(self.now, level, "alert", f"{text} ({again} more in {REPEAT_S:.0f} s)")

    def on_lifecycle(self, lifecycle: Lifecycle) -> None:
        if self._console and lifecycle.event not in {"started", "stopped"}:
            text = f"{lifecycle.actor} {lifecycle.event.replace('_', ' ')}: {lifecycle.error}"
            self._console(self.now, "WARNING" if lifecycle.event == "restarting" else "ERROR", "actor", text)
        if self._outbox and (told := alerts.lifecycle(lifecycle)):
            self._echo(told, critical=lifecycle.event == "escalated")

    def complain(self, text: str) -> None:
        """What the chat itself cannot be told."""
        if self._console:
            self._console(self.now, "WARNING", "chat", text)

    # ---- the chat

    def on_fill(self, fill: Fill) -> None:
        if self._console is not None:
            text = f"{fill.side} {price(fill.size)} {fill.instrument} at {price(fill.price)}, fee {price(fill.fee)}"
            self._print("INFO", f"{_where(fill.account)}fill: {text}")
        if self._telling:
            self._telling.fill(fill)

    def on_order_update(self, update: OrderUpdate) -> None:
        if self._telling:
            self._telling.order(update)

    def on_portfolio(self, portfolio: Portfolio) -> None:
        if self._telling:
            self._telling.portfolio(portfolio)

    def on_cycle(self, cycle: Cycle) -> None:
        if self._telling:
            self._telling.cycle(cycle)

    def on_decision(self, decision: Decision) -> None:
        if self._telling:
            self._telling.decision(decision)

    def on_refused(self, refused: Refused) -> None:
        if self._telling:
            self.tell(alerts.refusal(refused))

    def on_notice(self, notice: Notice) -> Any:
        if self._outbox is None:
            return Failure("Absent", "there is no chat")
        return DEFERRED if self._outbox.notice(notice) else Failure("Overflow", "too much waits to be said")

    def tell_decision(self, decision: Decision) -> None:
        assert self._talk
        if decision.conviction >= self._talk.settings.min_conviction:
            self.tell(alerts.decision(decision))

    def tell(self, told: Told, *, critical: bool = False, expires_ns: int = 0) -> None:
        """Puts it into the outbox, if it is turned on and large enough."""
        if self._outbox is None or self._talk is None:
            return
        settings = self._talk.settings
        voice = getattr(settings.alerts, told.kind)
        if voice == "off" or (told.worth is not None and told.worth < settings.min_worth):
            return
        silent = voice == "silent" or (not critical and told.kind != "breaker" and self._is_quiet())
        self._outbox.post(told.lane, told.kind, told.words, silent=silent, expires_ns=expires_ns)

    def _echo(self, told: Told, *, critical: bool) -> None:
        """The first is told at once, what is the same is counted, and the count told after a while."""
        assert self._talk
        key = told.words.text
        if key in self._echoes:
            self._echoes[key].times += 1
            return
        self.tell(told, critical=critical)
        if len(self._echoes) < MOST_ECHOES:
            self._echoes[key] = Echo(told, critical)
            self.later(ECHO_S * self._talk.speed, self._count, key)

    def _count(self, key: str) -> None:
        assert self._talk
        echo = self._echoes[key]
        if not echo.times:
            del self._echoes[key]
            return
        self._tell_again(echo)
        echo.times = 0
        self.later(ECHO_S * self._talk.speed, self._count, key)

    def _tell_again(self, echo: Echo) -> None:
        told = echo.told
        words = alerts.again(told.words, echo.times, round(ECHO_S * 1e9))
        self.tell(Told(told.kind, told.lane, words), critical=echo.critical)

    def _local(self, at: int) -> datetime:
        return datetime.fromtimestamp(at / 1e9, UTC).astimezone(self._zone)

    def _is_quiet(self) -> bool:
        assert self._talk
        begin, _, end = self._talk.settings.quiet.partition("-")
        now = f"{self._local(self.now):%H:%M}"
        return bool(begin) and (begin <= now < end if begin <= end else now >= begin or now < end)

    # ---- digests

    def _next_digest(self) -> None:
        """At the hour; at once, if that was missed."""
        assert self._talk
        hour, minute = map(int, self._talk.settings.digest_at.split(":"))
        local = self._local(self.now)
        due = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if not self._digest_day:  # the first start: nothing to sum up yet
            self._keep_digest((due if due <= local else due - timedelta(days=1)).toordinal())
        if self._digest_day >= local.toordinal():
            due = (local.replace(tzinfo=None) + timedelta(days=1)).replace(
                hour=hour, minute=minute, second=0, microsecond=0, tzinfo=self._zone
            )
        self.at(round(due.timestamp() * 1e9), self._digest)

    def _keep_digest(self, day: int) -> None:
        assert self._store
        self._digest_day = day
        self._store.append(Saved(key=KEY, body=msgspec.msgpack.encode(Kept(day))))

    def _digest(self) -> None:
        assert self._talk
        local = self._local(self.now)
        self._keep_digest(local.toordinal())
        self._next_digest()
        if self._talk.records is None:
            return
        for kind in ("daily", "weekly") if local.weekday() == 0 else ("daily",):
            if getattr(self._talk.settings.alerts, kind) != "off":
                then = partial(self._digested, kind)
                self.call(
                    self._talk.records.ask, "digest", {"span": kind}, self.now,
                    returns=dict[str, Any], then=then, timeout_s=ASK_S,
                )  # fmt: skip

    def _digested(self, kind: str, body: dict[str, Any] | Failure) -> None:
        if isinstance(body, Failure) or "error" in body:
            self.complain(f"no {kind} digest: {body.text if isinstance(body, Failure) else body['error']}")
            return
        self.tell(Told(kind, alerts.READING, answers.digest(kind, body)))

    # ---- the end

    def drain(self) -> None:
        if self._outbox and self._talk:
            expires_ns = self.now + round(STOPPED_S * 1e9 * self._talk.speed)
            self.tell(alerts.stopping(), expires_ns=expires_ns)

    def stop(self) -> None:
        """What was counted is not lost."""
        for echo in self._echoes.values():
            if echo.times:
                self._tell_again(echo)


def _where(account: str) -> str:
    return f"[{account}] " if account not in {"", "main"} else ""
