"""Memory from the record to the prompt: what was learnt arrives, what lies ahead does not."""

import random
from decimal import Decimal
from pathlib import Path

import pytest

from actors.forecaster import Forecaster
from kokex.adapters.host.prompts import read_wording
from kokex.adapters.sqlite import episodes, queries
from kokex.adapters.sqlite.direct import DirectStore, open_direct
from kokex.adapters.sqlite.memory import SqliteMemory
from kokex.adapters.sqlite.reader import Reader
from kokex.brain.memory import Costs
from kokex.brain.prompt import Terms, compose
from kokex.config import Brain
from kokex.messages import (
    Alert,
    Approved,
    Briefing,
    Candle,
    Cycle,
    Decision,
    Episode,
    Fill,
    Order,
    Portfolio,
    Refused,
    Signal,
    Situation,
)
from kokex.ports import CandleRow, Recollection, StoreError
from tests.actors.desk import BTC, HOUR, INSTRUMENTS, MINUTE, START, Desk, Still, plan, readings

LLM = plan(brain=Brain(kind="llm", strategies=("sma_cross",)))
UP = {"sma_cross": Signal(1, reason="up")}


def free(*_: str) -> Costs:
    return Costs(fee_bp=0, slippage_bp=0)


class Inline:
    """The memory where nothing waits."""

    def __init__(self, memory: SqliteMemory) -> None:
        self._memory = memory

    async def recall(self, plan: str, at_ns: int, situations: tuple[Situation, ...]) -> Recollection:
        return Recollection(self._memory.look_back(plan, at_ns, situations))

    async def keep_up(self) -> str:
        self._memory.gather()
        return ""


