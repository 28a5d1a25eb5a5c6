"""The ledger: how many requests a language model may be sent, for what, and at what price.

It counts attempts, not answers: one row for each HTTP request, reserved on disk before it is sent. What was reserved
and never resolved (a crash, a kill) counts as spent. So no crash, no restart and no clock can make a request too many.

Time here is the machine's, not the trading clock. Spans are measured by the steady clock, which nobody sets, between
moments of one boot, and by the system clock across boots. A calendar day is taken for one only while the system clock
has not been stepped since the machine started; after that a day is 25 hours, the longest there is, and a month 31
days. An attempt is dated by the last moment at which it can have arrived.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, final, get_args
from zoneinfo import ZoneInfo

from msgspec import Struct

from kokex.messages.llm import CallState, LlmCall, Moment, Purpose

SECOND = 1_000_000_000
MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
LONGEST_DAY, LONGEST_MONTH = 25 * HOUR, 31 * 24 * HOUR + HOUR
STEP_NS = 60 * SECOND  # clocks that come further apart were stepped...
SLEW = 1_000  # ...beyond one thousandth, twice what NTP slews
FORGOTTEN_NS = 33 * 24 * HOUR  # no window is longer

PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
# Cycles: they alone may draw on the reserve once their own share is spent, and have the last request of a minute. What
# a person asks for in conversation never costs trading an answer.
CYCLES: frozenset[Purpose] = frozenset({"scheduled", "event"})


class Quota(Struct, frozen=True, kw_only=True):
    """What one provider lets pass. 0: no bound."""

    rpm: int = 0  # requests in any 60 s
    rpd: int = 0  # requests in a day of `reset_zone`
    per_24h: int = 0  # requests in any 24 h
    reset_zone: str = "UTC"


class Budget(Struct, frozen=True, kw_only=True):
    """What all providers together may cost, and how a day is shared. 0 dollars: no bound."""

    usd_per_day: Decimal = Decimal(0)  # of a day UTC
    usd_per_month: Decimal = Decimal(0)
    shares: Mapping[Purpose, float] = {}  # of a day's requests and dollars; what is left is the reserve


class Wait(NamedTuple):
    """How long until a request may go, and which rule says so. 0: now."""

    ns: int
    why: str = ""


NOW = Wait(0)


class Attempt(Struct):
    """One request, as far as budgets care."""

    provider: str
    purpose: Purpose
    state: CallState
    begun: Moment
    within_ns: int
    usd: Decimal
    ended: Moment | None = None
    blocked_ns: int = 0

    def age_ns(self, now: Moment) -> int:
        """Since it can last have arrived; negative while it still may."""
        if self.ended is not None:
            return elapsed(self.ended, now)
        return elapsed(self.begun, now) - self.within_ns

    def dated_ns(self, now: Moment) -> int:
        """When it can last have arrived, by the system clock.

        Within a boot by that of then or, if that is later, of now, and by as much later as a step may be and not show:
        it may have been set there and back.
        """
        last, age_ns = self.last, self.age_ns(now)
        if last.boot != now.boot:
            return last.wall_ns
        return max(last.wall_ns, now.wall_ns - age_ns) + STEP_NS + max(0, age_ns) // SLEW

    @property
    def last(self) -> Moment:
        if self.ended is not None:
            return self.ended
        begun, within = self.begun, self.within_ns
        return Moment(begun.wall_ns + within, begun.steady_ns + within, begun.boot)


def elapsed(since: Moment, now: Moment) -> int:
    """Nanoseconds between two moments: never negative, and what cannot be known is short."""
    if since.boot == now.boot:
        return max(0, now.steady_ns - since.steady_ns)
    return max(0, now.wall_ns - since.wall_ns)


@final
class Ledger:
    def __init__(self, quotas: Mapping[str, Quota], budget: Budget) -> None:
        self._quotas = quotas
        self._budget = budget
        self._zones = {name: ZoneInfo(quota.reset_zone) for name, quota in quotas.items()}
        self._attempts: dict[int, Attempt] = {}  # by the id of the reservation, oldest first
        self._first: Moment | None = None  # of this boot: against it a step of the system clock shows
        self._failures: dict[str, int] = {}  # provider -> faults in a row

    # ---- what happened

    def load(self, calls: Iterable[LlmCall], first: Moment | None) -> None:
        """What is on record, oldest first; `first` is the first moment known of this boot.

        An attempt of a time that has not come yet was dated by a clock that was wrong: it counts as made then.
        """
        self._first = first
        for call in calls:
            self.note(call)
        for each in self._attempts.values():
            if first and each.last.boot != first.boot and each.last.wall_ns > first.wall_ns:
                each.ended = first

    def note(self, call: LlmCall) -> None:
        """Takes in a row."""
        if call.call == 0:
            self._attempts[call.id] = Attempt(
                call.provider, call.purpose, call.state, call.begun, round(call.within_s * 1e9), call.usd, call.ended
            )
        elif attempt := self._attempts.get(call.call):
            attempt.state, attempt.ended, attempt.usd = call.state, call.ended, call.usd
            attempt.blocked_ns = round(call.blocked_s * 1e9)
        if call.state == "ok":
            self._failures.pop(call.provider, None)
        elif call.state == "failed":
            self._failures[call.provider] = self._failures.get(call.provider, 0) + 1

    def failures(self, provider: str) -> int:
        """Faults in a row."""
        return self._failures.get(provider, 0)

    # ---- what may happen

    def wait(self, provider: str, purpose: Purpose, usd: Decimal, now: Moment) -> Wait:
        """How long until this provider may be sent a request that costs at most `usd`. 0: it may be now."""
        self._forget(now)
        trusted = self._trusted(now)
        quota, zone = self._quotas[provider], self._zones[provider]
        spent = [each for each in self._attempts.values() if each.state != "unsent"]
        here = [each for each in spent if each.provider == provider]
        today = [each for each in here if _same_day(each, now, zone, trusted=trusted)]
        kept = 1 if quota.rpm > 1 and purpose not in CYCLES else 0
        waits = [
            _blocked(here, now),
            _rolling(here, now, quota.rpm - kept, MINUTE, "requests in a minute"),
            _rolling(here, now, quota.per_24h, 24 * HOUR, "requests in 24 hours"),
            self._share_of_24h(purpose, here, quota.per_24h, now),
        ]
        day = Wait(_day_left(today, now, zone, trusted=trusted))
        if quota.rpd:
            if len(today) >= quota.rpd:
                waits.append(day._replace(why=f"{quota.rpd} requests a day"))
            elif not self._has_share(purpose, _counted(today), Decimal(1), Decimal(quota.rpd), whole=True):
                waits.append(day._replace(why=_share(purpose, f"{quota.rpd} requests a day")))
        waits.append(self._money(purpose, spent, usd, now, trusted=trusted))
        return max(waits, key=lambda wait: wait.ns)

    def can_spare(self, provider: str, purpose: Purpose, usd: Decimal, now: Moment) -> bool:
        """Whether a request that may go could also be done without harm to the rest of the day.

        So it is while the purpose's share is spent no faster than the day goes by; always, where nothing bounds a day.
        """
        trusted, quota, usd_per_day = self._trusted(now), self._quotas[provider], self._budget.usd_per_day
        spent = [each for each in self._attempts.values() if each.state != "unsent" and each.purpose == purpose]
        part = Decimal(str(self._budget.shares.get(purpose, 0))) if self._budget.shares else Decimal(1)

        def behind(used: Decimal, total: Decimal, zone: ZoneInfo) -> bool:
            left_ns = _day_left((), now, zone, trusted=True) if trusted else LONGEST_DAY
            return used <= part * total * max(0, 24 * HOUR - left_ns) / (24 * HOUR)

        def today(attempts: list[Attempt], zone: ZoneInfo) -> list[Attempt]:
            return [each for each in attempts if _same_day(each, now, zone, trusted=trusted)]

        utc, zone = ZoneInfo("UTC"), self._zones[provider]
        here = today([each for each in spent if each.provider == provider], zone)
        cost = sum((each.usd for each in today(spent, utc)), usd)
        return (not quota.rpd or behind(Decimal(len(here) + 1), Decimal(quota.rpd), zone)) and (
            not usd_per_day or behind(cost, usd_per_day, utc)
        )

    def _money(self, purpose: Purpose, spent: list[Attempt], usd: Decimal, now: Moment, *, trusted: bool) -> Wait:
        budget, utc = self._budget, ZoneInfo("UTC")
        waits = [NOW]
        if budget.usd_per_day:
            today = [each for each in spent if _same_day(each, now, utc, trusted=trusted)]
            day = Wait(_day_left(today, now, utc, trusted=trusted))
            if sum((each.usd for each in today), usd) > budget.usd_per_day:
                waits.append(day._replace(why=f"{budget.usd_per_day} dollars a day"))
            elif not self._has_share(purpose, _cost(today), usd, budget.usd_per_day, whole=False):
                waits.append(day._replace(why=_share(purpose, f"{budget.usd_per_day} dollars a day")))
        if budget.usd_per_month:
            month = [each for each in spent if _same_month(each, now, trusted=trusted)]
            left = Wait(_month_left(month, now, trusted=trusted))
            if sum((each.usd for each in month), usd) > budget.usd_per_month:
                waits.append(left._replace(why=f"{budget.usd_per_month} dollars a month"))
            elif purpose not in CYCLES and not self._has_share(
                purpose, _cost(month), usd, budget.usd_per_month, whole=False
            ):
                waits.append(left._replace(why=_share(purpose, f"{budget.usd_per_month} dollars a month")))
        return max(waits, key=lambda wait: wait.ns)

    def _share_of_24h(self, purpose: Purpose, here: list[Attempt], most: int, now: Moment) -> Wait:
        window = [each for each in here if each.age_ns(now) < 24 * HOUR]
        if not most or self._has_share(purpose, _counted(window), Decimal(1), Decimal(most), whole=True):
            return NOW
        oldest_ns = max((each.age_ns(now) for each in window if each.purpose == purpose), default=0)
        return Wait(24 * HOUR - oldest_ns, _share(purpose, f"{most} requests in 24 hours"))

    def _has_share(
        self, purpose: Purpose, used: Mapping[Purpose, Decimal], more: Decimal, total: Decimal, *, whole: bool
    ) -> bool:
        """Whether a purpose's own share has room for `more`, or else the reserve."""
        shares = self._budget.shares
        if not shares:
            return True
        own = {each: total * Decimal(str(shares.get(each, 0))) for each in PURPOSES}
        if whole:
            own = {each: Decimal(int(amount + Decimal("1e-9"))) for each, amount in own.items()}
        after = used.get(purpose, Decimal(0)) + more
        if after <= own[purpose]:
            return True
        if purpose not in CYCLES:
            return False
        drawn = sum(
            (max(Decimal(0), used.get(each, Decimal(0)) - own[each]) for each in PURPOSES if each != purpose),
            after - own[purpose],
        )
        return drawn <= total - sum(own.values())

    # ---- clocks

    def _trusted(self, now: Moment) -> bool:
        """The system clock has not been stepped since the machine started, as far as is known."""
        first = self._first
        if first is None or first.boot != now.boot:
            self._first = now
            return True
        apart = (now.wall_ns - now.steady_ns) - (first.wall_ns - first.steady_ns)
        return abs(apart) <= STEP_NS + (now.steady_ns - first.steady_ns) // SLEW

    def _forget(self, now: Moment) -> None:
        for number, attempt in list(self._attempts.items()):
            if attempt.age_ns(now) < FORGOTTEN_NS:
                break
            del self._attempts[number]


