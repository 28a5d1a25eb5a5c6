"""Two processes that share a batch have the gradients of one that has it all."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from kokex.kronos.predictor import Predictor
from kokex.kronos.tokenizer import Tokenizer
from kokex.kronos.training.objectives import PredictorObjective, TokenizerObjective
from kokex.kronos.training.ranks import Ranks, joined
from kokex.kronos.training.windows import Windows
from tests.kronos.test_model import PREDICTOR, TOKENIZER
from tests.kronos.training.candles import swinging

WITHOUT_DROPOUT = {"ffn_dropout_p": 0.0, "resid_dropout_p": 0.0}


def gradients(ranks: Ranks) -> dict[str, Any]:
    """Of both stages, of one batch of eight windows."""
    from msgspec.structs import replace

    torch.manual_seed(1)
    tokenizer, predictor = Tokenizer(TOKENIZER), Predictor(replace(PREDICTOR, **WITHOUT_DROPOUT))
    starts = torch.tensor([[0, row] for row in range(60)])
    batch = Windows([swinging(100)], 24, 8).drawn(starts, 8, seed=1, step=0, part=ranks.part)
    found: dict[str, Any] = {}
    for name, objective in (
        ("tokenizer", TokenizerObjective(tokenizer, ranks)),
        ("predictor", PredictorObjective(predictor, Tokenizer(TOKENIZER), ranks)),
    ):
        module = ranks.shared(objective.module)
        module(*objective.prepare(batch)).backward()
        found |= {f"{name}.{key}": each.grad for key, each in objective.module.named_parameters()}
    return found


def test_two_processes_have_the_gradients_of_one_with_the_whole_batch(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    out = tmp_path / "gradients.pt"
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.kronos.training.test_processes", str(out)],
            env=os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=Path(__file__).parents[3], stderr=subprocess.PIPE,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    for process in processes:
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error.decode()
    shared, alone = torch.load(out), gradients(Ranks())
    assert shared.keys() == alone.keys()
    for name, gradient in alone.items():
        assert torch.allclose(shared[name], gradient, rtol=1e-4, atol=1e-6), name


def main() -> None:
    torch.set_num_threads(1)
    with joined("cpu") as ranks:
        assert ranks.world == 2
        found = gradients(ranks)
        if ranks.first:
            torch.save(found, sys.argv[1])


if __name__ == "__main__":
    main()
