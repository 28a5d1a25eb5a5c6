"""Checkpoints: a folder of `config.json` and `model.safetensors`, read strictly, written whole.

A tensor that is missing, unexpected or of another shape is an error that names it. Only buffers that follow from the
configuration may be absent.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from kokex.kronos.config import CheckpointError, PredictorConfig, TokenizerConfig, read_config
from kokex.kronos.predictor import Predictor
from kokex.kronos.shapes import shapes_of
from kokex.kronos.tokenizer import Tokenizer

M = TypeVar("M", Tokenizer, Predictor)

WEIGHTS = "model.safetensors"
_BUFFER = re.compile(r"(.*\.)?rotary\.inv_freq|tokenizer\.bsq\.(group_)?basis")


class Checkpoint:
    """The tensors of a folder, checked against its configuration, each read when it is asked for."""

    def __init__(self, folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Raises CheckpointError."""
        self.file = folder / WEIGHTS
        try:
            with safe_open(self.file, "np") as opened:
                slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118
                held = {name: tuple(each.get_shape()) for name, each in slices.items()}
                # Mapped by torch a file counts as memory of this process, for numpy not; but that has no bfloat16.
                self._by = "pt" if any(each.get_dtype() == "BF16" for each in slices.values()) else "np"
        except FileNotFoundError:
            raise CheckpointError(f"{self.file}: missing") from None
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{self.file}: truncated, or not a safetensors file: {error}") from None
        self._check(held, shapes)

    def _check(self, held: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> None:
        wrong = [
            *(f"{name} is missing" for name in wanted if name not in held and not _BUFFER.fullmatch(name)),
            *(f"{name} is unexpected" for name in held if name not in wanted and not _BUFFER.fullmatch(name)),
            *(
                f"{name} is {list(held[name])} where config.json says {list(shape)}"
                for name, shape in wanted.items()
                if held.get(name, shape) != shape
            ),
        ]
        if wrong:
            more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise CheckpointError(f"{self.file}: not the weights of its config.json: {'; '.join(wrong[:3])}{more}")

    def read(self, names: Iterable[str]) -> dict[str, Tensor]:
        """These tensors, float32. The file is mapped only meanwhile: no more of it stays in memory than is kept."""
        with safe_open(self.file, self._by) as opened:
            return {name: torch.as_tensor(opened.get_tensor(name)).to(torch.float32, copy=True) for name in names}


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """Ready to use, not to train. Raises CheckpointError."""
    folder = Path(folder)
    config = read_config(folder, TokenizerConfig)
    checkpoint = Checkpoint(folder, shapes_of(config))
    with torch.random.fork_rng([]):  # what is drawn only to be replaced costs nobody his chance
        return _filled(Tokenizer(config), checkpoint)


def load_predictor(folder: str | Path) -> Predictor:
    """Ready to use, not to train. Raises CheckpointError."""
    folder = Path(folder)
    config = read_config(folder, PredictorConfig)
    checkpoint = Checkpoint(folder, shapes_of(config))
    with torch.random.fork_rng([]):
        return _filled(Predictor(config), checkpoint)


def _filled(model: M, checkpoint: Checkpoint) -> M:
    parameters = [name for name in model.state_dict() if not _BUFFER.fullmatch(name)]
    model.load_state_dict(checkpoint.read(parameters), strict=False)
    return model.eval()


def save(model: Tokenizer | Predictor, folder: str | Path, *, half: bool = False) -> None:
    """Writes a checkpoint that upstream reads as well; `half`: in half precision. Raises OSError.

    The weights appear whole or not at all; the configuration last, so that a folder which has one is complete.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    kind = torch.float16 if half else torch.float32
    tensors = {name: tensor.detach().cpu().to(kind).contiguous() for name, tensor in model.state_dict().items()}
    config = model.config
    if isinstance(config, TokenizerConfig):  # buffers nobody reads, which the published tokenizers carry
        for name, count in (("basis", config.bits), ("group_basis", config.group_size)):
            tensors[f"tokenizer.bsq.{name}"] = 2 ** torch.arange(count - 1, -1, -1)
    partial = folder / f"{WEIGHTS}.partial"
    save_file(tensors, partial, metadata={"format": "pt"})
    partial.replace(folder / WEIGHTS)
    text = json.dumps(msgspec.to_builtins(config), indent=2) + "\n"
    partial = folder / "config.json.partial"
    partial.write_text(text, encoding="utf-8")
    partial.replace(folder / "config.json")