# ---- windows ------------------------------------------------------------------------------------


def _blocked(attempts: Iterable[Attempt], now: Moment) -> Wait:
    longest = max((each.blocked_ns - each.age_ns(now) for each in attempts if each.blocked_ns), default=0)
    return Wait(max(0, longest), "the provider asked for a pause")


def _rolling(attempts: list[Attempt], now: Moment, most: int, window_ns: int, what: str) -> Wait:
    if not most:
        return NOW
    ages = sorted(age for each in attempts if (age := each.age_ns(now)) < window_ns)
    if len(ages) < most:
        return NOW
    return Wait(window_ns - ages[most - 1], f"{most} {what}")  # until the oldest that stands in the way is out


def _share(purpose: Purpose, of: str) -> str:
    return f"the share of {purpose} in {of} (llm.shares)"


def _same_day(attempt: Attempt, now: Moment, zone: ZoneInfo, *, trusted: bool) -> bool:
    """Whether it may have arrived on the day that it is now."""
    if attempt.age_ns(now) >= LONGEST_DAY:
        return False
    if not trusted or attempt.last.wall_ns > now.wall_ns + STEP_NS:
        return True
    return _date(attempt.dated_ns(now), zone).date() >= _date(now.wall_ns, zone).date()


def _same_month(attempt: Attempt, now: Moment, *, trusted: bool) -> bool:
    if attempt.age_ns(now) >= LONGEST_MONTH:
        return False
    if not trusted or attempt.last.wall_ns > now.wall_ns + STEP_NS:
        return True
    was, date = _date(attempt.dated_ns(now), ZoneInfo("UTC")), _date(now.wall_ns, ZoneInfo("UTC"))
    return (was.year, was.month) >= (date.year, date.month)


