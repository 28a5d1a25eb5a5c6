"""One process, or several that train one model together (torchrun): each takes its part of every batch.

The gradients of n processes are those of one process with the whole batch. For a loss that is a mean over windows
averaging them is enough; what is no mean over windows (the entropy of the codebook) must average over processes
before it is computed, and `Ranks.mean` does.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, TypeVar, cast, final

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from kokex.kronos.training.windows import TrainingError

M = TypeVar("M", bound=nn.Module)


@final
class Ranks:
    """Who we are among how many, and on which device."""

    def __init__(self, rank: int = 0, world: int = 1, device: torch.device | None = None) -> None:
        self.rank = rank
        self.world = world
        self.device = device or torch.device("cpu")

    @property
    def first(self) -> bool:
        """The one that writes and tells."""
        return self.rank == 0

    @property
    def part(self) -> tuple[int, int]:
        return self.rank, self.world

    def mean(self, tensor: Tensor) -> Tensor:
        """Over all processes, each of which has the same number of windows; gradients flow back to all of them."""
        if self.world == 1:
            return tensor
        return cast(Tensor, _Sum.apply(tensor)) / self.world

    def shared(self, module: M) -> M:
        """The same module, whose backward pass averages gradients over processes."""
        if self.world == 1:
            return module
        ids = [self.device.index] if self.device.type == "cuda" else None
        return cast(M, DistributedDataParallel(module, device_ids=ids))

    def wait(self) -> None:
        if self.world > 1:
            dist.barrier()


class _Sum(torch.autograd.Function):
    """All-reduce in both directions."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        total = grads[0].clone()
        dist.all_reduce(total)
        return total


def reproducible(threads: int) -> None:
    """Sums in the same order every time: so many threads, and no algorithm that is quick but not the same twice."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=True)


@contextmanager
def joined(device: str = "auto") -> Generator[Ranks]:
    """This process, among those torchrun started, if it did. `device`: auto, cpu or cuda. Raises TrainingError."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    rank, local = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    place = torch.device("cpu")
    if cuda:
        place = _gpu(local)
        torch.cuda.set_device(place)
    if world == 1:
        yield Ranks(device=place)
        return
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Ranks(rank, world, place)
    finally:
        dist.destroy_process_group()


def _gpu(local: int) -> torch.device:
    """That of the process with this number on this machine. Raises TrainingError."""
    if not torch.cuda.is_available():
        why = "finds no GPU" if torch.backends.cuda.is_built() else "has no CUDA"
        raise TrainingError(f"--device cuda: this torch {why}; take --device cpu")
    if local >= (count := torch.cuda.device_count()):
        raise TrainingError(
            f"process {local + 1} of this machine has no GPU, there are {count}; start fewer, or take --device cpu"
        )
    return torch.device("cuda", local)
