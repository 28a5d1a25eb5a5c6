"""trainer: at night, once in so many days, never twice in one, and cut off with the window."""

from actors.trainer import Trainer
from kokex.adapters.sqlite import models
from kokex.adapters.sqlite.direct import DirectStore
from kokex.config import Training as Settings
from kokex.messages import Alert, ModelVersion, Trained
from kokex.ports import TrainingFailed
from tests.actors.desk import HOUR, START, Desk, memory

SETTINGS = Settings(enabled=True, from_h=2, hours=3, every_days=2)
VERSION = ModelVersion(name="v1", folder="data/models/v1", champion=True, against="baseline", verdict="it won")


class Night:
    """A Training port: counts its nights, and says or raises what it is told to."""

    def __init__(self, outcome: ModelVersion | Exception) -> None:
        self.outcome = outcome
        self.calls = 0

    async def train(self) -> ModelVersion:
        self.calls += 1
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def desk_of(training: Night | None, store: DirectStore | None = None, start_ns: int = START) -> Desk:
    return Desk({"trainer": Trainer(SETTINGS, training, store or memory())}, start_ns=start_ns)


def hours(desk: Desk) -> list[float]:
    return [(trained.at - START) / HOUR for trained in desk.take(Trained)]


def test_a_model_is_trained_when_the_night_begins_and_again_after_so_many_days() -> None:
    night = Night(VERSION)
    desk = desk_of(night)
    desk.wait(1.9 * 3600)
    assert night.calls == 0
    desk.wait(5 * 24 * 3600)
    assert hours(desk) == [2, 50, 98]
    assert night.calls == 3


def test_a_restart_in_the_same_night_does_not_train_again_but_one_before_it_is_done_does() -> None:
    store, night = memory(), Night(VERSION)
    desk_of(night, store).wait(3 * 3600)
    desk_of(night, store, START + 4 * HOUR).wait(3600)
    assert night.calls == 1
    fresh = Night(VERSION)
    desk_of(fresh, memory(), START + 4 * HOUR).wait(60)  # whatever it did was not on record
    assert fresh.calls == 1


def test_a_failure_is_told_once_and_the_next_night_tries_again() -> None:
    night = Night(TrainingFailed("too few candles"))
    desk = desk_of(night)
    desk.wait(27 * 3600)
    warnings = [alert.text for alert in desk.take(Alert) if alert.severity == "warning"]
    assert warnings == ["no model was trained: too few candles; the next night tries again"] * 2
    assert hours(desk) == []


def test_what_was_trained_is_on_record_with_its_metrics() -> None:
    store = memory()
    desk = desk_of(Night(VERSION), store)
    desk.wait(3 * 3600)
    (trained,) = desk.take(Trained)
    store.append(trained)
    store.flush()
    (recorded,) = store.ask(models.versions())
    assert recorded.version == VERSION
    assert recorded.trained_ns == START + 2 * HOUR


def test_without_a_port_nothing_happens() -> None:
    desk = desk_of(None)
    desk.wait(10 * 24 * 3600)
    assert desk.take(Alert) == desk.take(Trained) == []
