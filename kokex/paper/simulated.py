"""The simulated market: endless candles of a seeded price process, which goes on where it was after a restart."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec
from msgspec import Struct

from kokex.market.instruments import usual_price
from kokex.messages import Candle, Instrument
from kokex.paper.exchange import Exchange
from kokex.paper.prices import Bar, Path, advance, common_shocks, funding_rate
from kokex.paper.tape import FundingDue, Instant, Tape
from kokex.ports import Chance, Post

SECOND = 1_000_000_000


class _State(Struct, frozen=True):
    """The market at the close of a candle."""

    stood_ns: int
    paths: dict[str, Path]  # by pair, "BTC-USDT": its spot and its swap share one price


class SimulatedMarket(Tape):
    """Draws candles for `instruments` from `chance`, the first of them running at `start_ns`.

    `history` is the candles of the last `history_s` seconds before it. With `state` (of `snapshot`) the
    price goes on from there: history is then what passed since, and at most `history_s` of it. `prices`
    (by symbol) sets where a new price path starts. `funding_ns`: swaps pay funding at its multiples; 0: never.
    Raises ValueError when `state` cannot be read.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        chance: Chance,
        start_ns: int,
        span_ns: int,
        prices: Mapping[str, float] | None,
        history_s: int,
        post: Post,
        exchange: Exchange,
        funding_ns: int,
        state: bytes | None = None,
    ) -> None:
        self._chance = chance
        self._span_ns = span_ns
        self._makers = [(_pair(instrument), _rounding(instrument)) for instrument in instruments]
        now_ns = start_ns - start_ns % span_ns
        past = history_s * SECOND // span_ns  # candles
        self._paths = {
            _pair(instrument): Path(prices[instrument.symbol] if prices else usual_price(instrument.symbol))
            for instrument in instruments
        }
        if state is not None:
            before = _read(state)
            # Behind `stood_ns` when the clock was set back: the market then waits for it.
            now_ns = max(now_ns, before.stood_ns)
            past = min(past, (now_ns - before.stood_ns) // span_ns)
            self._paths.update({pair: path for pair, path in before.paths.items() if pair in self._paths})
        self._ahead_ns = now_ns - past * span_ns
        self._history = [row for _ in range(past) for row in self._draw()]
        self._stood = b""
        super().__init__(instruments, span_ns, self._endless(), self._dues(funding_ns), exchange, post)

    def history(self) -> Sequence[Candle]:
        """Handed out once: two hours of 1 s candles are not kept for ever."""
        history, self._history = self._history, []
        return history

    def snapshot(self) -> bytes:
        """Where price and volatility stood at the last close."""
        return self._stood

    def _endless(self) -> Iterator[Instant]:
        while True:
            # The next candle is drawn while it is still open: what is saved is the state before it.
            self._stood = msgspec.msgpack.encode(_State(self._ahead_ns, self._paths))
            yield self._draw()

    def _draw(self) -> Instant:
        """The next candle of every instrument."""
        open_ns = self._ahead_ns
        self._ahead_ns += self._span_ns
        chance, span_s = self._chance, self._span_ns / SECOND
        common = common_shocks(chance)
        bars = {pair: advance(path, span_s, common, chance) for pair, path in self._paths.items()}
        return tuple([candle(open_ns, bars[pair]) for pair, candle in self._makers])

    def _dues(self, funding_ns: int) -> Iterator[FundingDue]:
        swaps = [instrument for instrument in self.instruments if instrument.kind == "swap"]
        if not funding_ns or not swaps:
            return
        due_ns = self._ahead_ns - self._ahead_ns % funding_ns
        while True:
            due_ns += funding_ns
            for swap in swaps:
                rate = funding_rate(self._paths[_pair(swap)], self._chance)
                yield FundingDue(due_ns, swap.symbol, Decimal(round(rate * 1e6)).scaleb(-6))


def _pair(instrument: Instrument) -> str:
    return f"{instrument.base}-{instrument.quote}"


def _read(state: bytes) -> _State:
    try:
        return msgspec.msgpack.decode(state, type=_State)
    except msgspec.MsgspecError as error:
        raise ValueError(f"the simulated market's saved state cannot be read: {error}") from None


def _rounding(instrument: Instrument) -> Callable[[int, Bar], Candle]:
    """Makes candles whose prices are on the instrument's tick, as floats whose `repr` is that decimal."""
    symbol, tick = instrument.symbol, float(instrument.tick)
    exponent = instrument.tick.as_tuple().exponent
    digits = -exponent if isinstance(exponent, int) and exponent < 0 else 0

    def to_tick(price: float) -> float:
        return round(max(1, round(price / tick)) * tick, digits) if tick else float(f"{price:.8g}")

    def candle(open_ns: int, bar: Bar) -> Candle:
        return Candle(
            symbol,
            open_ns,
            to_tick(bar.open),
            to_tick(bar.high),
            to_tick(bar.low),
            to_tick(bar.close),
            round(bar.volume, 6),
        )

    return candle
