"""Commands in the chat: answered as documented, safe to give. A whole daemon in virtual time."""

from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.reader import Reader
from kokex.adapters.telegram.totp import OneTimeCodes, code
from kokex.messages import Alert, Answer, Command, Message, Order
from kokex.present.commands import COMMANDS
from kokex.simulation.replay import replay
from tests.chat.samples import DOCS, on_page, samples
from tests.chat.scene import CHAT, CONFIG, OWNER, STRANGER, TRADER, VIEWER, Played, Scene

CALM = replace(CONFIG, strategies={"trend": {"band": 10.0}}, brain=replace(CONFIG.brain, min_conviction=5))
"""All that is traded, people want."""


def asked(path: Path) -> list[Message]:
    with Reader(path) as reader:
        return reader.ask(queries.journal(kinds=("Command", "Answer", "Alert")))


def entries(path: Path) -> list[Order]:
    with Reader(path) as reader:
        return [
            each.order
            for each in reader.ask(queries.orders())
            if each.order.trigger is None and not each.order.reduce_only
        ]


def test_every_command_is_answered_as_its_page_says() -> None:
    page = on_page(DOCS.read_text(encoding="utf-8"))
    assert list(page) == [spec.name for spec in COMMANDS], "every command has a sample"
    found = samples()
    for name, text in page.items():
        assert found[name] == text, f"/{name}; python -m tests.chat.samples writes them anew"
    assert not [name for name, text in found.items() if "⚠️" in text]


def test_the_menu_has_every_command(tmp_path: Path) -> None:
    async def script(chat: Played) -> None:
        assert [each.command for each in chat.menu] == [spec.name for spec in COMMANDS]

    Scene(tmp_path / "k.db", CALM).play(script, warm_s=5)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("/buy", "/buy which instrument?"),
        ("/buy doge 1", "'doge' is not traded here; there is BTC-USDT-SWAP, ETH-USDT-SWAP"),
        ("/buy btc much", "size 'much' is not a number above zero: /buy INSTRUMENT [SIZE] [LIMIT] [PLAN] [ACCOUNT]"),
        ("/buy btc -1", "size '-1' is not a number above zero: /buy INSTRUMENT [SIZE] [LIMIT] [PLAN] [ACCOUNT]"),
        ("/buy btc 1 2 main main 3", "'3' is too much: /buy INSTRUMENT [SIZE] [LIMIT] [PLAN] [ACCOUNT]"),
        ("/trades many", "'many' is not a number from 1 to 1000: /trades [LAST] [ACCOUNT]"),
        ("/balance shadow", "there is no account 'shadow'; there is main"),
        ("/statsu", "/statsu is no command; did you mean /status?"),
        ("/frobnicate", "/frobnicate is no command; /help lists them"),
        ("/cancel", "/cancel which order? /cancel ORDER [ACCOUNT]"),
        ("/order nothing", "⚠️ there is no order 'nothing'; /orders and /trades show ids"),
        ("/mode sometimes", "there is no mode 'sometimes'; there is adaptive, realtime, daily"),
        ("hello", "Commands begin with a slash: /help lists them."),
    ],
)
def test_what_is_not_understood_gets_a_helpful_answer(tmp_path: Path, said: str, answer: str) -> None:
    async def script(chat: Played) -> None:
        assert await chat.say(said) == answer

    Scene(tmp_path / "k.db", CALM).play(script, warm_s=20)


def test_aliases_other_spellings_and_picked_instruments(tmp_path: Path) -> None:
    async def script(chat: Played) -> None:
        assert (await chat.say("/B@kokex_bot")).startswith("Balance")
        assert (await chat.say("/trades account=main last=5")).startswith("Trades")
        await chat.say("/buy")
        picker = chat.sent[-1]
        assert picker.labels == ["BTC-USDT-SWAP", "ETH-USDT-SWAP"]
        await chat.tap(picker, picker.data[1])
        assert chat.sent[-1].text.startswith("❓ Buy as much as risk allows of ETH-USDT-SWAP at the market?")

    Scene(tmp_path / "k.db", CALM).play(script, warm_s=20)


