"""One stage of training, from wherever it stands to its end.

A step is a batch of windows. Every so many steps the model is judged on later candles; the best so far is what is
saved, and training ends early once it has not become better for `patience` judgements. After every judgement all
that is needed to go on is on disk: killed and started again, a stage has the very losses it would have had.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from kokex.kronos.training.objectives import Objective
from kokex.kronos.training.progress import Progress, keep, resume
from kokex.kronos.training.ranks import Ranks
from kokex.kronos.training.sizes import Recipe
from kokex.kronos.training.windows import Batch, TrainingError, mixed


class Told(NamedTuple):
    """How far a stage is."""

    stage: str
    step: int
    steps: int
    loss: float
    validation: float | None  # the latest
    best: float | None


class Task(NamedTuple):
    """What a stage is to do, besides its recipe."""

    stage: str
    batch: Callable[[int], Batch]  # this process's part of a step's windows
    validation: Sequence[Batch]  # likewise
    seed: int
    judge_every: int  # steps
    patience: int  # judgements without a better one; 0: to the end
    fine: bool  # it begins with a trained model


def fit(
    objective: Objective, recipe: Recipe, task: Task, file: Path, asked: str, save: Callable[[], None], ranks: Ranks,
    tell: Callable[[Told], None],
) -> Progress:  # fmt: skip
    """Trains, and returns how it went; `save` is called for the best model so far. Raises TrainingError, OSError."""
    progress = resume(file, asked)
    if progress.finished:
        return progress
    module = ranks.shared(objective.module.to(ranks.device))
    parameters = [each for each in objective.module.parameters() if each.requires_grad]
    optimizer = AdamW(parameters, recipe.learning_rate, recipe.betas, weight_decay=recipe.weight_decay)
    schedule = OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=recipe.steps, pct_start=recipe.warm_up, div_factor=10.0
    )
    if progress.step:
        objective.module.load_state_dict(progress.model)
        optimizer.load_state_dict(progress.optimizer)
        schedule.load_state_dict(progress.schedule)
    else:
        progress.before = judge(objective, task.validation, ranks)
    while progress.step < recipe.steps:
        objective.module.train()
        torch.manual_seed(mixed(task.seed, progress.step, ranks.rank))  # dropout
        loss: Tensor = module(*objective.prepare(task.batch(progress.step)))
        loss.backward()
        clip_grad_norm_(parameters, recipe.clip)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        progress.step += 1
        progress.losses.append(_number(ranks.mean(loss.detach()), task.stage, progress.step))
        last = progress.step == recipe.steps
        if last or progress.step % task.judge_every == 0:
            judged = judge(objective, task.validation, ranks)
            progress.validations.append((progress.step, judged))
            if judged < progress.best:
                progress.best, progress.best_step, progress.stale = judged, progress.step, 0
                if ranks.first and learnt(progress, fine=task.fine):
                    save()
            else:
                progress.stale += 1
            progress.finished = last or 0 < task.patience <= progress.stale
            if ranks.first:
                progress.model = objective.module.state_dict()
                progress.optimizer, progress.schedule = optimizer.state_dict(), schedule.state_dict()
                keep(progress, file)
        tell(_told(progress, task.stage, recipe.steps))
        if progress.finished:
            break
    ranks.wait()
    return progress


def learnt(progress: Progress, *, fine: bool) -> bool:
    """Whether the best so far is worth saving: a number, and below that of random weights where it began with these.

    Validation and not the loss tells: it is of the same windows each time, and of what is saved. A trained model may
    become worse, and the best of that is saved all the same.
    """
    if not math.isfinite(progress.best):
        return False
    return fine or progress.before is None or progress.best < progress.before


@torch.no_grad()
def judge(objective: Objective, batches: Sequence[Batch], ranks: Ranks) -> float:
    """The mean over all validation windows, of all processes."""
    objective.module.eval()
    total = torch.zeros(2, dtype=torch.float64, device=ranks.device)
    for batch in batches:
        windows = len(batch.x)
        total += torch.stack([objective.judge(batch).double() * windows, total.new_tensor(windows)])
    total = ranks.mean(total)
    return float(total[0] / total[1])


def _number(loss: Tensor, stage: str, step: int) -> float:
    value = float(loss)
    if not math.isfinite(value):
        raise TrainingError(f"{stage}: the loss is {value} at step {step}; a lower --learning-rate is needed")
    return value


def _told(progress: Progress, stage: str, steps: int) -> Told:
    latest = progress.validations[-1][1] if progress.validations else None
    best = progress.best if progress.validations else None
    return Told(stage, progress.step, steps, progress.losses[-1], latest, best)
