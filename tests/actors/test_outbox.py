"""The outbox: nothing lost, nothing twice, in order, within the chat's limits, what is urgent first."""

from collections.abc import Callable
from typing import Any

import pytest

from actors.notifier import Notifier, Talk
from kokex.adapters.sqlite import outbox
from kokex.adapters.sqlite.direct import DirectStore
from kokex.config import Alerts, Telegram
from kokex.messages import Alert, Lifecycle
from kokex.ports.chat import Delivery, Outgoing
from kokex.present.rich import LONGEST, units
from tests.actors.desk import INSTRUMENTS, SECOND, START, Console, Desk, memory

LOUD = Alerts(health="on", note="on", breaker="on")
GROUP = -100


class Wire:
    """A chat that takes what comes, unless told otherwise; it knows the time of each message."""

    def __init__(self) -> None:
        self.desk: Desk
        self.sent: list[tuple[int, Outgoing]] = []
        self.tries = 0
        self.answer: Callable[[Outgoing], Delivery] = lambda _: Delivery(state="sent", message=1)

    async def send(self, message: Outgoing) -> Delivery:
        self.tries += 1
        delivery = self.answer(message)
        if delivery.state == "sent":
            self.sent.append((self.desk.now, message))
        return delivery

    @property
    def texts(self) -> list[str]:
        return [message.words.text for _, message in self.sent]

    @property
    def told(self) -> list[str]:
        """What each alert said, wherever it stood."""
        return [text.split("\n")[1] for message in self.texts for text in message.split("\n\n")]

    @property
    def seconds(self) -> list[float]:
        return [(at - START) / SECOND for at, _ in self.sent]


class Room:
    """A notifier with a chat."""

    def __init__(self, *, store: DirectStore | None = None, start_ns: int = START, **settings: Any) -> None:
        self.store = store or memory()
        self.wire = Wire()
        self.console = Console()
        defaults: dict[str, Any] = {"chat": 7, "alerts": LOUD}
        talk = Talk(
            chat=self.wire, settings=Telegram(**{**defaults, **settings}),  # type: ignore[arg-type]
            instruments=INSTRUMENTS, accounts=("main",), speed=1.0,
        )  # fmt: skip
        self.notifier = Notifier(self.console, self.store, talk)
        self.desk = Desk({"notifier": self.notifier}, start_ns=start_ns)
        self.wire.desk = self.desk

    def say(self, *texts: str, severity: Any = "warning", kind: str = "store") -> None:
        self.desk.tell("notifier", *(Alert(severity=severity, kind=kind, text=text) for text in texts))

    def waiting(self) -> int:
        return self.store.ask(outbox.waiting())


def failing(times: int, delivery: Delivery) -> Callable[[Outgoing], Delivery]:
    left = [times]

    def answer(_: Outgoing) -> Delivery:
        left[0] -= 1
        return delivery if left[0] >= 0 else Delivery(state="sent", message=1)

    return answer


def test_alerts_arrive_once_in_order_and_no_faster_than_one_a_second() -> None:
    room = Room()
    room.say(*"abcde")
    room.desk.wait(10)
    assert room.wire.told == list("abcde")
    assert room.wire.seconds == [0, 1, 2, 3, 4]
    assert room.waiting() == 0


def test_what_is_urgent_overtakes_what_waits() -> None:
    room = Room()
    room.say(*"abc")
    room.say("tripped", severity="critical", kind="breaker")
    room.desk.wait(10)
    assert room.wire.told == ["a", "tripped", "b", "c"]


def test_three_bad_gateways_delay_and_neither_lose_nor_repeat() -> None:
    room = Room()
    room.wire.answer = failing(3, Delivery(state="down", why="Bad Gateway"))
    room.say("a", "b")
    room.desk.wait(30)
    assert room.wire.told == ["a", "b"]
    assert room.wire.seconds == [7, 8], "after 1, 2 and 4 seconds"


def test_a_pause_that_is_asked_for_is_kept() -> None:
    room = Room()
    room.wire.answer = failing(1, Delivery(state="later", retry_s=30))
    room.say("a", "b")
    room.desk.wait(29)
    assert room.wire.tries == 1
    room.desk.wait(5)
    assert room.wire.told == ["a", "b"]