def test_what_moves_money_wants_a_tap_of_the_same_person_in_time_once(tmp_path: Path) -> None:
    async def script(chat: Played) -> None:
        await chat.say("/buy btc 0.5")
        question = chat.sent[-1]
        yes, no = question.data
        assert len(yes.encode()) <= 64
        assert await chat.tap(question, yes, TRADER) == "this is for somebody else to answer"
        assert await chat.tap(question, yes, STRANGER) == "nothing"
        assert await chat.tap(question, yes, chat=99) == "nothing", "forwarded elsewhere"
        assert await chat.tap(question, yes, number=4711) == "this button is a copy"
        assert await chat.tap(question, "y:0123456789abcdef") == "this was answered, or is too old"
        assert entries(scene.path) == []
        assert await chat.tap(question, yes) == ""
        assert "approved: buy 0.5 BTC-USDT-SWAP market" in question.text
        assert question.data == []
        for again in (yes, no):
            assert await chat.tap(question, again) == "this was answered, or is too old"

        await chat.say("/buy btc 0.7")
        late = chat.sent[-1]
        await anyio.sleep(61)
        assert "nothing was done" in late.text
        assert await chat.tap(late, yes.replace(yes, late.data[0] if late.data else yes)) != ""

        await chat.say("/sell eth 3")
        declined = chat.sent[-1]
        assert await chat.tap(declined, declined.data[1]) == "nothing was done"
        assert declined.text.endswith("Nothing was done.")

    scene = Scene(tmp_path / "k.db", CALM)
    scene.play(script, warm_s=60)
    assert [(each.side, each.size) for each in entries(scene.path)] == [("buy", Decimal("0.5"))]


def test_a_button_kept_for_more_than_a_minute_does_nothing(tmp_path: Path) -> None:
    async def script(chat: Played) -> None:
        await chat.say("/buy btc 0.5")
        question = chat.sent[-1]
        kept = question.data[0]
        await anyio.sleep(60)
        assert await chat.tap(question, kept) == "this was answered, or is too old"

    scene = Scene(tmp_path / "k.db", CALM)
    scene.play(script, warm_s=60)
    assert entries(scene.path) == []


def test_strangers_edits_and_inline_queries_change_nothing_and_are_told_once(tmp_path: Path) -> None:
    async def script(chat: Played) -> None:
        for _ in range(5):
            assert await chat.say("/pause", STRANGER) == ""
        assert await chat.say("/pause", OWNER, chat=99) == ""
        assert await chat.say("/pause", kind="edit") == ""
        assert await chat.say("/pause", kind="inline", chat=0) == ""
        assert await chat.say("/pause", forwarded=True) == ""
        assert "trading: running" in await chat.say("/status")

    scene = Scene(tmp_path / "k.db", CALM)
    scene.play(script, warm_s=20)
    warned = [each.text for each in asked(scene.path) if isinstance(each, Alert) and each.kind == "security"]
    assert warned == [
        f"not listed, and not answered: user {STRANGER} in chat {CHAT} (message)",
        f"not listed, and not answered: user {OWNER} in chat 99 (message)",
        f"not listed, and not answered: user {OWNER} in chat 0 (inline)",
    ]


def test_each_role_may_do_what_it_may(tmp_path: Path) -> None:
    async def script(chat: Played) -> None:
        assert "equity" in await chat.say("/balance", VIEWER)
        for line in ("/pause", "/buy btc 1", "/closeall"):
            assert await chat.say(line, VIEWER) == f"{line.split()[0]} is for a trader; you are a viewer"
        for line in ("/resume", "/reset", "/mode daily"):
            assert await chat.say(line, TRADER) == f"{line.split()[0]} is for an owner; you are a trader"
        assert "paused" in await chat.say("/pause", TRADER)
        assert "/buy" not in await chat.say("/help", VIEWER)

    Scene(tmp_path / "k.db", CALM).play(script, warm_s=20)


