"""Multiplication by weights through torch, in the layout this processor is fastest with.

PyTorch's wheels multiply through MKL and oneDNN. MKL is at its best with weights laid out [in, out] and matches
oneDNN at every size there, but only on Intel's processors: on others it runs at half speed, and oneDNN's packed
weights are twice as fast. The choice follows from the processor and not from a timing, so that the same machine
always gives the same digits.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

COLUMNS = 512


class Matrix(Protocol):
    """weight [out, in] and bias [out], or none."""

    def __call__(self, x: Tensor) -> Tensor:
        """[N, in] -> [N, out]"""
        ...

    def added(self, x: Tensor, to: Tensor) -> Tensor:
        """to + x W + b, which may overwrite `to`. [N, in], [N, out] -> [N, out]"""
        ...


Kind = Callable[[Tensor, Tensor | None], Matrix]


class Plain:
    """MKL on transposed copies, of columns few enough for the cache: a few rows are a fifth faster through those."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.columns = [each.t().contiguous() for each in weight.tensor_split(-(-len(weight) // COLUMNS))]
        self.bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        if len(self.columns) == 1:
            only = self.columns[0]
            return torch.mm(x, only) if self.bias is None else torch.addmm(self.bias, x, only)
        to = x.new_empty(x.shape[0], sum(each.shape[1] for each in self.columns))
        for each, part in zip(self.columns, self._parts(to), strict=True):
            torch.mm(x, each, out=part)
        return to if self.bias is None else to.add_(self.bias)

    def added(self, x: Tensor, to: Tensor) -> Tensor:
        # Not addmm_: where x is one row, it adds product after product to `to`, and rounds each to the digits of that.
        return to.add_(self(x))

    def _parts(self, to: Tensor) -> tuple[Tensor, ...]:
        return to.split([each.shape[1] for each in self.columns], 1)


class Packed:
    """oneDNN on its own blocked layout."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.weight = _reordered(weight)
        self.bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        return _linear(x, self.weight, self.bias, "none", [], "")

    def added(self, x: Tensor, to: Tensor) -> Tensor:
        return _linear_binary(x, to, self.weight, self.bias, "add")


class Half:
    """oneDNN on weights of half the bytes: rows and weights are rounded to bfloat16, sums are single precision."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.weight = _reordered(weight.bfloat16())
        self.bias = None if bias is None else bias.bfloat16()

    def __call__(self, x: Tensor) -> Tensor:
        return _linear(x.bfloat16(), self.weight, self.bias, "none", [], "").float()

    def added(self, x: Tensor, to: Tensor) -> Tensor:
        return to.add_(_linear(x.bfloat16(), self.weight, self.bias, "none", [], ""))


def exact() -> Kind:
    """Of single precision throughout."""
    return Plain if _is_intel() or not torch.backends.mkldnn.is_available() else Packed


def _is_intel() -> bool:
    try:
        return "GenuineIntel" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


# What torch.compile multiplies with; there is no other way to keep a weight packed.
_reordered: Any = torch.ops.mkldnn._reorder_linear_weight
_linear: Any = torch.ops.mkldnn._linear_pointwise.default
_linear_binary: Any = torch.ops.mkldnn._linear_pointwise.binary
