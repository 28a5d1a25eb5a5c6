"""risk: yes or no, and how much.

Holds an account's Portfolio, its working orders, the circuit breaker. Receives Decision; emits exactly one verdict
for each: Approved with the sized order, or Refused with the rule. Exits pass always; entries pass every limit. A
daily loss past the limit trips the breaker, which stays tripped, restarts and crashes included, until a person
resets it.
"""

from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors import pausing, reloading
from actors.reloading import as_live
from actors.weighing import Refusal, Working, Yes
from kokex.config import Plan, Risk
from kokex.kernel.actor import Actor
from kokex.kernel.cell import Failure
from kokex.market.instruments import closable, exact, floor_size, is_tradable, notional, safe_price
from kokex.market.orders import client_id
from kokex.market.sizing import Room, broken_limit, entry_size, half, opposite, percent_of, stop_distance
from kokex.messages import (
    SETTLED,
    Alert,
    Approved,
    Command,
    Decision,
    Instrument,
    Link,
    Order,
    OrderUpdate,
    Paused,
    Portfolio,
    Preview,
    Refused,
    Reloaded,
    Side,
)
from kokex.ports import Saved, Store

ZERO = Decimal(0)
MINUTE_NS = 60_000_000_000
COMMIT_TIMEOUT_S = 10.0
COMMIT_AGAIN_S = 1.0
LOOK_AGAIN_S = 60.0  # after an exit, at a position that was too large
WARN_AT = Decimal("0.8")  # of the loss that trips the breaker
GROWN = Decimal("1.02")  # so much past its limit a position is cut back


class Breaker(Struct, frozen=True):
    tripped_ns: int = 0  # 0: it is not
    reason: str = ""


class Loaded(Struct, frozen=True):
    at_ns: int
    breaker: Breaker
    interrupted: tuple[Decision, ...]  # on record without a verdict
    working: tuple[Order, ...]
    settings: dict[str, Any] | None = None  # of a Reloaded of this session
    still: frozenset[str] = frozenset()


