"""Each law sees what breaks it, and nothing else."""

from decimal import Decimal

from msgspec.structs import replace

from kokex.config import Llm, Risk
from kokex.kernel.cell import ActorStatus
from kokex.market.instruments import parse_symbol
from kokex.messages import (
    Alert,
    Approved,
    Briefing,
    Candle,
    Cycle,
    Decision,
    Edge,
    Fill,
    Funding,
    LlmCall,
    Moment,
    Order,
    OrderUpdate,
    Portfolio,
    Position,
    Readings,
    Refused,
)
from kokex.paper.account import Account
from kokex.paper.matching import Working
from kokex.ports import OrderReport, VenueState
from kokex.simulation import laws
from kokex.simulation.facts import Facts

SOL = "SOL-USDT-SWAP"
INSTRUMENTS = {SOL: parse_symbol(SOL)}
ONE, TEN, HUNDRED = Decimal(1), Decimal(10), Decimal(100)
CANDLE = Candle(SOL, 0, 100.0, 101.0, 99.0, 100.0, 1.0)
EDGE = Edge(
    id=1, at=60, plan="p", instrument=SOL, source="s", kind="signal", score=1.0, value=1.0, close_ns=60, candle=CANDLE
)
CYCLE = Cycle(id=2, cause=1, plan="p", why="signal", instruments=(SOL,), edges=(1,))
DECISION = Decision(
    id=4, cause=2, plan="p", account="main", instrument=SOL, act="open_long", conviction=5, horizon_s=60, price=100.0
)
ORDER = Order(
    client_id="kabc4", account="main", plan="p", instrument=SOL, side="buy", kind="market", size=TEN, decision=4
)
STOP = replace(
    ORDER, client_id="kabc4S1", side="sell", kind="stop", trigger=Decimal(90), reduce_only=True
)  # guards what ORDER opened
APPROVED = Approved(id=5, cause=4, decision=4, account="main", plan="p", instrument=SOL, order=ORDER, stop=Decimal(90))
REFUSED = Refused(id=5, cause=4, decision=4, account="main", plan="p", instrument=SOL, rule="size", reason="")


def intent(order: Order) -> OrderUpdate:
    return OrderUpdate(
        id=6,
        account="main",
        plan="p",
        instrument=SOL,
        client_id=order.client_id,
        state="intent",
        order=order,
        decision=4,
    )


def ended(order: Order) -> OrderUpdate:
    return OrderUpdate(
        id=9, account="main", plan="p", instrument=SOL, client_id=order.client_id, state="filled", decision=4
    )


def fill(order: Order) -> Fill:
    return Fill(
        id=8, account="main", plan="p", instrument=SOL, client_id=order.client_id, trade_id="t1", side=order.side,
        size=TEN, price=HUNDRED, fee=ONE, liquidity="taker", filled_ns=120, decision=4,
    )  # fmt: skip


def portfolio(
    size: Decimal, *, cash: Decimal = Decimal(9_999), fees: Decimal = ONE, mark: Decimal = HUNDRED
) -> Portfolio:
    position = Position(instrument=SOL, size=size, cost=size * HUNDRED, fees=fees, mark=mark)
    return Portfolio(
        account="main", cash=cash, equity=Decimal(10_000), positions=(position,), day_start_equity=Decimal(10_000),
        peak_equity=Decimal(10_000), held={"p": {SOL: size}},
    )  # fmt: skip


def venue(size: Decimal = TEN, *orders: Order, cash: Decimal = Decimal(9_999)) -> Account:
    position = Position(instrument=SOL, size=size, cost=size * HUNDRED, fees=ONE, mark=HUNDRED)
    working = {order.client_id: Working(order, 0, 0.0) for order in orders}
    return Account("main", "margin", cash, {SOL: position}, working)


def known(*rows: object) -> Facts:
    facts = Facts()
    for row in rows:
        facts.learn(row)
    return facts


TRADED = (EDGE, CYCLE, DECISION, APPROVED, intent(ORDER), fill(ORDER), ended(ORDER), portfolio(TEN))


# ---- 1


def test_one_order_for_a_decision_and_its_stops_are_lawful() -> None:
    facts = known(DECISION, APPROVED, intent(ORDER), intent(STOP))
    assert laws.law_1(facts, ORDER) is None
    assert laws.law_1(facts, STOP) is None


def test_a_second_order_for_a_decision_is_not() -> None:
    again = replace(ORDER, client_id="kabc4r")
    assert "second venue order" in (laws.law_1(known(DECISION, APPROVED, intent(ORDER), intent(again)), again) or "")


