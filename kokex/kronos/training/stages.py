"""The two stages, on folders: candles in, a tokenizer and a predictor out.

OUT/tokenizer/  OUT/predictor/    the best so far of each: config.json and model.safetensors
OUT/tokenizer.progress, OUT/predictor.progress    what is needed to go on after a kill
OUT/training.json    how it went
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
from msgspec import Struct

from kokex.kronos.config import CheckpointError, PredictorConfig, TokenizerConfig
from kokex.kronos.loading import load_predictor, load_tokenizer, save
from kokex.kronos.predictor import Predictor
from kokex.kronos.registry import MAX_CONTEXT
from kokex.kronos.tokenizer import Tokenizer
from kokex.kronos.training.loop import Task, Told, fit, learnt
from kokex.kronos.training.objectives import Objective, PredictorObjective, TokenizerObjective
from kokex.kronos.training.progress import Progress, curve
from kokex.kronos.training.ranks import Ranks
from kokex.kronos.training.sizes import SIZES, Recipe
from kokex.kronos.training.windows import Series, TrainingError, Windows, mixed, split, torch

Stage = Literal["tokenizer", "predictor"]

REPORT = "training.json"
JUDGEMENTS = 20  # of a stage, if nothing ends it earlier
FINE = 0.1  # of the learning rate and a fifth of the steps, for what has been trained before
FINE_STEPS = 0.2


class Asked(Struct, frozen=True, kw_only=True):
    """What is to be trained, and on what terms. Zero: the size's own."""

    size: str = "nano"
    tokenizer: str = (
        ""  # a checkpoint to begin the tokenizer with, or to use as it is where only the predictor is trained
    )
    predictor: str = ""  # likewise
    context: int = 240  # candles a window is normalised by
    ahead: int = 25  # candles after them: the horizon, and one
    share: float = 0.1  # of the candles, the newest, for validation
    gap: int = 24  # candles between
    windows: int = 128  # for validation
    patience: int = 10  # judgements without a better one; 0: to the end
    steps: int = 0
    batch: int = 0
    learning_rate: float = 0.0
    seed: int = 0
    half: bool = False  # weights are written in half precision


class Outcome(Struct, frozen=True, kw_only=True):
    """How a stage went."""

    stage: Stage
    folder: str
    parameters: int
    steps: int
    before: float | None  # what it is judged by, of the model it began with
    best: float  # likewise: mean square error of the reconstruction, or nats
    best_step: int
    first_loss: float
    last_loss: float  # means over a twentieth of the steps


def train(
    stages: Sequence[Stage], all_series: Sequence[Series], asked: Asked, out: Path, ranks: Ranks,
    tell: Callable[[Told], None],
) -> list[Outcome]:  # fmt: skip
    """Trains these stages in order, from wherever they stand. Raises TrainingError, CheckpointError, OSError."""
    if asked.size not in SIZES:
        raise TrainingError(f"no size {asked.size!r}: there are {', '.join(SIZES)}")
    _reported(out / REPORT)  # one that cannot be read would be found out only when a stage is done
    work = _Work(all_series, asked, out, ranks, tell)
    out.mkdir(parents=True, exist_ok=True)
    return [work.run(stage) for stage in stages]


