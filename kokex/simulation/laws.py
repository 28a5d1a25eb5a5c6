"""The laws: what must hold whatever goes wrong (docs/simulation.md).

Each is one function that answers what is wrong, or nothing. 1, 2, 3, 5, 6, 8 and the first halves of 7 and 9 are asked
at every event and look at a constant number of things; 4, 7, 10 and `guarded` once all is calm; 9 and 11 at an end.
They judge by the venue's own books and by the rows of the journal, never by what an actor believes.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from kokex.config import Llm
from kokex.kernel.cell import ActorStatus
from kokex.market.instruments import closable, exact, notional
from kokex.market.money import EXACT
from kokex.market.sizing import Limits, opposite, percent_of
from kokex.messages import (
    SETTLED,
    Alert,
    Approved,
    Briefing,
    Cycle,
    Decision,
    Edge,
    Fill,
    Instrument,
    Order,
    OrderState,
    OrderUpdate,
    Portfolio,
    Position,
    Refused,
)
from kokex.paper.account import Account
from kokex.paper.matching import TRIGGERED
from kokex.ports import VenueState
from kokex.simulation.facts import Facts

ZERO = Decimal(0)
SLACK = Decimal("1.01")  # a limit is kept at the prices risk knew; the law's may be a candle older or newer
ENTRIES = frozenset({"open_long", "open_short"})
SECOND = 1_000_000_000
DAY_NS = 86_400 * SECOND
BARE_NS = 600_000_000_000  # how long a position on record may lack stops
GROWN_NS = 600_000_000_000  # how long a position may stay above its limit before something is done

Fault = str | None


class Broken(BaseException):
    """A law does not hold. Not an Exception, so that no supervisor restarts it away."""

    def __init__(self, law: str, text: str) -> None:
        super().__init__(f"law {law}: {text}")
        self.law = law
        self.text = text


# ---- at every event -----------------------------------------------------------------------------


def law_1(on_disk: Facts, order: Order) -> Fault:
    """At most one venue order for a decision; no venue order that the journal does not know.

    Asked when the venue has accepted `order`. What guards a position (its protective stops, and the market exit that
    stands in for a refused one) bears the decision too, only reduces, and is named after the one order.
    """
    if order.client_id not in on_disk.intents:
        return f"the venue has order {order.client_id}, which is not in the journal"
    verdict = on_disk.verdicts.get(order.decision)
    if not isinstance(verdict, Approved) or verdict.order is None:
        return f"the venue has order {order.client_id} of decision {order.decision}, which nobody approved"
    one = verdict.order.client_id
    if order.client_id != one and not (order.reduce_only and order.client_id.startswith(one + "S")):
        return f"decision {order.decision} has a second venue order, {order.client_id} besides {one}"
    return None


def law_2(known: Facts, message: object) -> Fault:
    """candles -> edge or timer -> cycle -> decision -> verdict -> order -> fill: each has its parent on record.

    Asked as a message is written, of all that was written before it.
    """
    match message:
        case Edge() if message.close_ns > message.at or message.candle.instrument != message.instrument:
            return f"edge {message.id} comes from no closed candle of its instrument"
        case Cycle() if missing := [edge for edge in message.edges if edge not in known.parents]:
            return f"cycle {message.id} names edges {missing}, which are not on record"
        case Decision() if message.cause not in known.parents:
            return f"decision {message.id} comes from {message.cause}, which is not on record"
        case Approved() | Refused() if message.decision not in known.decisions:
            return f"verdict {message.id} is on decision {message.decision}, which is not on record"
        case OrderUpdate(order=Order()) if not isinstance(known.verdicts.get(message.decision), Approved):
            return f"the intent of {message.client_id} has no approval on record"
        case Fill() if message.client_id not in known.intents:
            return f"fill {message.trade_id} is of order {message.client_id}, which has no intent on record"
        case _:
            return None


def law_2_sent(on_disk: Facts, order: Order) -> Fault:
    """The second half of law 2: what precedes an order is on disk before the order is sent."""
    if order.client_id not in on_disk.intents:
        return f"order {order.client_id} was sent before its intent was on disk"
    if order.decision not in on_disk.decisions or order.decision not in on_disk.verdicts:
        return f"order {order.client_id} was sent before its decision and verdict were on disk"
    return None


def law_2_amending(on_disk: Facts, order: Order, size: Decimal) -> Fault:
    """So is what a stop is to be, before that is asked for."""
    if on_disk.amending.get(order.client_id) != size:
        return f"the size {size} of stop {order.client_id} was asked for before that was on disk"
    return None


class Exposure(Struct, frozen=True):
    """What law 3 judges an approval by."""

    approved: Approved
    decision: Decision
    portfolio: Portfolio  # as risk knew it
    venue: Mapping[str, Decimal]  # instrument -> position there
    entries: Sequence[tuple[Order, Decimal]]  # every order that may open something, with what it can still fill
    prices: Mapping[str, Decimal]  # of instruments that the portfolio has no price for: of their last approval


def law_3(case: Exposure, limits: Limits, instruments: Mapping[str, Instrument], leverage: Decimal) -> Fault:
    """No approval leaves worst-case exposure above a limit at the prices of its approval.

    Worst case, by the venue's positions: every entry fills, and what only reduces fills before it where that is worse.
    """
    order = case.approved.order
    if order is None or order.reduce_only:
        return None
    portfolio = case.portfolio
    worst = _worst(case.venue, case.entries)
    marks = {each.instrument: each.mark for each in portfolio.positions if each.size}
    marks[order.instrument] = exact(case.decision.price)
    at = {symbol: marks.get(symbol) or case.prices.get(symbol, ZERO) for symbol in worst}
    worths = {symbol: notional(instruments[symbol], size, at[symbol]) for symbol, size in worst.items()}
    own, all_of_them = worths[order.instrument], sum(worths.values())
    if own > percent_of(portfolio.equity, limits.max_position_pct) * SLACK:
        return f"{order.client_id} may bring {order.instrument} to {own:.2f}: above max_position_pct"
    if all_of_them > percent_of(portfolio.equity, limits.max_exposure_pct) * SLACK:
        return f"{order.client_id} may bring all positions to {all_of_them:.2f}: above max_exposure_pct"
    held = portfolio.held.get(order.plan, {}).get(order.instrument, ZERO)
    turned = abs(held) if held and (held > 0) == (order.side == "sell") else ZERO
    opened = notional(instruments[order.instrument], order.size - turned, exact(case.decision.price))
    tied = ZERO
    for each in portfolio.positions:
        of = instruments[each.instrument]
        tied += abs(notional(of, each.size, each.mark)) / (1 if of.kind == "spot" else leverage)
    if opened > percent_of(portfolio.equity - tied, limits.max_order_pct) * SLACK:
        return f"{order.client_id} opens {opened:.2f}: above max_order_pct of the free {portfolio.equity - tied:.2f}"
    return None


def _worst(venue: Mapping[str, Decimal], entries: Iterable[tuple[Order, Decimal]]) -> dict[str, Decimal]:
    """The largest position, long or short, that each instrument can come to."""
    long, short = dict(venue), dict(venue)
    for symbol, size in venue.items():
        long[symbol], short[symbol] = max(size, ZERO), min(size, ZERO)
    for order, left in entries:
        side = long if order.side == "buy" else short
        side[order.instrument] = side.get(order.instrument, ZERO) + (left if order.side == "buy" else -left)
    return {symbol: max(long.get(symbol, ZERO), -short.get(symbol, ZERO)) for symbol in {**long, **short}}


def law_3_growth(
    known: Facts, grown: dict[tuple[str, str], int], portfolio: Portfolio, limit: Decimal, of: Mapping[str, Instrument]
) -> Fault:
    """The second half of law 3: growth by price alone triggers reduction.

    `grown` remembers since when a position has been above its limit with no order under way that reduces it.
    """
    for each in portfolio.positions:
        key = (portfolio.account, each.instrument)
        if abs(notional(of[each.instrument], each.size, each.mark)) <= limit * Decimal("1.02") or any(
            order.reduce_only and order.trigger is None and (order.account, order.instrument) == key
            for order in known.open.values()
        ):
            grown.pop(key, None)
        elif portfolio.at - grown.setdefault(key, portfolio.at) > GROWN_NS:
            return f"{each.instrument} of {portfolio.account} has been above max_position_pct since {grown[key]}"
    return None


def law_5(known: Facts, verdict: Approved | Refused) -> Fault:
    """The breaker, once tripped, approves no new risk until a person resets it; exits are always allowed."""
    if isinstance(verdict, Approved):
        if verdict.account in known.tripped and verdict.order and not verdict.order.reduce_only:
            return f"{verdict.order.client_id} was approved though the breaker of {verdict.account} is tripped"
    elif verdict.rule == "breaker" and known.decisions[verdict.decision].act in ("close", "reduce"):
        return f"the breaker refused the exit of decision {verdict.decision}"
    return None


def law_6(seen: Sequence[int], quota: Llm) -> Fault:
    """LLM calls never exceed the quota of any window, restarts and clock steps included.

    Asked as a request arrives at the provider; `seen` are the last arrivals in its own time, this one included, and
    its day begins at midnight UTC.
    """
    now = seen[-1]
    for name, most, since in (
        ("a minute", quota.rpm, now - 60 * SECOND + 1),
        ("24 hours", quota.per_24h, now - DAY_NS + 1),
        ("a day", quota.rpd, now - now % DAY_NS),
    ):
        count = sum(at >= since for at in seen)
        if 0 < most < count:
            return f"{count} requests in {name}, the quota is {most}"
    return None


def law_7_once(known: Facts, verdict: Approved | Refused) -> Fault:
    """The first half of law 7: a decision has at most one verdict."""
    return f"decision {verdict.decision} has a second verdict" if verdict.decision in known.verdicts else None


def law_7_accepted(known: Facts, order: Order) -> Fault:
    """The second half: what the journal has put an end to does not come to life at the venue."""
    if order.client_id in known.intents and order.client_id not in known.open:
        return f"the venue accepted order {order.client_id}, which the journal says ended"
    return None


def law_7_told(state: OrderState | None) -> Fault:
    """And so nobody is told that it did. `state` at the venue of the order that they are told of."""
    return None if state and state not in SETTLED else f"an order is said to work at the venue, where it is {state}"


def law_8(known: Facts, decision: Decision, closes: Iterable[float], garbage: Container[str]) -> Fault:
    """Nothing is decided from stale data or a stale answer; garbage from a model means hold, and never flattens.

    Asked as a decision is written. `closes` of the instrument, by the market's own record, are young enough to decide
    on. People may close at any price, and risk cuts back at the last one known.
    """
    if decision.act == "hold":
        return None
    if decision.by == "llm" and known.answers.get(decision.call, "") in garbage:
        return f"decision {decision.id}, {decision.act} {decision.instrument}, comes from an answer that was none"
    if decision.by == "risk" or (decision.by == "person" and decision.act not in ENTRIES):
        return None
    if 0 < decision.deadline_ns < decision.at:
        return f"decision {decision.id} was made {decision.at - decision.deadline_ns} ns after its deadline"
    if decision.price not in closes:
        return f"decision {decision.id} on {decision.instrument} was made at {decision.price}, which is no late close"
    return None


def law_8_approved(decision: Decision, verdict: Approved) -> Fault:
    """The second half of law 8: no new risk is approved on a decision that is past its deadline."""
    late = verdict.order is not None and not verdict.order.reduce_only and 0 < decision.deadline_ns < verdict.at
    return f"decision {decision.id} was approved after its deadline" if late else None


def law_9_sent(*, draining: bool, order: Order) -> Fault:
    """The first half of law 9: draining sends no new entry."""
    return f"{order.client_id} was sent while draining" if draining and not order.reduce_only else None


# ---- once calm ----------------------------------------------------------------------------------


def law_4(known: Facts, venue: Account, instruments: Mapping[str, Instrument]) -> Fault:
    """Position = sum of fills = the venue's position; fees, funding and money likewise, exact in Decimal.

    Money is cash less what open swap positions cost. Which of two fills came first decides how a gain is split between
    these two, and a stream may tell them in another order; it does not change their sum, and once flat it is cash.
    """
    account = venue.name
    portfolio = known.portfolios.get(account)
    if portfolio is None:
        return f"no portfolio of {account} on record"
    ours = {each.instrument: each.size for each in portfolio.positions}
    for symbol in instruments:
        there, here = venue.position(symbol).size, ours.get(symbol, ZERO)
        summed = known.sizes.get((account, symbol), ZERO)
        if not there == summed == here:
            return f"{symbol} of {account}: the venue has {there}, the fills sum to {summed}, the portfolio has {here}"
    fees = sum((each.fees for each in venue.positions.values()), ZERO)
    paid = sum((each.fees for each in portfolio.positions), ZERO)
    if not fees == known.fees.get(account, ZERO) == paid:
        return f"fees of {account}: {fees} at the venue, {known.fees.get(account)} by fills, {paid} in the portfolio"
    funding = sum((each.funding for each in venue.positions.values()), ZERO)
    if funding != known.received.get(account, ZERO):
        return f"funding of {account}: {funding} at the venue, {known.received.get(account)} on record"
    there = _money(venue.cash, venue.positions.values(), instruments)
    here = _money(portfolio.cash, portfolio.positions, instruments)
    if there != here:
        return f"money of {account}: {there} at the venue, {here} in the portfolio"
    held: dict[str, Decimal] = {}
    for sizes in portfolio.sizes().values():
        for symbol, size in sizes.items():
            held[symbol] = EXACT.add(held.get(symbol, ZERO), size)
    if {s: size for s, size in held.items() if size} != {s: size for s, size in ours.items() if size}:
        return f"what the plans of {account} hold does not sum to its positions"
    return None


def _money(cash: Decimal, positions: Iterable[Position], instruments: Mapping[str, Instrument]) -> Decimal:
    for each in positions:
        if instruments[each.instrument].kind == "swap":
            cash = EXACT.subtract(cash, each.cost)
    return cash


def law_7(known: Facts, venue: Account) -> Fault:
    """Every decision got its verdict; every approval ended, but for the stops of an open position: no zombie."""
    for decision in known.decisions.values():
        if decision.account == venue.name and decision.id not in known.verdicts:
            return f"decision {decision.id} has no verdict"
    for client_id, order in known.open.items():
        if order.account != venue.name:
            continue
        if client_id not in venue.working:
            return f"order {client_id} is open in the journal, and not at the venue"
        if order.trigger is None or not venue.position(order.instrument).size:
            return f"order {client_id} still works, long after all was calm"
    for client_id in venue.working:
        if client_id not in known.open:
            return f"order {client_id} works at the venue, and the journal says it ended"
    return None


def guarded(venue: Account, instruments: Mapping[str, Instrument]) -> Fault:
    """Every position that risk sized has protective stops at the venue, but for coins too few to sell."""
    left = [(working.order, working.order.size - working.filled) for working in venue.working.values()]
    for symbol, position in venue.positions.items():
        if lack := _lack(instruments[symbol], symbol, position.size, left):
            return f"{position.size} {symbol} of {venue.name} lacks stops for {lack}"
    return None


def guarded_soon(
    known: Facts, account: str, venue: VenueState, bare: dict[tuple[str, str], int], now: int,
    instruments: Mapping[str, Instrument],
) -> Fault:  # fmt: skip
    """None of them goes long without, as far as its size and its stops are on record.

    A stop that is open on record counts though the venue has it no longer: who told of its end was lost, and it takes
    a sweep to know. `bare` remembers since when a position lacks something.
    """
    left = {each.client_id: (each.order, each.order.size - each.filled) for each in venue.open_orders if each.order}
    on_record = {each.client_id: (each, each.size) for each in known.open.values() if each.account == account}
    there = {each.instrument: each.size for each in venue.positions}
    for symbol, instrument in instruments.items():
        key, here = (account, symbol), known.sizes.get((account, symbol), ZERO)
        size = min(here, there.get(symbol, ZERO), key=abs) if here * there.get(symbol, ZERO) > 0 else ZERO
        if not (lack := _lack(instrument, symbol, size, {**on_record, **left}.values())):
            bare.pop(key, None)
        elif now - bare.setdefault(key, now) > BARE_NS:
            return f"{size} {symbol} of {account} has lacked stops for {lack} since {bare[key]}"
    return None


def _lack(instrument: Instrument, symbol: str, size: Decimal, orders: Iterable[tuple[Order, Decimal]]) -> Decimal:
    """What of a position no stop guards. `orders` at the venue, each with what it can still fill."""
    side = opposite("buy" if size > 0 else "sell")
    cover = ZERO
    for order, left in orders:
        if order.instrument == symbol and order.kind in TRIGGERED and order.side == side:
            cover += left
    return closable(instrument, max(ZERO, abs(size) - cover))


def law_10(actors: Iterable[ActorStatus], briefings: Mapping[str, Briefing | None], since_ns: int) -> Fault:
    """Faults over: every actor runs, mailboxes are empty, each plan was briefed from candles that came since."""
    for each in actors:
        if each.state != "running" or each.waiting:
            return f"{each.name} is {each.state} with {each.waiting} messages waiting"
    for plan, briefing in briefings.items():
        if briefing is None or briefing.at < since_ns:
            return f"plan {plan} has had no cycle since the faults were over"
        for reading in briefing.readings:
            if reading.close_ns < since_ns:
                return f"plan {plan} knows no candle of {reading.instrument} since the faults were over"
    return None


def law_10_told(alerts: Iterable[Alert], lines: Iterable[str]) -> Fault:
    """The second half of law 10: alerts arrive. `lines` are what people read, `alerts` what was to be told by then."""
    read = "\n".join(lines)
    for alert in alerts:
        if f"{alert.kind}: {alert.text}" not in read:
            return f"nobody was told: {alert.kind}: {alert.text}"
    return None


# ---- at an end ----------------------------------------------------------------------------------


def law_9(took_s: float, allowed_s: float) -> Fault:
    """SIGTERM ends the process within the sum of the shutdown times."""
    return f"stopping took {took_s:.3f} s, allowed are {allowed_s:.3f} s" if took_s > allowed_s else None


def law_11(first: str, second: str) -> Fault:
    """Same seed, same trace."""
    return f"the same seed made the traces {first} and {second}" if first != second else None