def test_an_order_that_opens_is_no_stop_whatever_its_name() -> None:
    sneaky = replace(STOP, reduce_only=False)
    assert laws.law_1(known(DECISION, APPROVED, intent(sneaky)), sneaky)


def test_an_order_the_journal_does_not_know_is_not() -> None:
    assert "not in the journal" in (laws.law_1(known(DECISION, APPROVED), ORDER) or "")


# ---- 2


def test_each_has_its_parent_on_record() -> None:
    rows = (EDGE, CYCLE, replace(DECISION, cause=2), APPROVED, intent(ORDER), fill(ORDER))
    facts = Facts()
    for row in rows:
        assert laws.law_2(facts, row) is None
        facts.learn(row)
    for index, row in enumerate(rows[1:], 1):
        assert laws.law_2(known(*rows[: index - 1]), row)


def test_an_edge_of_a_candle_that_has_not_closed_has_none() -> None:
    assert laws.law_2(known(), replace(EDGE, close_ns=61))


def test_nothing_is_sent_before_it_is_on_disk() -> None:
    assert laws.law_2_sent(known(DECISION, APPROVED, intent(ORDER)), ORDER) is None
    assert laws.law_2_sent(known(DECISION, APPROVED), ORDER)


def test_no_amend_is_asked_for_before_it_is_on_disk() -> None:
    amend = replace(intent(replace(STOP, size=ONE)), state="amending")
    assert laws.law_2_amending(known(amend), STOP, ONE) is None
    assert laws.law_2_amending(known(amend), STOP, TEN)
    assert laws.law_2_amending(known(amend, replace(amend, state="working")), STOP, ONE)


# ---- 3


def exposure(
    *, position: Decimal = Decimal(0), size: Decimal = TEN, side: str = "buy", others: tuple[Order, ...] = ()
) -> str | None:
    order = replace(ORDER, size=size, side=side)  # type: ignore[arg-type]
    case = laws.Exposure(
        replace(APPROVED, order=order),
        DECISION,
        portfolio(position),
        {SOL: position},
        [(each, each.size) for each in (order, *others)],
        {},
    )
    limits = Risk(max_position_pct=40, max_exposure_pct=60, max_order_pct=30)
    return laws.law_3(case, limits, INSTRUMENTS, Decimal(3))


def test_an_approval_within_the_limits() -> None:
    assert exposure(size=Decimal(30)) is None
    assert exposure(position=TEN, size=Decimal(25)) is None
    assert exposure(position=TEN, size=Decimal(35), side="sell") is None


def test_one_order_above_its_limit() -> None:
    assert "max_order_pct" in (exposure(size=Decimal(31)) or "")


def test_open_orders_count_as_if_they_had_filled() -> None:
    other = replace(ORDER, client_id="kabc9", size=Decimal(30))
    assert "max_position_pct" in (exposure(size=Decimal(20), others=(other,)) or "")


def test_a_stop_may_fill_before_the_order_that_turns_the_position() -> None:
    assert "max_position_pct" in (exposure(position=Decimal(20), size=Decimal(45), side="sell") or "")


def test_growth_by_price_alone_must_lead_to_something() -> None:
    grown: dict[tuple[str, str], int] = {}

    def above(at: int, facts: Facts) -> str | None:
        return laws.law_3_growth(facts, grown, replace(portfolio(TEN), at=at), Decimal(900), INSTRUMENTS)

    reducing = replace(STOP, trigger=None, kind="market")
    assert above(0, known()) is None
    assert above(laws.GROWN_NS + 1, known(intent(reducing))) is None
    assert above(laws.GROWN_NS + 2, known()) is None
    assert above(3 * laws.GROWN_NS, known())


# ---- 4


def test_position_fees_and_money_agree() -> None:
    assert laws.law_4(known(*TRADED), venue(), INSTRUMENTS) is None


def test_a_lost_fill_shows() -> None:
    assert "sum to 0" in (laws.law_4(known(portfolio(TEN)), venue(), INSTRUMENTS) or "")


def test_a_fill_counted_twice_shows() -> None:
    assert laws.law_4(known(*TRADED[:-1], portfolio(Decimal(20))), venue(), INSTRUMENTS)


def test_lost_funding_shows() -> None:
    paid = Funding(account="main", instrument=SOL, funding_id="f", rate=ONE, amount=ONE, due_ns=0)
    assert "funding" in (laws.law_4(known(*TRADED, paid), venue(), INSTRUMENTS) or "")


def test_a_missing_cent_shows() -> None:
    assert "money" in (laws.law_4(known(*TRADED), venue(cash=Decimal("9999.01")), INSTRUMENTS) or "")


# ---- 5, 6


TRIPPED = Alert(severity="critical", kind="breaker", text="tripped", account="main")
RESET = Alert(severity="info", kind="breaker", text="reset", account="main")


