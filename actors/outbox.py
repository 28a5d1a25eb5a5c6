"""The outbox: part of the notifier, in a room of its own.

A letter is on disk before it is sent and until what became of it is known; so a flood, an outage or a restart
loses none. Only the oldest of each lane are held in memory. One message is under way at a time, the first of the
lowest lane; what people wait for (notices) goes before all but what is urgent. When many letters wait, they share
a message.

The chat's limits are kept from our side: a pause after each message counts from its answer, so that it is never
shorter over there, whatever the line does. In a group a few of the twenty a minute are spared for what is urgent.

Delays are wall time. Trading time may be faster: `speed` is between the two.
"""

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, final

import anyio

from kokex.kernel.cell import Failure, Timer
from kokex.messages import Notice, Words
from kokex.ports import Store, StoreError
from kokex.ports.chat import Chat, Delivery, Letter, Outgoing, Posted
from kokex.present.alerts import LANES, URGENT
from kokex.present.rich import LONGEST, join, split, units

if TYPE_CHECKING:
    from actors.notifier import Notifier

GAP_S = 1.0  # between messages to a chat
GROUP_S, GROUP_MOST, GROUP_SPARED = 60.0, 20, 3
HELD = 256  # letters of a lane in memory; more wait on disk
FLOOD = 10  # when more wait in a lane, they share messages
NOTICES = 32
PATIENCE_S = 60.0  # of somebody who waits for a notice
SEND_S = 40.0
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 60.0
CLOSED_S = 300.0
BETWEEN = "\n\n"


@final
class Pace:
    """When the chat takes the next message."""

    def __init__(self, chat: int, speed: float) -> None:
        self._group = chat < 0
        self._second_ns = round(1e9 * speed)
        self._sent: deque[int] = deque(maxlen=GROUP_MOST)

    def sent(self, now: int) -> None:
        """A message was answered."""
        self._sent.append(now)

    def ready_ns(self, *, urgent: bool) -> int:
        if not self._sent:
            return 0
        ready = self._sent[-1] + round(GAP_S * self._second_ns)
        most = GROUP_MOST if urgent else GROUP_MOST - GROUP_SPARED
        if self._group and len(self._sent) >= most:
            ready = max(ready, self._sent[-most] + round(GROUP_S * self._second_ns))
        return ready


@final
class Lane:
    """The letters of one urgency: the oldest in memory, the rest on disk."""

    def __init__(self, letters: Sequence[Letter]) -> None:
        self.held = deque(letters)
        self.on_disk = len(letters) >= HELD  # there may be more
        self.fetching = False
        self.passed_by = False  # one came while the others were fetched

    def add(self, letter: Letter) -> None:
        if self.on_disk or len(self.held) >= HELD:
            self.on_disk = self.passed_by = True
        else:
            self.held.append(letter)


