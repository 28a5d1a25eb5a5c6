"""With what a forecast is computed: the kernels of `native` where they are, torch where they are not."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from kokex.kronos import matrix, native
from kokex.kronos.layers import EPSILON
from kokex.kronos.matrix import Half, Kind
from kokex.kronos.memory import Memory, TorchMemory

Precision = Literal["fp32", "bf16"]


class Arithmetic(NamedTuple):
    matrix: Kind
    memory: type[Memory]
    direction: Callable[[Tensor], Tensor]
    """RMSNorm without its weight and at a length of 1, not of the root of d: that is in the weights too. [rows, d]"""
    gate: Callable[[Tensor], Tensor]
    """SwiGLU, what opens and what is let through side by side: [rows, 2 * f] -> [rows, f]"""
    fused: Callable[..., native.Fused] | None = None
    """What a stack of blocks does at once, where that is to be had."""


def arithmetic(precision: Precision = "fp32") -> Arithmetic:
    """Of this processor and this installation. Raises ValueError for one that the processor would only imitate."""
    if precision == "bf16":
        able = torch.cpu.get_capabilities()
        if not (able.get("avx512_bf16") or able.get("amx_bf16")):
            raise ValueError("this processor has no bf16 arithmetic (avx512_bf16 or amx_bf16); precision must be fp32")
        return arithmetic()._replace(matrix=Half, fused=None)
    if native.available():
        return Arithmetic(
            native.Digits if native.tiles() else native.Panels,
            native.NativeMemory,
            _native_direction,
            native.gate,
            native.Fused,
        )
    return torchs()


def torchs() -> Arithmetic:
    return Arithmetic(matrix.exact(), TorchMemory, _direction, _gate)


def _direction(x: Tensor) -> Tensor:
    d = x.shape[-1]
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).hypot_(x.new_tensor(math.sqrt(d * EPSILON)))


def _native_direction(x: Tensor) -> Tensor:
    return native.direction(x, x.shape[-1] * EPSILON)


def _gate(x: Tensor) -> Tensor:
    opens, through = x.chunk(2, -1)
    return F.silu(opens).mul_(through)
