"""The agent: looks things up for a model, prepares orders, and lets nothing but a person's yes go."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.agent import FRESH_S, MOST_REQUESTS, TALK_S, Agent, Manners
from actors.control import Controller
from actors.risk import RiskKeeper
from actors.trading import PRICE_S
from kokex.adapters.sqlite import conversations
from kokex.adapters.sqlite.direct import DirectStore
from kokex.brain.tools import SKILLS
from kokex.brain.wording import Wording, builtin
from kokex.config import Config, Llm
from kokex.kernel.actor import DEFERRED, Actor
from kokex.messages import (
    Answered,
    Approved,
    Command,
    Decision,
    LlmCall,
    Moment,
    Order,
    Portfolio,
    Prompt,
    Refused,
    Remark,
    Reply,
    ToolCall,
    Turn,
)
from tests.actors.desk import BTC, ETH, INSTRUMENTS, SPOT, Desk, Still, memory, plan, readings

Script = Callable[[Prompt], Answered]
OWNER, VIEWER = "local", "telegram 9"
MANNERS = Manners(Llm(provider="openai", model="m"), Wording(builtin()), "main (paper)")
STOP = Order(
    client_id="k1S1", account="main", plan="one", instrument=BTC, side="sell", kind="stop", size=Decimal(1),
    trigger=Decimal(90), reduce_only=True,
)  # fmt: skip


class Model(Actor):
    """Says what it is told to, one answer a request."""

    def __init__(self) -> None:
        self.says: list[Script] = []
        self.asked: list[Prompt] = []

    def on_prompt(self, prompt: Prompt) -> Any:
        self.asked.append(prompt)
        return self.says.pop(0)(prompt) if len(self.says) > 1 else self.says[0](prompt)

    def results(self) -> list[tuple[str, bool]]:
        """What tools have brought, as the last request tells it, and whether that was a failure."""
        return [(turn.text, turn.failed) for turn in self.asked[-1].turns if turn.role == "tool"]


def words(text: str) -> Script:
    return lambda _: Answered(reply=Reply(text=text, stop="end", model="m"), call=7)


def uses(name: str, *more: str, text: str = "", **arguments: Any) -> Script:
    calls = tuple(
        ToolCall(f"c{number}", each, json.dumps(arguments) if each == name else "{}")
        for number, each in enumerate((name, *more))
    )
    return lambda _: Answered(reply=Reply(text=text, calls=calls, stop="tools", model="m"), call=7)


class Orders(Actor):
    """An executor with one open order."""

    def on_command(self, command: Command) -> Any:
        if command.verb == "cancel":
            return {"order": command.args["order"], "state": "cancelled", "filled": "0"}
        return {"account": "main", "ready": True, "orders": [STOP]}


class Mute(Actor):
    """Never answers."""

    def on_command(self, _: Command) -> Any:
        return DEFERRED


class Socket:
    def __init__(self) -> None:
        self.last: Any = None

    def answer(self, request: int, body: object) -> None:
        self.last = body


class Room:
    """A person, a model, and the actors between them and an order."""

    def __init__(
        self, store: DirectStore | None = None, *, manners: Manners | None = MANNERS, mute: bool = False, run: int = 1
    ) -> None:
        self.store = store or memory()
        self.socket = Socket()
        self.model = Model()
        plans = (plan("one", instruments=(BTC, ETH, SPOT)),)
        self.indicator = Still((readings(values={"atr": 2.0}),))
        risk = RiskKeeper(
            "main", Config().risk, {each.name: each for each in plans}, INSTRUMENTS, self.store, leverage=Decimal(1)
        )
        self.desk = Desk(
            {
                "indicator": self.indicator,
                "executor": Mute() if mute else Orders(),
                "risk": risk,
                "llm": self.model,
                "agent": Agent(manners, tuple(INSTRUMENTS), self.store),
                "control": Controller(plans, INSTRUMENTS, self.socket, list, self.store),
            },
            store=self.store,
            first_id=run << 40 if store else 0,
        )
        self.desk.tell("risk[main]", rich())
        self.desk.tell("control", rich())

    def command(self, verb: str, by: str = OWNER, **args: str) -> Any:
        self.socket.last = None
        self.desk.tell("control", Command(verb=verb, args=args, by=by, request=1))
        return self.socket.last

    def say(self, text: str, *script: Script, by: str = OWNER, **args: str) -> Any:
        self.model.says = list(script)
        return self.command("chat", by, text=text, **args)

    def decisions(self) -> list[tuple[str, str, Decimal | None]]:
        return [(each.act, each.instrument, each.size) for each in self.desk.take(Decision)]


def rich() -> Portfolio:
    money = Decimal(10_000)
    return Portfolio(account="main", cash=money, equity=money, positions=(), day_start_equity=money, peak_equity=money)


def test_what_a_tool_brings_reaches_the_model_and_every_step_is_on_record() -> None:
    room = Room()
    answer = room.say("what have I?", uses("get_positions", "get_orders", text="I look."), words("Ten thousand."))
    assert (answer["text"], answer["conversation"], answer["proposals"]) == ("Ten thousand.", 1, [])
    assert [(each["name"], each["failed"]) for each in answer["tools"]] == [
        ("get_positions", False), ("get_orders", False),
    ]  # fmt: skip
    (positions, failed), (orders, _) = room.model.results()
    assert ('"equity":"10000"' in positions, "k1S1" in orders, failed) == (True, True, False)
    assert {prompt.purpose for prompt in room.model.asked} == {"chat"}
    roles = [(each.turn.role, each.call) for each in room.desk.take(Remark)]
    assert roles == [("user", 0), ("assistant", 7), ("tool", 0), ("tool", 0), ("assistant", 7)]


def test_a_price_comes_with_readings_and_with_times_a_model_can_read() -> None:
    room = Room()
    room.say("how is btc?", uses("get_current_price", instrument="btc-usdt-s"), words("100."))
    ((text, failed),) = room.model.results()
    told = json.loads(text)
    assert (told["price"], told["values"], told["close"], failed) == (
        100.0,
        {"atr": 2.0},
        "2023-11-15T00:00:00Z",
        False,
    )


def test_an_order_over_a_limit_is_refused_by_risk_and_the_model_is_told_why() -> None:
    room = Room()
    answer = room.say("all in", uses("place_order", act="buy", instrument=BTC, size="5000"), words("Refused."))
    ((text, failed),) = room.model.results()
    assert (json.loads(text)["rule"], failed) == ("max_order_pct", True)
    assert answer["proposals"] == []
    assert room.decisions() == [], "a preview is no decision"


def test_an_order_within_limits_is_sent_after_a_yes_and_once() -> None:
    room = Room()
    answer = room.say(
        "buy one", uses("place_order", act="buy", instrument="btc-usdt-swap", size="1"), words("Shall I?")
    )
    ((text, failed),) = room.model.results()
    assert ("prepared, not sent" in text, failed) == (True, False)
    (proposal,) = answer["proposals"]
    assert (proposal["verb"], proposal["args"]) == ("buy", {"instrument": BTC, "size": "1"})
    assert (proposal["order"]["size"], room.decisions()) == ("1", [])
    done = room.command("confirm", proposal=str(proposal["proposal"]))
    assert (done["verdict"], done["order"]["side"]) == ("approved", "buy")
    assert room.decisions() == [("open_long", BTC, Decimal(1))]
    assert "answered or too old" in room.command("confirm", proposal=str(proposal["proposal"]))["error"]
    assert room.decisions() == []


def test_what_was_declined_is_not_done_and_the_model_hears_of_it_with_the_next_question() -> None:
    room = Room()
    answer = room.say("buy one", uses("place_order", act="buy", instrument=BTC, size="1"), words("Shall I?"))
    number = str(answer["proposals"][0]["proposal"])
    assert room.command("decline", proposal=number) == {"declined": True}
    assert "error" in room.command("confirm", proposal=number)
    room.say("and now?", words("Nothing."), conversation="1")
    question = room.model.asked[-1].turns[-1].text
    assert question == f"[the person declined: buy instrument={BTC} size=1; nothing was done]\nand now?"
    assert room.decisions() == []


def test_risk_has_the_last_word_at_the_yes_too() -> None:
    room = Room()
    answer = room.say("buy one", uses("place_order", act="buy", instrument=BTC, size="1"), words("Shall I?"))
    poor = Portfolio(
        account="main", cash=Decimal(50), equity=Decimal(50), positions=(), day_start_equity=Decimal(50),
        peak_equity=Decimal(50),
    )  # fmt: skip
    room.desk.tell("risk[main]", poor)
    done = room.command("confirm", proposal=str(answer["proposals"][0]["proposal"]))
    assert (done["verdict"], room.desk.take(Approved)) == ("refused", [])
    assert len(room.desk.take(Refused)) == 1


def test_a_model_cannot_say_yes_to_itself_nor_give_any_other_command() -> None:
    room = Room()
    first = room.say("buy one", uses("place_order", act="buy", instrument=BTC, size="1"), words("Shall I?"))
    number = str(first["proposals"][0]["proposal"])
    for name in ("confirm", "buy", "closeall", "reset", "resume"):
        room.say("go on", uses(name, proposal=number, instrument=BTC), words("No."), conversation="1")
        text, failed = room.model.results()[-1]
        assert (f"there is no tool '{name}'" in text, failed) == (True, True)
    assert room.decisions() == []


FIELDS = st.sampled_from(["act", "instrument", "size", "limit", "account", "order", "proposal", "by", "verb"])
VALUES = st.sampled_from(
    [BTC, "btc", "buy", "close", "confirm", "0.5", "-1", "NaN", "1e9", "k1S1", "main", "", None, 7]
)
CALLS = st.builds(
    ToolCall,
    st.sampled_from(["c1", "c2", ""]),
    st.sampled_from([skill.name for skill in SKILLS] * 3 + ["confirm", "decline", "buy", "chat"]) | st.text(max_size=9),
    st.dictionaries(FIELDS, VALUES, max_size=5).map(json.dumps) | st.text(max_size=20),
)
REPLIES = st.builds(
    Reply,
    text=st.text(max_size=20),
    calls=st.lists(CALLS, max_size=10).map(tuple),
    stop=st.sampled_from(["end", "length", "tools", "refusal"]),
    model=st.just("m"),
)


@given(st.lists(REPLIES, min_size=1, max_size=7))
@settings(deadline=None, max_examples=50)
def test_whatever_a_model_says_every_question_is_answered_and_nothing_is_decided(replies: list[Reply]) -> None:
    room = Room()
    answer = room.say("go on", *(lambda _, reply=reply: Answered(reply=reply, call=7) for reply in replies))
    assert answer["conversation"] == 1
    assert room.decisions() == []
    assert room.desk.take(Approved) == []
    again = room.say("and now?", words("Nothing."), conversation="1")
    assert again["text"] == "Nothing."
    calls = [call.id for turn in room.model.asked[-1].turns for call in turn.calls]
    results = [turn.answers for turn in room.model.asked[-1].turns if turn.role == "tool"]
    assert calls == results, "no call is told again without its result"


def test_nobody_confirms_what_was_prepared_for_another() -> None:
    room = Room()
    answer = room.say("buy one", uses("place_order", act="buy", instrument=BTC, size="1"), words("Shall I?"))
    assert "error" in room.command("confirm", VIEWER, proposal=str(answer["proposals"][0]["proposal"]))
    assert room.decisions() == []


def test_a_yes_that_comes_too_late_does_nothing() -> None:
    room = Room()
    answer = room.say("buy one", uses("place_order", act="buy", instrument=BTC, size="1"), words("Shall I?"))
    room.desk.wait(FRESH_S + 1)
    assert "too old" in room.command("confirm", proposal=str(answer["proposals"][0]["proposal"]))["error"]
    assert room.decisions() == []


def test_what_was_prepared_outlives_a_restart_and_is_still_taken_once_and_only_while_it_is_fresh() -> None:
    room = Room()
    script = (uses("place_order", act="buy", instrument=BTC, size="1"), words("Shall I?"))
    first, second = (str(room.say("buy one", *script)["proposals"][0]["proposal"]) for _ in range(2))
    again = Room(room.store)
    assert again.command("confirm", VIEWER, proposal=first)["error"].startswith("this proposal is answered or too old")
    assert again.command("confirm", proposal=first)["verdict"] == "approved"
    assert again.decisions() == [("open_long", BTC, Decimal(1))]
    third = Room(room.store, run=2)
    assert "error" in third.command("confirm", proposal=first)
    third.desk.wait(FRESH_S + 1)
    assert "too old" in third.command("confirm", proposal=second)["error"]
    assert third.decisions() == []


def test_a_yes_right_after_a_restart_waits_for_the_first_price() -> None:
    room = Room()
    answer = room.say("buy one", uses("place_order", act="buy", instrument=BTC, size="1"), words("Shall I?"))
    again = Room(room.store)
    again.indicator.say()
    assert again.command("confirm", proposal=str(answer["proposals"][0]["proposal"])) is None
    again.desk.wait(PRICE_S - 1)
    assert (again.socket.last, again.desk.take(Decision)) == (None, [])
    again.indicator.say(readings(values={"atr": 2.0}))
    again.desk.wait(1)
    assert again.socket.last["verdict"] == "approved"
    (decision,) = again.desk.take(Decision)
    (command,) = again.desk.take(Command)
    assert (decision.act, decision.size, decision.cause) == ("open_long", Decimal(1), command.id)


def test_who_may_only_ask_gets_no_tool_for_orders() -> None:
    room = Room()
    room.say("sell", uses("place_order", act="sell", instrument=BTC), words("No."), by=VIEWER, trades="no")
    assert {tool.name for tool in room.model.asked[0].tools} == {
        "get_current_price", "get_positions", "get_orders", "get_trading_limits", "get_forecast", "explain_order",
    }  # fmt: skip
    ((text, failed),) = room.model.results()
    assert ("may ask but not trade" in text, failed) == (True, True)


def test_an_open_order_is_cancelled_after_a_yes_and_one_that_is_not_there_is_a_failure() -> None:
    room = Room()
    answer = room.say("cancel it", uses("cancel_order", order="k1S1"), words("Shall I?"))
    done = room.command("confirm", proposal=str(answer["proposals"][0]["proposal"]))
    assert (done["order"], done["state"]) == ("k1S1", "cancelled")
    assert room.say("and that", uses("cancel_order", order="k9"), words("No."))["proposals"] == []
    assert "no open order 'k9'" in room.model.results()[0][0]


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (uses("get_current_price", instrument="DOGE"), "'DOGE' is not traded here"),
        (uses("get_current_price", instrument="BTC"), f"'BTC' could be {BTC}, {SPOT}"),
        (uses("get_current_price"), "missing required field `instrument`"),
        (uses("cancel_order", order=""), "cancel_order needs order, which was empty"),
        (uses("place_order", act="buy", instrument=BTC, stop_loss="90"), "unknown field `stop_loss`"),
        (uses("place_order", act="buy", instrument=BTC, size="much"), "size 'much' is not a number above zero"),
        (uses("get_orders", account="x"), "there is no account 'x'; there are: main"),
        (uses("get_forecast", instrument=ETH), "forecast cannot be answered here"),
    ],
)
def test_a_failure_of_a_tool_reaches_the_model_as_one(call: Script, why: str) -> None:
    room = Room()
    room.say("do it", call, words("It failed."))
    ((text, failed),) = room.model.results()
    assert (why in text, failed) == (True, True), text


def test_a_tool_that_never_answers_is_a_failure_and_the_question_goes_on() -> None:
    room = Room(mute=True)
    assert room.say("my orders?", uses("get_orders"), words("I cannot tell.")) is None
    room.desk.wait(TALK_S)
    assert room.socket.last["text"] == "I cannot tell."
    assert room.model.results() == [('{"error":"executor[main] did not answer in time"}', True)]


def test_a_model_that_wants_tools_for_ever_is_stopped() -> None:
    room = Room()
    answer = room.say("loop", uses("get_positions"))
    assert len(room.model.asked) == MOST_REQUESTS
    assert room.model.results()[-1] == ('{"error":"no more calls for this question; answer with what you know"}', True)
    assert f"after {MOST_REQUESTS} requests" in answer["note"]


def test_what_was_said_before_is_told_again_over_a_restart_and_what_was_broken_off_is_not() -> None:
    room = Room()
    room.say("what have I?", uses("get_positions"), words("Ten thousand."))
    room.say("lost", lambda _: Answered(why="no provider answered: timeout"), conversation="1")
    assert room.socket.last == {"error": "no provider answered: timeout"}
    again = Room(room.store)
    assert again.command("chat", conversation="1")["conversation"] == 1
    again.say("are you sure?", words("Yes."), conversation="1")
    told = [(turn.role, turn.text[:13]) for turn in again.model.asked[0].turns]
    assert told[0] == ("user", "what have I?")
    assert [role for role, _ in told] == ["user", "assistant", "tool", "assistant", "user"]
    assert again.say("new", words("Hello."))["conversation"] == 2, "numbers go on"


def test_a_conversation_is_its_own_persons_and_the_machines_owners() -> None:
    room = Room()
    room.say("hello", words("Hello."))
    assert room.say("go on", words(""), by=VIEWER, conversation="1") == {"error": "there is no conversation 1"}
    assert room.say("go on", words(""), conversation="9" * 30)["error"].endswith("is not a number")
    room.say("mine", words("Yes."), by=VIEWER)
    assert room.say("and?", words("Read."), conversation="2")["text"] == "Read."


def test_without_a_provider_that_is_said_and_what_to_do() -> None:
    assert "name one in [llm] of config.toml" in Room(manners=None).say("hello", words(""))["error"]


def test_conversations_are_found_by_their_words_and_the_daemons_own_by_their_type() -> None:
    room = Room()
    room.say("is the breaker tripped?", uses("get_trading_limits"), words("It is closed."))
    room.say("hello", words("Hello."))
    store, now = room.store, Moment(1, 1, "b")
    for number, purpose in ((100, "scheduled"), (101, "event"), (102, "chat")):
        asked: Any = {
            "purpose": purpose, "provider": "p", "model": "m", "begun": now, "within_s": 1.0, "usd": Decimal(0)
        }  # fmt: skip
        text = json.dumps({"type": "reply", "text": f"rsi of call {number} says hold", "stop": "end", "model": "m"})
        store.append(LlmCall(id=number, state="reserved", **asked))
        store.append(LlmCall(id=number + 10, call=number, state="ok", answer=text, **asked))

    def found(kind: Any, search: str | None = None) -> list[tuple[int, str]]:
        return [(each.id, each.opening) for each in store.ask(conversations.newest(9, kind, search))]

    assert found("manual_chat") == [(1, "is the breaker tripped?"), (2, "hello")]
    assert found("manual_chat", "max_daily_loss_pct closed") == [(1, "is the breaker tripped?")], "what a tool brought"
    assert found("scheduled_decision", 'RSI "call') == [(100, "rsi of call 100 says hold")]
    assert [number for number, _ in found("auto_inference")] == [101]
    assert [each.turn for each in store.ask(conversations.remarks(2))] == [
        Turn(role="user", text="hello"), Turn(role="assistant", text="Hello."),
    ]  # fmt: skip
