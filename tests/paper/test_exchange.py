from decimal import Decimal
from typing import Any

import pytest

from kokex.messages import Fill, Funding, OrderUpdate
from kokex.paper.account import KEPT
from kokex.paper.matching import Rules
from kokex.paper.tape import FundingDue
from kokex.paper.venue import PaperVenue
from kokex.ports import OrderReport, Rejected
from tests.paper.desk import FREE, MINUTE, SPOT, SWAP, Desk, Prices, order

FLAT: Prices = (100.0, 100.0, 100.0, 100.0)
FEES = Rules(maker_fee=Decimal("0.0002"), taker_fee=Decimal("0.0005"))


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("below_minimum", {"size": "0"}),
        ("below_minimum", {"size": "0.001", "on": SPOT}),
        ("bad_lot", {"size": "1.5"}),
        ("bad_client_id", {"client_id": "with space"}),
        ("bad_client_id", {"client_id": "a" * 33}),
        ("bad_price", {"kind": "limit"}),
        ("bad_price", {"kind": "stop"}),
        ("bad_price", {"kind": "market", "price": "1"}),
        ("bad_price", {"kind": "limit", "price": "-1"}),
        ("bad_tick", {"kind": "limit", "price": "100.05"}),
        ("bad_tick", {"kind": "stop", "trigger": "100.05"}),
        ("expired", {"expires_ns": 4}),
        ("nothing_to_reduce", {"reduce_only": True}),
        ("no_short", {"side": "sell", "on": SPOT}),
        ("insufficient_funds", {"kind": "limit", "price": "100", "size": "200000"}),
    ],
)
def test_a_reject_says_which_rule_was_broken(code: str, fields: dict[str, Any]) -> None:
    desk = Desk()
    desk.now = 5
    with pytest.raises(Rejected) as rejected:
        desk.place(order(**fields))
    assert rejected.value.code == code
    assert not desk.exchange.busy
    assert desk.exchange.lookup("main", "a") is None


def test_an_unlisted_instrument_is_rejected() -> None:
    with pytest.raises(Rejected, match="unknown_instrument"):
        Desk(instruments=[SPOT]).place(order(on=SWAP))


def test_a_cash_account_is_never_short() -> None:
    with pytest.raises(Rejected, match="no_short"):
        Desk(kind="cash").place(order(side="sell"))


def test_a_client_id_is_accepted_once_even_after_its_order_has_settled() -> None:
    desk = Desk()
    desk.place(order())
    with pytest.raises(Rejected, match="duplicate"):
        desk.place(order())
    desk.play([FLAT])
    with pytest.raises(Rejected, match="duplicate"):
        desk.place(order())
    assert len(desk.fills) == 1


def test_a_cancelled_order_stays_cancelled_and_a_filled_one_says_so() -> None:
    desk = Desk()
    desk.place(order("resting", kind="limit", price="50"), order("market"))
    assert desk.exchange.cancel("main", SWAP.symbol, "resting").state == "cancelled"
    desk.play([FLAT, (40.0, 40.0, 40.0, 40.0)])
    assert [fill.client_id for fill in desk.fills] == ["market"]
    assert desk.exchange.cancel("main", SWAP.symbol, "market").state == "filled"
    with pytest.raises(Rejected, match="unknown_order"):
        desk.exchange.cancel("main", SWAP.symbol, "never")


def test_working_orders_hold_what_they_will_need() -> None:
    desk = Desk(cash="1000")
    desk.place(order("a", kind="limit", price="90", size="100"))  # 100 contracts of 0.1 at 90: 900
    with pytest.raises(Rejected, match="insufficient_funds"):
        desk.place(order("b", kind="limit", price="90", size="20"))
    desk.exchange.cancel("main", SWAP.symbol, "a")
    desk.place(order("b", kind="limit", price="90", size="20"))


def test_leverage_divides_the_margin_of_a_swap_but_not_the_price_of_a_spot_buy() -> None:
    rules = Rules(maker_fee=Decimal(0), taker_fee=Decimal(0), leverage=Decimal(5))
    desk = Desk(rules, cash="1000")
    desk.hold("500")  # 5000 at 5 to 1
    assert desk.size() == 500
    with pytest.raises(Rejected, match="insufficient_funds"):
        desk.place(order(size="1"))
    desk.place(order("close", side="sell", size="500"))
    with pytest.raises(Rejected, match="insufficient_funds"):
        Desk(rules, cash="1000").place(order(kind="limit", price="100", size="11", on=SPOT))


def test_a_position_is_reversed_without_more_margin() -> None:
    desk = Desk(cash="1000")
    desk.hold("100")
    desk.place(order(side="sell", size="200"))
    desk.play([FLAT])
    assert desk.size() == -100


def test_an_order_that_cannot_be_paid_when_it_fills_is_cancelled() -> None:
    desk = Desk(cash="1000")
    desk.place(order(size="100"))
    desk.play([(100.1, 100.1, 100.1, 100.1)])
    assert desk.ends == {"a": ("cancelled", "insufficient funds")}
    assert desk.cash == 1000


def test_fees_are_exact_and_paid_by_maker_and_taker() -> None:
    desk = Desk(FEES, cash="1000")
    desk.place(order("taker", on=SPOT, size="1.23"), order("maker", on=SPOT, size="1", kind="limit", price="90"))
    desk.play([(100.1, 100.2, 89.9, 90.0)], on=SPOT)
    assert {fill.client_id: fill.fee for fill in desk.fills} == {
        "taker": Decimal("0.0615615"),  # 1.23 x 100.1 x 0.0005
        "maker": Decimal("0.018"),
    }
    assert desk.cash == Decimal(1000) - Decimal("123.123") - Decimal("0.0615615") - 90 - Decimal("0.018")


