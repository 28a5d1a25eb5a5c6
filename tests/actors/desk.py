"""A few real actors in a kernel of their own, wired as the topology wires them, in virtual time.

Neighbours that are not there are played by the test: what they would send is handed in (`tell`), what they would
hear is written down (`take`).
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar, get_args

from kokex.adapters.sqlite.direct import DirectStore, open_direct
from kokex.config import Brain, Config, Edges, Forecast, Mode, Plan
from kokex.kernel.actor import Actor
from kokex.kernel.inline import Inline
from kokex.kernel.supervision import Child, Group
from kokex.kernel.system import Hooks, System, inlet
from kokex.kernel.wires import ANYONE, KERNEL, OUTSIDE, TAP, Wire, handler_name, record
from kokex.messages import (
    Answered,
    AnyMessage,
    Candle,
    Candles,
    Cycle,
    Edge,
    Instrument,
    Message,
    Prompt,
    Readings,
    Sample,
    Signal,
    Standing,
)
from kokex.topology import PEOPLE_WIRES, WIRES

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
START = 1_700_006_400 * SECOND  # midnight UTC
MESSAGES: tuple[type[Message], ...] = get_args(AnyMessage)
PER_ACCOUNT = {"portfolio", "executor", "risk"}

M = TypeVar("M", bound=Message)


class Desk:
    """Actors at work, by name. Those of an account belong to "main"."""

    def __init__(
        self, actors: Mapping[str, Actor], *, start_ns: int = START, store: DirectStore | None = None, first_id: int = 0
    ) -> None:
        """`store`: what is said is written there too, as the daemon's tap does; a second run begins at `first_id`."""
        self.actors = actors
        self._heard: list[Message] = []

        def tap(message: Message) -> None:
            self._heard.append(message)
            if store:
                store.append(message)

        hooks = Hooks(tap=tap, journaled=frozenset(MESSAGES))
        children = [Child(name, lambda _, actor=actor: actor, type(actor)) for name, actor in actors.items()]
        account = Group("account", tuple(c for c in children if c.name in PER_ACCOUNT), keys=("main",))
        others = tuple(c for c in children if c.name not in PER_ACCOUNT)
        tree = Group("root", (account, *others) if account.children else others)
        self.system = System(tree, wires_among(actors), start_ns=start_ns, hooks=hooks, first_id=first_id)
        self._driver = Inline(self.system)
        self._driver.start()
        self._driver.run(start_ns)

    @property
    def now(self) -> int:
        return self.system.now

    def tell(self, name: str, *messages: Message) -> None:
        """Hands in messages, all at this instant."""
        for message in messages:
            self.system.post(name, message)
            self.system.drain()
        self._driver.run(self.now)

    def wait(self, seconds: float) -> None:
        """Lets time pass."""
        end = self.now + round(seconds * SECOND)
        self._driver.run(end)
        self.system.now = end

    def take(self, kind: type[M]) -> list[M]:
        """What was said of that kind since it was last taken."""
        found = [message for message in self._heard if isinstance(message, kind)]
        self._heard[:] = [message for message in self._heard if not isinstance(message, kind)]
        return found

    def ask(self, asker: str, target: str, message: Message) -> Any:
        """What `target` answers; None when it does not, at this instant."""
        answers: list[Any] = []
        self.actors[asker].ask(target, message, then=answers.append)
        self._driver.run(self.now)
        return answers[0] if answers else None


def wires_among(actors: Mapping[str, Actor]) -> list[Wire]:
    """The wires of the topology between these actors; what leads out of them is recorded, what leads in is an inlet."""
    every = (*WIRES, *PEOPLE_WIRES)
    wires = [wire for wire in every if _hears(actors.get(wire.target), wire.message) and _writers(wire, actors)]
    sent = {(name, message) for name, actor in actors.items() for message in actor.emits}
    carried = {(name, w.message) for w in wires if w.policy.kind != "ask" for name in _writers(w, actors)}
    wires += [record(name, message) for name, message in sorted(sent - carried, key=str)]
    outside = {(w.target, w.message) for w in every if w.source == OUTSIDE}
    heard = {(w.target, w.message) for w in wires if w.target != TAP} - outside
    for name, actor in actors.items():
        for message in MESSAGES:
            if (name, message) not in heard and _hears(actor, message):
                wires.append(inlet(message, name))
    return wires


def _hears(actor: Actor | None, message: type[Message]) -> bool:
    return hasattr(actor, handler_name(message))


