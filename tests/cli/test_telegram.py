"""The daemon in a chat, end to end: a real process, the real library, a strict Bot API server on loopback."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

from kokex.adapters.host.chance import Random
from kokex.adapters.okx.hosts import Hosts
from kokex.adapters.okx.private import PrivateRest
from kokex.adapters.okx.rest import Rest
from kokex.adapters.okx.sign import Credentials
from kokex.adapters.sqlite import conversations, queries
from kokex.adapters.sqlite.reader import Reader
from kokex.messages import Answer, Command, Message
from tests.adapters.okx.exchange.servers import exchange
from tests.cli.daemons import environment, kokex
from tests.cli.test_chat import CALM as MODEL
from tests.cli.test_chat import Assistant
from tests.cli.test_okx_daemon import KEYS
from tests.loopback.models import models
from tests.loopback.telegram import BotApi, Shown

OWNER, VIEWER, STRANGER = 7, 8, 666
# A strategy that never wants anything: all that is traded here, people want.
CALM = {
    "KOKEX__MARKET__HISTORY_S": "1200",
    "KOKEX__TELEGRAM__CHAT": "7",
    "KOKEX__TELEGRAM__OWNERS": str(OWNER),
    "KOKEX__TELEGRAM__VIEWERS": str(VIEWER),
    "KOKEX__STRATEGIES__TREND__BAND": "10",
    "KOKEX__BRAIN__MIN_CONVICTION": "5",
    "KOKEX__EDGES__MIN_SCORE": "1",
}


@asynccontextmanager
async def trading(place: Path, url: str, server: BotApi, **more: str) -> AsyncGenerator[None, None]:
    settings = {**CALM, "KOKEX__TELEGRAM__BASE_URL": url, "KOKEX__TELEGRAM__TOKEN": server.token, **more}
    before = len(server.sent)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kokex", "run", cwd=place, env=environment(settings),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        await server.wait_for("KOKEX runs", after=before)
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            _, errors = await asyncio.wait_for(process.communicate(), 15)
            assert (process.returncode, errors.decode()) == (0, "")


def play(place: Path, scene: Callable[[BotApi, str], Awaitable[None]]) -> None:
    async def run() -> None:
        server = BotApi(chats=(7, 99))
        async with server.serve() as url:
            await scene(server, url)
        assert server.flooded == 0, "the rates were kept"

    asyncio.run(run())


async def told(server: BotApi, line: str, expected: str, user: int = OWNER) -> Shown:
    """Says it, and waits for an answer that shows `expected`."""
    after = len(server.sent)
    server.says(user, line)
    return await server.wait_for(expected, after=after)


async def tapped(server: BotApi, shown: Shown, data: str, expected: str) -> str:
    """Taps, and waits until the message was edited to show `expected`."""
    tap = server.taps(OWNER, shown.id, data)
    await server.shows(shown.id, expected)
    return tap


def record(place: Path) -> list[Message]:
    with Reader(place / "data/kokex.db") as reader:
        return reader.ask(queries.journal(kinds=("Command", "Answer")))


async def paused(place: Path) -> bool:
    ended = await asyncio.to_thread(kokex, place, "status", "--json")
    return ended.json()["paused"]


def test_a_day_of_an_owner(tmp_path: Path) -> None:
    """Asks, pauses, buys after a confirmation, looks at a chart, closes; and each command is on record."""

    async def scene(server: BotApi, url: str) -> None:
        async with trading(tmp_path, url, server):
            assert {each["command"] for each in server.commands} >= {"status", "buy", "pause", "chart"}
            shown = await told(server, "/status", "trading: running")
            tap = server.taps(OWNER, shown.id, shown.data[0])
            await server.edited(shown.id)
            assert await server.answer_to(tap) == ""

            question = await told(server, "/buy btc 0.5", "Buy 0.5 BTC-USDT-SWAP at the market?")
            before = len(server.sent)
            yes = question.data[0]
            await tapped(server, question, yes, "approved: buy 0.5 BTC-USDT-SWAP market")
            await server.wait_for("Bought 0.5 BTC-USDT-SWAP", after=before)
            held = await told(server, "/positions", "BTC-USDT-SWAP")
            assert "long · size 0.5" in held.text

            again = server.taps(OWNER, question.id, yes)
            picture = await told(server, "/chart BTC", " over ")
            assert await server.answer_to(again) == "this was answered, or is too old"
            assert picture.photo.startswith(b"\x89PNG"), picture.text
            assert len(picture.photo) > 10_000

            question = await told(server, "/close BTC", "Close all of BTC-USDT-SWAP at the market?")
            before = len(server.sent)
            await tapped(server, question, question.data[0], "approved: sell 0.5 BTC-USDT-SWAP")
            closed = await server.wait_for("Closed long 0.5 BTC-USDT-SWAP", after=before)
            assert "P&L" in closed.text

            await told(server, "/pause", "paused")
            assert await paused(tmp_path)
        assert server.sent[-1].text == "⏹ KOKEX stops"
        async with trading(tmp_path, url, server):
            await told(server, "/status", "paused: no new cycle")

    play(tmp_path, scene)
    with Reader(tmp_path / "data/kokex.db") as reader:
        orders = [each.order for each in reader.ask(queries.orders()) if each.order.trigger is None]
    assert [(order.side, order.size) for order in orders] == [("buy", Decimal("0.5")), ("sell", Decimal("0.5"))]
    commands = [each for each in record(tmp_path) if isinstance(each, Command) and each.by == f"telegram {OWNER}"]
    verbs = [each.verb for each in commands]
    assert verbs == ["status", "status", "buy", "positions", "chart", "close", "pause", "status"]
    answers = {each.command for each in record(tmp_path) if isinstance(each, Answer)}
    assert answers == {each.id for each in commands}, "and what came of each"
    assert kokex(tmp_path, "replay", "data/kokex.db").code in {0, 2}


def test_free_text_is_answered_as_it_is_said_and_an_order_wants_the_same_tap(tmp_path: Path) -> None:
    """A model on loopback: its words are edited in place, and what it prepares is asked back."""
    assistant = Assistant()

    async def scene(server: BotApi, url: str) -> None:
        with models(assistant) as provider:
            how = {**MODEL, "KOKEX__LLM__BASE_URL": provider.url}
            async with trading(tmp_path, url, server, **how):
                shown = await told(server, "hello", "Good mo …")
                assistant.hold.set()
                await server.shows(shown.id, "This is the end.")
                assert "…" not in shown.text

                question = await told(server, "buy", "Buy 0.5 BTC-USDT-SWAP at the market?")
                assert "risk allows: buy 0.5 BTC-USDT-SWAP market, stop at" in question.text
                before = len(server.sent)
                await tapped(server, question, question.data[0], "approved: buy 0.5 BTC-USDT-SWAP market")
                await server.wait_for("Bought 0.5 BTC-USDT-SWAP", after=before)

    play(tmp_path, scene)
    with Reader(tmp_path / "data/kokex.db") as reader:
        orders = [each.order for each in reader.ask(queries.orders()) if each.order.trigger is None]
        begun = [(each.by, each.opening) for each in reader.ask(conversations.newest(9))]
    assert [(order.side, order.size) for order in orders] == [("buy", Decimal("0.5"))]
    assert begun == [("telegram 7", "hello")], "one conversation"
    assert kokex(tmp_path, "replay", "--json").json()["same"]


def test_strangers_change_nothing_and_hear_nothing(tmp_path: Path) -> None:
    async def scene(server: BotApi, url: str) -> None:
        async with trading(tmp_path, url, server, KOKEX__TELEGRAM__ALERTS__HEALTH="on"):
            question = await told(server, "/resume", "Resume?")
            await told(server, "/pause", "paused")
            before = len(server.sent)
            server.says(STRANGER, "/status")
            server.says(STRANGER, "/status", chat=99)
            server.says(OWNER, "/status", chat=99)
            server.says(STRANGER, "/resume", edited=True)
            server.asks_inline(STRANGER, "/status")
            server.asks_inline(OWNER, "/status")
            server.taps(STRANGER, question.id, question.data[0])
            server.taps(OWNER, question.id, question.data[0], chat=99)
            server.says(OWNER, "/resume", edited=True)
            server.says(OWNER, "/resume", forwarded=True)
            await told(server, "/version", "KOKEX")
            answers = [each.text for each in server.sent[before:]]
            assert not server.answered, "not even the button stops waiting"
            assert all(each.chat == 7 for each in server.sent)
            warned = [text for text in answers if "not listed" in text]
            assert len([text for text in answers if "not listed" not in text]) == 1, answers
            assert "user 666 in chat 7 (message)" in "".join(warned)
            assert await paused(tmp_path)
            await tapped(server, question, question.data[0], "cycles run")  # the owner's own tap still counts
            assert not await paused(tmp_path)

    play(tmp_path, scene)


def test_a_viewer_may_ask_and_nothing_else(tmp_path: Path) -> None:
    async def scene(server: BotApi, url: str) -> None:
        async with trading(tmp_path, url, server):
            await told(server, "/balance", "equity", VIEWER)
            await told(server, "/pause", "/pause is for a trader; you are a viewer", VIEWER)
            question = await told(server, "/reset", "Reset the circuit breaker?")
            tap = server.taps(VIEWER, question.id, question.data[0])
            assert await server.answer_to(tap) == "this is for somebody else to answer"
            assert "Reset the circuit breaker?" in server.messages[question.id].text

    play(tmp_path, scene)


def test_what_was_said_while_nobody_listened_is_not_obeyed(tmp_path: Path) -> None:
    async def scene(server: BotApi, url: str) -> None:
        server.says(OWNER, "/pause")
        async with trading(tmp_path, url, server):
            await told(server, "/status", "trading: running")

    play(tmp_path, scene)


def test_a_second_listener_stops_commands_and_not_alerts(tmp_path: Path) -> None:
    async def scene(server: BotApi, url: str) -> None:
        server.conflict = True
        async with trading(tmp_path, url, server):
            await server.wait_for("another program listens with the same token")

    play(tmp_path, scene)


def test_without_a_token_everything_else_runs_and_it_is_said_once(tmp_path: Path) -> None:
    ended = kokex(tmp_path, "run", "--for", "2s", settings={**CALM})
    assert ended.code == 0, ended.err
    assert ended.out.count("no Telegram: there is no telegram.token") == 1
    assert kokex(tmp_path, "run", "--for", "1s", settings={}).out.count("no Telegram") == 1


def test_a_token_that_is_refused_is_told_and_trading_goes_on(tmp_path: Path) -> None:
    async def scene(server: BotApi, url: str) -> None:
        settings = {**CALM, "KOKEX__TELEGRAM__BASE_URL": url, "KOKEX__TELEGRAM__TOKEN": "123456:wrong-token"}
        ended = await asyncio.to_thread(kokex, tmp_path, "run", "--for", "3s", settings=settings)
        assert ended.code == 0, ended.err
        assert "Telegram does not accept the token: Unauthorized; trading goes on without it" in ended.out
        assert "wrong-token" not in ended.out + ended.err
        assert " price " in ended.out

    play(tmp_path, scene)


def test_the_token_is_nowhere_on_disk_or_screen(tmp_path: Path) -> None:
    async def scene(server: BotApi, url: str) -> None:
        async with trading(tmp_path, url, server):
            await told(server, "/version", "KOKEX")

    play(tmp_path, scene)
    token = BotApi().token.encode()
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and token in file.read_bytes()]


async def until_connected(place: Path) -> None:
    """The venue's private stream stands, and the account is known."""
    for _ in range(200):
        with Reader(place / "data/kokex.db") as reader:
            there = {type(each).__name__ for each in reader.ask(queries.journal(kinds=("Link", "Portfolio")))}
        if len(there) == 2:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("not connected")


