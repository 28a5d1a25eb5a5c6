import random
from collections.abc import Mapping, Sequence
from math import log
from statistics import fmean, pstdev, pvariance
from typing import Any, TypeVar

import pytest

from kokex.market.instruments import UnknownInstrument, exact, parse_symbol
from kokex.messages import Candle, Candles, Funding, Instrument, Message
from kokex.paper.simulated import SimulatedMarket
from tests.paper.desk import SWAP, Desk, order

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND + 123_456_789
HOUR = 3600 * SECOND
BTC, ETH, SPOT_BTC = parse_symbol("BTC-USDT-SWAP"), parse_symbol("ETH-USDT-SWAP"), parse_symbol("BTC-USDT")


M = TypeVar("M", bound=Message)


class Sim:
    def __init__(
        self,
        seed: int = 1,
        instruments: Sequence[Instrument] = (BTC, ETH),
        start: int = START,
        history_s: int = 60,
        span_ns: int = SECOND,
        prices: Mapping[str, float] | None = None,
        funding_ns: int = 0,
        state: bytes | None = None,
    ) -> None:
        self.desk = Desk(instruments=instruments)
        self.desk.now = start
        chance: Any = random.Random(seed)
        self.market = SimulatedMarket(
            instruments,
            chance,
            start,
            span_ns,
            prices,
            history_s,
            self.desk.post,
            self.desk.exchange,
            funding_ns,
            state,
        )

    def run(self, events: int) -> list[Candle]:
        """The candles of so many events."""
        for _ in range(events):
            self.desk.now = self.market.next_at() or 0
            self.market.take()
        return [row for message in self.told(Candles) for row in message.rows]

    def told(self, kind: type[M]) -> list[M]:
        return [message for _, message in self.desk.said if isinstance(message, kind)]


def test_history_ends_where_the_first_event_begins() -> None:
    sim = Sim()
    history = sim.market.history()
    assert len(history) == 120
    assert history[-1].open_ns + SECOND == START - START % SECOND
    (first, _) = sim.run(1)
    assert first.open_ns == history[-1].open_ns + SECOND
    assert sim.desk.now == first.open_ns + SECOND


def test_the_same_seed_gives_the_same_market() -> None:
    assert Sim(1).run(50) == Sim(1).run(50)
    assert Sim(1).run(50) != Sim(2).run(50)


def test_prices_are_sane_and_on_the_tick() -> None:
    for row in Sim(history_s=500).market.history():
        instrument = BTC if row.instrument == BTC.symbol else ETH
        assert row.low <= min(row.open, row.close) <= max(row.open, row.close) <= row.high
        assert row.volume > 0
        assert all(exact(price) % instrument.tick == 0 for price in (row.open, row.high, row.low, row.close))


def test_a_price_never_falls_below_a_tick() -> None:
    sim = Sim(instruments=[SWAP], prices={SWAP.symbol: 0.1}, span_ns=24 * HOUR, history_s=0)
    assert min(row.low for row in sim.run(300)) == 0.1


def test_the_market_is_as_lively_as_stated() -> None:
    """2 to 3 basis points a second on average, in clusters and with fat tails, and pairs move together."""
    returns: dict[str, list[float]] = {BTC.symbol: [], ETH.symbol: []}
    before: dict[str, float] = {}
    for row in Sim(history_s=20_000).market.history():
        if row.instrument in before:
            returns[row.instrument].append(1e4 * log(row.close / before[row.instrument]))
        before[row.instrument] = row.close
    btc, eth = returns.values()
    assert 1.8 < pstdev(btc) < 3.2
    assert fmean(value**4 for value in btc) / pvariance(btc) ** 2 > 5  # a normal distribution has 3
    assert correlation([abs(value) for value in btc[1:]], [abs(value) for value in btc[:-1]]) > 0.08
    assert correlation(btc, eth) > 0.15


def correlation(left: Sequence[float], right: Sequence[float]) -> float:
    a, b = fmean(left), fmean(right)
    return fmean((x - a) * (y - b) for x, y in zip(left, right, strict=True)) / (pstdev(left) * pstdev(right))


def test_a_spot_pair_and_its_swap_share_one_price() -> None:
    spot, swap = Sim(instruments=[SPOT_BTC, BTC]).run(1)
    assert abs(spot.close - swap.close) <= 0.1


def test_a_restart_continues_the_price_and_fills_the_gap() -> None:
    before = Sim(history_s=0)
    last = before.run(100)[-2]
    state = before.market.snapshot()
    after = Sim(seed=9, start=before.desk.now + 30 * SECOND, history_s=60, state=state)
    history = after.market.history()
    assert len(history) == 60  # 30 seconds of two instruments
    assert history[0].open_ns == last.open_ns + SECOND
    assert abs(log(history[0].open / last.close)) < 0.01
    assert after.run(1)[0].open_ns == history[-1].open_ns + SECOND


def test_a_long_gap_is_history_only_as_far_as_asked() -> None:
    before = Sim(history_s=0)
    last = before.run(100)[-2]
    after = Sim(start=before.desk.now + 5 * HOUR, history_s=60, state=before.market.snapshot())
    history = after.market.history()
    assert len(history) == 120
    assert abs(log(history[0].open / last.close)) < 0.01


def test_a_clock_set_back_waits_for_the_market() -> None:
    before = Sim(history_s=0)
    last = before.run(100)[-2]
    after = Sim(start=START, state=before.market.snapshot())
    assert after.market.history() == []
    assert after.run(1)[0].open_ns == last.open_ns + SECOND


def test_a_restart_without_a_pause_has_no_gap() -> None:
    before = Sim(history_s=0)
    last = before.run(100)[-2]
    after = Sim(start=before.desk.now, state=before.market.snapshot())
    assert after.market.history() == []
    assert after.run(1)[0].open_ns == last.open_ns + SECOND


def test_what_is_no_state_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        Sim(state=b"junk")


def test_an_unknown_instrument_needs_a_price() -> None:
    with pytest.raises(UnknownInstrument):
        Sim(instruments=[SWAP])
    assert abs(Sim(instruments=[SWAP], prices={SWAP.symbol: 20.0}).run(1)[0].close - 20) < 1


def test_swaps_pay_funding_at_its_multiples() -> None:
    sim = Sim(funding_ns=10 * SECOND)
    sim.desk.place(order(on=BTC, size="1"))
    sim.run(40)
    paid = sim.told(Funding)
    assert len(paid) >= 3
    assert {funding.instrument for funding in paid} == {BTC.symbol}
    assert all(funding.due_ns % (10 * SECOND) == 0 for funding in paid)
    assert len({funding.funding_id for funding in paid}) == len(paid)


def test_trading_does_not_change_the_path() -> None:
    quiet, trading = Sim(), Sim()
    trading.desk.place(order(on=BTC, size="1"))
    assert trading.run(21) == quiet.run(20)  # one event more: the open that filled the order
    assert len(trading.desk.fills) == 1
