"""Published models by name, and where they lie on this machine: the cache of huggingface-hub, or a folder.

Nothing here imports torch. Only `pull` uses the network.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from kokex.kronos.config import CheckpointError, PredictorConfig, read_config

FILES = ("config.json", "model.safetensors")


class Published(NamedTuple):
    model: str  # the repository of the predictor
    tokenizer: str  # and of the tokenizer it was trained with
    max_context: int
    parameters: str


MODELS = {
    "mini": Published("NeoQuasar/Kronos-mini", "NeoQuasar/Kronos-Tokenizer-2k", 2048, "4.1M"),
    "small": Published("NeoQuasar/Kronos-small", "NeoQuasar/Kronos-Tokenizer-base", 512, "24.7M"),
    "base": Published("NeoQuasar/Kronos-base", "NeoQuasar/Kronos-Tokenizer-base", 512, "102.3M"),
}
NANO = "nano"  # trained by our own pipeline, and part of this package: benchmarks/nano.py
_NANO_FOLDER = Path(__file__).parent / NANO
NANO_MODEL = Published("part of kokex", "part of kokex", 264, "0.8M")  # trained on 240 candles and 24 more
MAX_CONTEXT = 512  # of a folder that does not say


class Installed(NamedTuple):
    """Folders of checkpoints."""

    tokenizer: Path
    model: Path
    max_context: int


class PullError(Exception):
    """It could not be had from the hub. One line."""


def resolve(model: str, tokenizer: str = "") -> Installed:
    """A name, or a folder: a predictor with its tokenizer beside it, or the folder of both. Raises CheckpointError."""
    if model in MODELS and not Path(model).is_dir():
        if tokenizer:
            raise CheckpointError(f"{model} has its own tokenizer; leave the other out")
        published = MODELS[model]
        beside, folder = _cached(published.tokenizer), _cached(published.model)
        if beside is None or folder is None:
            raise CheckpointError(f"{model} is not on this machine; `kokex models pull {model}` fetches it")
        return Installed(beside, folder, published.max_context)
    if model == NANO and not Path(model).is_dir():
        if tokenizer:
            raise CheckpointError(f"{model} has its own tokenizer; leave the other out")
        return Installed(_NANO_FOLDER / "tokenizer", _NANO_FOLDER / "predictor", NANO_MODEL.max_context)
    folder = Path(model)
    if not folder.is_dir():
        raise CheckpointError(f"{model}: neither a folder nor one of {NANO}, {', '.join(MODELS)}")
    if not (folder / "config.json").exists() and (folder / "predictor").is_dir():  # as a training leaves it
        folder = folder / "predictor"
    found = Path(tokenizer) if tokenizer else folder.parent / "tokenizer"
    if not found.is_dir():
        raise CheckpointError(f"{found}: no such folder; a predictor needs the tokenizer it was trained with")
    return Installed(found, folder, read_config(folder, PredictorConfig).max_context or MAX_CONTEXT)


def pull(name: str, told: Callable[[str], AbstractContextManager[Any]]) -> Installed:
    """Fetches what is not here yet. `told(repository)` surrounds each. Raises PullError, CheckpointError."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    if name not in MODELS:
        raise CheckpointError(f"no model {name!r}; there are {', '.join(MODELS)}")
    for repository in (MODELS[name].tokenizer, MODELS[name].model):
        try:
            with told(repository):
                snapshot_download(repository, allow_patterns=list(FILES))
        except LocalEntryNotFoundError:
            raise PullError(f"{repository}: the hub cannot be reached, and it is not in the cache") from None
        except (HfHubHTTPError, OSError) as error:
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise PullError(f"{repository}: {said}") from None
    return resolve(name)


def _cached(repository: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(str(snapshot_download(repository, allow_patterns=list(FILES), local_files_only=True)))
    except LocalEntryNotFoundError:
        return None
    return folder if all((folder / name).exists() for name in FILES) else None