class RiskKeeper(Actor):
    emits = (Approved, Refused, Decision, Alert)
    state = Loaded

    def __init__(
        self,
        account: str,
        limits: Risk,
        plans: Mapping[str, Plan],
        instruments: Mapping[str, Instrument],
        store: Store,
        *,
        leverage: Decimal,
        fixed_size: Decimal | None = None,
        forgetful: bool = False,
    ) -> None:
        """`fixed_size` switches sizing and stops off. `forgetful` plants a bug for tests: the breaker is not kept."""
        self._account = account
        self._limits = limits
        self._plans = plans
        self._instruments = instruments
        self._store = store
        self._leverage = leverage
        self._fixed_size = fixed_size
        self._forgetful = forgetful
        self._breaker = Breaker()
        self._portfolio: Portfolio | None = None
        self._working: dict[str, Working] = {}
        self._still: frozenset[str] = frozenset()  # plans that enter nothing by themselves
        self._recent: deque[int] = deque()
        self._venue_up = True
        self._warned = -1  # the day on which it was told that the breaker is near
        self._reducing: set[str] = set()
        self._interrupted: frozenset[int] = frozenset()  # decisions that the start refused
        self._since_ns = 0  # older ones had their verdict then

    @property
    def _key(self) -> str:
        return f"breaker[{self._account}]"

    async def load(self) -> Loaded:
        at_ns = self.now
        body = None if self._forgetful else await self._store.saved(self._key)
        breaker = msgspec.msgpack.decode(body, type=Breaker) if body else Breaker()
        open_ones = await self._store.open_verdicts(self._account)
        interrupted = tuple(each for each in open_ones if isinstance(each, Decision))
        approved = tuple(each.order for each in open_ones if isinstance(each, Approved) and each.order)
        working = (*await self._store.unsettled(self._account), *approved)
        settings = await reloading.kept(self._store)
        still = (await pausing.kept(self._store)).still(self._plans.values())
        return Loaded(at_ns, breaker, interrupted, working, settings, still)

    def start(self, state: Loaded) -> None:
        self._breaker, self._still = state.breaker, state.still
        if state.settings:
            self.on_reloaded(Reloaded(account=self._account, settings=state.settings))
        for order in state.working:
            self._working[order.client_id] = Working(order, order.price or order.trigger or ZERO)
        for decision in state.interrupted:
            self.because(decision.id)
            self._refuse(decision, Refusal("interrupted", "risk went down before a verdict"))
        self.because(0)
        self._interrupted = frozenset(decision.id for decision in state.interrupted)
        self._since_ns = state.at_ns
        if state.breaker.tripped_ns:
            self._say("warning", "tripped", f"the circuit breaker is still tripped: {state.breaker.reason}")

    # ---- what it knows

    def on_reloaded(self, reloaded: Reloaded) -> None:
        live = as_live(reloaded.settings)
        self._limits = live.risk
        self._plans = {name: replace(plan, risk=live.plans[name]) for name, plan in self._plans.items()}

    def on_paused(self, paused: Paused) -> None:
        self._still = frozenset(paused.plans)

    def on_portfolio(self, portfolio: Portfolio) -> None:
        self._portfolio = portfolio
        for key, working in list(self._working.items()):
            if working.settled and working.last_fill <= portfolio.last_fill:
                del self._working[key]
        self._watch_loss(portfolio)
        self._watch_growth(portfolio)

    def on_order_update(self, update: OrderUpdate) -> None:
        working = self._working.get(update.client_id)
        if working is None:
            if update.order and update.state == "intent":  # a protective stop
                self._working[update.client_id] = Working(update.order, update.order.trigger or ZERO)
            return
        working.last_fill = update.fill or working.last_fill
        if update.state not in SETTLED:
            return
        if update.instrument in self._reducing and working.order.reduce_only and working.order.trigger is None:
            self.later(LOOK_AGAIN_S, self._look_again, update.instrument)  # whatever it came to
        if self._portfolio is not None and working.last_fill <= self._portfolio.last_fill:
            del self._working[update.client_id]
        else:  # until the portfolio has counted its fills
            working.settled = True

    def on_link(self, link: Link) -> None:
        self._venue_up = link.up

    def _watch_loss(self, portfolio: Portfolio) -> None:
        began = portfolio.day_start_equity
        loss, most = began - portfolio.equity, percent_of(began, self._limits.max_daily_loss_pct)
        if self._breaker.tripped_ns or loss < most * WARN_AT:
            return
        reason = f"lost {loss:.2f} today, {loss / began:.2%} of the day's {began:.2f}"
        if loss < most:
            if portfolio.day != self._warned:
                self._warned = portfolio.day
                self._say("warning", "breaker", f"{reason}; the breaker trips at {self._limits.max_daily_loss_pct:g} %")
            return
        self._keep(Breaker(self.now, reason))
        self._announce(reason)

    def _announce(self, reason: str) -> None:
        """A trip holds at once; it is told once it is on disk, where no crash can undo it."""
        then = partial(self._written, reason)
        self.call(self._store.commit, returns=None, then=then, timeout_s=COMMIT_TIMEOUT_S)

    def _written(self, reason: str, outcome: Failure | None) -> None:
        if outcome is not None:
            self.later(COMMIT_AGAIN_S, self._announce, reason)
        else:
            self._say("critical", "breaker", f"circuit breaker tripped: {reason}; no new entries until `kokex reset`")

    def _watch_growth(self, portfolio: Portfolio) -> None:
        """A position that outgrew its limit by price alone is cut back."""
        limit = percent_of(portfolio.equity, self._limits.max_position_pct) * GROWN
        for position in portfolio.positions:
            instrument = self._instruments[position.instrument]
            if not position.size or abs(notional(instrument, position.size, position.mark)) <= limit:
                self._reducing.discard(position.instrument)
            elif position.instrument not in self._reducing and not self.draining:
                self._reducing.add(position.instrument)
                self._cut(portfolio, position.instrument, float(position.mark))

    def _look_again(self, symbol: str) -> None:
        self._reducing.discard(symbol)
        if self._portfolio:
            self._watch_growth(self._portfolio)

    def _cut(self, portfolio: Portfolio, symbol: str, price: float) -> None:
        plan = max(portfolio.held, key=lambda name: abs(portfolio.held[name].get(symbol, ZERO)), default="")
        self.emit(
            Decision(
                plan=plan, account=self._account, instrument=symbol, act="reduce", conviction=5, horizon_s=0,
                price=price, reasons=("the position outgrew max_position_pct",), by="risk",
            )
        )  # fmt: skip

    def _keep(self, breaker: Breaker) -> None:
        self._breaker = breaker
        if not self._forgetful:
            self._store.append(Saved(key=self._key, body=msgspec.msgpack.encode(breaker)))

    # ---- verdicts

    def on_decision(self, decision: Decision) -> None:
        if decision.at < self._since_ns or decision.id in self._interrupted:
            return  # it waited here over a restart
        try:
            yes = self._weigh(decision)
        except Refusal as refusal:
            self._refuse(decision, refusal)
            return
        if yes.order and not yes.order.reduce_only:
            self._recent.append(self.now)
        self._approve(decision, yes)

    def on_preview(self, preview: Preview) -> dict[str, Any]:
        """The verdict that the decision would get, as `kokex buy` shows one."""
        try:
            yes = self._weigh(preview.decision)
        except Refusal as refusal:
            return {"verdict": "refused", "rule": refusal.rule, "error": refusal.reason}
        order = yes.order and replace(yes.order, client_id="")  # it has none: there is no decision
        return {"verdict": "approved", "order": order, "stop": yes.stop}

    def _refuse(self, decision: Decision, refusal: Refusal) -> None:
        if decision.by == "risk":
            self.later(LOOK_AGAIN_S, self._look_again, decision.instrument)
        self.emit(
            Refused(
                decision=decision.id, account=self._account, plan=decision.plan, instrument=decision.instrument,
                rule=refusal.rule, reason=refusal.reason,
            )
        )  # fmt: skip

    def _weigh(self, decision: Decision) -> Yes:
        """Raises Refusal. Nothing is done."""
        if decision.act == "hold":
            return Yes(None, note="nothing to do")
        instrument = self._instruments.get(decision.instrument)
        if instrument is None:
            raise Refusal("unknown_instrument", f"{decision.instrument} is not traded here")
        if self._portfolio is None:
            raise Refusal("no_portfolio", "the account is not known yet")
        if 0 < decision.deadline_ns < self.now:
            raise Refusal("stale", "the decision came after its deadline")
        if decision.act in ("close", "reduce"):
            return self._exit(decision, instrument, self._portfolio)
        return self._entry(decision, instrument, self._portfolio)

    def _exit(self, decision: Decision, instrument: Instrument, portfolio: Portfolio) -> Yes:
        held = closable(instrument, self._held(decision, portfolio))
        if not held:
            raise Refusal("nothing_to_close", f"no position in {instrument.symbol}")
        side: Side = "sell" if held > ZERO else "buy"
        open_size = abs(held)
        for working in self._working.values():
            if working.is_market_exit(instrument.symbol, decision.plan, side):
                open_size -= working.order.size
        if open_size <= ZERO:
            raise Refusal("already_closing", "an order that closes it is under way")
        size = decision.size or (half(instrument, open_size) if decision.act == "reduce" else open_size)
        # A remainder below the venue's minimum is closed by the smallest order there is: it only reduces.
        size = max(floor_size(instrument, min(size, open_size)), instrument.minimum)
        return Yes(self._order(decision, side, size, reduce_only=True))

    def _held(self, decision: Decision, portfolio: Portfolio) -> Decimal:
        """What the plan holds; as one plan at a time holds an instrument, that is the account's position."""
        return portfolio.held.get(decision.plan, {}).get(decision.instrument, ZERO)

    def _entry(self, decision: Decision, instrument: Instrument, portfolio: Portfolio) -> Yes:
        self._check_open(decision, instrument, portfolio)
        limits = self._plans[decision.plan].risk if decision.plan in self._plans else self._limits
        side: Side = "buy" if decision.act == "open_long" else "sell"
        held = self._held(decision, portfolio)
        against = abs(held) if (held > 0) == (side == "sell") and held else ZERO
        price = decision.limit or exact(decision.price)
        room = self._room(instrument, price, against, portfolio)
        stop: Decimal | None = None
        if self._fixed_size is not None:
            size = self._fixed_size
        else:
            distance = stop_distance(price, limits, atr=decision.atr, invalidation=decision.invalidation)
            stop = safe_price(instrument, opposite(side), price - distance if side == "buy" else price + distance)
            if stop <= 0:
                raise Refusal("stop", f"the stop would be at {stop}")
            sized = entry_size(instrument, price, room, limits, distance=distance, conviction=decision.conviction)
            if not sized.size:
                raise Refusal(sized.rule, f"no room for a position under {sized.rule}")
            size = decision.size or sized.size
        if not is_tradable(instrument, size):
            steps = f"at least {instrument.minimum} in steps of {instrument.lot}"
            raise Refusal("size", f"{size} is not a size {instrument.symbol} trades in: {steps}")
        if rule := broken_limit(instrument, size, price, room, limits):
            raise Refusal(rule, f"{size} {instrument.symbol} at {price} would break {rule}")
        return Yes(self._order(decision, side, size + against), stop)

    def _check_open(self, decision: Decision, instrument: Instrument, portfolio: Portfolio) -> None:
        """What must hold before any new risk."""
        if self.draining:
            raise Refusal("draining", "the daemon is stopping")
        if self._breaker.tripped_ns:
            raise Refusal("breaker", self._breaker.reason)
        if not self._venue_up:
            raise Refusal("venue_down", "no private stream from the venue")
        if decision.cycle and decision.plan in self._still:
            raise Refusal("paused", f"plan {decision.plan} was paused or stopped after the cycle began")
        if decision.act == "open_short" and instrument.kind == "spot":
            raise Refusal("spot_short", "spot cannot be sold short")
        if decision.limit is not None:
            deviation = abs(decision.limit / exact(decision.price) - 1) * 100
            if deviation > exact(self._limits.max_price_deviation_pct):
                text = f"the limit {decision.limit} is {deviation:.1f} % from the market at {decision.price:g}"
                raise Refusal("fat_finger", text)
        while self._recent and self._recent[0] <= self.now - MINUTE_NS:
            self._recent.popleft()
        if len(self._recent) >= self._limits.max_orders_per_minute:
            raise Refusal("max_orders_per_minute", f"{len(self._recent)} entries in the last minute")
        for working in self._working.values():
            order = working.order
            if not order.reduce_only and not working.price:
                raise Refusal("unresolved", f"what became of order {order.client_id} is not known yet")
            if order.instrument == instrument.symbol and not order.reduce_only and not working.settled:
                raise Refusal("entry_under_way", f"order {order.client_id} is not settled yet")
            if order.instrument == instrument.symbol and order.plan != decision.plan:
                raise Refusal("other_plan", f"order {order.client_id} of plan {order.plan} is not settled yet")
        for plan, sizes in portfolio.held.items():
            if plan != decision.plan and sizes.get(instrument.symbol):
                # A venue nets the positions of an account: two plans in one would undo each other's stops.
                raise Refusal("other_plan", f"plan {plan} holds {instrument.symbol} in this account")

    def _room(self, instrument: Instrument, price: Decimal, against: Decimal, portfolio: Portfolio) -> Room:
        """Worst case: every working entry fills, and no exit does.

        An order that turns a position round first closes it. But where there are stops, one may do that before it,
        and then the whole order opens: what it turns is no room.
        """
        if self._fixed_size is None:
            against = ZERO
        exposure = tied = ZERO
        position = ZERO
        for each in portfolio.positions:
            of = self._instruments[each.instrument]
            worth = abs(notional(of, each.size, price if of is instrument else each.mark))
            exposure += worth
            tied += worth if of.kind == "spot" else worth / self._leverage
            if of is instrument:
                turned = notional(of, against, price)
                position, exposure = worth - turned, exposure - turned
        for working in self._working.values():
            if not working.order.reduce_only:
                of = self._instruments[working.order.instrument]
                worth = notional(of, working.order.size, working.price)
                exposure += worth
                tied += worth if of.kind == "spot" else worth / self._leverage
                if of is instrument:
                    position += worth
        return Room(portfolio.equity, max(ZERO, portfolio.equity - tied), exposure, position)

    def _order(self, decision: Decision, side: Side, size: Decimal, *, reduce_only: bool = False) -> Order:
        return Order(
            client_id=client_id(self._store.tag, decision.id),
            account=self._account,
            plan=decision.plan,
            instrument=decision.instrument,
            side=side,
            kind="market" if decision.limit is None else "limit",
            size=size,
            price=decision.limit,
            reduce_only=reduce_only,
            decision=decision.id,
        )

    def _approve(self, decision: Decision, yes: Yes) -> None:
        if order := yes.order:
            self._working[order.client_id] = Working(order, order.price or exact(decision.price))
        self.emit(
            Approved(
                decision=decision.id, account=self._account, plan=decision.plan, instrument=decision.instrument,
                order=yes.order, stop=yes.stop, note=yes.note,
            )
        )  # fmt: skip

    # ---- people

    def on_command(self, command: Command) -> dict[str, Any]:
        """reset: the breaker. limits: what holds."""
        if command.verb == "reset":
            was = self._breaker
            self._keep(Breaker())
            if was.tripped_ns:
                self._say("info", "breaker", "circuit breaker reset by a person")
            return {"account": self._account, "was_tripped": bool(was.tripped_ns), "reason": was.reason}
        return {
            "account": self._account,
            "breaker": "tripped" if self._breaker.tripped_ns else "closed",
            "reason": self._breaker.reason,
            "venue_up": self._venue_up,
            "limits": msgspec.to_builtins(self._limits),
        }

    def _say(self, severity: Any, kind: str, text: str) -> None:
        self.emit(Alert(severity=severity, kind=kind, text=text, account=self._account))
