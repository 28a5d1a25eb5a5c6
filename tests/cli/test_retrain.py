"""`kokex retrain`: a challenger takes over only where it forecasts better; the daemon has it done by a real process."""

import json
import math
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

pytest.importorskip("torch")

from actors.trainer import Trainer
from kokex.adapters.host.csv import write_candles
from kokex.adapters.host.training import TrainingProcess
from kokex.cli import main
from kokex.config import Config, Forecast, Market, Store, Training
from kokex.kronos.training.sizes import SIZES, Recipe, Size
from kokex.messages import Alert, Candle, ModelVersion, Trained
from tests.actors.desk import Desk, memory
from tests.kronos.test_model import PREDICTOR, TOKENIZER

SMALL = ("--context", "24", "--horizon", "6", "--json")


def database(folder: Path, count: int, drift: float) -> Path:
    """Minutes of a price that swings (a model can learn that) or only wanders."""
    chance, price, rows = random.Random(1), 100.0, list[Candle]()
    for i in range(count):
        swing = math.exp(0.03 * math.sin(i / 7) * drift)
        price *= math.exp(chance.gauss(0, 0.001))
        close = round(price * swing, 4)
        before = rows[-1].close if rows else close
        rows.append(Candle("X", i * 60_000_000_000, before, max(before, close), min(before, close), close, 1.0 + i % 5))
    write_candles(folder / "X.csv.gz", rows)
    db = folder / "kokex.db"
    result = CliRunner().invoke(main, ["data", "import", str(folder / "X.csv.gz"), "--db", str(db)])
    assert result.exit_code == 0
    return db


def called(db: Path, folder: Path, *words: str) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["retrain", "--db", str(db), "--folder", str(folder), *SMALL, *words])
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(steps=150, batch=8, learning_rate=4e-3, betas=(0.9, 0.95))
    predictor = replace(PREDICTOR, ffn_dropout_p=0.0, resid_dropout_p=0.0)
    size = Size(tokenizer=TOKENIZER, predictor=predictor, tokenizer_recipe=recipe, predictor_recipe=recipe)
    monkeypatch.setitem(SIZES, "nano", size)


@pytest.mark.usefixtures("small")
def test_who_has_learnt_to_see_the_swing_is_champion_until_somebody_is_better(tmp_path: Path) -> None:
    models = tmp_path / "models"
    first = called(database(tmp_path, 1_600, drift=1.0), models)
    assert first["champion"], first
    assert first["against"] == "baseline"
    champion = (models / "champion").resolve()
    assert champion == Path(first["folder"])
    assert (champion / "predictor/model.safetensors").exists()
    assert not (models / "challenger").exists()
    # Fine-tuned by one step it is the same model, and so no better.
    again = called(tmp_path / "kokex.db", models, "--steps", "1")
    assert not again["champion"]
    assert again["against"] == first["name"]
    assert again["folder"] == ""
    assert (models / "champion").resolve() == champion


@pytest.mark.usefixtures("small")
def test_a_model_that_learnt_nothing_does_not_forecast(tmp_path: Path) -> None:
    version = called(database(tmp_path, 1_200, drift=0.0), tmp_path / "models", "--steps", "1")
    assert not version["champion"]
    assert not (tmp_path / "models/champion").exists()


class Blocking:
    """The real process, called blocking: virtual time stands still meanwhile."""

    def __init__(self, process: TrainingProcess) -> None:
        self._process = process

    async def train(self) -> ModelVersion:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(anyio.run, self._process.train).result()


def test_at_night_a_real_process_trains_and_reports(tmp_path: Path) -> None:
    config = Config(
        market=Market(timeframe="1m"), store=Store(path=str(database(tmp_path, 1_200, drift=0.0))),
        training=Training(enabled=True, folder=str(tmp_path / "models")), forecast=Forecast(horizon=6),
    )  # fmt: skip
    process = TrainingProcess(config)
    process._command += ("--steps", "1", "--context", "24")
    desk = Desk({"trainer": Trainer(config.training, Blocking(process), memory())})
    desk.wait(3 * 3600)
    (trained,) = desk.take(Trained)
    assert trained.version.against == "baseline"
    assert trained.version.metrics["forecasts"] > 20


def test_a_process_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    config = Config(
        market=Market(timeframe="1m"), store=Store(path=str(database(tmp_path, 100, drift=0.0))),
        training=Training(enabled=True, folder=str(tmp_path / "models")),
    )  # fmt: skip
    desk = Desk({"trainer": Trainer(config.training, Blocking(TrainingProcess(config)), memory())})
    desk.wait(3 * 3600)
    (warning,) = [alert.text for alert in desk.take(Alert) if alert.severity == "warning"]
    assert "too few candles: 85 leave no window of 265" in warning
    assert desk.take(Trained) == []
