"""The tree and the wires: they fit the actors, and read like the picture."""

from decimal import Decimal
from typing import get_args

from kokex.adapters.host.chance import Random
from kokex.adapters.sqlite.rows import WRITERS
from kokex.config import Account, Config
from kokex.kernel.system import System
from kokex.kernel.wires import ANYONE, KERNEL, OUTSIDE, TAP
from kokex.market.instruments import parse_symbol
from kokex.messages import (
    Alarm,
    Alert,
    AnyMessage,
    Approved,
    Briefing,
    Candles,
    Command,
    Cycle,
    Decision,
    Edge,
    Fill,
    Link,
    Mark,
    Message,
    OrderUpdate,
    Portfolio,
    Readings,
    Standing,
)
from kokex.paper.exchange import Exchange
from kokex.paper.matching import Rules
from kokex.paper.venue import PaperVenue
from kokex.topology import CHAT_WIRES, JOURNALED, JOURNALED_POSTS, PEOPLE_WIRES, Ports, build
from kokex.topology import WIRES as TRADING_WIRES
from tests.actors.desk import Deaf, memory

WIRES = [*TRADING_WIRES, *PEOPLE_WIRES]
ACCOUNTS = (Account(name="main", cash=Decimal(1000)), Account(name="shadow", cash=Decimal(1000)))
MARKET_DATA = {"Candles", "Quote", "Book", "Mark", "Alarm", "Readings", "Sample", "Standing"}
# What a model was asked stands in its LlmCall, words in an Answer or a Remark; of a preview nothing comes.
OWN_RECORD = {"Prompt", "Allowance", "Notice", "Preview", "Spoken"}


def unheard(actor: str, message: Message) -> None:
    """Nothing is posted before the start."""


def system() -> System:
    """The daemon's, with two accounts. Building it checks the wires."""
    config = Config()
    instruments = [parse_symbol(symbol) for symbol in config.market.symbols]
    exchange = Exchange(instruments, Rules(), lambda: 0, unheard)
    for account in ACCOUNTS:
        exchange.open_account(account.name, account.cash, account.kind)
    ports = Ports(
        store=memory(),
        venues={account.name: PaperVenue(exchange, account.name, 0) for account in ACCOUNTS},
        chance=Random,
        control=Deaf(),
    )
    return build(config, config.resolved_plans(), ACCOUNTS, instruments, ports, base_ns=config.market.span_ns)


def test_the_wires_fit_the_actors_and_the_tree_starts_from_the_record_to_the_people() -> None:
    assert list(system().cells) == [
        "journal", "notifier",
        "portfolio[main]", "executor[main]", "risk[main]", "portfolio[shadow]", "executor[shadow]", "risk[shadow]",
        "llm", "brain", "forecaster", "news", "scheduler", "trainer", "indicator", "feed", "agent", "control",
    ]  # fmt: skip


def readers(source: str, message: type) -> set[str]:
    return {w.target for w in WIRES if w.source == source and w.message is message and w.policy.kind != "ask"}


def test_it_reads_like_the_picture() -> None:
    down = [
        ("feed", Candles, "indicator"), ("indicator", Edge, "scheduler"), ("indicator", Readings, "scheduler"),
        ("scheduler", Cycle, "indicator"), ("indicator", Standing, "forecaster"), ("forecaster", Briefing, "brain"),
        ("brain", Decision, "risk"), ("risk", Approved, "executor"),
    ]  # fmt: skip
    assert [(source, message) for source, message, target in down if target not in readers(source, message)] == []
    assert readers("executor", Fill) == {"portfolio", "brain", "notifier"}
    assert readers("portfolio", Portfolio) == {"risk", "forecaster", "control"}
    assert readers("control", Decision) == {"risk"}
    assert readers(ANYONE, Alert) == {"notifier"}


def test_only_what_flows_back_goes_up_and_it_never_blocks() -> None:
    """Rank by rank down the picture; an arrow upwards on a blocking wire could stop the whole."""
    ranks = ["feed", "indicator", "scheduler", "forecaster", "brain", "risk", "executor", "portfolio"]
    upwards = [
        wire
        for wire in WIRES
        if {wire.source, wire.target} <= set(ranks)
        and wire.policy.kind != "ask"
        and ranks.index(wire.source) > ranks.index(wire.target)
    ]
    assert {wire.message for wire in upwards} <= {Cycle, Fill, OrderUpdate, Portfolio, Link, Alarm}
    assert {wire.policy.kind for wire in upwards} <= {"fail", "conflate"}


def test_nobody_outside_is_made_to_wait() -> None:
    assert {wire.policy.kind for wire in WIRES if wire.source == OUTSIDE} == {"fail"}
    assert {wire.message for wire in WIRES if wire.source == OUTSIDE and wire.target == "control"} == {Command}


def test_what_concerns_an_account_goes_to_that_account_alone() -> None:
    per_account = {"portfolio", "executor", "risk"}
    into = [w for w in WIRES if w.target in per_account and w.source != OUTSIDE and w.policy.kind != "ask"]
    assert [f"{w.source} {w.message.__name__}" for w in into if w.by != "account"] == []


def test_every_message_that_somebody_sends_has_a_reader_or_is_for_the_record() -> None:
    cells = system().cells.values()
    for cell in cells:
        for message in cell.child.kind.emits:
            wires = [w for w in WIRES if w.message is message and w.source in {cell.child.name, ANYONE}]
            assert wires, f"{cell.name} sends {message.__name__} to nobody"
    wired = {w.message.__name__ for w in (*WIRES, *CHAT_WIRES)}
    assert {kind.__name__ for kind in get_args(AnyMessage)} - wired == {"Quote", "Book"}  # of live venues, to come


def test_the_journal_has_every_message_from_edge_on_and_no_market_data() -> None:
    every = {kind.__name__ for kind in get_args(AnyMessage)}
    assert {kind.__name__ for kind in JOURNALED} == every - MARKET_DATA - OWN_RECORD


def test_the_store_keeps_all_that_is_journaled() -> None:
    assert WRITERS.keys() >= JOURNALED | JOURNALED_POSTS


def test_the_kernel_tells_of_lifecycles_and_the_tap_alone_reads_forecasts_and_answers() -> None:
    assert [w.target for w in WIRES if w.source == KERNEL] == ["notifier"]
    assert [w.message.__name__ for w in WIRES if w.target == TAP] == ["Forecast", "LlmCall", "Answer", "Remark"]


def test_marks_answer_alarms() -> None:
    assert {w.source for w in WIRES if w.message is Alarm} == {w.target for w in WIRES if w.message is Mark}