def test_what_an_owner_buys_is_bought_at_the_exchange(tmp_path: Path) -> None:
    """Chat, daemon and OKX's protocol over real sockets: asked back, sent, filled, protected, and on record."""

    async def scene(server: BotApi, url: str) -> None:
        with exchange("--no-limits") as okx:
            at_okx = {
                "KOKEX__MARKET__SOURCE": "okx",
                "KOKEX__MARKET__INSTRUMENTS": "BTC-USDT-SWAP",
                "KOKEX__FORECAST__KIND": "none",
                "KOKEX__VENUE__KIND": "okx",
                "KOKEX__VENUE__ENVIRONMENT": "demo",
                "KOKEX__VENUE__BASE_URL": okx.rest,
                **KEYS,
            }
            async with trading(tmp_path, url, server, **at_okx):
                await until_connected(tmp_path)
                await told(server, "/pause", "paused")  # what a person buys, a cycle may close
                question = await told(server, "/buy btc 0.5", "Buy 0.5 BTC-USDT-SWAP at the market?")
                before = len(server.sent)
                await tapped(server, question, question.data[0], "approved: buy 0.5 BTC-USDT-SWAP market")
                await server.wait_for("Bought 0.5 BTC-USDT-SWAP", after=before)
                key = Credentials("k", "s", "p")
                async with Rest(
                    Hosts(rest=okx.rest, sockets="", demo=True), now=time.time_ns, chance=Random(1), credentials=key
                ) as rest:
                    (there,) = await PrivateRest(rest).positions()
                assert (there.inst_id, there.pos) == ("BTC-USDT-SWAP", "0.5")
                await told(server, "/orders", "reduce only")

    play(tmp_path, scene)
    with Reader(tmp_path / "data/kokex.db") as reader:
        (bought,) = [each for each in reader.ask(queries.orders()) if each.order.trigger is None]
        fees = reader.ask(queries.fees())
    assert (bought.order.side, bought.state, bought.filled) == ("buy", "filled", Decimal("0.5"))
    assert fees == {"main": {"swap": Decimal("0.0005")}}, "what a taker pays there is on record"