def test_longs_pay_shorts_when_the_rate_is_positive() -> None:
    desk = Desk(cash="1000000")
    desk.hold("-50")
    due = FundingDue(desk.now + 2 * MINUTE, SWAP.symbol, Decimal("0.0001"))
    desk.play([FLAT, (100.0, 120.0, 100.0, 120.0), FLAT], funding=[due])
    (funding,) = [message for _, message in desk.said if isinstance(message, Funding)]
    assert funding.amount == Decimal("0.06")  # 50 contracts of 0.1 at 120
    assert funding.due_ns == 3 * MINUTE
    assert desk.cash == Decimal("1000000.06")


def test_what_is_said_goes_to_the_executor_of_the_account_with_plan_and_decision() -> None:
    desk = Desk()
    desk.place(order("a", plan="scalp", decision=7), order("b", kind="ioc", price="90", plan="scalp", decision=7))
    desk.play([FLAT])
    told = [(actor, message) for actor, message in desk.said if actor != "feed"]
    assert {actor for actor, _ in told} == {"executor[main]"}
    fill, update = (message for _, message in told)
    assert isinstance(fill, Fill)
    assert isinstance(update, OrderUpdate)
    assert (fill.plan, fill.decision, update.plan, update.decision) == ("scalp", 7, "scalp", 7)


def test_accounts_do_not_touch_each_other() -> None:
    desk = Desk(Rules(volume_share=Decimal("0.1")))
    desk.exchange.open_account("shadow", Decimal(1000), "margin")
    desk.place(order("a", size="4"), order("a", size="4", account="shadow", side="sell"))
    desk.play([FLAT], volume=4.0)
    assert desk.size() == 4
    assert desk.exchange.state("shadow").positions[0].size == -4
    assert [fill.trade_id for fill in desk.fills] == ["1", "1"]


def test_a_step_is_saved_once_and_before_anybody_hears_of_it() -> None:
    desk = Desk()
    events: list[str] = []
    desk.exchange.changed = lambda account: events.append(f"saved {account}")
    desk.exchange._post = lambda actor, message: events.append(type(message).__name__)
    desk.place(order("a"), order("b"))
    desk.play([FLAT])
    saved = "saved main"
    assert events == [saved, saved, saved, "Fill", "Fill"]


def test_an_idle_exchange_is_not_busy() -> None:
    desk = Desk()
    desk.place(order("a"), order("b", kind="limit", price="50"))
    assert desk.exchange.busy == {SWAP.symbol}
    desk.play([FLAT])
    assert desk.exchange.busy == {SWAP.symbol}
    desk.exchange.cancel("main", SWAP.symbol, "b")
    assert desk.exchange.busy == set()


def test_memory_is_bounded_and_a_snapshot_is_small() -> None:
    desk = Desk()
    for count in range(2 * KEPT + 5):
        desk.place(order(f"order{count}", side="sell" if count % 2 else "buy"))
        desk.play([FLAT])
    assert KEPT <= len(desk.exchange.fills("main", 0)) <= 2 * KEPT
    assert desk.exchange.lookup("main", "order0") is None
    assert desk.exchange.lookup("main", f"order{KEPT + 5}") is not None
    snapshot = desk.exchange.snapshot("main")
    assert len(snapshot) < 20_000
    desk.exchange.restore("main", snapshot)
    assert desk.exchange.lookup("main", f"order{2 * KEPT + 4}") is not None
    assert desk.exchange.fills("main", 0)[-1].client_id == f"order{2 * KEPT + 4}"


def test_a_restored_account_goes_on_where_it_was() -> None:
    table = [(100.0, 101.0, 99.0, 100.0), (100.0, 101.0, 96.0, 97.0), (97.0, 98.0, 90.0, 91.0)]

    def begin() -> Desk:
        desk = Desk(FEES)
        desk.hold("10")
        stop = order("stop", side="sell", kind="stop", trigger="95", reduce_only=True)
        desk.place(order("resting", kind="limit", price="97"), stop)
        desk.play(table[:1])
        return desk

    whole, cut = begin(), begin()
    again = Desk(FEES)
    again.now = cut.now
    again.exchange.restore("main", cut.exchange.snapshot("main"))
    assert again.exchange.snapshot("main") == cut.exchange.snapshot("main")
    assert again.exchange.busy == cut.exchange.busy
    whole.said.clear()
    for desk in (whole, again):
        desk.play(table[1:])
    assert again.said == whole.said
    assert len(again.fills) == 2
    assert again.exchange.snapshot("main") == whole.exchange.snapshot("main")


def test_restoring_what_is_no_snapshot_says_so() -> None:
    desk = Desk()
    with pytest.raises(ValueError, match="cannot be read"):
        desk.exchange.restore("main", b"junk")
    with pytest.raises(ValueError, match="of account 'main'"):
        desk.exchange.restore("shadow", desk.exchange.snapshot("main"))
    desk.place(order())
    with pytest.raises(ValueError, match="does not list"):
        Desk(instruments=[SPOT]).exchange.restore("main", desk.exchange.snapshot("main"))


def test_the_venue_never_waits() -> None:
    desk = Desk(FREE)
    venue = PaperVenue(desk.exchange, "main", latency_ns=3)

    def step(coroutine: Any) -> Any:
        with pytest.raises(StopIteration) as done:
            coroutine.send(None)
        return done.value.value

    assert step(venue.place(order())) == OrderReport(client_id="a", state="working")
    assert step(venue.lookup(order())).state == "working"
    assert step(venue.state()).open_orders == (OrderReport(client_id="a", state="working", order=order()),)
    assert step(venue.cancel(order())).state == "cancelled"
    assert step(venue.fills(0)) == []
    assert venue.latency_ns == 3