def _day_left(today: Iterable[Attempt], now: Moment, zone: ZoneInfo, *, trusted: bool) -> int:
    """Until the day is over; where nobody knows when it is, until the newest attempt is certainly of another."""
    if not trusted:
        return max((LONGEST_DAY - each.age_ns(now) for each in today), default=MINUTE)
    date = _date(now.wall_ns, zone)
    midnight = datetime.combine(date.date() + timedelta(days=1), datetime.min.time(), zone)
    return max(SECOND, round(midnight.timestamp() * 1e9) - now.wall_ns)


def _month_left(month: Iterable[Attempt], now: Moment, *, trusted: bool) -> int:
    if not trusted:
        return max((LONGEST_MONTH - each.age_ns(now) for each in month), default=MINUTE)
    date = _date(now.wall_ns, ZoneInfo("UTC"))
    first = datetime(date.year + date.month // 12, date.month % 12 + 1, 1, tzinfo=UTC)
    return max(SECOND, round(first.timestamp() * 1e9) - now.wall_ns)


def _date(wall_ns: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(wall_ns / 1e9, zone)


def _counted(attempts: Iterable[Attempt]) -> dict[Purpose, Decimal]:
    counts: dict[Purpose, Decimal] = {}
    for each in attempts:
        counts[each.purpose] = counts.get(each.purpose, Decimal(0)) + 1
    return counts


def _cost(attempts: Iterable[Attempt]) -> dict[Purpose, Decimal]:
    costs: dict[Purpose, Decimal] = {}
    for each in attempts:
        costs[each.purpose] = costs.get(each.purpose, Decimal(0)) + each.usd
    return costs


def until_reset_s(zone: str, now: Moment) -> float:
    """Until the day of a zone is over, by the system clock."""
    return _day_left((), now, ZoneInfo(zone), trusted=True) / 1e9