@final
class Outbox:
    def __init__(
        self,
        notifier: "Notifier",
        store: Store,
        chat: Chat,
        number: int,
        speed: float,
        lanes: Sequence[Sequence[Letter]],
        newest: int = 0,
    ) -> None:
        """`newest`: id of the newest letter on record; the next ones go on from there."""
        self._notifier = notifier
        self._store = store
        self._chat = chat
        self._speed = speed
        self._pace = Pace(number, speed)
        self._lanes = [Lane(letters) for letters in lanes]
        self._notices: deque[Notice] = deque()
        self._last = max(newest, store.session << 40)
        if newest:  # whoever ran before may have said something a moment ago
            self._pace.sent(notifier.now)
        self._under_way = False
        self._timer: Timer | None = None
        self._not_before = 0
        self._backoff_s = FIRST_BACKOFF_S
        self._singly = 0  # so many letters go alone: together they were not taken
        self._trouble = ""  # told on the console, once

    @property
    def waiting(self) -> int:
        """Letters in memory; on disk there may be more."""
        return sum(len(lane.held) for lane in self._lanes)

    # ---- in

    def post(self, lane: int, kind: str, words: Words, *, silent: bool, expires_ns: int = 0) -> None:
        """Puts a letter on record and in its lane; a long one in several."""
        now = self._notifier.now
        for part in split(words):
            self._last += 1
            letter = Letter(
                id=self._last, at=now, lane=lane, kind=kind, silent=silent, words=part, expires_ns=expires_ns
            )
            self._store.append(letter)
            self._lanes[lane].add(letter)
        self.pump()

    def notice(self, notice: Notice) -> bool:
        """Something a person waits for; false when too many do."""
        if len(self._notices) >= NOTICES:
            return False
        self._notices.append(notice)
        self.pump()
        return True

    # ---- out

    def pump(self) -> None:
        """Sends what is next, or sees to it that it is sent when the chat takes it."""
        if self._under_way:
            return
        if self._timer:
            self._timer.cancel()
            self._timer = None
        now = self._notifier.now
        self._drop_stale(now)
        lane = next((number for number, each in enumerate(self._lanes) if each.held), LANES)
        urgent = lane == URGENT
        if not self._notices and lane == LANES:
            return
        ready = max(self._not_before, self._pace.ready_ns(urgent=urgent or bool(self._notices)))
        wait_s = max(0.0, (ready - now) / 1e9 / self._speed)
        if wait_s and not (self._notifier.draining and urgent and wait_s <= GAP_S):
            self._timer = self._notifier.at(ready, self.pump)
        elif urgent or not self._notices:
            self._send_letters(lane, wait_s)
        else:
            self._send_notice(self._notices[0])

    def _drop_stale(self, now: int) -> None:
        """What nobody has a use for any longer."""
        for lane in self._lanes:
            while lane.held and 0 < lane.held[0].expires_ns < now:
                self._settle(lane.held.popleft(), "too late")
        patience_ns = round(PATIENCE_S * 1e9 * self._speed)
        while self._notices and now - self._notices[0].at > patience_ns:
            self._notifier.reply(self._notices.popleft().id, Failure("Timeout", "the chat did not take it in time"))

    def _send_letters(self, lane: int, delay_s: float) -> None:
        letters = self._batch(self._lanes[lane].held)
        words = letters[0].words if len(letters) == 1 else join([each.words for each in letters], BETWEEN)
        message = Outgoing(words=words, silent=letters[0].silent)
        self._begin(message, letters, partial(self._sent_letters, letters), delay_s)

    def _batch(self, held: deque[Letter]) -> list[Letter]:
        """The first letter; in a flood, as many as fit in a message."""
        if len(held) <= FLOOD or self._singly:
            return [held[0]]
        batch: list[Letter] = []
        room = LONGEST
        for letter in held:
            room -= units(letter.words.text) + len(BETWEEN)
            if batch and (room < 0 or letter.silent != batch[0].silent):
                break
            batch.append(letter)
        return batch

    def _send_notice(self, notice: Notice) -> None:
        message = Outgoing(
            words=notice.words, buttons=notice.buttons, keyboard=notice.keyboard, edit=notice.edit,
            picture=notice.picture, silent=True,
        )  # fmt: skip
        self._begin(message, (), partial(self._sent_notice, notice), 0.0)

    def _begin(self, message: Outgoing, letters: Sequence[Letter], then: object, delay_s: float) -> None:
        self._under_way = True
        self._notifier.call(
            self._deliver, message, letters, delay_s,
            returns=Delivery, then=then, timeout_s=SEND_S,  # type: ignore[arg-type]
        )  # fmt: skip

    async def _deliver(self, message: Outgoing, letters: Sequence[Letter], delay_s: float) -> Delivery:
        """On record, sent, and on record what became of it."""
        if delay_s:
            await anyio.sleep(delay_s)
        if letters:
            await self._store.commit()
        delivery = await self._chat.send(message)
        if letters and (delivery.state == "sent" or (delivery.state == "refused" and len(letters) == 1)):
            for letter in letters:
                self._settle(letter, delivery.why)
            with suppress(StoreError):  # kept for the next commit
                await self._store.commit()
        return delivery

    def _settle(self, letter: Letter, why: str) -> None:
        self._store.append(Posted(letter=letter.id, at=self._notifier.now, why=why))

    # ---- what came of it

    def _sent_letters(self, letters: Sequence[Letter], outcome: Delivery | Failure) -> None:
        delivery = self._judged(outcome)
        held = self._lanes[letters[0].lane].held
        if delivery.state == "sent":
            for _ in letters:
                held.popleft()
            self._refill(letters[0].lane)
        elif delivery.state == "refused" and len(letters) == 1:
            held.popleft()
            self._refill(letters[0].lane)
            self._notifier.complain(f"a message of kind {letters[0].kind} was not taken: {delivery.why}")
        elif delivery.state == "refused":
            self._singly = len(letters) + 1
        if delivery.state in {"sent", "refused"}:
            self._singly = max(0, self._singly - 1)
        self.pump()

    def _sent_notice(self, notice: Notice, outcome: Delivery | Failure) -> None:
        delivery = self._judged(outcome)
        if delivery.state in {"sent", "refused"}:
            self._notices.popleft()
            why = Failure("Refused", delivery.why)
            self._notifier.reply(notice.id, delivery.message if delivery.state == "sent" else why)
        self.pump()

    def _judged(self, outcome: Delivery | Failure) -> Delivery:
        """When the next may go."""
        self._under_way = False
        now = self._notifier.now
        delivery = Delivery(state="down", why=outcome.text) if isinstance(outcome, Failure) else outcome
        self._pace.sent(now)
        wait_s = 0.0
        if delivery.state == "later":
            wait_s = delivery.retry_s
        elif delivery.state == "closed":
            wait_s = CLOSED_S
        elif delivery.state == "down":
            wait_s, self._backoff_s = self._backoff_s, min(2 * self._backoff_s, LONGEST_BACKOFF_S)
        else:
            self._backoff_s = FIRST_BACKOFF_S
        self._not_before = now + round(wait_s * 1e9 * self._speed)
        self._tell_trouble(delivery)
        return delivery

    def _tell_trouble(self, delivery: Delivery) -> None:
        """On the console, once for each kind of trouble: the chat itself cannot be told."""
        trouble = delivery.state if delivery.state in {"down", "closed"} else ""
        if trouble and trouble != self._trouble:
            self._notifier.complain(f"Telegram cannot be reached: {delivery.why}; alerts wait on disk")
        elif not trouble and self._trouble:
            self._notifier.complain("Telegram takes messages again")
        self._trouble = trouble

    def _refill(self, number: int) -> None:
        """The next letters of a lane, from disk."""
        lane = self._lanes[number]
        if lane.held or not lane.on_disk or lane.fetching:
            return
        lane.fetching, lane.passed_by = True, False
        then = partial(self._refilled, number)
        self._notifier.call(
            self._store.letters, number, 0, HELD, returns=list[Letter], then=then, timeout_s=SEND_S
        )  # fmt: skip

    def _refilled(self, number: int, letters: list[Letter] | Failure) -> None:
        lane = self._lanes[number]
        lane.fetching = False
        if isinstance(letters, Failure):
            self._notifier.later(LONGEST_BACKOFF_S, self._refill, number)
            return
        lane.held.extend(letters)
        lane.on_disk = len(letters) >= HELD or lane.passed_by
        self._refill(number)
        self.pump()
