"""A protective stop follows its position's size, and no lost answer leaves a position without one."""

from decimal import Decimal

from kokex.messages import Alert, Order, OrderUpdate, Position
from kokex.ports import Ambiguous, OrderReport, Rejected
from tests.actors.desk import BTC
from tests.actors.scene import ONE, PRICE, Scene, Venue

PART = Decimal("0.4")


class Losing(Venue):
    """Loses what it is to amend, or the answer. `later` are amends that have not arrived yet."""

    def __init__(self, *, arrives: bool) -> None:
        super().__init__()
        self.arrives = arrives
        self.later: list[tuple[Order, Decimal, Decimal]] = []

    async def amend(self, order: Order, size: Decimal, price: Decimal) -> OrderReport:
        if self.arrives:
            await super().amend(order, size, price)
        else:
            self.amended.append((size, price))
            self.later.append((order, size, price))
        raise Ambiguous("503")

    async def arrive(self) -> None:
        for order, size, price in self.later:
            if order.client_id in self.known:
                await super().amend(order, size, price)


class Refusing(Venue):
    async def amend(self, order: Order, size: Decimal, price: Decimal) -> OrderReport:
        self.amended.append((size, price))
        raise Rejected("51527", "not this one")


def guarded(venue: Venue | None = None) -> tuple[Scene, Order]:
    """A position of one, and its stop."""
    scene = Scene(venue)
    entry = scene.approve()
    stop = scene.venue.placed[0].attached
    assert stop
    scene.venue.fill(scene.venue.placed[0])
    scene.fill(entry, ONE)
    scene.desk.wait(10)
    assert cover(scene) == ONE
    return scene, stop


def shrink(scene: Scene) -> None:
    """Forty of a hundred are sold."""
    leave = scene.approve(side="sell", reduce_only=True, size=PART)
    scene.venue.known.pop(leave.client_id)
    scene.fill(leave, PART, "2")


def again(scene: Scene) -> Scene:
    """Another process on the same record, which agrees with the venue about what is held."""
    scene.venue.positions = (Position(instrument=BTC, size=ONE - PART, cost=PRICE),)
    after = Scene(scene.venue, scene.store)
    after.desk.wait(10)
    assert after.executor.ready
    return after


def cover(scene: Scene) -> Decimal:
    """Of the stops at the venue."""
    orders = [each.order for each in scene.venue.known.values() if each.order]
    return sum((each.size for each in orders if each.kind == "stop"), Decimal(0))


def test_a_stop_shrinks_with_its_position_and_that_is_on_record_first() -> None:
    scene, stop = guarded()
    scene.desk.take(OrderUpdate)
    shrink(scene)
    assert scene.venue.amended == [(ONE - PART, stop.trigger)]
    told = [each for each in scene.desk.take(OrderUpdate) if each.client_id == stop.client_id]
    assert [(each.state, each.order and each.order.size) for each in told] == [
        ("amending", ONE - PART), ("working", ONE - PART),
    ]  # fmt: skip
    assert scene.venue.cancelled == []


def test_a_stop_grows_with_the_entry_that_it_guards() -> None:
    scene = Scene(limit_timeout_s=600)
    entry = scene.approve(kind="limit", price=PRICE)
    for trade in "123":
        scene.fill(entry, ONE / 4, trade)
    (stop,) = scene.venue.placed[1:]
    assert scene.venue.amended == [(ONE / 2, stop.trigger), (ONE * 3 / 4, stop.trigger)]
    assert cover(scene) == ONE * 3 / 4


def test_an_amend_whose_answer_was_lost_is_found_and_not_sent_again() -> None:
    scene, stop = guarded(Losing(arrives=True))
    shrink(scene)
    scene.desk.wait(60)
    assert scene.venue.amended == [(ONE - PART, stop.trigger)]
    assert cover(scene) == ONE - PART
    assert len(scene.venue.placed) == 2
    assert scene.executor.work[stop.client_id].order.size == ONE - PART


async def test_an_amend_that_may_still_come_about_guards_nothing_and_its_stop_is_replaced() -> None:
    venue = Losing(arrives=False)
    scene, stop = guarded(venue)
    shrink(scene)
    scene.desk.wait(1)
    assert scene.venue.cancelled == []  # it is looked for first
    scene.desk.wait(5)
    (placed,) = venue.placed[2:]
    assert (placed.kind, placed.size, placed.trigger) == ("stop", ONE - PART, stop.trigger)
    assert venue.cancelled == [stop.client_id]
    assert [each.kind for each in scene.desk.take(Alert) if each.severity == "warning"] == ["stop"]
    await venue.arrive()
    assert cover(scene) == ONE - PART
    assert len(venue.amended) == 1


async def test_a_position_that_grows_while_its_stop_shrinks_is_guarded_whenever_the_amend_arrives() -> None:
    venue = Losing(arrives=False)
    scene, _ = guarded(venue)
    shrink(scene)
    more = scene.approve(size=PART)
    venue.fill(venue.placed[-1])
    scene.fill(more, PART, "3")
    for _ in range(8):
        await venue.arrive()
        assert cover(scene) >= ONE
        scene.desk.wait(1)


def test_a_refused_amend_is_not_tried_again_and_the_stop_is_replaced() -> None:
    scene, stop = guarded(Refusing())
    shrink(scene)
    scene.desk.wait(10)
    assert len(scene.venue.amended) == 1
    assert scene.venue.cancelled == [stop.client_id]
    assert cover(scene) == ONE - PART


def test_a_start_does_not_trust_a_stop_whose_amend_was_under_way() -> None:
    venue = Losing(arrives=False)
    scene, stop = guarded(venue)
    shrink(scene)
    after = again(scene)
    assert venue.cancelled == [stop.client_id]
    assert cover(after) == ONE - PART
    assert len(venue.amended) == 1


def test_a_start_knows_a_stop_by_the_size_it_was_amended_to() -> None:
    scene, stop = guarded()
    shrink(scene)
    after = again(scene)
    assert after.executor.work[stop.client_id].order.size == ONE - PART
    assert scene.venue.cancelled == []
    assert len(scene.venue.placed) == 2


def test_a_stop_that_filled_at_its_old_size_leaves_what_remains_guarded() -> None:
    """The position grew, and its stop was hit before the amend arrived."""
    venue = Losing(arrives=False)
    scene = Scene(venue, limit_timeout_s=600)
    entry = scene.approve(kind="limit", price=PRICE)
    scene.fill(entry, PART, "1")
    (stop,) = venue.placed[1:]
    scene.fill(entry, PART, "2")
    venue.known.pop(stop.client_id)
    scene.fill(stop, PART, "3")
    venue.known[stop.client_id] = OrderReport(client_id=stop.client_id, state="filled", filled=PART)
    scene.desk.wait(5)
    assert stop.client_id not in scene.executor.work
    assert cover(scene) == PART
