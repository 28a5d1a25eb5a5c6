"""What cannot be seen from a backtest: orders that a clock or a person led to."""

from decimal import Decimal

from kokex.messages import Approved, Briefing, Candle, Command, Cycle, Decision, Message, Order, Readings, Remark, Turn
from kokex.present.why import steps

CANDLE = Candle("BTC-USDT-SWAP", 60_000_000_000, 60_000.0, 60_020.0, 59_990.0, 60_010.0, 12.5)
CLOSED_NS = 120_000_000_000
ORDER = Order(
    client_id="kabc", account="main", plan="main", instrument="BTC-USDT-SWAP", side="buy", kind="market",
    size=Decimal(50), decision=4,
)  # fmt: skip


def decision(by: str) -> Decision:
    return Decision(
        id=4, cause=3, at=CLOSED_NS, plan="main", account="main", instrument="BTC-USDT-SWAP", act="open_long",
        conviction=4, horizon_s=60, price=60_010.0, by=by, reasons=("trend: up",),
    )  # fmt: skip


def approved(stop: str | None = None) -> Approved:
    return Approved(
        id=5, cause=4, decision=4, account="main", plan="main", instrument="BTC-USDT-SWAP",
        order=ORDER, stop=None if stop is None else Decimal(stop),
    )  # fmt: skip


def timed() -> list[Message]:
    reading = Readings(
        plan="main", instrument="BTC-USDT-SWAP", close_ns=CLOSED_NS, price=60_010.0, values={"rsi": 71.2}, signals={}
    )
    briefing = Briefing(
        id=3, cause=2, plan="main", account="main", cycle=2, instruments=("BTC-USDT-SWAP",), readings=(reading,),
        forecasts=(), held={}, equity=Decimal(50_000), deadline_ns=0,
    )  # fmt: skip
    return [Cycle(id=2, plan="main", why="first", instruments=("BTC-USDT-SWAP",)), briefing, decision("rules")]


def test_a_timed_decision_ends_at_the_candle_the_brain_looked_at() -> None:
    assert steps(timed(), {}, [CANDLE])[-1].what == (
        "BTC-USDT-SWAP, 1 min 00 s from 1970-01-01T00:01:00Z: open 60000 high 60020 low 59990 close 60010 volume 12.5"
    )
    forgotten = steps(timed(), {})[-1]
    assert (forgotten.step, forgotten.at, forgotten.what) == ("candle", CLOSED_NS, "BTC-USDT-SWAP closed at 60010")


def test_a_verdict_says_what_it_was_worth_and_what_the_stop_would_cost() -> None:
    words = {step.step: step.what for step in steps([*timed(), approved("59410")], {"max_order_pct": 30.0})}
    assert words["verdict"] == (
        "approved: buy 50 BTC-USDT-SWAP market; worth 30005, 60.01 % of the equity; "
        "protective stop at 59410, where it would have lost 300, 0.60 % of the equity"
    )
    assert words["limits"] == "one order at most 30 % of the free cash"


def test_a_persons_order_begins_with_what_the_person_said() -> None:
    said = Command(id=1, verb="buy", args={"instrument": "BTC-USDT-SWAP", "size": "50"}, by="local")
    told = steps([said, decision("person"), approved()], {})
    assert [step.step for step in told] == ["verdict", "decision", "command"]
    assert told[-1].what == "local said: buy instrument=BTC-USDT-SWAP size=50"
    assert told[1].what.startswith("a person wanted to go long in BTC-USDT-SWAP")


def test_an_order_that_the_agent_prepared_begins_with_the_question() -> None:
    asked = Remark(id=1, conversation=3, by="telegram 7", turn=Turn(role="user", text="buy\x1b[2J\nsome"))
    said = Command(id=2, cause=1, verb="buy", args={"size": "50"}, by="telegram 7")
    told = steps([asked, said, decision("person"), approved()], {})
    assert told[-1].what == "telegram 7 asked for it in conversation 3: buy[2J some"
