"""portfolio: what an account has.

Holds cash, positions at average cost and what each plan holds of them. Receives Fill and Funding from the executor,
and a Mark when a price moved enough to matter (it sets the Alarm for that itself); emits Portfolio.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import final

from msgspec import Struct
from msgspec.structs import replace

from kokex.kernel.actor import Actor
from kokex.market.instruments import closable, exact, quantity
from kokex.market.money import add
from kokex.market.positions import apply_fill, cash_change, change, equity, flat, fund, mark
from kokex.messages import Alarm, Fill, Funding, Instrument, Lifecycle, Mark, Portfolio, Position
from kokex.ports import Store

ZERO = Decimal(0)
DAY_NS = 86_400_000_000_000
WORTH_TELLING = 0.001  # of equity: a smaller move of it is not told


class Loaded(Struct, frozen=True):
    portfolio: Portfolio | None
    since: tuple[Fill | Funding, ...]  # on record, not yet counted in


@final
class Book:
    """The sums. Apart from the actor so that start-up and laws can use them."""

    def __init__(self, cash: Decimal, instruments: Mapping[str, Instrument]) -> None:
        self.instruments = instruments
        self.cash = cash
        self.positions: dict[str, Position] = {}
        self.held: dict[str, dict[str, Decimal]] = {}
        self.last_fill = 0

    def restore(self, portfolio: Portfolio) -> None:
        self.cash = portfolio.cash
        self.positions = {each.instrument: each for each in portfolio.positions}
        self.held = portfolio.sizes()
        self.last_fill = portfolio.last_fill

    def add(self, event: Fill | Funding) -> None:
        instrument = self.instruments[event.instrument]
        before = self.positions.get(event.instrument) or flat(event.instrument)
        if isinstance(event, Fill):
            after = apply_fill(before, event, instrument)
            sizes = self.held.setdefault(event.plan, {})
            size = add(sizes.get(event.instrument, ZERO), change(event))
            if size:
                sizes[event.instrument] = size
            else:
                sizes.pop(event.instrument, None)
        else:
            after = fund(before, event.amount)
        self.cash = add(self.cash, cash_change(before, after, instrument))
        self.positions[event.instrument] = after
        self.last_fill = event.id

    def dust(self) -> dict[str, dict[str, Decimal]]:
        """What each plan holds of coins that are too few to sell."""
        found: dict[str, dict[str, Decimal]] = {}
        for plan, sizes in self.held.items():
            for symbol, size in sizes.items():
                if not closable(self.instruments[symbol], size):
                    found.setdefault(plan, {})[symbol] = size
        return found

    def closable(self, dust: Mapping[str, Mapping[str, Decimal]]) -> dict[str, dict[str, Decimal]]:
        """What each plan holds but for that."""
        if not dust:
            return {plan: dict(sizes) for plan, sizes in self.held.items() if sizes}
        held = {plan: {s: sizes[s] for s in sizes if s not in dust.get(plan, ())} for plan, sizes in self.held.items()}
        return {plan: sizes for plan, sizes in held.items() if sizes}

    def equity(self) -> Decimal:
        return equity(self.cash, self.positions.values(), self.instruments)


class PortfolioKeeper(Actor):
    emits = (Portfolio, Alarm)
    state = Loaded

    def __init__(
        self,
        account: str,
        cash: Decimal,
        instruments: Mapping[str, Instrument],
        store: Store,
        *,
        readers: Sequence[str] = (),
        alarms: bool = True,
    ) -> None:
        """`cash`: what the account starts with. `readers`: those that are restarted without this actor.

        `alarms` False: valued at fills only (a backtest's report marks it).
        """
        self._readers = readers
        self._account = account
        self._book = Book(cash, instruments)
        self._store = store
        self._alarms = alarms
        self._day = 0
        self._day_start = cash
        self._peak = cash

    async def load(self) -> Loaded:
        last = await self._store.portfolio(self._account)
        since = await self._store.fills_after(self._account, last.last_fill if last else 0)
        return Loaded(last, tuple(each for each in since if isinstance(each, Fill | Funding)))

    def start(self, state: Loaded) -> None:
        if state.portfolio:
            self._book.restore(state.portfolio)
            self._day, self._day_start = state.portfolio.day, state.portfolio.day_start_equity
            self._peak = state.portfolio.peak_equity
        for event in state.since:
            self._book.add(event)
        self._tell()
        self._set_alarms()
        for reader in self._readers:
            self.watch(reader)
        if self._alarms:
            self.at((self.now // DAY_NS + 1) * DAY_NS, self._midnight)

    def on_fill(self, fill: Fill) -> None:
        if fill.id > self._book.last_fill:  # else it waited here over a restart, which counted it in
            self._book.add(fill)
            self._tell()
            self._set_alarm(fill.instrument)

    def on_funding(self, funding: Funding) -> None:
        if funding.id > self._book.last_fill:
            self._book.add(funding)
            self._tell()

    def on_mark(self, told: Mark) -> None:
        if told.owner != "portfolio":
            return
        position = self._book.positions[told.instrument]
        self._book.positions[told.instrument] = mark(position, exact(told.price))
        self._tell()
        self._set_alarm(told.instrument)

    def on_lifecycle(self, lifecycle: Lifecycle) -> None:
        """A reader that was restarted has forgotten what it was told."""
        if lifecycle.event == "started" and lifecycle.restarts:
            self._tell()
            self._set_alarms()

    def _midnight(self) -> None:
        self._tell()
        self.at((self.now // DAY_NS + 1) * DAY_NS, self._midnight)

    def _tell(self) -> None:
        book = self._book
        equity, dust = book.equity(), book.dust()
        day = self.now // DAY_NS
        if day != self._day:
            self._day, self._day_start = day, equity
        self._peak = max(self._peak, equity)
        self.emit(
            Portfolio(
                account=self._account,
                cash=book.cash,
                equity=equity,
                positions=tuple(book.positions.values()),
                day_start_equity=self._day_start,
                peak_equity=self._peak,
                held=book.closable(dust),
                day=day,
                last_fill=book.last_fill,
                dust=dust,
            )
        )

    def _set_alarms(self) -> None:
        for instrument, position in self._book.positions.items():
            if position.size:
                self._set_alarm(instrument)

    def _set_alarm(self, instrument: str) -> None:
        """Wakes this actor when the position's worth moved by a thousandth of the equity."""
        if not self._alarms:
            return
        position = self._book.positions[instrument]
        low = high = 0.0  # an empty band: no alarm
        if position.size:
            base = abs(float(quantity(self._book.instruments[instrument], position.size)))
            move = WORTH_TELLING * max(float(self._book.equity()), 1.0) / base
            low, high = float(position.mark) - move, float(position.mark) + move
        self.emit(Alarm(account=self._account, owner="portfolio", instrument=instrument, low=low, high=high))


def without_history(portfolio: Portfolio) -> Portfolio:
    """The portfolio without its flat positions: for people."""
    return replace(portfolio, positions=tuple(p for p in portfolio.positions if p.size))