def _writers(wire: Wire, actors: Mapping[str, Actor]) -> list[str]:
    if wire.source in {OUTSIDE, KERNEL}:  # the test plays these
        return []
    asked = wire.policy.kind == "ask"
    return [
        name
        for name, actor in actors.items()
        if wire.source in {ANYONE, name} and wire.message in (actor.asks if asked else actor.emits)
    ]


class Still(Actor):
    """An indicator that stands where it is told to."""

    emits = (Standing,)

    def __init__(self, readings: Sequence[Readings], candles: Mapping[str, Sequence[Candle]] | None = None) -> None:
        self._readings = tuple(readings)
        self._candles = {symbol: tuple(rows) for symbol, rows in (candles or {}).items()}

    def on_cycle(self, cycle: Cycle) -> None:
        self.emit(Standing(cycle=cycle, readings=self._readings, candles=self._candles))

    def on_sample(self, _: Sample) -> tuple[Readings, ...]:
        return self._readings

    def say(self, *readings: Readings) -> None:
        """Stands elsewhere from now on."""
        self._readings = readings


class Deaf:
    """The port of a control socket at which nobody waits for an answer."""

    def answer(self, request: int, body: object) -> None:
        """Nobody asked."""


class Nobody(Actor):
    """A model that is not there."""

    def on_prompt(self, prompt: Prompt) -> Answered:
        return Answered(why="no provider is configured", refused=True)


class Console:
    """What was printed."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, at: int, level: str, kind: str, text: str) -> None:
        self.lines.append(f"{level} {kind} {text}")

    def take(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines


def memory() -> DirectStore:
    return open_direct(
        ":memory:", now_ns=START, mode="test", version="0", config_json="{}", tag_factory=lambda: "abcdef"
    )


# ---- things to trade, and to say --------------------------------------------------------------

BTC, ETH, SPOT = "BTC-USDT-SWAP", "ETH-USDT-SWAP", "BTC-USDT"


def instrument(symbol: str) -> Instrument:
    return Instrument(
        symbol=symbol, kind="swap" if symbol.endswith("SWAP") else "spot", base=symbol[:3], quote="USDT",
        tick=Decimal("0.1"), lot=Decimal("0.01"), minimum=Decimal("0.01"),
    )  # fmt: skip


INSTRUMENTS = {symbol: instrument(symbol) for symbol in (BTC, ETH, SPOT)}


def plan(name: str = "main", *, instruments: Sequence[str] = (BTC,), **changes: Any) -> Plan:
    """A plan on one-minute candles that one strategy, sma_cross 2 over 3, votes in; no forecast."""
    defaults: dict[str, Any] = {
        "account": "main", "enabled": True, "timeframe_ns": MINUTE, "mode": Mode(),
        "brain": Brain(strategies=("sma_cross",)), "forecast": Forecast(kind="none"), "risk": Config().risk,
        "parameters": {"sma_cross": {"fast": 2, "slow": 3}},
    }  # fmt: skip
    return Plan(name=name, instruments=tuple(instruments), **{**defaults, **changes})


EDGES = Edges()


def candle(open_ns: int, close: float, *, volume: float = 10.0, of: str = BTC, spread: float = 1.0) -> Candle:
    return Candle(of, open_ns, close, close + spread, close - spread, close, volume)


def candles(*rows: Candle, span_ns: int = MINUTE) -> Candles:
    """One instant's."""
    return Candles(close_ns=rows[0].open_ns + span_ns, span_ns=span_ns, rows=rows)


def series(closes: Sequence[float], *, of: str = BTC, span_ns: int = MINUTE, start_ns: int = START) -> list[Candle]:
    return [candle(start_ns + index * span_ns, close, of=of) for index, close in enumerate(closes)]


def edge(
    source: str = "rsi_high", kind: Any = "up", *, score: float = 0.5, close_ns: int = START, of: str = BTC, **more: Any
) -> Edge:
    what: dict[str, Any] = {"plan": "main", "value": 1.0, "candle": candle(close_ns - MINUTE, 100.0, of=of), **more}
    return Edge(instrument=of, source=source, kind=kind, score=score, close_ns=close_ns, **what)


UP, FLAT, DOWN = Signal(1, reason="up"), Signal(0), Signal(-1, reason="down")


def readings(
    signals: Mapping[str, Signal] | None = None, *, of: str = BTC, close_ns: int = START, price: float = 100.0,
    plan: str = "main", values: Mapping[str, float] | None = None,
) -> Readings:  # fmt: skip
    """Warm, with one strategy that is flat, unless told otherwise."""
    said = {"sma_cross": FLAT} if signals is None else dict(signals)
    return Readings(plan=plan, instrument=of, close_ns=close_ns, price=price, values=dict(values or {}), signals=said)
