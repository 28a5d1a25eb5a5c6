"""llm: nothing is sent that the ledger does not let go, and everything that was is on record first."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from actors.llm import Caller
from kokex.adapters.sqlite import llm_calls
from kokex.adapters.sqlite.direct import DirectStore
from kokex.config import Fallback, Llm
from kokex.kernel.actor import Actor
from kokex.messages import Alert, Allowance, Answered, Fault, LlmCall, Moment, Prompt, Reply, Sent, Turn
from tests.actors.desk import SECOND, START, Desk, memory

Script = Callable[[str, int], Reply | Fault]


class Model:
    """A provider on the test's clock. `script(provider, number)` says what comes of a request."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.sent: list[str] = []
        self.on_disk: list[int] = []  # how many reservations were on disk as each was sent
        self.now: Callable[[], int] = lambda: START
        self.stepped_ns = 0
        self.ahead_s = 0
        self.store: DirectStore | None = None

    async def moment(self) -> Moment:
        return Moment(self.now() + self.stepped_ns, self.now() - START, "boot")

    async def send(self, provider: str, prompt: Prompt, timeout_s: float) -> Sent:
        self.sent.append(provider)
        assert self.store
        self.on_disk.append(len(self.store.ask(llm_calls.newest(1000))))
        return Sent(self.script(provider, len(self.sent)), await self.moment(), 5, ahead_s=self.ahead_s)


class Asker(Actor):
    asks = (Prompt,)


def ok(*_: Any) -> Reply:
    return Reply(text="{}", stop="end", model="served", input_tokens=1000, output_tokens=100)


def table(**more: Any) -> Llm:
    usual: dict[str, Any] = {"provider": "openai", "model": "m", "rpd": 20, "usd_in": Decimal(1)}
    usual["usd_out"] = Decimal(10)
    return Llm(**usual | more)


class Room:
    """The actor, who asks it, and the provider it knows."""

    def __init__(self, script: Script = ok, *, store: DirectStore | None = None, **config: Any) -> None:
        self.store = store or memory()
        self.model = Model(script)
        self.model.store = self.store
        caller = Caller(table(**config), self.model, self.store)
        self.desk = Desk({"llm": caller, "brain": Asker()}, store=self.store)
        self.model.now = lambda: self.desk.now

    def ask(self, purpose: Any = "scheduled", **more: Any) -> Answered:
        turns = (Turn(role="user", text="?"),)
        made = Prompt(purpose=purpose, system="s", turns=turns, max_tokens=100, **more)
        return self.desk.ask("brain", "llm", made)


def test_a_request_is_on_disk_before_it_is_sent_and_its_answer_after() -> None:
    room = Room()
    answer = room.ask()
    assert answer.reply == ok()
    assert room.model.on_disk == [1]
    before, after = room.desk.take(LlmCall)
    assert (before.state, before.call, after.state, after.call) == ("reserved", 0, "ok", before.id)
    assert (after.input_tokens, after.output_tokens, after.usd) == (1000, 100, Decimal("0.002"))
    assert (before.prompt, len(before.request) > 0, answer.call) == (after.prompt, True, before.id)


def test_a_clock_that_is_not_the_providers_is_told_once() -> None:
    room = Room(rpm=0)
    for room.model.ahead_s in (60, -7200, 90, 0):
        room.ask()
    (alert,) = room.desk.take(Alert)
    assert (alert.severity, alert.kind) == ("warning", "clock")
    assert alert.text.startswith("the system clock is 2 h 00 min behind that of m: set it (NTP)")


def test_a_day_has_no_more_requests_than_its_quota() -> None:
    room = Room(rpd=3, shares=_no_shares())
    answers = [room.ask() for _ in range(5)]
    assert [answer.reply is not None for answer in answers] == [True] * 3 + [False] * 2
    assert answers[3].refused
    assert "3 requests a day" in answers[3].why
    assert answers[3].next_ns == START + 86_400 * SECOND  # midnight UTC
    room.desk.wait(86_400)
    assert room.ask().reply
    assert len(room.model.sent) == 4


def test_another_part_of_a_question_takes_nothing_from_what_the_rest_of_the_day_is_due() -> None:
    """20 a day, of which 8 by the clock: by midnight all of them are for later, by the evening not."""
    room = Room(rpd=20, rpm=0)
    assert room.ask().reply
    answer = room.ask(part=2, parts=2)
    assert (answer.reply, answer.refused) == (None, True)
    assert "no request to spare" in answer.why
    room.desk.wait(18 * 3600)
    assert [room.ask(part=2, parts=3).reply is not None for _ in range(6)] == [True] * 5 + [False]
    assert room.ask().reply, "the question itself may go"
    unbound = Room(rpd=0, rpm=0, usd_per_day=Decimal(0), usd_per_month=Decimal(0))
    assert unbound.ask(part=2, parts=2).reply


