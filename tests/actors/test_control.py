"""control: what people command, and that each command is answered."""

from decimal import Decimal
from typing import Any

import pytest

from actors.control import Controller
from actors.trading import PRICE_S
from kokex.adapters.sqlite.direct import DirectStore
from kokex.kernel.actor import DEFERRED, Actor
from kokex.kernel.cell import ActorStatus
from kokex.messages import Approved, Command, Decision, Order, Portfolio, Position, Preview, Readings, Refused
from tests.actors.desk import BTC, ETH, INSTRUMENTS, SECOND, SPOT, START, Desk, Still, memory, plan, readings

PLANS = (plan("one", instruments=(BTC, ETH)), plan("two", instruments=(BTC,)))


class Obliging(Actor):
    """Says what it was asked."""

    def __init__(self, name: str) -> None:
        self.name = name

    def on_command(self, command: Command) -> Any:
        return {"by": self.name, "verb": command.verb, **command.args}

    def on_preview(self, preview: Preview) -> Any:
        return {"by": self.name, "act": preview.decision.act, "size": preview.decision.size}


class Mute(Actor):
    """Never answers."""

    def on_command(self, _: Command) -> Any:
        return DEFERRED


class Answers:
    """The socket."""

    def __init__(self) -> None:
        self.last: Any = None

    def answer(self, request: int, body: object) -> None:
        assert request == 1
        assert self.last is None, "answered twice"
        self.last = body


class Counter:
    """People at a desk: what they say, what they hear."""

    def __init__(
        self,
        *,
        scheduler: Actor | None = None,
        told: tuple[Readings, ...] | None = None,
        store: DirectStore | None = None,
    ) -> None:
        self._answers = Answers()
        status = [ActorStatus("feed", "running", 0, 1, 0, 0, "", START)]
        self.indicator = Still((readings(values={"atr": 2.0}),) if told is None else told)
        control = Controller(PLANS, INSTRUMENTS, self._answers, lambda: status, store or memory())
        self.desk = Desk(
            {
                "indicator": self.indicator,
                "scheduler": scheduler or Obliging("scheduler"),
                "executor": Obliging("executor"),
                "risk": Obliging("risk"),
                "control": control,
            }
        )
        if store is None:
            self.desk.tell("control", portfolio())

    def say(self, verb: str, **args: str) -> Any:
        self._answers.last = None
        self.desk.tell("control", Command(verb=verb, args=args, request=1, by="alice"))
        return self._answers.last

    def hear(self) -> Any:
        heard, self._answers.last = self._answers.last, None
        return heard


def portfolio() -> Portfolio:
    position = Position(instrument=BTC, size=Decimal(3), cost=Decimal(300), mark=Decimal(100))
    flat = Position(instrument=ETH, size=Decimal(0), cost=Decimal(0))
    return Portfolio(
        account="main", cash=Decimal(900), equity=Decimal(1000), positions=(position, flat),
        day_start_equity=Decimal(1000), peak_equity=Decimal(1000), held={"two": {BTC: Decimal(3)}},
    )  # fmt: skip


# ---- questions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "who"),
    [
        ("pause", "scheduler"), ("resume", "scheduler"), ("cycle", "scheduler"), ("schedule", "scheduler"),
        ("plans_start", "scheduler"), ("plans_stop", "scheduler"), ("cancel", "executor"), ("orders", "executor"),
        ("reset", "risk"), ("limits", "risk"),
    ],
)  # fmt: skip
def test_a_question_goes_to_whoever_knows_and_the_answer_comes_back(verb: str, who: str) -> None:
    assert Counter().say(verb, plan="one") == {"by": who, "verb": verb, "plan": "one"}


def test_balance_and_positions_are_the_accounts_without_what_is_flat() -> None:
    (account,) = Counter().say("positions")["accounts"]
    assert account["equity"] == "1000"
    assert [position["instrument"] for position in account["positions"]] == [BTC]


def test_status_is_the_schedule_the_accounts_and_the_actors() -> None:
    answer = Counter().say("status")
    assert answer["now_ns"] == START
    assert [actor["name"] for actor in answer["actors"]] == ["feed"]
    assert [account["account"] for account in answer["accounts"]] == ["main"]


def test_a_question_that_nobody_answers_is_answered_with_that() -> None:
    counter = Counter(scheduler=Mute())
    assert counter.say("pause") is None
    counter.desk.wait(10)
    assert counter.hear() == {"error": "scheduler did not answer in time"}
    counter.say("status")
    counter.desk.wait(10)
    assert "did not answer" in counter.hear()["error"]


@pytest.mark.parametrize(
    ("verb", "args", "error"),
    [
        ("dance", {}, "unknown command 'dance'"),
        ("balance", {"account": "x"}, "there is no account 'x'; there are: main"),
        ("reset", {"account": "x"}, "there is no account 'x'; there are: main"),
        ("buy", {"instrument": "DOGE"}, f"unknown instrument 'DOGE'; traded here: {BTC}, {ETH}, {SPOT}"),
        ("buy", {}, "unknown instrument ''"),
        ("buy", {"instrument": SPOT}, f"no plan trades {SPOT} in account main"),
        ("buy", {"instrument": BTC, "plan": "x"}, "there is no plan 'x'; there are: one, two"),
        ("buy", {"instrument": ETH, "plan": "two"}, f"plan two does not trade {ETH} in account main"),
        ("buy", {"instrument": BTC, "size": "much"}, "size 'much' is not a number above zero"),
        ("sell", {"instrument": BTC, "size": "-1"}, "size '-1' is not a number above zero"),
        ("sell", {"instrument": BTC, "size": "NaN"}, "size 'NaN' is not a number above zero"),
        ("buy", {"instrument": BTC, "limit": "0"}, "limit '0' is not a number above zero"),
    ],
)
def test_what_cannot_be_done_as_asked_is_an_error_that_helps(verb: str, args: dict[str, str], error: str) -> None:
    counter = Counter()
    assert error in counter.say(verb, **args)["error"]
    assert counter.desk.take(Decision) == []