def test_an_hour_without_network_loses_nothing_and_is_told_once() -> None:
    room = Room()
    room.wire.answer = lambda _: Delivery(state="down", why="no route")
    for minute in range(60):
        room.say(f"minute {minute}")
        room.desk.wait(60)
    assert 60 <= room.wire.tries <= 70, "it backs off to a try a minute"
    room.wire.answer = lambda _: Delivery(state="sent")
    room.desk.wait(120)
    assert room.wire.told == [f"minute {minute}" for minute in range(60)]
    assert [line for line in room.console.take() if " chat " in line] == [
        "WARNING chat Telegram cannot be reached: no route; alerts wait on disk",
        "WARNING chat Telegram takes messages again",
    ]


def test_a_letter_never_gets_the_number_of_one_that_was_sent() -> None:
    """Neither after a crash of the notifier, nor in the next session when one of the last still waits."""
    first = Room()
    first.say("one")
    first.desk.wait(5)
    after_a_crash = Room(store=first.store, start_ns=first.desk.now)
    after_a_crash.say("two")
    after_a_crash.desk.wait(5)
    after_a_crash.wire.answer = lambda _: Delivery(state="later", retry_s=3600)
    after_a_crash.say("three")
    after_a_crash.desk.wait(5)
    first.store.session += 1
    next_session = Room(store=first.store, start_ns=after_a_crash.desk.now)
    next_session.say("four")
    next_session.desk.wait(10)
    assert (first.wire.told, after_a_crash.wire.told) == (["one"], ["two"])
    assert next_session.wire.told == ["three", "four"]


def test_a_restart_in_the_middle_goes_on_where_it_was() -> None:
    before = Room()
    before.say(*"abcdef")
    before.desk.wait(2.5)
    assert before.wire.told == ["a", "b", "c"]
    before.store.flush()
    after = Room(store=before.store, start_ns=before.desk.now)
    after.desk.wait(10)
    assert after.wire.told == ["d", "e", "f"]
    assert after.waiting() == 0


def test_ten_thousand_alerts_in_a_minute_stay_within_the_rates_and_what_is_urgent_is_there_in_five_seconds() -> None:
    room = Room()
    urgent: list[int] = []
    for second in range(60):
        for number in range(167):
            room.say(f"{second}/{number}")
        if second % 10 == 5:
            urgent.append(room.desk.now)
            room.say(f"urgent {second}", severity="critical", kind="breaker")
        room.desk.wait(1)
        assert room.notifier._outbox
        assert room.notifier._outbox.waiting <= 2 * 256 + 10, "the others wait on disk"
    assert room.waiting() > 256
    room.desk.wait(3600)
    told = room.wire.told
    usual = [text for text in told if not text.startswith("urgent")]
    assert usual == [f"{second}/{number}" for second in range(60) for number in range(167)]
    gaps = [later - former for former, later in zip(room.wire.seconds, room.wire.seconds[1:], strict=False)]
    assert min(gaps) >= 1
    assert max(units(text) for text in room.wire.texts) <= LONGEST
    arrived = [at for at, message in room.wire.sent if "urgent" in message.words.text]
    assert max(there - said for said, there in zip(urgent, arrived, strict=True)) < 5 * SECOND
    assert len(room.notifier._echoes) <= 1000


def test_a_group_gets_at_most_twenty_a_minute_and_some_are_spared_for_what_is_urgent() -> None:
    room, said = Room(chat=GROUP), 0
    for number in range(300):
        room.say(f"{number}", kind=f"kind {number}")
        room.desk.wait(1)
        if number == 150:
            room.say("now", severity="critical", kind="breaker")
            said = room.desk.now
    times = room.wire.seconds
    for index, at in enumerate(times):
        assert sum(at - 60 < other <= at for other in times[: index + 1]) <= 20
    arrived = next(at for at, message in room.wire.sent if "now" in message.words.text)
    assert arrived - said <= SECOND
    room.desk.wait(600)
    assert room.waiting() == 0


