"""The ledger: under failures, restarts and clocks that are set, a provider never sees a request too many."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kokex.brain.ledger import HOUR, MINUTE, SECOND, Budget, Ledger, Quota
from kokex.brain.pauses import UNTIL_RESET_S, pause_s
from kokex.messages import Fault, LlmCall, Moment, Purpose

START = 1_700_006_400 * SECOND  # midnight UTC
PACIFIC = "America/Los_Angeles"
CENT = Decimal("0.01")


class Machine:
    """A machine with its clocks, its disk and a process; and, elsewhere, the provider that counts."""

    def __init__(self, quota: Quota, budget: Budget) -> None:
        self._quota, self._budget = quota, budget
        self.true_ns = START  # what time it really is
        self.stepped_ns = 0  # by how much the system clock is wrong
        self.disk: list[LlmCall] = []
        self.first = self.now()
        self.seen: list[int] = []  # true times at which requests arrived
        self.spent: list[tuple[int, Decimal]] = []  # by the provider's bill
        self._ids = 0
        self.ledger = self._start()

    def now(self) -> Moment:
        return Moment(self.true_ns + self.stepped_ns, self.true_ns - START, "boot")

    def _start(self) -> Ledger:
        made = Ledger({"p": self._quota}, self._budget)
        firsts = [call for call in self.disk if not call.call]
        last = {call.call: call for call in self.disk if call.call}
        rows = [_row(call, last.get(call.id)) for call in firsts]
        made.load(rows, self.first)
        return made

    def restart(self) -> None:
        """kill -9, and a new process on what is on disk."""
        self.ledger = self._start()

    def ask(self, purpose: Purpose, fate: str, took_ns: int, usd: Decimal) -> bool:
        """One try to send a request; what becomes of it is `fate`. False: the ledger did not let it go."""
        if self.ledger.wait("p", purpose, CENT, self.now()).ns:
            return False
        self._ids += 1
        call = LlmCall(
            id=self._ids, state="reserved", purpose=purpose, provider="p", model="m", begun=self.now(), within_s=35.0,
            usd=CENT,
        )  # fmt: skip
        self.disk.append(call)  # and synced
        if fate == "killed before it is sent":
            self.restart()
            return True
        self.ledger.note(call)
        self.true_ns += took_ns // 2
        self.seen.append(self.true_ns)
        self.spent.append((self.true_ns, min(usd, CENT)))
        self.true_ns += took_ns - took_ns // 2
        if fate == "killed before it is recorded":
            self.restart()
            return True
        state: Any = "ok" if fate == "answered" else "failed"
        after = LlmCall(
            id=-self._ids, call=call.id, state=state, purpose=purpose, provider="p", model="m", begun=call.begun,
            ended=self.now(), within_s=35.0, usd=min(usd, CENT),
        )  # fmt: skip
        self.disk.append(after)
        self.ledger.note(after)
        return True


def _row(first: LlmCall, last: LlmCall | None) -> LlmCall:
    """As the table has it."""
    if last is None:
        return first
    names = ("purpose", "provider", "model", "begun", "within_s")
    kept = {name: getattr(first, name) for name in names}
    return LlmCall(id=first.id, state=last.state, ended=last.ended, usd=last.usd, **kept)


FATES = ("answered", "answered", "failed", "killed before it is sent", "killed before it is recorded")
asks = st.tuples(
    st.just("ask"),
    st.sampled_from(["scheduled", "event", "chat", "news", "research"]),
    st.sampled_from(FATES),
    st.integers(0, 30 * SECOND),
    st.decimals("0.001", "0.01", places=3),
)
bursts = st.tuples(st.just("burst"), st.integers(2, 12), st.sampled_from(FATES), st.decimals("0.001", "0.01", places=3))
waits = st.tuples(st.just("wait"), st.sampled_from([SECOND, MINUTE, HOUR, 7 * HOUR, 23 * HOUR, 25 * HOUR]))
steps = st.tuples(st.just("step"), st.sampled_from([-30 * 24 * HOUR, -HOUR, -MINUTE, HOUR, 13 * HOUR, 40 * 24 * HOUR]))
restarts = st.tuples(st.just("restart"))
quotas = st.builds(
    Quota, rpm=st.sampled_from([0, 0, 1, 3]), rpd=st.sampled_from([0, 2, 5]), per_24h=st.sampled_from([0, 0, 4]),
    reset_zone=st.sampled_from(["UTC", PACIFIC, "Asia/Seoul"]),
)  # fmt: skip
SHARES: Mapping[Purpose, float] = {"scheduled": 0.4, "event": 0.2, "chat": 0.1, "news": 0.1, "research": 0.05}
shares = st.sampled_from([{}, SHARES])
budgets = st.builds(
    Budget, usd_per_day=st.sampled_from([Decimal(0), Decimal("0.025")]), shares=shares,
    usd_per_month=st.sampled_from([Decimal(0), Decimal("0.055")]),
)  # fmt: skip


# A clock that is set back and put right again: by its own time the requests between were of the day before.
@example(
    Quota(rpd=2),
    Budget(),
    [
        ("step", -HOUR),
        ("ask", "scheduled", "answered", 0, CENT),
        ("burst", 2, "answered", CENT),
        ("step", HOUR),
        ("ask", "scheduled", "answered", 0, CENT),
    ],
)
@settings(max_examples=400, deadline=None)
@given(quotas, budgets, st.lists(asks | bursts | bursts | waits | steps | restarts, min_size=5, max_size=40))
def test_a_provider_never_sees_a_request_too_many(quota: Quota, budget: Budget, story: list[Any]) -> None:
    machine = Machine(quota, budget)
    for event in story:
        match event:
            case ("ask", purpose, fate, took_ns, usd):
                machine.ask(purpose, fate, took_ns, usd)
            case ("burst", count, fate, usd):
                for _ in range(count):
                    machine.ask("scheduled", fate, 20 * SECOND, usd)
            case ("wait", ns):
                machine.true_ns += ns
            case ("step", ns):
                machine.stepped_ns += ns
            case _:
                machine.restart()
    seen = machine.seen
    assert not quota.rpm or _most_within(seen, MINUTE) <= quota.rpm
    assert not quota.per_24h or _most_within(seen, 24 * HOUR) <= quota.per_24h
    zone = ZoneInfo(quota.reset_zone)
    assert not quota.rpd or max(Counter(_date(at, zone) for at in seen).values(), default=0) <= quota.rpd
    days: Counter[str] = Counter()
    months: Counter[str] = Counter()
    for at, usd in machine.spent:
        day = _date(at, ZoneInfo("UTC"))
        days[day] += int(usd * 1000)
        months[day[:7]] += int(usd * 1000)
    assert not budget.usd_per_day or max(days.values(), default=0) <= budget.usd_per_day * 1000
    assert not budget.usd_per_month or max(months.values(), default=0) <= budget.usd_per_month * 1000


def _most_within(times: list[int], window_ns: int) -> int:
    return max((sum(at <= other < at + window_ns for other in times) for at in times), default=0)


def _date(at: int, zone: ZoneInfo) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at // 1000)).astimezone(zone).date().isoformat()


# ---- and it does let them go --------------------------------------------------------------------


def test_a_quota_is_used_to_its_last_request_day_after_day() -> None:
    machine = Machine(Quota(rpd=20, rpm=5), Budget())
    for _ in range(3 * 24 * 60):
        machine.ask("scheduled", "answered", SECOND, CENT)
        machine.true_ns = START + (machine.true_ns - START + MINUTE) // MINUTE * MINUTE
    days = Counter(_date(at, ZoneInfo("UTC")) for at in machine.seen)
    assert list(days.values()) == [20, 20, 20]


TWENTY = Decimal("0.20")  # that many requests


@pytest.mark.parametrize(
    ("quota", "budget", "cycles"),
    [  # of twenty: shares of 8, 4, 2, 2 and 1, and a reserve of 3
        (Quota(rpd=20), {}, 15),
        (Quota(per_24h=20), {}, 15),
        (Quota(), {"usd_per_day": TWENTY}, 15),
        (Quota(), {"usd_per_month": TWENTY}, 18),  # of which days are what is shared, and cycles may use what is left
    ],
)
def test_conversation_has_its_share_and_never_takes_what_cycles_are_promised(
    quota: Quota, budget: Any, cycles: int
) -> None:
    machine = Machine(quota, Budget(**budget, shares=SHARES))
    chats = sum(machine.ask("chat", "answered", SECOND, CENT) for _ in range(50))
    assert chats == 2
    wait = machine.ledger.wait("p", "chat", CENT, machine.now())
    assert (wait.ns > HOUR, wait.why.startswith("the share of chat in "), "llm.shares" in wait.why) == (True,) * 3
    went = [machine.ask(purpose, "answered", SECOND, CENT) for _ in range(20) for purpose in ("scheduled", "event")]
    assert sum(went) == cycles
    assert not machine.ask("chat", "answered", SECOND, CENT)


def test_the_last_request_of_a_minute_is_a_cycles() -> None:
    machine = Machine(Quota(rpm=3), Budget())
    assert [machine.ask("chat", "answered", SECOND, CENT) for _ in range(4)] == [True, True, False, False]
    assert machine.ask("event", "answered", SECOND, CENT)
    assert not machine.ask("event", "answered", SECOND, CENT)


def test_the_day_of_a_provider_begins_where_it_lives() -> None:
    machine = Machine(Quota(rpd=2, reset_zone=PACIFIC), Budget())  # it is 16:00 of the day before there
    assert [machine.ask("scheduled", "answered", 0, CENT) for _ in range(3)] == [True, True, False]
    assert machine.ledger.wait("p", "scheduled", CENT, machine.now()).ns == 8 * HOUR
    machine.true_ns += 8 * HOUR
    assert machine.ask("scheduled", "answered", 0, CENT)


def test_the_next_request_is_allowed_exactly_when_it_was_said_to_be() -> None:
    machine = Machine(Quota(rpm=2), Budget())
    machine.ask("scheduled", "answered", 0, CENT)
    machine.true_ns += 20 * SECOND
    machine.ask("scheduled", "answered", 0, CENT)
    wait = machine.ledger.wait("p", "scheduled", CENT, machine.now())
    assert (wait.ns, wait.why) == (40 * SECOND, "2 requests in a minute")
    machine.true_ns += wait.ns - 1
    assert not machine.ask("scheduled", "answered", 0, CENT)
    machine.true_ns += 1
    assert machine.ask("scheduled", "answered", 0, CENT)


def test_a_clock_that_was_ahead_does_not_stop_it_for_ever() -> None:
    """The rows on record are of a time that has not come: after a new start of the machine they count for a day."""
    wrong = Moment(START + 4 * 365 * 24 * HOUR, 5, "old boot")
    call = LlmCall(
        id=1, state="ok", purpose="chat", provider="p", model="m", begun=wrong, ended=wrong, within_s=1.0, usd=CENT
    )
    ledger = Ledger({"p": Quota(rpd=1)}, Budget())
    first = Moment(START, 0, "boot")
    ledger.load([call], first)
    assert ledger.wait("p", "chat", CENT, first).ns
    assert not ledger.wait("p", "chat", CENT, Moment(START + 26 * HOUR, 26 * HOUR, "boot")).ns


@pytest.mark.parametrize(
    ("text", "retry_after_s", "pause"),
    [
        (
            "Quota exceeded for metric: GenerateRequestsPerDayPerProjectPerModel-FreeTier, limit: 20",
            None,
            UNTIL_RESET_S,
        ),
        ("GenerateRequestsPerMinutePerProjectPerModel-FreeTier, limit: 5. Please retry in 25.4s.", None, 25.4),
        ("limit: 0, model: gemini-pro. Please retry in 3s", None, UNTIL_RESET_S),
        ("Rate limit reached for requests per minute (RPM)", None, 60.0),
        ("Rate limit reached ... Please try again in 6m0s.", None, 360.0),
        ("Rate limit reached ... Please try again in 120ms.", None, 1.0),
        ("insufficient_quota", None, UNTIL_RESET_S),
        ("slow down", 7.0, 7.0),
        ("slow down", None, 30.0),
    ],
)
def test_what_a_429_says_is_understood(text: str, retry_after_s: float | None, pause: float) -> None:
    assert pause_s(Fault(kind="rate_limited", status=429, text=text, retry_after_s=retry_after_s), 0) == pause


def test_who_fails_again_and_again_is_left_alone_for_longer() -> None:
    fault = Fault(kind="server_error", status=500)
    assert [pause_s(fault, number) for number in (0, 1, 2, 3, 20)] == [10, 20, 40, 80, 900]