def test_a_tripped_breaker_approves_no_new_risk_until_it_is_reset() -> None:
    assert laws.law_5(known(DECISION, TRIPPED), APPROVED)
    assert laws.law_5(known(DECISION, TRIPPED, RESET), APPROVED) is None
    assert laws.law_5(known(DECISION, TRIPPED), replace(APPROVED, account="other")) is None


def test_exits_are_always_allowed() -> None:
    exit_ = replace(DECISION, act="close")
    assert laws.law_5(known(exit_, TRIPPED), replace(APPROVED, order=replace(ORDER, reduce_only=True))) is None
    assert laws.law_5(known(exit_, TRIPPED), replace(REFUSED, rule="breaker"))
    assert laws.law_5(known(DECISION, TRIPPED), replace(REFUSED, rule="breaker")) is None


def test_llm_calls_stay_within_their_quota() -> None:
    minute, day = 60_000_000_000, 86_400_000_000_000
    quota = Llm(rpm=2, rpd=3, per_24h=4)
    assert laws.law_6([0, 1, minute], quota) is None
    assert "in a minute" in (laws.law_6([0, 1, minute - 1], quota) or "")
    assert laws.law_6([day - 3 * minute, day - minute, day, day + minute], quota) is None
    assert "in a day" in (laws.law_6([day, day + minute, day + 2 * minute, day + 3 * minute], quota) or "")
    assert "in 24 hours" in (laws.law_6([1, minute, day - minute, day - 1, day], quota) or "")
    assert laws.law_6([0] * 99, Llm(rpm=0, rpd=-1)) is None


# ---- 7


def test_a_second_verdict() -> None:
    assert laws.law_7_once(known(DECISION), APPROVED) is None
    assert laws.law_7_once(known(DECISION, REFUSED), APPROVED)


def test_what_ended_does_not_come_to_life() -> None:
    assert laws.law_7_accepted(known(DECISION, APPROVED, intent(ORDER)), ORDER) is None
    assert laws.law_7_accepted(known(*TRADED), ORDER)


def test_nobody_is_told_that_it_did_when_it_did_not() -> None:
    assert laws.law_7_told("working") is None
    assert laws.law_7_told("cancelled")
    assert laws.law_7_told(None)


def test_all_has_ended_but_for_the_stop_of_an_open_position() -> None:
    assert laws.law_7(known(*TRADED, intent(STOP)), venue(TEN, STOP)) is None


def test_a_decision_without_a_verdict() -> None:
    assert "no verdict" in (laws.law_7(known(DECISION), venue()) or "")


def test_an_order_that_only_the_journal_knows() -> None:
    assert "not at the venue" in (laws.law_7(known(DECISION, APPROVED), venue()) or "")


def test_an_order_that_only_the_venue_knows() -> None:
    assert "says it ended" in (laws.law_7(known(*TRADED), venue(TEN, ORDER)) or "")


def test_a_stop_that_guards_nothing() -> None:
    flat = (*TRADED, intent(STOP))
    assert "still works" in (laws.law_7(known(*flat), venue(Decimal(0), STOP)) or "")


def test_every_position_has_its_stop() -> None:
    assert laws.guarded(venue(TEN, STOP), INSTRUMENTS) is None
    assert laws.guarded(venue(Decimal(0)), INSTRUMENTS) is None
    assert laws.guarded(venue(TEN), INSTRUMENTS)
    assert laws.guarded(venue(Decimal(11), STOP), INSTRUMENTS)
    assert laws.guarded(venue(-TEN, STOP), INSTRUMENTS)


def soon(at: int, bare: dict[tuple[str, str], int], here: Decimal, there: Decimal, *stops: Order) -> str | None:
    """Of a position that is `here` by the fills on record and `there` at the venue, the first stop open on record."""
    state = VenueState(
        cash=ONE, positions=(Position(instrument=SOL, size=there, cost=ONE),),
        open_orders=tuple(OrderReport(client_id=each.client_id, state="working", order=each) for each in stops),
    )  # fmt: skip
    facts = known(*TRADED[:5], replace(fill(ORDER), size=here), *(intent(each) for each in stops[:1]))
    return laws.guarded_soon(facts, "main", state, bare, at, INSTRUMENTS)


def test_a_position_on_record_does_not_lack_its_stop_for_long() -> None:
    late = laws.BARE_NS + 1
    small = replace(STOP, size=ONE)
    assert soon(late, {("main", SOL): 0}, TEN, TEN, STOP) is None
    bare: dict[tuple[str, str], int] = {}
    assert soon(0, bare, TEN, TEN, small) is None
    assert "for 9" in (soon(late, bare, TEN, TEN, small) or "")
    assert soon(late, bare, TEN, TEN, small, replace(STOP, client_id="kabc4S2", size=TEN - ONE)) is None
    assert bare == {}
    assert soon(late, {("main", SOL): 0}, TEN, ONE, small) is None  # the rest was sold, and nobody has heard of it


