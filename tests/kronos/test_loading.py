"""A checkpoint that is not what it says is refused, and the error names what is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from msgspec.structs import replace
from safetensors.torch import load_file, save_file

from kokex.kronos.config import CheckpointError
from kokex.kronos.loading import load_predictor, load_tokenizer, save
from kokex.kronos.predictor import Predictor
from kokex.kronos.shapes import shapes_of
from kokex.kronos.tokenizer import Tokenizer
from tests.kronos.test_model import PREDICTOR, TOKENIZER


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    save(Predictor(PREDICTOR), tmp_path)
    return tmp_path


def refuses(folder: Path, *, because: str, load: Callable[[Path], Any] = load_predictor) -> None:
    with pytest.raises(CheckpointError) as error:
        load(folder)
    assert because in str(error.value)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def reconfigure(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text()) | changes
    kept = {name: value for name, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(kept))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_weights_of_half_precision_are_read_as_what_they_are(folder: Path, kind: Any) -> None:
    whole = load_predictor(folder)
    rewrite(folder, lambda tensors: tensors.update({name: each.to(kind) for name, each in tensors.items()}))
    for half, parameter in zip(load_predictor(folder).parameters(), whole.parameters(), strict=True):
        assert half.dtype == torch.float32
        assert torch.equal(half, parameter.to(kind).float())


@pytest.mark.parametrize("learned", [True, False])
def test_the_shapes_a_checkpoint_is_held_to_are_the_models(learned: bool) -> None:
    config = replace(PREDICTOR, learn_te=learned)
    for model in (Tokenizer(TOKENIZER), Predictor(config)):
        assert shapes_of(model.config) == {name: tuple(each.shape) for name, each in model.state_dict().items()}


def test_a_missing_tensor_is_named(folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors.pop("transformer.1.ffn.w3.weight"))
    refuses(folder, because="transformer.1.ffn.w3.weight is missing")


def test_an_unexpected_tensor_is_named(folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors.update({"transformer.2.norm1.weight": torch.ones(32)}))
    refuses(folder, because="transformer.2.norm1.weight is unexpected")


def test_a_tensor_of_another_shape_is_named(folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors.update({"norm.weight": torch.ones(16)}))
    refuses(folder, because="norm.weight is [16] where config.json says [32]")


def test_buffers_that_follow_from_the_configuration_may_be_absent(folder: Path) -> None:
    before = load_predictor(folder).state_dict()
    rewrite(folder, lambda tensors: [tensors.pop(name) for name in list(tensors) if name.endswith("inv_freq")])
    for name, tensor in load_predictor(folder).state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize("kept", [0, 5, 200, -1])
def test_truncated_weights_are_refused(folder: Path, kept: int) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    refuses(folder, because="truncated, or not a safetensors file")


def test_missing_files_are_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    refuses(folder, because="model.safetensors: missing")
    (folder / "config.json").unlink()
    refuses(folder, because="config.json: missing")
    refuses(folder / "nowhere", because="no such folder")


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"n_layers": None}, "n_layers"),
        ({"d_model": "wide"}, "$.d_model"),
        ({"n_layers": 0}, "$.n_layers"),
        ({"n_layers": 3}, "transformer.2.norm1.weight is missing"),
        ({"s1_bits": 6}, "embedding.emb_s1.weight is [32, 32] where config.json says [64, 32]"),
        ({"n_heads": 5}, "d_model 32 does not divide into n_heads (5)"),
        ({"n_heads": 4}, "transformer.0.self_attn.rotary.inv_freq is [8] where config.json says [4]"),
        ({"d_model": 36}, "the dependency layer's heads (4)"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(folder: Path, changes: dict[str, Any], because: str) -> None:
    reconfigure(folder, **changes)
    refuses(folder, because=because)


def test_a_configuration_that_is_no_json_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    refuses(folder, because="not the configuration of a Kronos predictor")


def test_a_tokenizer_is_no_predictor(tmp_path: Path) -> None:
    save(Tokenizer(TOKENIZER), tmp_path)
    refuses(tmp_path, because="not the configuration of a Kronos predictor")
    reconfigure(tmp_path, d_in=5)
    refuses(tmp_path, because="d_in is 5; a candle has 6 numbers", load=load_tokenizer)