def test_the_next_provider_is_asked_when_the_first_fails_and_each_attempt_counts() -> None:
    def first_fails(provider: str, _: int) -> Reply | Fault:
        return ok() if provider == "second" else Fault(kind="server_error", status=500, text="oops")

    room = Room(first_fails, fallbacks=(Fallback(name="second", provider="anthropic", model="c", rpd=20),))
    answer = room.ask()
    assert (answer.provider, [fault.kind for fault in answer.faults]) == ("second", ["server_error"])
    assert room.model.sent == ["m", "second"]
    assert [(call.provider, call.state) for call in room.desk.take(LlmCall)] == [
        ("m", "reserved"), ("m", "failed"), ("second", "reserved"), ("second", "ok"),
    ]  # fmt: skip
    assert len(room.desk.take(Alert)) == 1
    room.ask()  # the first is left alone for a while, and nobody is told again
    assert (room.model.sent, room.desk.take(Alert)) == (["m", "second", "second"], [])
    room.desk.wait(60)
    room.model.script = ok
    room.ask()
    assert room.model.sent[-1] == "m"
    assert [alert.text for alert in room.desk.take(Alert)] == ["m answers again"]


def test_a_429_that_speaks_of_the_day_stops_until_the_day_is_over() -> None:
    text = "Quota exceeded: GenerateRequestsPerDayPerProjectPerModel-FreeTier, limit: 20"
    room = Room(lambda *_: Fault(kind="rate_limited", status=429, text=text), reset_zone="America/Los_Angeles")
    room.ask()
    (call,) = [each for each in room.desk.take(LlmCall) if each.state == "failed"]
    assert call.blocked_s == 8 * 3600  # it is midnight UTC: in Los Angeles four in the afternoon
    assert room.ask().refused
    assert len(room.model.sent) == 1


def test_a_429_that_names_a_time_is_obeyed() -> None:
    room = Room(lambda *_: Fault(kind="rate_limited", status=429, text="Please retry in 25.4s"), shares=_no_shares())
    room.ask()
    room.desk.wait(25)
    assert room.ask().refused
    room.desk.wait(0.5)
    room.model.script = ok
    assert room.ask().reply


def test_what_was_reserved_and_never_resolved_is_spent_after_a_restart() -> None:
    store = memory()
    room = Room(store=store, rpd=2, shares=_no_shares())
    room.ask()
    reserved = store.ask(llm_calls.newest(1))[0]
    store.append(replace(reserved, id=1 << 40, state="reserved", ended=None))
    again = Room(store=store, rpd=2, shares=_no_shares())
    assert again.ask().refused
    assert again.model.sent == []


def test_the_scheduler_is_told_from_when_on_it_is_worth_making_a_cycle() -> None:
    room = Room(rpd=1, shares=_no_shares())
    assert room.desk.take(Allowance) == []
    room.ask()
    told = room.desk.take(Allowance)
    assert {(each.purpose, each.not_before_ns) for each in told} == {
        ("scheduled", START + 86_400 * SECOND), ("event", START + 86_400 * SECOND),
    }  # fmt: skip


def test_a_share_is_kept_for_each_purpose_and_the_reserve_for_cycles() -> None:
    room = Room(rpd=20)
    assert sum(room.ask("chat").reply is not None for _ in range(20)) == 3
    assert [room.ask("research").reply is not None for _ in range(2)] == [True, False]
    assert sum(room.ask("scheduled").reply is not None for _ in range(20)) == 8 + 2  # its own, and the whole reserve
    assert sum(room.ask("event").reply is not None for _ in range(20)) == 4


def test_dollars_of_a_day_bound_what_may_be_asked() -> None:
    room = Room(rpd=0, usd_per_day=Decimal("0.01"), shares=_no_shares())
    sent = sum(room.ask().reply is not None for _ in range(20))
    assert 3 <= sent <= 5  # 0.002 each by the provider's count, and the next must fit at its most
    assert "dollars a day" in room.ask().why


def test_without_a_provider_every_prompt_is_refused_at_once() -> None:
    desk = Desk({"llm": Caller(Llm(), None, memory()), "brain": Asker()})
    answer = desk.ask("brain", "llm", Prompt(purpose="chat", system="", turns=()))
    assert (answer.refused, answer.why) == (True, "no provider is configured")


def test_a_prompt_whose_time_has_passed_is_not_sent() -> None:
    room = Room()
    assert room.ask(deadline_ns=START + SECOND // 2).reply is None
    assert room.model.sent == []


def _no_shares() -> Any:
    from kokex.config import Shares

    return Shares(scheduled=0, event=0, chat=0, news=0, research=0)
