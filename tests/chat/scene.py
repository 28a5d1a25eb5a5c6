"""A whole daemon in virtual time, with a chat that a test plays: seeded market, paper exchange, every actor."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import anyio
import msgspec
from msgspec.structs import replace

from kokex.adapters.drawing.pictures import ChildPictures
from kokex.adapters.sqlite.direct import DirectStore, open_direct
from kokex.adapters.sqlite.recorder import recorder
from kokex.adapters.telegram.totp import OneTimeCodes
from kokex.brain.wording import Wording, builtin
from kokex.cli.records import DatabaseRecords
from kokex.config import Alerts, Config, Market, News, Telegram
from kokex.config.live import live, merge
from kokex.kernel.system import Hooks, System
from kokex.kernel.tasks import Tasks
from kokex.messages import Message, Moment, Prompt, Reply, Sent, Situation, Spoken
from kokex.paper.exchange import Exchange
from kokex.paper.matching import Rules
from kokex.paper.simulated import SimulatedMarket
from kokex.paper.venue import PaperVenue
from kokex.ports import Change, FeedPage, FeedQuestion, Headline, Recollection, Reread
from kokex.ports.chat import ChatConflict, Delivery, Greeting, Heard, MenuEntry, Outgoing
from kokex.simulation.replay import RECORDED
from kokex.simulation.virtual_time import TrioTime, run_trio
from kokex.topology import JOURNALED, JOURNALED_POSTS, Ports, daemon
from tests.actors.desk import Deaf

SECOND = 1_000_000_000
START_NS = 1_700_000_000 * SECOND
OWNER, TRADER, VIEWER, STRANGER, CHAT = 7, 8, 9, 666, 7
Saying = Callable[[Prompt], Reply]
MUTE = Alerts(**dict.fromkeys(Alerts.__struct_fields__, "off"))  # type: ignore[arg-type]
CONFIG = Config(
    market=Market(instruments=("BTC-USDT-SWAP", "ETH-USDT-SWAP"), history_s=0),
    news=News(feeds=("https://example.org/markets.rss",)),
    telegram=Telegram(chat=CHAT, owners=(OWNER,), traders=(TRADER,), viewers=(VIEWER,), alerts=MUTE),
)


HEADLINES = (
    ("Bitcoin ETF sees record inflows <b>& more</b>", 900),
    ("Exchange hack: Ethereum withdrawals halted", 300),
)


class Wire:
    """`kokex.ports.News`: two headlines, the first time it is asked."""

    async def read(self, question: FeedQuestion) -> FeedPage:
        if question.etag:
            return FeedPage(etag=question.etag)
        told = tuple(
            Headline(item=title, title=title, summary="", link="", published_ns=START_NS - ago_s * SECOND)
            for title, ago_s in HEADLINES
        )
        return FeedPage(headlines=told, etag="1")


class Edited:
    """`kokex.ports.Settings`: somebody has tightened a limit, and wants to see more."""

    def __init__(self, running: Config) -> None:
        self._running = running

    async def read(self) -> Reread:
        was = self._running
        edited = replace(was, risk=replace(was.risk, max_order_pct=20.0), log=replace(was.log, level="debug"))
        merged = merge(was, edited)
        self._running = merged.config
        changed = tuple(Change(each.key, str(each.before), str(each.after)) for each in merged.changed)
        return Reread(changed, merged.restart, msgspec.to_builtins(live(merged.config)))


@dataclass
class Showing:
    number: int
    text: str
    data: list[str]
    labels: list[str]
    picture: str = ""
    silent: bool = False
    edits: int = 0


@dataclass
class Played:
    """`kokex.ports.chat.Chat`: the chat, and the people in it."""

    now: Callable[[], int]
    codes: OneTimeCodes | None = None
    messages: dict[int, Showing] = field(default_factory=dict)
    sent: list[Showing] = field(default_factory=list)
    acknowledged: dict[str, str] = field(default_factory=dict)
    menu: tuple[MenuEntry, ...] = ()
    conflict: bool = False
    down: bool = False  # the network
    answers: list[Delivery] = field(default_factory=list)  # to the next messages: they are not taken
    _heard: list[Heard] = field(default_factory=list)
    _updates: int = 0
    _news: anyio.Event = field(default_factory=anyio.Event)

    # ---- the port

    async def greet(self, menu: tuple[MenuEntry, ...]) -> Greeting:
        if self.down:
            raise OSError("no route to host")
        self.menu = menu
        return Greeting(name="kokex_bot", offset=self._updates)

    async def hear(self, offset: int) -> list[Heard]:
        if self.conflict:
            raise ChatConflict("terminated by other getUpdates request")
        if self.down:
            raise OSError("no route to host")
        self._heard = [each for each in self._heard if each.update >= offset]
        if not self._heard:
            self._news = anyio.Event()
            with anyio.move_on_after(25):
                await self._news.wait()
        return list(self._heard)

    async def send(self, message: Outgoing) -> Delivery:
        if self.down:
            return Delivery(state="down", why="no route to host")
        if self.answers:
            return self.answers.pop(0)
        data = [button.data for row in message.buttons for button in row]
        labels = [button.label for row in message.buttons for button in row]
        if message.edit:
            shown = self.messages[message.edit]
            shown.text, shown.data, shown.labels = message.words.text, data, labels
            shown.edits += 1
            return Delivery(state="sent", message=message.edit)
        shown = Showing(len(self.messages) + 1, message.words.text, data, labels, message.picture, message.silent)
        self.messages[shown.number] = shown
        self.sent.append(shown)
        return Delivery(state="sent", message=shown.number)

    async def acknowledge(self, tap: str, text: str) -> None:
        self.acknowledged[tap] = text

    async def seed(self) -> str:
        return "00" * 16

    async def proves(self, code: str) -> bool:
        return self.codes is not None and self.codes.proves(code, self.now())

    # ---- people

    async def say(self, text: str, user: int = OWNER, *, chat: int = CHAT, **more: Any) -> str:
        """Says it; what is newest in the chat a few seconds later."""
        before = len(self.sent)
        self._do(Heard(update=0, kind="message", chat=chat, user=user, name=f"user {user}", text=text), **more)
        await anyio.sleep(3)
        return "\n---\n".join(each.text for each in self.sent[before:])

    async def tap(self, message: Showing, data: str, user: int = OWNER, *, chat: int = CHAT, number: int = 0) -> str:
        """Taps; what the message says then. What the tap was acknowledged with is in `acknowledged`."""
        tap = f"tap{self._updates}"
        heard = Heard(
            update=0, kind="tap", chat=chat, user=user, text=data, message=number or message.number, tap=tap
        )  # fmt: skip
        self._do(heard)
        await anyio.sleep(3)
        return self.acknowledged.get(tap, "nothing")

    def _do(self, heard: Heard, **more: Any) -> None:
        self._heard.append(replace(heard, update=self._updates, **more))
        self._updates += 1
        self._news.set()


class Inline:
    """Records and pictures without threads and processes."""

    def __init__(self, store: DirectStore, path: Path, config: Config) -> None:
        self._store = store
        self._records = DatabaseRecords(path, store, {i.symbol: i for i in config.resolved_instruments()}, "UTC")
        self._pictures = ChildPictures(path, store, config, str(path.parent))

    async def ask(self, verb: str, args: dict[str, str], now_ns: int) -> dict[str, Any]:
        self._store.flush()
        return self._records.answer(verb, args, now_ns)

    async def draw(self, verb: str, args: dict[str, str], now_ns: int) -> dict[str, Any]:
        self._store.flush()
        _, caption = self._pictures.read(verb, args, now_ns)
        return {"picture": f"{verb}.png", "caption": caption}


class Scene:
    """Sessions of a daemon whose exchange, market and database outlive it."""

    def __init__(
        self, path: Path, config: Config = CONFIG, codes: OneTimeCodes | None = None, says: Saying | None = None
    ) -> None:
        """`says`: what a model answers."""
        self.path = path
        self.config = config
        self.now_ns = START_NS
        self._messages: dict[int, Showing] = {}  # the chat outlives every session
        self.system: System
        self._codes = codes
        self._llm = Model(self, says) if says else None
        instruments = config.resolved_instruments()
        self.exchange = Exchange(instruments, Rules(leverage=Decimal(3)), lambda: self.system.now, self.post)
        self.exchange.open_account("main", Decimal(100_000), "margin")
        self._market = SimulatedMarket(
            instruments, Random(7), START_NS, config.market.span_ns, None, 0, self.post, self.exchange, 600 * SECOND
        )

    def post(self, actor: str, message: Message) -> None:
        self.system.post(actor, message)

    def play(self, script: Callable[[Played], Awaitable[None]], *, warm_s: float = 600) -> None:
        """A session: the daemon trades for a while, then the script runs, then it drains."""

        async def main(clock: TrioTime) -> None:
            async with self._running(clock) as chat:
                await anyio.sleep(warm_s)
                await script(chat)
            self.now_ns = clock.now()

        run_trio(main, start_ns=self.now_ns)

    @asynccontextmanager
    async def _running(self, clock: TrioTime) -> AsyncGenerator[Played, None]:
        store = open_direct(
            self.path, now_ns=self.now_ns, mode=RECORDED, version="0",
            config_json=msgspec.json.encode(self.config).decode(), tag_factory=lambda: "abcdef",
        )  # fmt: skip
        chat = Played(lambda: self.system.now, self._codes, self._messages)
        inline = Inline(store, self.path, self.config)
        self.system = daemon(
            self.config,
            Ports(
                store=store, venues={"main": PaperVenue(self.exchange, "main", 0)}, chance=Random, control=Deaf(),
                source=self._market, console=_unheard, chat=chat, records=inline, pictures=inline, news=Wire(),
                settings=Edited(self.config), memory=Blank(),
                llm=self._llm, wording=Wording(builtin()) if self._llm else None,
            ),
            start_ns=self.now_ns,
            hooks=Hooks(
                tap=store.append, journaled=JOURNALED, journaled_posts=JOURNALED_POSTS, record=recorder(store)
            ),
        )  # fmt: skip
        driver = Tasks(self.system, clock, virtual=clock)
        async with anyio.create_task_group() as group:
            group.start_soon(driver.run)
            yield chat
            driver.stop()
        store.flush()
        store.close()


class Model:
    """`kokex.ports.Llm`: says what it is told to, forty letters a second."""

    def __init__(self, scene: Scene, says: Saying) -> None:
        self._scene = scene
        self._says = says

    async def moment(self) -> Moment:
        now = self._scene.system.now
        return Moment(now, now, "this boot")

    async def send(self, provider: str, prompt: Prompt, timeout_s: float) -> Sent:
        reply = self._says(prompt)
        for end in range(10, len(reply.text), 10):
            await anyio.sleep(0.25)
            self._scene.post("chat", Spoken(talk=prompt.stream.partition("#")[0], text=reply.text[:end]))
        return Sent(reply, await self.moment(), 0)


class Blank:
    """`kokex.ports.Memory`: remembers nothing."""

    async def recall(self, plan: str, at_ns: int, situations: tuple[Situation, ...]) -> Recollection:
        return Recollection(())

    async def keep_up(self) -> str:
        return ""


def _unheard(at: int, level: str, kind: str, text: str) -> None:
    """Nobody reads the lines."""
