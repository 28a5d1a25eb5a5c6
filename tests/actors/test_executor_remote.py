"""The executor at a venue that outlives it: stops that come with their entry, limit orders, a switch, strays."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from kokex.messages import Alert, Link, Order, OrderUpdate, Position
from kokex.ports import Ambiguous, OrderReport, VenueState
from tests.actors.desk import BTC, SECOND, Desk
from tests.actors.scene import ONE, PRICE, Busy, Scene, Venue


def test_a_stop_that_came_with_its_entry_is_not_placed_again() -> None:
    scene = Scene()
    entry = scene.approve()
    (sent,) = scene.venue.placed
    assert sent.attached
    assert (sent.attached.client_id, sent.attached.trigger) == (entry.client_id + "S1", PRICE - 600)
    on_record = [(each.client_id, each.state) for each in scene.desk.take(OrderUpdate)]
    assert on_record[:2] == [(entry.client_id, "intent"), (entry.client_id + "S1", "intent")]
    scene.venue.known[sent.attached.client_id] = OrderReport(client_id=sent.attached.client_id, state="working")
    scene.fill(entry, ONE)
    scene.desk.wait(60)
    assert len(scene.venue.placed) == 1
    assert scene.states(sent.attached.client_id) == ["working"]


def test_an_attached_stop_that_never_shows_is_placed_plainly() -> None:
    scene = Scene()
    entry = scene.approve()
    scene.fill(entry, ONE)
    scene.desk.wait(4)
    assert len(scene.venue.placed) == 1  # it may still come
    scene.desk.wait(20)
    assert scene.states(entry.client_id + "S1")[-1] == "expired"
    assert [each.client_id for each in scene.venue.placed[1:]] == [entry.client_id + "S2"]
    assert (scene.venue.placed[1].size, scene.venue.placed[1].trigger) == (ONE, PRICE - 600)


def test_a_start_is_over_when_the_stream_settles_what_an_answer_was_waited_for() -> None:
    """The last order in doubt may be settled by its fill, while the question what became of it is still open."""
    before = Scene()
    order = before.approve(side="sell", reduce_only=True)
    after = Scene(Busy(), before.store)
    after.venue.positions = (Position(instrument=BTC, size=-ONE, cost=-PRICE, mark=PRICE),)
    assert not after.executor.ready
    after.fill(order, ONE)
    after.desk.wait(10)
    assert after.executor.ready


def test_a_turn_that_a_stop_overtook_is_guarded_on_its_new_side() -> None:
    """Both trade at once; by the order of what the stream tells, it is the stop that turns the position round."""
    scene = Scene()
    entry = scene.approve()
    stop = scene.venue.placed[0].attached
    assert stop
    scene.venue.known[stop.client_id] = OrderReport(client_id=stop.client_id, state="working", order=stop)
    scene.fill(entry, ONE)
    turn = scene.approve(side="sell", size=2 * ONE, stop=PRICE + 600)
    scene.fill(turn, ONE / 2, "2")
    scene.fill(stop, ONE, "3")
    scene.desk.wait(60)
    placed = scene.venue.placed[-1]
    assert (placed.kind, placed.side, placed.size, placed.trigger) == ("stop", "buy", ONE / 2, PRICE + 600)


def test_an_entry_that_did_not_fill_leaves_no_stop_behind() -> None:
    scene = Scene()
    scene.venue.refuses = True
    entry = scene.approve()
    scene.desk.wait(30)
    assert scene.states(entry.client_id + "S1") == ["intent", "expired"]
    assert len(scene.venue.placed) == 1


def test_a_part_of_a_resting_entry_is_guarded_at_once_and_never_twice_for_long() -> None:
    scene = Scene(limit_timeout_s=600)
    entry = scene.approve(kind="limit", price=PRICE)
    part = ONE / 4
    scene.fill(entry, part, "1")
    (plain,) = scene.venue.placed[1:]
    assert (plain.kind, plain.size) == ("stop", part)
    scene.venue.known[entry.client_id + "S1"] = OrderReport(client_id=entry.client_id + "S1", state="working")
    scene.fill(entry, ONE - part, "2")
    scene.desk.wait(10)
    assert scene.venue.cancelled == [plain.client_id]  # the attached one guards it all
    assert len(scene.venue.placed) == 2


def test_a_limit_order_follows_the_price_for_no_more_money_and_then_goes() -> None:
    scene = Scene(limit_timeout_s=8, limit_end="reprice", reprices=2)
    entry = scene.approve(kind="limit", price=PRICE)
    assert scene.venue.switch == [60]
    scene.venue.bid = PRICE + 6_000  # a tenth more
    scene.desk.wait(9)
    assert scene.venue.amended == [(Decimal("0.90"), PRICE + 6_000)]
    assert Decimal("0.90") * (PRICE + 6_000) <= ONE * PRICE
    scene.venue.bid = PRICE - 6_000
    scene.desk.wait(8)
    assert scene.venue.amended[1:] == [(Decimal("0.90"), PRICE - 6_000)]
    scene.desk.wait(8)
    assert scene.venue.cancelled == [entry.client_id]
    assert scene.venue.switch == [60, 60, 0]  # fed as long as it rested
    assert "cancelled" in scene.states(entry.client_id)


def test_an_order_that_is_over_on_record_is_cancelled_and_a_position_nobody_explains_stops_entries() -> None:
    scene = Scene(limit_timeout_s=600)
    scene.approve(kind="limit", price=PRICE)
    ghost = Order(
        client_id="kabcdefghost", account="", plan="", instrument=BTC, side="sell", kind="stop", size=ONE, trigger=PRICE
    )
    scene.venue.known[ghost.client_id] = OrderReport(client_id=ghost.client_id, state="working", order=ghost)
    theirs = replace(ghost, client_id="byhand")
    scene.venue.known[theirs.client_id] = OrderReport(client_id=theirs.client_id, state="working", order=theirs)
    scene.venue.positions = (Position(instrument=BTC, size=ONE, cost=ONE),)
    scene.desk.take(Link)
    scene.desk.wait(100)
    assert scene.venue.cancelled == [ghost.client_id]
    assert [each.up for each in scene.desk.take(Link)] == [False]
    assert [each.severity for each in scene.desk.take(Alert) if each.kind == "positions"] == ["critical"]
    scene.venue.positions = ()
    scene.desk.wait(40)
    assert [each.up for each in scene.desk.take(Link)] == [True]


def test_a_list_says_nothing_of_an_order_that_settled_after_it_was_asked_for() -> None:
    """Asked for while it worked, told when its cancel was confirmed: the list is old, and the venue is not wrong."""
    scene = Scene(limit_timeout_s=600)
    entry = scene.approve(kind="limit", price=PRICE)
    scene.venue.latency_ns = 2 * SECOND  # of an answer that was made at once
    scene.desk.wait(31)
    scene.desk.tell(
        "executor[main]",
        OrderUpdate(account="main", plan="", instrument=BTC, client_id=entry.client_id, state="cancelled"),
    )
    scene.desk.wait(3)
    assert scene.executor.work == {}
    assert scene.desk.take(Alert) == []
    scene.venue.latency_ns = 0
    other = scene.approve(kind="limit", price=PRICE)
    scene.desk.wait(30)  # the next list is younger than that end, and shows it still
    assert scene.venue.cancelled == [entry.client_id]
    assert other.client_id in scene.executor.work


def test_an_entry_that_waited_for_the_start_is_not_sent_once_the_private_stream_is_down() -> None:
    class Slow(Venue):
        answers = False

        async def state(self) -> VenueState:
            if not self.answers:
                raise Ambiguous("503")
            return await super().state()

    venue = Slow()
    scene = Scene(venue)
    entry = scene.approve()
    leave = scene.approve(side="sell", reduce_only=True)
    scene.desk.tell("executor[main]", Link(account="main", edge="venue", up=False, reason="cut"))
    venue.answers = True
    scene.desk.wait(6)
    assert [each.client_id for each in venue.placed] == [leave.client_id]
    assert scene.states(entry.client_id) == ["intent", "expired"]


def heard_of_the_stream(desk: Desk) -> list[str]:
    return [each.text for each in desk.take(Alert) if "private stream" in each.text]


def test_an_outage_of_the_private_stream_is_told_once_each_way_and_a_start_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Venue, "up", False)  # as at every start
    desk = Scene().desk

    def link(*, up: bool) -> None:
        desk.tell("executor[main]", Link(account="main", edge="venue", up=up, reason="" if up else "cut"))

    link(up=True)
    desk.wait(30)
    assert heard_of_the_stream(desk) == []
    for _ in range(2):
        link(up=False)
        desk.wait(300)
        link(up=False)
        link(up=True)
        assert heard_of_the_stream(desk) == [
            "the venue's private stream is down: exits only (cut)", "the venue's private stream is back",
        ]  # fmt: skip
    late = Scene().desk
    late.wait(30)  # it does not come up at all
    assert heard_of_the_stream(late) == ["the venue's private stream is down: exits only (down since the start)"]
