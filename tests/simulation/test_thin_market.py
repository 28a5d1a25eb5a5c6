"""An entry larger than the market is deep must not stand in the way of its own exit."""

from decimal import Decimal
from random import Random

from kokex.adapters.host.csv import CandleColumns
from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.direct import open_direct
from kokex.config import Account, Brain, Config, Plan, Risk
from kokex.market.instruments import from_csv
from kokex.messages import Fill
from kokex.paper.matching import Rules
from kokex.simulation.backtest import NO_FORECAST, SIGNALS_ONLY, Setup, run

MINUTE_NS = 60_000_000_000
COUNT = 2000


def thin_candles() -> CandleColumns:
    """A walk of which an account of this size may take 0.02 a minute, and wants about 100."""
    chance = Random(3)
    price, rows = 100.0, []
    for number in range(COUNT):
        close = round(price * (1 + chance.gauss(0, 0.002)), 2)
        rows.append((number * MINUTE_NS, price, max(price, close) + 0.05, min(price, close) - 0.05, close, 0.2))
        price = close
    return CandleColumns("THIN-USDT", MINUTE_NS, *(list(column) for column in zip(*rows, strict=True)))


def test_an_exit_ends_the_entry_that_still_works_and_is_filled() -> None:
    candles = thin_candles()
    plan = Plan(
        name="main", account="main", enabled=True, instruments=("THIN-USDT",), timeframe_ns=MINUTE_NS,
        mode=SIGNALS_ONLY, brain=Brain(strategies=("sma_cross",)), forecast=NO_FORECAST, risk=Risk(), parameters={},
    )  # fmt: skip
    setup = Setup(
        config=Config(),
        plans=(plan,),
        accounts=(Account(name="main", cash=Decimal(100_000), kind="cash"),),
        instruments=(from_csv("THIN-USDT"),),
        candles=(candles,),
        rules=Rules(volume_share=Decimal("0.1")),
        watch=True,
    )
    store = open_direct(
        ":memory:", now_ns=0, mode="test", version="0", config_json="{}", tag_factory=lambda: "abcdef", batch=4000
    )
    fills = [each for each in run(setup, store).bookings["main"] if isinstance(each, Fill)]
    sold = sum((fill.size for fill in fills if fill.side == "sell"), Decimal(0))
    bought = sum((fill.size for fill in fills if fill.side == "buy"), Decimal(0))
    orders = store.ask(queries.orders(last=10_000))
    entries = [each for each in orders if not each.order.reduce_only]
    assert len(entries) > 20, "the strategy traded all the time, not once"
    assert all(each.filled < each.order.size for each in entries), "no entry could fill whole"
    assert sum(each.state in {"working", "partial", "intent"} for each in entries) <= 1
    assert bought - sold <= Decimal("0.3"), "what was bought was sold again"