def test_the_same_again_is_counted_and_told_after_five_minutes() -> None:
    room = Room()
    for _ in range(18):
        room.say("disk full")
        room.desk.wait(10)
    room.desk.wait(121)
    assert room.wire.texts == ["⚠️ Store\ndisk full", "⚠️ Store\ndisk full x17 in 5 min 00 s"]
    room.desk.wait(700)
    room.say("disk full")
    assert len(room.wire.texts) == 3, "after a while without it, it is news again"


def test_what_was_counted_is_not_lost_at_a_stop() -> None:
    room = Room()
    room.say("disk full", "disk full")
    room.notifier.stop()
    assert [each.words.text for each in room.store.ask(outbox.letters(2, 0, 9))] == [
        "⚠️ Store\ndisk full x1 in 5 min 00 s"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "<b>&amp; _*[]()~`>#+-=|{}.! \\ </b>",
        "🚀" * 5000,
        "word " * 1000 + "\n" + "x" * 5000,
        "a\u0301\u200d👩‍👩‍👧‍👦 한국어 مرحبا",
    ],
)
def test_whatever_it_says_arrives_as_it_is(text: str) -> None:
    room = Room()
    room.say(text)
    room.desk.wait(30)
    head = "⚠️ Store\n"
    assert "".join(room.wire.texts) == head + text
    assert all(units(each) <= LONGEST for each in room.wire.texts)


def test_a_message_that_is_not_taken_is_put_aside_and_the_others_go() -> None:
    room = Room()
    room.wire.answer = lambda message: (
        Delivery(state="refused", why="bad") if "poison" in message.words.text else Delivery(state="sent")
    )
    room.say("a", "poison", "b")
    room.desk.wait(10)
    assert room.wire.told == ["a", "b"]
    assert room.waiting() == 0
    flood = [f"{number}" for number in range(40)]
    room.say(*flood[:20], "poison", *flood[20:])
    room.desk.wait(200)
    assert room.wire.told[2:] == flood


def test_a_chat_that_does_not_want_us_is_asked_again_much_later() -> None:
    room = Room()
    room.wire.answer = failing(1, Delivery(state="closed", why="Forbidden: bot was blocked by the user"))
    room.say("a")
    room.desk.wait(299)
    assert room.wire.tries == 1
    room.desk.wait(2)
    assert room.wire.told == ["a"]


def test_kinds_that_are_off_are_not_told_and_silent_ones_make_no_sound() -> None:
    room = Room(alerts=Alerts(health="silent", note="off"))
    room.say("a")
    room.say("b", severity="info", kind="schedule")
    room.desk.wait(5)
    assert [(message.words.text, message.silent) for _, message in room.wire.sent] == [("⚠️ Store\na", True)]


def test_in_quiet_hours_only_what_is_critical_makes_a_sound() -> None:
    room = Room(quiet="23:00-07:00", time_zone="Europe/Berlin")  # the test begins at midnight UTC
    room.say("a")
    room.say("b", severity="critical")
    room.desk.wait(7 * 3600)
    room.say("c")
    room.desk.wait(5)
    assert {message.words.text[-1]: message.silent for _, message in room.wire.sent} == {
        "a": True, "b": False, "c": False,
    }  # fmt: skip


def test_of_an_actor_that_crashes_people_hear_and_not_of_its_restarts() -> None:
    room = Room()
    for event in ("crashed", "restarting", "started"):
        room.desk.tell("notifier", Lifecycle(actor="brain", event=event, error="KeyError: x"))
    room.desk.wait(5)
    assert room.wire.texts == ["⚠️ brain crashed\nKeyError: x"]


def test_a_goodbye_goes_out_and_is_forgotten_when_it_could_not() -> None:
    room = Room()
    room.desk._driver.stop()
    assert room.wire.texts == ["⏹ KOKEX stops"]
    late = Room()
    late.wire.answer = lambda _: Delivery(state="down")
    late.desk._driver.stop()
    late.store.flush()
    next_day = Room(store=late.store, start_ns=START + 3600 * SECOND)
    next_day.desk.wait(10)
    assert next_day.wire.texts == []
    assert next_day.waiting() == 0