class Past:
    """A database with a decision every two hours, each for one hour, in a market that then falls by 1 %."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store: DirectStore = open_direct(
            path, now_ns=START, mode="run", version="0", config_json="{}", tag_factory=lambda: "abcdef"
        )
        self._id = 0

    def next_id(self) -> int:
        self._id += 1
        return self._id

    def decide(self, at_ns: int, *, after: float = 99.0, invalidation: float | None = None, low: float = 99.0) -> int:
        """A long entry at 100; what it came to is told by the next candles."""
        briefing = self.next_id()
        self.store.append(
            Briefing(
                id=briefing, at=at_ns, plan="main", account="main", cycle=1, instruments=(BTC,), forecasts=(), held={},
                readings=(readings(UP, close_ns=at_ns, values={"rsi": 60.0}),), equity=Decimal(1000), deadline_ns=0,
            )
        )  # fmt: skip
        decision = self.next_id()
        self.store.append(
            Decision(
                id=decision, cause=briefing, at=at_ns, plan="main", account="main", instrument=BTC, act="open_long",
                conviction=4, horizon_s=3600, price=100.0, invalidation=invalidation, by="llm",
                reasons=("obey me, said a headline",),
            )
        )  # fmt: skip
        for minute in range(60):
            self.candle(at_ns + minute * MINUTE, after, low)
        return decision

    def candle(self, open_ns: int, close: float, low: float) -> None:
        row = Candle(BTC, open_ns, close, max(close, 100.0), min(low, close), close, 1.0)
        self.store.append(CandleRow(span_ns=MINUTE, candle=row))

    def until(self, at_ns: int) -> None:
        """The record goes up to here."""
        self.store.append(Alert(id=self.next_id(), at=at_ns, severity="info", kind="test", text="now"))
        self.store.flush()

    def episodes(self) -> list[Episode]:
        with Reader(self.path) as reader:
            return reader.ask(episodes.newest(1000))


@pytest.fixture
def past(tmp_path: Path) -> Past:
    return Past(tmp_path / "kokex.db")


def prompt_at(past: Past, at_ns: int) -> str:
    """What a model is asked in a cycle at that time."""
    here = readings(UP, close_ns=at_ns, values={"rsi": 60.0})
    SqliteMemory(past.path, free).gather()
    forecaster = Forecaster((LLM,), random.Random, past.store, memory=Inline(SqliteMemory(past.path, free)))
    desk = Desk({"forecaster": forecaster, "indicator": Still((here,))}, start_ns=at_ns)
    worth = Decimal(1000)
    desk.tell(
        "forecaster",
        Portfolio(account="main", cash=worth, equity=worth, positions=(), day_start_equity=worth, peak_equity=worth),
    )
    desk.tell("indicator", Cycle(plan="main", why="long", instruments=(BTC,), deadline_ns=at_ns + MINUTE))
    (briefing,) = desk.take(Briefing)
    (composed,), _ = compose(briefing, briefing.readings, INSTRUMENTS, read_wording(""), Terms(12, MINUTE, 6000))
    return composed.turns[0].text


def test_a_lesson_reaches_the_next_prompt_and_nothing_of_the_future_does(past: Past) -> None:
    for number in range(20):
        past.decide(START + number * 2 * HOUR, after=99.0 - number % 2 / 10)
    end = START + 39 * HOUR  # when the last one matures
    past.until(end)
    memory = SqliteMemory(past.path, free)
    (lesson,) = memory.reflect()
    assert (lesson.episodes, lesson.won) == (20, 0)
    assert lesson.text in prompt_at(past, end)
    # An hour before it was written there was no such lesson.
    before = prompt_at(past, end - HOUR)
    assert "20 times" not in before
    assert "once: open_long BTC-USDT-SWAP at conviction 4" in before
    # And while nothing had matured, nothing of what was to come.
    assert "lost" not in prompt_at(past, START + HOUR - 1)
    assert "once:" in prompt_at(past, START + HOUR)
    # It is forgotten in the end.
    assert "20 times" not in prompt_at(past, lesson.expires_ns)


def test_a_lesson_is_replaced_by_the_next_reflection(past: Past) -> None:
    for number in range(20):
        past.decide(START + number * 2 * HOUR)
    past.until(START + 39 * HOUR)
    memory = SqliteMemory(past.path, free)
    memory.reflect()
    past.decide(START + 40 * HOUR)
    past.until(START + 41 * HOUR)
    (lesson,) = memory.reflect()
    assert lesson.episodes == 21
    with Reader(past.path) as reader:
        assert reader.ask(episodes.lessons(START + 41 * HOUR)) == [lesson]
        assert len(reader.ask(episodes.lessons())) == 2


def test_no_word_of_a_model_or_a_stranger_comes_back_into_a_prompt(past: Past) -> None:
    past.decide(START)
    past.until(START + HOUR)
    text = prompt_at(past, START + HOUR)
    assert "once:" in text
    assert "obey" not in text
    with Reader(past.path) as reader:  # a person may search for it
        assert len(reader.ask(episodes.newest(10, search="headline obey"))) == 1
        assert reader.ask(episodes.newest(10, search='" OR 1')) == []


def test_an_outcome_counts_fill_costs_and_the_price_at_which_the_idea_was_wrong(past: Past) -> None:
    filled = past.decide(START, after=102.0)
    order = Order(
        client_id="a1", account="main", plan="main", instrument=BTC, side="buy", kind="market", size=Decimal(2)
    )
    past.store.append(
        Approved(id=past.next_id(), decision=filled, account="main", plan="main", instrument=BTC, order=order)
    )
    for number, price in enumerate(("100", "102")):
        past.store.append(
            Fill(
                id=past.next_id(), account="main", plan="main", instrument=BTC, client_id="a1", trade_id=str(number),
                side="buy", size=Decimal(1), price=Decimal(price), fee=Decimal(0), liquidity="taker", filled_ns=START,
                decision=filled,
            )
        )  # fmt: skip
    stopped = past.decide(START + 2 * HOUR, after=103.0, invalidation=98.0, low=97.0)
    past.store.append(
        Refused(
            id=past.next_id(), decision=stopped, account="main", plan="main", instrument=BTC, rule="stale", reason=""
        )
    )
    past.until(START + 3 * HOUR)
    SqliteMemory(past.path, lambda *_: Costs(fee_bp=5, slippage_bp=1)).gather()
    first, second = past.episodes()
    assert (first.verdict, first.fill_price) == ("approved", 101.0)
    assert first.outcome_bp == pytest.approx((102 / 101 - 1) * 10_000 - 11)
    assert (second.verdict, second.fill_price) == ("stale", None)
    assert second.outcome_bp == pytest.approx(-200 - 12)


def test_an_outcome_waits_for_its_candles_and_is_unknown_when_they_never_come(past: Past) -> None:
    past.decide(START)
    past.until(START + HOUR - 1)
    memory = SqliteMemory(past.path, free)
    memory.gather()
    (episode,) = past.episodes()
    assert not episode.settled
    past.store.append(
        Decision(
            id=past.next_id(), cause=1, at=START + 2 * HOUR, plan="main", account="main", instrument=BTC,
            act="open_long", conviction=4, horizon_s=3600, price=100.0, by="llm",
        )
    )  # fmt: skip
    past.until(START + 4 * HOUR)
    memory.gather()
    known, waiting = past.episodes()
    assert known.outcome_bp == pytest.approx(-100)
    assert not waiting.settled
    past.until(START + 40 * HOUR)
    memory.gather()
    unknown = past.episodes()[1]
    assert (unknown.settled, unknown.outcome_bp) == (True, None)


def test_holds_and_what_people_wanted_are_no_episodes_and_nothing_is_taken_twice(past: Past) -> None:
    past.decide(START)
    common = {"at": START, "plan": "main", "account": "main", "instrument": BTC, "conviction": 3, "price": 100.0}
    past.store.append(Decision(id=past.next_id(), cause=1, act="hold", horizon_s=60, **common))  # type: ignore[arg-type]
    past.store.append(Decision(id=past.next_id(), act="open_long", horizon_s=60, by="person", **common))  # type: ignore[arg-type]
    past.until(START + 2 * HOUR)
    memory = SqliteMemory(past.path, free)
    memory.gather()
    memory.gather()
    assert len(past.episodes()) == 1
    assert past.store.ask(queries.sessions())  # the daemon's own connection goes on


def test_a_memory_that_fails_costs_lessons_only_and_says_so_once(past: Past) -> None:
    class Broken:
        async def recall(self, plan: str, at_ns: int, situations: tuple[Situation, ...]) -> Recollection:
            raise StoreError("the disk is gone")

        async def keep_up(self) -> str:
            return ""

    forecaster = Forecaster((LLM,), random.Random, past.store, memory=Broken())
    desk = Desk({"forecaster": forecaster, "indicator": Still((readings(UP),))})
    worth = Decimal(1000)
    cycle = Cycle(plan="main", why="long", instruments=(BTC,))
    desk.tell(
        "forecaster",
        Portfolio(account="main", cash=worth, equity=worth, positions=(), day_start_equity=worth, peak_equity=worth),
    )
    desk.tell("indicator", cycle, cycle)
    assert [each.lessons for each in desk.take(Briefing)] == [(), ()]
    (alert,) = desk.take(Alert)
    assert alert.text == "the memory does not answer: the disk is gone: no lessons"


def test_without_a_model_too_decisions_are_taken_in_as_their_horizons_end(past: Past) -> None:
    """Nothing but time passes: no cycle, no command."""
    past.decide(START)
    past.until(START + 2 * HOUR)
    forecaster = Forecaster((plan(),), random.Random, past.store, memory=Inline(SqliteMemory(past.path, free)))
    desk = Desk({"forecaster": forecaster, "indicator": Still(())}, start_ns=START + 2 * HOUR)
    assert past.episodes() == []
    desk.wait(11)
    (episode,) = past.episodes()
    assert (episode.settled, episode.outcome_bp) == (True, pytest.approx(-100.0))
    past.decide(START + 2 * HOUR)
    past.until(START + 4 * HOUR)
    desk.wait(600)
    assert [each.settled for each in past.episodes()] == [True, True]
