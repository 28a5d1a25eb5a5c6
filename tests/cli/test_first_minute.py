"""The shipped configuration, market after market: what a newcomer sees in the first minute."""

from decimal import Decimal
from pathlib import Path

import pytest

from kokex.adapters.host.chance import Random
from kokex.adapters.sqlite.direct import open_direct
from kokex.cli.market import instruments_of
from kokex.cli.narrator import Narrator
from kokex.config import load
from kokex.kernel.inline import Inline
from kokex.kernel.system import Hooks, System
from kokex.messages import Message
from kokex.paper.exchange import Exchange
from kokex.paper.matching import Rules
from kokex.paper.simulated import SimulatedMarket
from kokex.paper.venue import PaperVenue
from kokex.ports import CandleRow
from kokex.topology import JOURNALED, Ports, Variant, build
from tests.actors.desk import Deaf

ROOT = Path(__file__).parents[2]
BEGIN_NS = 1_700_000_000_000_000_000
MINUTE_NS = 60_000_000_000
HISTORY = 1_200


@pytest.mark.parametrize("seed", range(12))
def test_every_kind_of_event_comes_within_a_minute_of_the_first_price(seed: int) -> None:
    config = load(ROOT / "config.toml", {})
    instruments = instruments_of(config)
    accounts, span_ns = config.resolved_accounts(), config.market.span_ns
    seen: dict[str, int] = {}  # kind of event line -> when it first came
    system: System

    def post(actor: str, message: Message) -> None:
        system.post(actor, message)

    def console(at: int, level: str, kind: str, text: str) -> None:
        if level != "DEBUG" and "hold" not in text:
            seen.setdefault(kind, at)

    rules = Rules(slippage_bp=Decimal(1), volume_share=Decimal("0.1"), leverage=Decimal(3))
    exchange = Exchange(instruments, rules, lambda: system.now, post)
    for account in accounts:
        exchange.open_account(account.name, account.cash, account.kind)
    market = SimulatedMarket(instruments, Random(seed), BEGIN_NS, span_ns, None, HISTORY, post, exchange, 0)
    store = open_direct(
        ":memory:", now_ns=BEGIN_NS, mode="test", version="", config_json="", tag_factory=lambda: "abcdef"
    )
    for candle in market.history():
        store.append(CandleRow(span_ns=span_ns, candle=candle))
    system = build(
        config, config.resolved_plans(), accounts, instruments,
        Ports(
            store=store, venues={each.name: PaperVenue(exchange, each.name, 0) for each in accounts}, chance=Random,
            control=Deaf(), source=market, console=console,
        ),
        base_ns=span_ns, variant=Variant(commit_s=0, history=HISTORY), start_ns=BEGIN_NS,
        hooks=Hooks(tap=Narrator(console, "kokex", "", "USDT").hear, journaled=JOURNALED),
    )  # fmt: skip
    driver = Inline(system)
    driver.start()
    driver.run(BEGIN_NS + span_ns + MINUTE_NS)
    store.close()
    assert seen.keys() >= {"price", "edge", "cycle", "decision", "verdict", "order", "fill", "alert", "next"}
    assert max(seen.values()) - seen["price"] < MINUTE_NS
