"""notifier: tells people, and does not repeat itself."""

from typing import Any

from actors.notifier import Notifier
from kokex.messages import Alert, Lifecycle
from tests.actors.desk import Console, Desk


def desk_of() -> tuple[Desk, Console]:
    console = Console()
    return Desk({"notifier": Notifier(console)}), console


def alert(text: str = "disk full", *, severity: Any = "warning", account: str = "") -> Alert:
    return Alert(severity=severity, kind="store", text=text, account=account)


def test_an_alert_is_a_line_with_its_level_and_account() -> None:
    desk, console = desk_of()
    desk.tell("notifier", alert(account="main"), alert(severity="critical", account="shadow"))
    assert console.take() == ["WARNING alert store: disk full", "CRITICAL alert [shadow] store: disk full"]


def test_the_same_again_within_a_minute_is_counted_and_the_count_told() -> None:
    desk, console = desk_of()
    for _ in range(5):
        desk.tell("notifier", alert(), alert("another"))
        desk.wait(10)
    assert console.take() == ["WARNING alert store: disk full", "WARNING alert store: another"]
    desk.wait(10)
    assert console.take() == [
        "WARNING alert store: disk full (4 more in 60 s)",
        "WARNING alert store: another (4 more in 60 s)",
    ]


def test_what_came_once_is_not_summed_up_and_may_come_again_later() -> None:
    desk, console = desk_of()
    desk.tell("notifier", alert())
    desk.wait(61)
    desk.tell("notifier", alert())
    assert len(console.take()) == 2


def test_the_same_words_at_another_level_are_told() -> None:
    desk, console = desk_of()
    desk.tell("notifier", alert(), alert(severity="critical"))
    assert len(console.take()) == 2


def test_nothing_is_remembered_of_old_alerts() -> None:
    desk, _ = desk_of()
    desk.tell("notifier", *(alert(str(number)) for number in range(1000)))
    desk.wait(61)
    notifier = desk.actors["notifier"]
    assert isinstance(notifier, Notifier)
    assert notifier._repeats == {}


def test_of_an_actors_life_people_hear_what_went_wrong() -> None:
    desk, console = desk_of()
    console.take()
    for event in ("started", "stopped", "crashed", "restarting", "escalated", "dead_letter"):
        desk.tell("notifier", Lifecycle(actor="brain", event=event, error="why"))
    assert console.take() == [
        "ERROR actor brain crashed: why",
        "WARNING actor brain restarting: why",
        "ERROR actor brain escalated: why",
        "ERROR actor brain dead letter: why",
    ]


def test_without_a_console_nothing_is_said_or_kept() -> None:
    desk = Desk({"notifier": Notifier(None)})
    desk.tell("notifier", alert(), Lifecycle(actor="brain", event="crashed"))
    assert desk.system.next_at() is None