def test_what_is_set_in_the_chat_survives_a_restart(tmp_path: Path) -> None:
    async def first(chat: Played) -> None:
        await chat.say("/pause")
        await chat.say("/mode daily")
        await chat.tap(chat.sent[-1], chat.sent[-1].data[0])

    async def second(chat: Played) -> None:
        assert "paused: no new cycle" in await chat.say("/status")
        assert "daily" in await chat.say("/mode")

    scene = Scene(tmp_path / "k.db", CALM)
    scene.play(first, warm_s=20)
    scene.play(second, warm_s=20)


def test_every_command_and_what_came_of_it_is_in_the_journal_and_replays(tmp_path: Path) -> None:
    async def script(chat: Played) -> None:
        await chat.say("/status")
        await chat.say("/trades", VIEWER)
        await chat.say("/buy btc 1")
        await chat.tap(chat.sent[-1], chat.sent[-1].data[0])
        await chat.say("/closeall")
        await chat.tap(chat.sent[-1], chat.sent[-1].data[0])
        await chat.say("/nonsense")

    scene = Scene(
        tmp_path / "k.db", replace(CALM, telegram=replace(CALM.telegram, alerts=type(CALM.telegram.alerts)()))
    )
    scene.play(script, warm_s=60)
    commands = [each for each in asked(scene.path) if isinstance(each, Command)]
    assert [(each.verb, each.by) for each in commands] == [
        ("status", "telegram 7"), ("trades", "telegram 9"), ("buy", "telegram 7"), ("closeall", "telegram 7"),
    ]  # fmt: skip
    answers = {each.command: each.body for each in asked(scene.path) if isinstance(each, Answer)}
    assert set(answers) == {each.id for each in commands}
    assert answers[commands[2].id]["verdict"] == "approved"
    assert answers[commands[3].id]["closed"][0]["instrument"] == "BTC-USDT-SWAP"
    with Reader(scene.path) as reader:
        outcome = replay(reader, reader)
    assert outcome.differences == ()


def test_what_owners_do_wants_a_one_time_code_where_that_is_on(tmp_path: Path) -> None:
    secret = "JBSWY3DPEHPK3PXP"

    async def script(chat: Played) -> None:
        async def ask() -> str:
            await chat.say("/resume")
            question = chat.sent[-1]
            await chat.tap(question, question.data[0])
            assert "six digits" in question.text
            return f"{code(b'Hello!' + bytes([0xDE, 0xAD, 0xBE, 0xEF]), scene.system.now // (30 * 10**9))}"

        await chat.say("/pause")
        right = await ask()
        assert "paused" in await chat.say("/status")
        assert await ask()
        assert await chat.say("000000") == "that is not the code of this half minute; nothing was done"
        right = await ask()
        await chat.say(right)
        assert "trading: running" in await chat.say("/status")
        await ask()
        assert "not the code" in await chat.say(right), "once"
        right = await ask()
        await anyio.sleep(61)
        assert "nothing was done" in await chat.say(right)

    config = replace(CALM, telegram=replace(CALM.telegram, totp=True))
    scene = Scene(tmp_path / "k.db", config, OneTimeCodes(secret))
    scene.play(script, warm_s=20)


def test_a_second_listener_is_told_of_and_commands_come_back(tmp_path: Path) -> None:
    async def script(chat: Played) -> None:
        chat.conflict = True
        await anyio.sleep(120)
        assert await chat.say("/status") == ""
        chat.conflict = False
        await anyio.sleep(70)
        assert any(each.text.startswith("KOKEX") for each in chat.sent)

    scene = Scene(tmp_path / "k.db", CALM)
    scene.play(script, warm_s=20)
    told = [each.text for each in asked(scene.path) if isinstance(each, Alert) and each.kind == "chat"]
    assert [text.split(",")[0] for text in told] == [
        "another program listens with the same token", "commands are heard again",
    ]  # fmt: skip
