"""trainer: a model trained anew, at night and in a process of its own.

Holds when a training last ended. In the window of every so many nights it calls the Training port, which takes hours
and is cut off with the window: what is not done then goes on in the next night. Emits Trained, which makes the
scheduler think at once.
"""

from kokex.config import Training as Settings
from kokex.kernel.actor import Actor
from kokex.kernel.cell import Failure
from kokex.market.calendars import next_session
from kokex.market.timeframes import DAY, HOUR, SECOND
from kokex.messages import Alert, ModelVersion, Severity, Trained
from kokex.ports import Saved, Store, Training

KEY = "training"


class Trainer(Actor):
    emits = (Trained, Alert)
    state = int

    def __init__(self, settings: Settings, training: Training | None, store: Store) -> None:
        """Without a `training` there is nothing to do."""
        self._settings = settings
        self._training = training
        self._store = store
        self._ended_ns = 0  # the beginning of the window in which a training last ended
        self._window_ns = 0  # of the one under way

    async def load(self) -> int:
        body = await self._store.saved(KEY)
        return int(body) if body else 0

    def start(self, state: int) -> None:
        self._ended_ns = state
        if self._training is None:
            return
        opened = self._opening_before()
        if self._is_due(opened) and self._closes_ns(opened) > self.now:
            self.later(0, self._begin, opened)
        else:
            self._wait()

    def _wait(self) -> None:
        opens = next_session(self.now, (self._begins(),))
        self.at(opens, self._begin, opens)

    def _begin(self, window_ns: int) -> None:
        if self._training is None or self.draining or not self._is_due(window_ns):
            self._wait()
            return
        self._window_ns = window_ns
        left_s = (self._closes_ns(window_ns) - self.now) / SECOND
        self._say("info", f"a model is trained, in a process of its own, for at most {left_s / 3600:.1f} h")
        self.call(self._training.train, returns=ModelVersion, then=self._ended, timeout_s=left_s)

    def _ended(self, outcome: ModelVersion | Failure) -> None:
        if isinstance(outcome, Failure):
            if outcome.kind == "Timeout":
                self._say("info", "the night is over before the training is; it goes on in the next one")
            else:
                self._say("warning", f"no model was trained: {outcome.text}; the next night tries again")
        else:
            self._ended_ns = self._window_ns
            self._store.append(Saved(key=KEY, body=str(self._ended_ns).encode()))
            self.emit(Trained(version=outcome))
            self._say("info", f"{outcome.name}: {outcome.verdict}")
        self._wait()

    def _begins(self) -> int:
        """Nanoseconds after midnight UTC."""
        return round(self._settings.from_h * HOUR)

    def _opening_before(self) -> int:
        """When the window opened last, or does now."""
        return next_session(self.now, (self._begins(),)) - DAY

    def _closes_ns(self, window_ns: int) -> int:
        return window_ns + round(self._settings.hours * HOUR)

    def _is_due(self, window_ns: int) -> bool:
        return window_ns - self._ended_ns >= self._settings.every_days * DAY

    def _say(self, severity: Severity, text: str) -> None:
        self.emit(Alert(severity=severity, kind="training", text=text))
