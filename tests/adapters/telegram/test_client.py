"""The Bot API as the library speaks it, against a strict server on loopback: what each answer means."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kokex.adapters.secrets.secret import Secret
from kokex.adapters.telegram.client import TelegramChat, api_url, open_chat
from kokex.adapters.telegram.totp import STEP_NS, OneTimeCodes, code
from kokex.messages import Button, Span, Words
from kokex.ports.chat import ChatConflict, ChatRefused, Delivery, MenuEntry, Outgoing
from kokex.present.commands import COMMANDS
from kokex.present.rich import bold, join, split
from tests.loopback.telegram import PNG, BotApi

CHAT = 7


def meet(script: Callable[[TelegramChat, BotApi], Awaitable[None]], *, token: str = "", rates: bool = False) -> None:
    async def run() -> None:
        server = BotApi(rates=rates)
        async with server.serve() as url, open_chat(Secret(token or server.token), CHAT, url) as chat:
            await script(chat, server)

    asyncio.run(run())


def words(text: str) -> Outgoing:
    return Outgoing(words=Words(text))


@pytest.mark.parametrize(
    ("status", "parameters", "expected"),
    [
        (429, {"retry_after": 30}, Delivery(state="later", retry_s=30.0)),
        (502, {}, Delivery(state="down")),
        (500, {}, Delivery(state="down")),
        (0, {}, Delivery(state="down")),
        (403, {}, Delivery(state="closed")),
        (401, {}, Delivery(state="closed")),
        (400, {}, Delivery(state="refused")),
        (400, {"migrate_to_chat_id": -100}, Delivery(state="closed")),
    ],
)
def test_what_an_answer_means(status: int, parameters: dict[str, int], expected: Delivery) -> None:
    async def script(chat: TelegramChat, server: BotApi) -> None:
        server.fail("sendMessage", status, 1, **parameters)
        delivery = await chat.send(words("x"))
        assert (delivery.state, delivery.retry_s) == (expected.state, expected.retry_s)
        assert delivery.why
        assert server.token not in delivery.why
        assert (await chat.send(words("x"))).state == "sent"
        assert server.texts() == ["x"]

    meet(script)


def test_a_wrong_token_and_a_second_listener_are_told_apart() -> None:
    async def refused(chat: TelegramChat, server: BotApi) -> None:
        with pytest.raises(ChatRefused, match="Unauthorized"):
            await chat.greet(())

    async def conflict(chat: TelegramChat, server: BotApi) -> None:
        server.conflict = True
        with pytest.raises(ChatConflict, match="only one bot instance"):
            await chat.hear(0)
        assert (await chat.send(words("still told"))).state == "sent"

    meet(refused, token="123456:another")
    meet(conflict)


def test_it_listens_from_where_it_was_and_drops_what_waited() -> None:
    async def script(chat: TelegramChat, server: BotApi) -> None:
        server.says(CHAT, "before")
        menu = tuple(MenuEntry(spec.name, spec.help) for spec in COMMANDS)
        greeting = await chat.greet(menu)
        assert [each["command"] for each in server.commands] == [spec.name for spec in COMMANDS]
        server.says(CHAT, "/status")
        shown = await chat.send(Outgoing(words=Words("?"), buttons=((Button("Yes", "y:1"),),)))
        server.taps(8, shown.message, "y:1")
        server.says(9, "/edited", edited=True)
        server.says(9, "/forwarded", forwarded=True)
        server.asks_inline(9, "?")
        heard = await chat.hear(greeting.offset)
        assert [(each.kind, each.user, each.chat, each.text, each.forwarded) for each in heard] == [
            ("message", 7, 7, "/status", False),
            ("tap", 8, 7, "y:1", False),
            ("edit", 9, 7, "/edited", False),
            ("message", 9, 7, "/forwarded", True),
            ("inline", 9, 0, "?", False),
        ]
        assert heard[1].message == shown.message
        await chat.acknowledge(heard[1].tap, "done")
        await chat.acknowledge("long ago", "done")
        assert server.answered == [(heard[1].tap, "done")]
        server.says(CHAT, "next")
        assert [each.text for each in await chat.hear(heard[-1].update + 1)] == ["next"]

    meet(script)


def test_an_edit_that_changes_nothing_is_no_trouble_and_one_that_cannot_be_is_sent_anew() -> None:
    async def script(chat: TelegramChat, server: BotApi) -> None:
        first = await chat.send(words("a"))
        for text in ("b", "b"):
            again = await chat.send(Outgoing(words=Words(text), edit=first.message))
            assert again == Delivery(state="sent", message=first.message)
        assert server.messages[first.message].text == "b"
        gone = await chat.send(Outgoing(words=Words("c"), edit=999))
        assert gone.state == "sent"
        assert server.texts() == ["b", "c"]

    meet(script)


HOSTILE = ["<b>&amp; _*[]()~`>#+-=|{}.!\\", "🚀<&>_*[](){}" * 300, "한국어 مرحبا 👩‍👩‍👧‍👦", "x" * 5000]


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_it_says_arrives_as_it_is(text: str) -> None:
    async def script(chat: TelegramChat, server: BotApi) -> None:
        for part in split(join([bold("LLM says"), "\n", bold(text)])):
            assert (await chat.send(Outgoing(words=part))).state == "sent"
        assert "".join(server.texts()) == f"LLM says\n{text}"

    meet(script)


def test_what_a_span_covers_survives_the_cut() -> None:
    text = "🚀" * 3000
    parts = split(join(["go ", bold(text)]))
    bolds = sum(span.length for part in parts for span in part.spans)
    assert bolds == 2 * 3000
    assert all(span.start + span.length <= 2 * len(part.text) for part in parts for span in part.spans)


def test_a_message_with_impossible_entities_is_sent_plainly() -> None:
    async def script(chat: TelegramChat, server: BotApi) -> None:
        delivery = await chat.send(Outgoing(words=Words("short", (Span("bold", 0, 99),))))
        assert delivery.state == "sent"
        assert server.sent[0].entities == []

    meet(script)


def test_a_picture_goes_up_once_and_its_file_goes(tmp_path: Path) -> None:
    async def script(chat: TelegramChat, server: BotApi) -> None:
        file = tmp_path / "chart.png"
        file.write_bytes(PNG + b"pixels")
        delivery = await chat.send(Outgoing(words=Words("BTC"), picture=str(file)))
        assert delivery.state == "sent"
        assert server.sent[0].photo == PNG + b"pixels"
        assert not file.exists()
        assert (await chat.send(Outgoing(words=Words("BTC"), picture=str(file)))).state == "refused"

    meet(script)


def test_the_servers_own_rates_are_met_with_a_pause() -> None:
    async def script(chat: TelegramChat, server: BotApi) -> None:
        assert (await chat.send(words("a"))).state == "sent"
        later = await chat.send(words("b"))
        assert (later.state, later.retry_s) == ("later", 1.0)

    meet(script, rates=True)


@pytest.mark.parametrize(
    "given", ["http://127.0.0.1:1", "http://127.0.0.1:1/", "http://127.0.0.1:1/bot", "http://127.0.0.1:1/bot/"]
)
def test_an_address_may_be_written_either_way(given: str) -> None:
    assert api_url(given) == "http://127.0.0.1:1/bot"


# RFC 6238, appendix B: SHA-1, secret "12345678901234567890", eight digits.
@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"),
        (2000000000, "69279037"), (20000000000, "65353130"),
    ],
)  # fmt: skip
def test_one_time_codes_are_those_of_the_standard(seconds: int, expected: str) -> None:
    assert code(b"12345678901234567890", seconds // 30, 8) == expected


def test_a_code_is_good_once_and_for_about_its_half_minute() -> None:
    codes = OneTimeCodes("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
    now = 59 * 10**9
    right = code(b"12345678901234567890", now // STEP_NS)
    assert not codes.proves(right, now + 3 * STEP_NS)
    assert codes.proves(right, now + STEP_NS)
    assert not codes.proves(right, now), "once"
    with pytest.raises(ValueError, match="base32"):
        OneTimeCodes("1!1!")
    with pytest.raises(ValueError, match="too short"):
        OneTimeCodes("MFRA")