def test_coins_too_few_to_sell_need_none() -> None:
    coins = {SOL: parse_symbol("SOL-USDT")}
    assert laws.guarded(venue(Decimal("0.0009")), coins) is None
    assert laws.guarded(venue(TEN + Decimal("0.0009"), STOP), coins) is None
    assert laws.guarded(venue(Decimal("0.001")), coins)
    assert laws.guarded(venue(TEN + Decimal("0.001"), STOP), coins)


# ---- 8


def test_what_is_decided_is_decided_on_a_late_close_and_in_time() -> None:
    made = replace(DECISION, at=100, deadline_ns=100)
    assert laws.law_8(known(), made, [101.0, 100.0], {""}) is None
    assert "no late close" in (laws.law_8(known(), made, [101.0], {""}) or "")
    assert "after its deadline" in (laws.law_8(known(), replace(made, at=101), [100.0], {""}) or "")
    assert laws.law_8(known(), replace(made, act="hold"), [], {""}) is None
    assert laws.law_8(known(), replace(made, act="close"), [], {""})
    assert laws.law_8(known(), replace(made, act="close", by="person"), [], {""}) is None
    assert laws.law_8(known(), replace(made, by="person"), [], {""})


def test_garbage_means_hold() -> None:
    said = LlmCall(
        call=3, state="ok", purpose="scheduled", provider="p", model="m", within_s=1.0, usd=Decimal(0),
        begun=Moment(0, 0, ""), answer='{"type": "reply", "text": "{}", "stop": "end", "model": "m"}',
    )  # fmt: skip
    wanted = replace(DECISION, by="llm", call=3)
    assert "an answer that was none" in (laws.law_8(known(said), wanted, [100.0], {"", "{}"}) or "")
    assert laws.law_8(known(said), replace(wanted, act="hold"), [100.0], {"", "{}"}) is None
    assert laws.law_8(known(said), wanted, [100.0], {""}) is None
    assert laws.law_8(known(), wanted, [100.0], {""}), "nobody has answered"


def test_no_new_risk_on_a_decision_past_its_deadline() -> None:
    made = replace(DECISION, deadline_ns=100)
    assert laws.law_8_approved(made, replace(APPROVED, at=100)) is None
    assert laws.law_8_approved(made, replace(APPROVED, at=101))
    assert laws.law_8_approved(made, replace(APPROVED, at=101, order=STOP)) is None


# ---- 9, 10, 11


def test_draining_sends_exits_only() -> None:
    assert laws.law_9_sent(draining=False, order=ORDER) is None
    assert laws.law_9_sent(draining=True, order=STOP) is None
    assert laws.law_9_sent(draining=True, order=ORDER)


def test_an_end_takes_no_longer_than_allowed() -> None:
    assert laws.law_9(5.0, 5.0) is None
    assert laws.law_9(5.1, 5.0)


def test_after_the_faults_everybody_lives() -> None:
    calm = ActorStatus("risk", "running", 0, 3, 0, 1, "", 0)
    seen = Readings(plan="p", instrument=SOL, close_ns=7, price=100.0, values={}, signals={})
    told = Briefing(
        at=8, plan="p", account="main", cycle=2, instruments=(SOL,), readings=(seen,), forecasts=(), held={},
        equity=TEN, deadline_ns=0,
    )  # fmt: skip
    assert laws.law_10([calm], {"p": told}, 7) is None
    assert laws.law_10([replace(calm, waiting=1)], {"p": told}, 7)
    assert laws.law_10([replace(calm, state="backoff")], {"p": told}, 7)
    assert "no cycle" in (laws.law_10([calm], {"p": replace(told, at=6)}, 7) or "")
    assert "no cycle" in (laws.law_10([calm], {"p": None}, 7) or "")
    assert "no candle" in (laws.law_10([calm], {"p": replace(told, readings=(replace(seen, close_ns=6),))}, 7) or "")


def test_after_the_faults_alerts_arrive() -> None:
    alert = Alert(severity="info", kind="schedule", text="paused")
    assert laws.law_10_told([alert], ["fill: other", "[shadow] schedule: paused"]) is None
    assert laws.law_10_told([alert], ["fill: other"])


def test_the_same_seed_makes_the_same_trace() -> None:
    assert laws.law_11("a", "a") is None
    assert laws.law_11("a", "b")
