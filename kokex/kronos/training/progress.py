"""How far training has come, on disk: written whole or not at all, and enough to go on as if nothing had happened.

The luck of a step and its windows follow from the seed and its number, so no generator's state is kept.
"""

import os
import pickle
import warnings
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, cast

import torch

from kokex.kronos.training.windows import TrainingError

VERSION = 1


@dataclass
class Progress:
    """Of one stage. The losses are those of all steps so far: the curve of a killed run is that of a whole one."""

    asked: str  # all that decides the outcome, but for the machine
    step: int = 0  # steps done
    losses: list[float] = field(default_factory=list[float])
    validations: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])  # after so many steps
    before: float | None = None  # the validation of the model that it began with
    best: float = float("inf")
    best_step: int = 0
    stale: int = 0  # judgements since
    finished: bool = False
    model: dict[str, Any] = field(default_factory=dict[str, Any])
    optimizer: dict[str, Any] = field(default_factory=dict[str, Any])
    schedule: dict[str, Any] = field(default_factory=dict[str, Any])


def keep(progress: Progress, file: Path) -> None:
    """Raises OSError."""
    partial = file.with_name(file.name + ".partial")
    with partial.open("wb") as out:
        torch.save({"version": VERSION} | {each.name: getattr(progress, each.name) for each in fields(progress)}, out)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(file)


def resume(file: Path, asked: str) -> Progress:
    """What is on disk, or the very beginning. Raises TrainingError when it is of something else."""
    if not file.exists():
        return Progress(asked)
    kept = _read(file)
    if kept.pop("version", None) != VERSION or kept["asked"] != asked:
        raise TrainingError(
            f"{file}: the progress of a training with other candles or settings; "
            "name another folder with --out, or remove it to begin anew"
        )
    return Progress(**kept)


def _read(file: Path) -> dict[str, Any]:
    try:
        with warnings.catch_warnings(action="ignore"):
            kept = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise TrainingError(f"{file}: cannot be read: {error.strerror or error}; remove it to begin anew") from None
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError, LookupError, TypeError, AttributeError):
        kept = None  # what torch says of damaged bytes is long, and of no use here
    known = {"version", *(each.name for each in fields(Progress))}
    if not isinstance(kept, dict) or "asked" not in kept or not known.issuperset(cast(dict[str, Any], kept)):
        raise TrainingError(f"{file}: cannot be read: damaged, or no progress of a training; remove it to begin anew")
    return cast(dict[str, Any], kept)


def curve(progress: Progress) -> dict[str, Any]:
    """What of it is worth reading, as JSON."""
    told = ("losses", "validations", "before", "best", "best_step", "finished")
    return {name: value for name, value in asdict(progress).items() if name in told}
