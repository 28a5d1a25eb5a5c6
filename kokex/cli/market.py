"""The exchange and the market that the daemon trades on: embedded, and taken up where they were."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple, final

from kokex.adapters.host.chance import Random, fresh_seed
from kokex.cli.output import Mistake
from kokex.config import Account, Config
from kokex.market.instruments import UnknownInstrument
from kokex.messages import Instrument
from kokex.paper import durable
from kokex.paper.exchange import Exchange
from kokex.paper.matching import Rules
from kokex.paper.replay import Columns, ReplayMarket
from kokex.paper.simulated import SimulatedMarket
from kokex.ports import CandleRow, Market, Post, Saved, Store, StoreError

HOUR_NS = 3_600_000_000_000
SEED, MARKET = "seed", "market"  # keys of what is saved


class Tape(NamedTuple):
    """The files that are replayed."""

    columns: dict[str, Columns]
    span_ns: int

    @property
    def first_ns(self) -> int:
        return min(each.open_ns[0] for each in self.columns.values())

    def after(self, at: int) -> "Tape":
        """The candles that had not closed at `at`."""
        left: dict[str, Columns] = {}
        for symbol, all_ in self.columns.items():
            begin = next((i for i, opened in enumerate(all_.open_ns) if opened + self.span_ns > at), len(all_.open_ns))
            opened, *values = all_
            left[symbol] = Columns(opened[begin:], *(column[begin:] for column in values))
        return Tape(left, self.span_ns)

    def __bool__(self) -> bool:
        return any(each.open_ns for each in self.columns.values())


def instruments_of(config: Config) -> tuple[Instrument, ...]:
    """What is traded: symbols the simulated market knows, or one for each file that is replayed. Raises Mistake."""
    try:
        return config.resolved_instruments()
    except UnknownInstrument as error:
        raise Mistake(f"market.instruments: {error}") from None


def read_tape(config: Config) -> Tape | None:
    """The files of a replay, None for a simulated market. Raises Mistake."""
    if config.market.source != "replay":
        return None
    from kokex.adapters.host.csv import CsvError, read_candles

    columns: dict[str, Columns] = {}
    for file in config.market.candles:
        try:
            read = read_candles(file)
        except CsvError as error:
            raise Mistake(f"market.candles: {error}") from None
        if read.span_ns != config.market.span_ns:
            seconds = read.span_ns / 1e9
            raise Mistake(f"{file}: its candles are {seconds:g} s apart, market.timeframe is {config.market.timeframe}")
        columns[read.instrument] = Columns(read.open_ns, read.open, read.high, read.low, read.close, read.volume)
    return Tape(columns, config.market.span_ns)


async def open_exchange(
    config: Config, accounts: Sequence[Account], instruments: Sequence[Instrument], store: Store,
    now: Callable[[], int], post: Post,
) -> Exchange:  # fmt: skip
    """The paper exchange with its accounts as they were left; a new account has its cash. Raises StoreError."""
    paper = config.paper
    rules = Rules(
        maker_fee=paper.maker_fee,
        taker_fee=paper.taker_fee,
        slippage_bp=Decimal(str(paper.slippage_bp)),
        volume_share=Decimal(str(paper.volume_share)),
        leverage=Decimal(str(paper.leverage)),
    )
    exchange = Exchange(instruments, rules, now, post)
    for account in accounts:
        snapshot = await store.saved(durable.key(account.name))
        if snapshot is None:
            exchange.open_account(account.name, account.cash, account.kind)
            continue
        try:
            exchange.restore(account.name, snapshot)
        except ValueError as error:
            raise StoreError(f"{error}; put it back into market.instruments, or name another database") from None
    durable.keep(exchange, store)
    return exchange


async def open_market(
    config: Config, instruments: Sequence[Instrument], tape: Tape | None, store: Store, now_ns: int, exchange: Exchange,
    post: Post,
) -> tuple[Market, Callable[[], None]]:  # fmt: skip
    """The market from `now_ns` on, and what saves where it stands. Candles that passed meanwhile go to the store."""
    if tape is not None:
        return ReplayMarket(instruments, tape.columns, tape.span_ns, exchange, post), _nothing
    settings = config.market
    kept = await store.saved(SEED)
    seed = settings.seed or (int(kept) if kept else fresh_seed())
    store.append(Saved(key=SEED, body=str(seed).encode()))
    try:
        market = SimulatedMarket(
            instruments, Random(f"{seed}/{store.session}"), now_ns, settings.span_ns, None, settings.history_s, post,
            exchange, round(config.paper.funding_h * HOUR_NS), await store.saved(MARKET),
        )  # fmt: skip
    except ValueError as error:
        raise StoreError(str(error)) from None

    def save() -> None:
        store.append(Saved(key=MARKET, body=market.snapshot()))

    for candle in market.history():
        store.append(CandleRow(span_ns=settings.span_ns, candle=candle))
    save()
    await store.commit()
    return market, save


def _nothing() -> None:
    """A file stands where it stands."""


@final
class Ending:
    """A market whose end is told, once everything before it was handled."""

    def __init__(self, market: Market, ended: Callable[[], None]) -> None:
        self._market = market
        self._ended = ended
        self._told = False

    def next_at(self) -> int | None:
        at = self._market.next_at()
        if at is None and not self._told:
            self._told = True
            self._ended()
        return at

    def take(self) -> None:
        self._market.take()
