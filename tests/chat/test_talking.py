"""Free text in the chat: to the agent and back, at the chat's pace. A whole daemon in virtual time."""

import json
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from kokex.adapters.sqlite import conversations
from kokex.adapters.sqlite.reader import Reader
from kokex.config import Llm
from kokex.messages import Prompt, Reply, ToolCall
from kokex.simulation.replay import replay
from tests.chat.scene import CHAT, OWNER, TRADER, VIEWER, Played, Scene, Showing
from tests.chat.test_commands import CALM, entries

SMART = replace(CALM, llm=Llm(provider="openai", model="m", usd_in=Decimal(1), usd_out=Decimal(5)))
LONG = "It was the best of times, it was the worst of times. " * 20


def clerk(prompt: Prompt) -> Reply:
    """Tells a long tale, or prepares an order and tells what came of it."""
    last = prompt.turns[-1]
    if last.role == "tool":
        return Reply(text=last.text[:200], stop="end", model="m", input_tokens=1000, output_tokens=50)
    if last.text.endswith("tale"):
        return Reply(text=LONG, stop="end", model="m", input_tokens=1000, output_tokens=50)
    order = ToolCall("c1", "place_order", json.dumps({"act": "buy", "instrument": "BTC-USDT-SWAP", "size": "0.5"}))
    return Reply(text="", calls=(order,), stop="tools", model="m", input_tokens=1000, output_tokens=50)


async def answered(chat: Played, text: str, user: int) -> Showing:
    """The last message of the answer."""
    await chat.say(text, user)
    await anyio.sleep(8)
    return chat.sent[-1]


def test_a_long_answer_is_edited_in_place_at_the_chats_pace_and_alerts_come_between(tmp_path: Path) -> None:
    async def script(chat: Played) -> None:
        first = await chat.say("tell a tale")
        (shown,) = chat.sent[-1:]
        assert first.startswith("It was the")
        assert first.endswith(" …")
        assert await chat.say("buy") == "The question before is not answered yet."
        assert await chat.say("/version", VIEWER) == "KOKEX 0.1.0", "others are answered meanwhile"
        await anyio.sleep(30)
        assert shown.text == LONG.strip()
        assert 8 <= shown.edits <= 15, "one in two seconds, of 27"

    Scene(tmp_path / "k.db", SMART, says=clerk).play(script)


def test_what_the_agent_prepared_wants_the_tap_of_who_asked_and_replays(tmp_path: Path) -> None:
    path = tmp_path / "k.db"

    async def script(chat: Played) -> None:
        question = await answered(chat, "buy some", TRADER)
        assert question.text.startswith("❓ Buy 0.5 BTC-USDT-SWAP at the market?\nrisk allows: buy 0.5 BTC-USDT-SWAP")
        yes = question.data[0]
        assert await chat.tap(question, yes, OWNER) == "this is for somebody else to answer"
        assert await chat.tap(question, yes, TRADER) == ""
        assert "approved: buy 0.5 BTC-USDT-SWAP market" in question.text
        assert await chat.tap(question, yes, TRADER) == "this was answered, or is too old"

        declined = await answered(chat, "buy some", OWNER)
        assert await chat.tap(declined, declined.data[1], OWNER) == "nothing was done"
        late = await answered(chat, "buy some", OWNER)
        yes = late.data[0]
        await anyio.sleep(61)
        assert await chat.tap(late, yes, OWNER) == "this was answered, or is too old"

        refused = await answered(chat, "buy some", VIEWER)
        assert "place_order is not for this person, who may ask but not trade" in refused.text
        assert not refused.data

    Scene(path, SMART, says=clerk).play(script)
    assert len(entries(path)) == 1
    with Reader(path) as reader:
        begun = [(each.by, each.remarks) for each in reader.ask(conversations.newest(9))]
        assert [by for by, _ in begun] == [f"telegram {user}" for user in (TRADER, OWNER, VIEWER)]
        again = replay(reader, reader)
    assert (again.differences, again.rows["remarks"]) == ((), sum(remarks for _, remarks in begun))


def test_a_button_from_before_a_restart_still_does_what_it_says_once_and_within_its_minute(tmp_path: Path) -> None:
    path, asked = tmp_path / "k.db", list[Showing]()

    async def before(chat: Played) -> None:
        asked.append(await answered(chat, "buy some", TRADER))
        await chat.say("/buy eth 1", TRADER)
        asked.append(chat.sent[-1])
        asked.append(await answered(chat, "buy some", OWNER))

    async def after(chat: Played) -> None:
        agents, command, _ = asked
        assert await chat.tap(agents, agents.data[0], OWNER) == "this is for somebody else to answer"
        for each in (agents, command):
            yes = each.data[0]
            assert await chat.tap(each, yes, TRADER) == ""
            assert "approved: buy" in each.text
            assert await chat.tap(each, yes, TRADER) == "this was answered, or is too old"

    async def late(chat: Played) -> None:
        assert asked[2].text.endswith("Not confirmed within a minute: nothing was done.")
        assert asked[2].data == []
        assert await chat.tap(asked[2], "y:0123456789abcdef", OWNER) == "this was answered, or is too old"

    scene = Scene(path, SMART, says=clerk)
    scene.play(before)
    scene.play(after, warm_s=10)
    scene.play(late, warm_s=70)
    assert sorted(each.instrument for each in entries(path)) == ["BTC-USDT-SWAP", "ETH-USDT-SWAP"]


@pytest.mark.parametrize(("goes_on_s", "number"), [(3600.0, 1), (30.0, 2)])
def test_what_is_said_within_the_hour_goes_on_and_then_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, goes_on_s: float, number: int
) -> None:
    path = tmp_path / "k.db"
    monkeypatch.setattr("actors.talking.GOES_ON_S", goes_on_s)

    async def script(chat: Played) -> None:
        for _ in range(2):
            await answered(chat, "buy some", OWNER)
            await anyio.sleep(60)

    Scene(path, SMART, says=clerk).play(script, warm_s=60)
    with Reader(path) as reader:
        assert len(reader.ask(conversations.newest(9))) == number


def test_who_is_not_listed_costs_no_request(tmp_path: Path) -> None:
    asked: list[Prompt] = []

    def count(prompt: Prompt) -> Reply:
        asked.append(prompt)
        return clerk(prompt)

    async def script(chat: Played) -> None:
        assert await chat.say("tell a tale", 666) == ""
        assert await chat.say("tell a tale", OWNER, chat=CHAT + 1) == ""

    Scene(tmp_path / "k.db", SMART, says=count).play(script, warm_s=5)
    assert asked == []