def test_a_price_is_that_of_the_last_close_with_its_readings() -> None:
    told = Counter().say("price", instrument=BTC)
    assert (told["price"], told["close_ns"], told["values"]) == (100.0, START, {"atr": 2.0})
    assert "unknown instrument" in Counter().say("price", instrument="DOGE")["error"]


# ---- what moves money --------------------------------------------------------------------------


def test_a_proposal_asks_risk_and_decides_nothing() -> None:
    counter = Counter()
    told = counter.say("propose", act="sell", instrument=BTC, size="0.5")
    assert told == {"by": "risk", "act": "open_short", "size": "0.5"}
    assert counter.desk.take(Decision) == []
    assert "act 'reset' is none of buy, sell, close" in counter.say("propose", act="reset", instrument=BTC)["error"]


def test_a_trade_is_a_decision_by_a_person() -> None:
    counter = Counter()
    assert counter.say("buy", instrument=BTC, size="0.5", limit="99.5", plan="one") is None  # the verdict is to come
    (decision,) = counter.desk.take(Decision)
    assert (decision.plan, decision.account, decision.instrument, decision.act) == ("one", "main", BTC, "open_long")
    assert (decision.size, decision.limit, decision.price, decision.atr) == (Decimal("0.5"), Decimal("99.5"), 100, 2)
    assert (decision.by, decision.reasons) == ("person", ("buy by alice",))


@pytest.mark.parametrize(("verb", "act"), [("buy", "open_long"), ("sell", "open_short"), ("close", "close")])
def test_the_plan_is_the_one_that_holds_the_position(verb: str, act: str) -> None:
    counter = Counter()
    counter.say(verb, instrument=BTC)
    (decision,) = counter.desk.take(Decision)
    assert (decision.act, decision.plan, decision.size) == (act, "two", None)


def test_the_verdict_comes_back_to_whoever_asked_once() -> None:
    counter = Counter()
    counter.say("close", instrument=BTC)
    (decision,) = counter.desk.take(Decision)
    order = Order(
        client_id="k1", account="main", plan="two", instrument=BTC, side="sell", kind="market", size=Decimal(3)
    )
    yes = Approved(decision=decision.id, account="main", plan="two", instrument=BTC, order=order)
    counter.desk.tell("control", yes)
    answer = counter.hear()
    assert (answer["verdict"], answer["decision"]) == ("approved", decision.id)
    assert (answer["order"]["client_id"], answer["order"]["size"]) == ("k1", "3")
    counter.desk.tell("control", yes)
    counter.desk.wait(60)
    assert counter.hear() is None


def test_a_refusal_names_the_rule() -> None:
    counter = Counter()
    counter.say("buy", instrument=BTC)
    (decision,) = counter.desk.take(Decision)
    no = Refused(
        decision=decision.id, account="main", plan="two", instrument=BTC, rule="breaker", reason="lost 3 % today"
    )
    counter.desk.tell("control", no)
    assert counter.hear() == {
        "verdict": "refused", "decision": decision.id, "rule": "breaker", "error": "lost 3 % today",
    }  # fmt: skip


def test_a_verdict_on_somebody_elses_decision_is_nobodys_answer() -> None:
    counter = Counter()
    counter.desk.tell("control", Refused(decision=99, account="main", plan="", instrument=BTC, rule="", reason=""))
    assert counter.hear() is None


def test_without_a_verdict_the_person_is_told_so() -> None:
    counter = Counter()
    counter.say("buy", instrument=BTC)
    counter.desk.wait(10)
    assert "no verdict" in counter.hear()["error"]


@pytest.mark.parametrize("before", [(), (readings(close_ns=START - 3600 * SECOND),)], ids=["none", "stale"])
def test_a_trade_waits_for_a_price_and_is_done_once_at_it(before: tuple[Readings, ...]) -> None:
    counter = Counter(told=before)
    assert counter.say("buy", instrument=BTC, size="0.5") is None
    counter.desk.wait(PRICE_S - 1)
    assert counter.desk.take(Decision) == []
    counter.indicator.say(readings(price=101.0))
    counter.desk.wait(PRICE_S)
    (decision,) = counter.desk.take(Decision)
    assert (decision.price, decision.size) == (101.0, Decimal("0.5"))


def test_a_trade_that_waited_in_vain_is_answered_and_never_done() -> None:
    counter = Counter(told=())
    assert counter.say("close", instrument=BTC) is None
    counter.desk.wait(PRICE_S + 1)
    assert counter.hear() == {
        "error": f"no price of {BTC} has come; nothing was done, ask again when there is one",
    }  # fmt: skip
    counter.indicator.say(readings())
    counter.desk.wait(60)
    assert (counter.desk.take(Decision), counter.hear()) == ([], None)


def test_nothing_is_opened_at_a_stale_price_but_closing_is_always_allowed() -> None:
    counter = Counter()
    counter.desk.wait(121)
    counter.say("buy", instrument=BTC)
    counter.desk.wait(PRICE_S + 1)
    assert "no fresh price" in counter.hear()["error"]
    counter.say("close", instrument=BTC)
    assert [decision.act for decision in counter.desk.take(Decision)] == ["close"]


def test_after_a_restart_it_knows_the_accounts_from_the_record() -> None:
    store = memory()
    store.append(portfolio())
    (account,) = Counter(store=store).say("balance")["accounts"]
    assert account["account"] == "main"
