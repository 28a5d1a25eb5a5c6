"""What happens when a reader is slow."""

from kokex.kernel.inline import Inline
from kokex.kernel.wires import block, conflate, drop_oldest, fail
from tests.kernel.graphs import ByHand, Ping, Pong, pair


def test_a_full_block_wire_parks_its_sender_and_loses_nothing() -> None:
    system, log = pair(block(2))
    hand = ByHand(system)
    system.post("sender", Pong(n=5))
    system.post("sender", Pong(n=2))
    system.step()
    assert hand.state("sender") == "parked"
    assert system.cells["reader"].waiting == 2
    system.drain()
    assert log == [1, 2, 3, 4, 5, 6, 7]
    assert hand.state("sender") == "running"
    assert not system.dead


def test_a_parked_sender_handles_nothing_until_all_it_sent_has_room() -> None:
    system, log = pair(block(1))
    hand = ByHand(system)
    system.post("sender", Pong(n=3))
    system.post("sender", Pong(n=1))
    for heard in ([], [], [1]):
        system.step()
        assert log == heard
        assert hand.state("sender") == "parked"
    system.step()
    assert log == [1, 2]
    assert hand.state("sender") == "running"


def test_inline_a_full_block_wire_only_records_its_depth() -> None:
    system, log = pair(block(2))
    driver = Inline(system)
    driver.start()
    system.post("sender", Pong(n=5))
    driver.run()
    assert log == [1, 2, 3, 4, 5]
    assert system.cells["reader"].status().high_water == 5


def test_drop_oldest_keeps_the_newest_and_counts_the_rest() -> None:
    system, log = pair(drop_oldest(2))
    ByHand(system).tell("sender", Pong(n=5))
    assert log == [4, 5]
    assert system.cells["reader"].status().drops == 3
    assert system.cells["reader"].waiting == 0


def test_conflate_keeps_the_place_of_the_first_and_the_news_of_the_last() -> None:
    system, log = pair(conflate("key"))
    hand = ByHand(system)
    for key in ("a", "b", "a"):
        system.post("sender", Pong(n=1, key=key))
    hand.advance(0)
    assert log == [3, 2]
    assert system.cells["reader"].status().drops == 1
    hand.tell("sender", Pong(n=1, key="a"))
    assert log == [3, 2, 4], "what was read is forgotten"


def test_overflow_of_a_fail_wire_crashes_the_late_reader_and_not_the_sender() -> None:
    system, log = pair(fail(2))
    hand = ByHand(system)
    hand.tell("sender", Pong(n=3))
    assert hand.state("sender") == "running"
    assert hand.state("reader") == "backoff"
    assert log == []
    assert [(actor, message.n) for actor, message in hand.dead()] == [("reader", 1), ("reader", 2), ("reader", 3)]
    hand.advance(1)
    hand.tell("sender", Pong(n=2))
    assert log == [4, 5]


def test_overflow_while_the_reader_waits_for_its_restart_is_no_second_crash() -> None:
    system, _ = pair(fail(2))
    hand = ByHand(system)
    hand.tell("sender", Pong(n=3))
    hand.tell("sender", Pong(n=30))
    hand.advance(1)
    assert hand.state("reader") == "running"
    assert system.cells["reader"].restarts == 1


def test_a_sender_parked_on_a_reader_that_is_gone_for_good_goes_on() -> None:
    system, log = pair(block(2), restart="temporary")
    hand = ByHand(system)
    system.post("sender", Pong(n=5))
    system.step()
    assert hand.state("sender") == "parked"
    system.starter.crashed(system.cells["reader"], "on purpose")
    system.drain()
    assert hand.state("sender") == "running"
    assert log == []
    assert [message.n for _, message in hand.dead()] == [1, 2, 3, 4, 5]


def test_what_a_sender_had_emitted_before_it_crashed_still_arrives_in_order() -> None:
    system, log = pair(block(1))
    hand = ByHand(system)
    system.post("sender", Pong(n=3))
    system.step()
    system.starter.crashed(system.cells["sender"], "on purpose")
    system.drain()
    assert log == [1, 2, 3]
    assert hand.state("sender") == "backoff", "room at last does not wake an instance that is gone"
    hand.advance(1)
    hand.tell("sender", Pong(n=1))
    assert log == [1, 2, 3, 1]


def test_the_mailbox_survives_a_restart() -> None:
    system, log = pair(block(8))
    hand = ByHand(system)
    system.starter.crashed(system.cells["reader"], "on purpose")
    hand.tell("sender", Pong(n=3))
    assert log == []
    assert system.cells["reader"].waiting == 3
    hand.advance(1)
    assert log == [1, 2, 3]


def test_a_message_that_was_never_read_is_a_dead_letter_when_the_reader_stops() -> None:
    system, _ = pair(block(8))
    hand = ByHand(system)
    system.starter.crashed(system.cells["reader"], "on purpose")
    hand.tell("sender", Pong(n=2))
    hand.stop()
    assert [message for _, message in hand.dead() if isinstance(message, Ping)] == [m for _, m in hand.dead()]
    assert len(system.dead) == 2