class _Work:
    def __init__(
        self, all_series: Sequence[Series], asked: Asked, out: Path, ranks: Ranks, tell: Callable[[Told], None]
    ) -> None:
        self.asked, self.out, self.ranks, self.tell = asked, out, ranks, tell
        self.windows = Windows(all_series, asked.context, asked.ahead)
        self.split = split(all_series, self.windows.length, asked.share, asked.gap)
        self.candles = [_identity(each) for each in all_series]

    def run(self, stage: Stage) -> Outcome:
        torch.manual_seed(mixed(self.asked.seed, len(stage)))  # the weights to begin with
        model, begun_with = self._model(stage)
        recipe = self._recipe(stage, model, trained_before=bool(begun_with))
        if recipe.batch % self.ranks.world:
            raise TrainingError(f"--batch {recipe.batch} does not divide into {self.ranks.world} processes")
        tokenizer = load_tokenizer(self.out / "tokenizer") if stage == "predictor" else None
        folder = self.out / stage
        asked = self._identity_of(stage, recipe, model.config, begun_with, tokenizer)
        progress = fit(
            self._objective(model.to(self.ranks.device), tokenizer),
            recipe, self._task(stage, recipe, fine=bool(begun_with)), self.out / f"{stage}.progress", asked,
            lambda: save(model, folder, half=self.asked.half), self.ranks, self.tell,
        )  # fmt: skip
        _check(stage, progress, fine=bool(begun_with))
        outcome = _outcome(stage, folder, model, progress)
        if self.ranks.first:
            self._report(outcome, progress)
        return outcome

    def _model(self, stage: Stage) -> tuple[Tokenizer | Predictor, str]:
        """The weights to begin with, and the folder they came from, "" for none."""
        size, asked = SIZES[self.asked.size], self.asked
        if stage == "tokenizer":
            return (
                (load_tokenizer(asked.tokenizer), asked.tokenizer)
                if asked.tokenizer
                else (Tokenizer(size.tokenizer), "")
            )
        self._settle_tokenizer()
        tokenizer = load_tokenizer(self.out / "tokenizer")
        trained = asked.context + asked.ahead - 1  # of a window's candles the last is only foretold
        if not asked.predictor:
            bits = {"s1_bits": tokenizer.config.s1_bits, "s2_bits": tokenizer.config.s2_bits}
            return Predictor(msgspec.structs.replace(size.predictor, **bits, max_context=trained)), ""
        model = load_predictor(asked.predictor)
        if (model.config.s1_bits, model.config.s2_bits) != (tokenizer.config.s1_bits, tokenizer.config.s2_bits):
            raise CheckpointError(f"{asked.predictor}: a predictor of other tokens than the tokenizer's")
        longest = max(model.config.max_context or MAX_CONTEXT, trained)
        model.config = msgspec.structs.replace(model.config, max_context=longest)
        return model, asked.predictor

    def _settle_tokenizer(self) -> None:
        """OUT/tokenizer: the one just trained, or a copy of the one named."""
        own = self.out / "tokenizer"
        if self.ranks.first and self.asked.tokenizer and not (own / "config.json").exists():
            save(load_tokenizer(self.asked.tokenizer), own, half=self.asked.half)
        self.ranks.wait()
        if not (own / "config.json").exists():
            raise TrainingError(f"{own}: not there; `kokex train tokenizer` makes one, --tokenizer names another")

    def _recipe(self, stage: Stage, model: Tokenizer | Predictor, *, trained_before: bool) -> Recipe:
        """The size's own recipe, gentler for what has been trained before, and what was asked for."""
        config = model.config
        if isinstance(config, PredictorConfig):
            config = msgspec.structs.replace(config, max_context=None)
        size = next((each for each in SIZES.values() if _of(each, stage) == config), SIZES[self.asked.size])
        recipe = size.tokenizer_recipe if stage == "tokenizer" else size.predictor_recipe
        if trained_before:
            recipe = msgspec.structs.replace(
                recipe, learning_rate=FINE * recipe.learning_rate, steps=round(FINE_STEPS * recipe.steps)
            )
        given = {name: getattr(self.asked, name) for name in ("steps", "batch", "learning_rate")}
        return msgspec.structs.replace(recipe, **{name: value for name, value in given.items() if value})

    def _objective(self, model: Tokenizer | Predictor, tokenizer: Tokenizer | None) -> Objective:
        if isinstance(model, Tokenizer):
            return TokenizerObjective(model, self.ranks)
        assert tokenizer is not None
        return PredictorObjective(model, tokenizer.to(self.ranks.device), self.ranks)

    def _task(self, stage: Stage, recipe: Recipe, *, fine: bool) -> Task:
        part, seed = self.ranks.part, mixed(self.asked.seed, len(stage))
        return Task(
            stage=stage,
            batch=lambda step: self.windows.drawn(self.split.training, recipe.batch, seed, step, part),
            validation=self.windows.spread(self.split.validation, self.asked.windows, recipe.batch, part),
            seed=seed,
            judge_every=max(1, recipe.steps // JUDGEMENTS),
            patience=self.asked.patience,
            fine=fine,
        )

    def _identity_of(
        self, stage: str, recipe: Recipe, config: Any, begun_with: str, tokenizer: Tokenizer | None
    ) -> str:
        """All that decides the outcome, but for the machine."""
        told = [stage, self.candles, msgspec.to_builtins([recipe, config, self.asked]), self.ranks.world]
        files = [Path(begun_with)] if begun_with else []
        files += [self.out / "tokenizer"] if tokenizer else []
        told += [hashlib.sha256((each / "model.safetensors").read_bytes()).hexdigest() for each in files]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def _report(self, outcome: Outcome, progress: Progress) -> None:
        file = self.out / REPORT
        told = _reported(file)
        told[outcome.stage] = msgspec.to_builtins(outcome) | curve(progress)
        told["asked"], told["candles"] = msgspec.to_builtins(self.asked), self.candles
        partial = file.with_name(file.name + ".partial")
        partial.write_text(json.dumps(told) + "\n", encoding="utf-8")
        partial.replace(file)


def _of(size: Any, stage: Stage) -> TokenizerConfig | PredictorConfig:
    return size.tokenizer if stage == "tokenizer" else size.predictor


def _identity(each: Series) -> str:
    return f"{each.name} {len(each)} {int(each.open_ns[0])} {int(each.open_ns[-1])} {float(each.values.sum()):.17g}"


def _check(stage: Stage, progress: Progress, *, fine: bool) -> None:
    """Raises TrainingError where nothing was worth saving."""
    if learnt(progress, fine=fine):
        return
    last = progress.validations[-1][1]
    right = "a finite number" if fine else f"below the {progress.before:.4g} of random weights"
    raise TrainingError(
        f"{stage}: after {progress.step:,} steps the validation is {last:.4g}, and it never was {right}; "
        "a lower --learning-rate or more --steps are needed, and another --out"
    )


def _reported(file: Path) -> dict[str, Any]:
    """Of the stages before. Raises TrainingError."""
    try:
        told = json.loads(file.read_bytes()) if file.exists() else {}
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise TrainingError(f"{file}: damaged, or no report of a training; remove it, and it is written anew")
    return cast(dict[str, Any], told)


def _outcome(stage: Stage, folder: Path, model: Any, progress: Progress) -> Outcome:
    some = max(1, len(progress.losses) // 20)
    return Outcome(
        stage=stage,
        folder=str(folder),
        parameters=sum(each.numel() for each in model.parameters()),
        steps=progress.step,
        before=progress.before,
        best=progress.best,
        best_step=progress.best_step,
        first_loss=sum(progress.losses[:some]) / some,
        last_loss=sum(progress.losses[-some:]) / some,
    )
