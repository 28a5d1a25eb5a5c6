"""A cheap market for fault simulation: seeded candles with regimes, so that strategies have something to do.

The simulated market of paper trading is finer and ten times slower; here three days must take a fraction of a
second. Trends, quiet and wild hours come and go, now and then the price jumps far enough to go through stops.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from random import Random

from kokex.market.instruments import usual_price
from kokex.messages import Candle, Instrument
from kokex.paper.tape import FundingDue, Instant

REGIME = 240  # candles, on average
DRIFTS = (-0.25, -0.1, 0.0, 0.0, 0.1, 0.25)  # of a candle, in standard deviations
WIDTHS = (0.0004, 0.0008, 0.0015)  # standard deviation of a candle's return
BELL = 2.0  # three uniform draws have a standard deviation of a half
JUMP_ODDS = 1 / 1500
JUMP = 0.05
BUSIEST = 3_000_000.0  # quote currency in one candle


def instants(instruments: Sequence[Instrument], start_ns: int, span_ns: int, chance: Random) -> Iterator[Instant]:
    """Candles for ever, the first opening at `start_ns`."""
    paths = [_path(each, start_ns, span_ns, Random(chance.random())) for each in instruments]
    return zip(*paths, strict=True)


def _path(instrument: Instrument, open_ns: int, span_ns: int, chance: Random) -> Iterator[Candle]:
    uniform, choice = chance.random, chance.choice
    symbol, exponent = instrument.symbol, instrument.tick.as_tuple().exponent
    digits = -exponent if isinstance(exponent, int) else 0  # the ticks here are powers of ten
    price = usual_price(symbol)
    left = 0
    drift = width = 0.0
    while True:
        if left <= 0:
            left, drift, width = int(REGIME * 2 * uniform()), choice(DRIFTS), choice(WIDTHS)
        left -= 1
        first = price * (1 + width * 0.2 * (uniform() - 0.5))
        price *= 1 + width * (drift + BELL * (uniform() + uniform() + uniform() - 1.5))
        if uniform() < JUMP_ODDS:
            price *= 1 + JUMP * (1 if uniform() < 0.5 else -1)
        reach = 1 + width * uniform()
        high, low = (first, price) if first > price else (price, first)
        volume = round(BUSIEST * uniform() ** 3 / price, 6)
        yield Candle(
            symbol, open_ns, round(first, digits), round(high * reach, digits), round(low / reach, digits),
            round(price, digits), volume,
        )  # fmt: skip
        open_ns += span_ns


def fundings(instruments: Sequence[Instrument], start_ns: int, every_ns: int, chance: Random) -> Iterator[FundingDue]:
    """A rate for each swap, every `every_ns`."""
    due_ns = start_ns - start_ns % every_ns
    while True:
        due_ns += every_ns
        for each in instruments:
            if each.kind == "swap":
                yield FundingDue(due_ns, each.symbol, Decimal(chance.randrange(-30, 60)).scaleb(-5))
