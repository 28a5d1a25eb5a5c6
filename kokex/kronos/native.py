"""The kernels of native.c: what they are given, and whether they are here.

They are built when the program is installed, where there is a C compiler, and are for one thread of an x86 processor
with AVX2 or AVX-512; without them torch does the same. On a processor with AMX those of native_amx.c multiply.
"""

import ctypes
import mmap
from collections.abc import Callable
from contextlib import suppress
from ctypes import c_float, c_int, c_long, c_void_p
from importlib.util import find_spec
from typing import Self

import torch
from torch import Tensor

from kokex.kronos.memory import Memory

_PANEL, _STEP = 48, 16  # columns of a panel, and what those of the last are a multiple of
_SPAN = 512  # inputs that share a scale


class _Attention(ctypes.Structure):
    """`struct attention`"""

    _fields_ = (
        ("query", c_void_p),
        *((name, c_long) for name in ("query_batch", "query_head", "query_row")),
        *((name, c_void_p) for name in ("key", "value", "key_scales", "value_scales", "own_key", "own_value", "out")),
        *((name, c_long) for name in ("batch", "heads", "paths", "fresh", "width", "length", "used", "room", "causal")),
    )


def _tiles(library: ctypes.CDLL) -> bool:
    """Whether this process may use the processor's."""
    if not library.kokex_tiles():
        return False
    a, n = c_void_p, c_long
    library.kokex_cut.argtypes = (a, n, n, n, c_int, a, a)
    library.kokex_multiply_cut.argtypes = (a, n, n, a, a, n, a, a, c_int, a)
    library.kokex_cut.restype = library.kokex_multiply_cut.restype = None
    return True


def _library() -> tuple[ctypes.CDLL | None, int]:
    """And how many floats a vector of this processor has; None and 0 where it cannot be used."""
    found = find_spec("kokex.kronos._native")
    if found is None or found.origin is None:
        return None, 0
    library = ctypes.CDLL(found.origin)
    lanes = library.kokex_lanes()
    if not lanes:
        return None, 0
    a, n = c_void_p, c_long
    library.kokex_multiply.argtypes = (c_int, a, n, n, a, n, a, a, c_int)
    library.kokex_attend.argtypes = (c_int, a, a)
    library.kokex_direction.argtypes = (c_int, a, n, n, c_float, a)
    library.kokex_gate.argtypes = (c_int, a, n, n, a)
    library.kokex_choose.argtypes = (c_int, a, a, n, n, c_float, c_float, a, a, a)
    for name in ("multiply", "attend", "direction", "gate", "choose"):
        getattr(library, f"kokex_{name}").restype = None
    return library, lanes


_LIBRARY, _LANES = _library()
_TILES = _LIBRARY is not None and _tiles(_LIBRARY)


def widest() -> int:
    """Floats of a vector; 0 where the kernels are not here, or not for this processor."""
    return _LANES


def available() -> bool:
    return _LANES > 0 and torch.get_num_threads() == 1


def tiles() -> bool:
    """Whether matrices are multiplied in block fixed point."""
    return available() and _TILES


def panels(columns: Tensor) -> Tensor:
    """Side by side in panels, columns of zeros added: [..., depth, columns] -> [..., depth * rounded columns]"""
    depth, count = columns.shape[-2:]
    rounded = -(-count // _STEP) * _STEP
    to = columns.new_empty(*columns.shape[:-2], depth * rounded)
    for start in range(0, rounded, _PANEL):
        stop = min(start + _PANEL, rounded)
        panel = to[..., depth * start : depth * stop].unflatten(-1, (depth, stop - start))
        panel[..., count - start :] = 0
        panel[..., : count - start] = columns[..., start:stop]
    return to


class _Shelf:
    """Room for weights on pages of 2 MiB: a step reads all of them, and is a fifth faster where each has not to be
    looked up by pages of 4 KiB. What lies here is freed with the last tensor of its mapping.
    """

    SIZE = 32 << 20
    PAGE = 2 << 20

    def __init__(self) -> None:
        self._mapping, self._used = mmap.mmap(-1, 1), 1

    def put(self, x: Tensor) -> Tensor:
        return self.room(4 * x.numel()).view(x.dtype).copy_(x.flatten())

    def room(self, count: int) -> Tensor:
        """So many bytes."""
        size = -(-count // 64) * 64
        if self._used + size > len(self._mapping):
            self._mapping = mmap.mmap(-1, max(self.SIZE, -(-size // self.PAGE) * self.PAGE), mmap.MAP_PRIVATE)
            with suppress(OSError, AttributeError):  # a kernel without them
                self._mapping.madvise(mmap.MADV_HUGEPAGE)
            self._used = 0
        kept = torch.frombuffer(self._mapping, dtype=torch.uint8, count=count, offset=self._used)
        self._used += size
        return kept


_SHELF = _Shelf()


class _Weights:
    """A Matrix: weights laid out for a kernel that writes its products, or adds them to what is there."""

    out: int

    def __call__(self, x: Tensor) -> Tensor:
        to = x.new_empty(x.shape[0], self.out)
        self.multiply(x.contiguous(), to, add=False)
        return to

    def added(self, x: Tensor, to: Tensor) -> Tensor:
        to = to.contiguous()
        self.multiply(x.contiguous(), to, add=True)
        return to

    def multiply(self, x: Tensor, to: Tensor, *, add: bool) -> None:
        """Rows [N, in], contiguous, by the weights to [N, out]."""
        raise NotImplementedError


class Panels(_Weights):
    """In single precision."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.out, self.into = weight.shape
        self.weight, self.bias = _SHELF.put(panels(weight.t())), None if bias is None else bias.contiguous()

    def multiply(self, x: Tensor, to: Tensor, *, add: bool) -> None:
        assert _LIBRARY
        _LIBRARY.kokex_multiply(
            _LANES, x.data_ptr(), x.shape[0], self.into, self.weight.data_ptr(), self.out,
            _address(self.bias), to.data_ptr(), add,
        )  # fmt: skip


def _cut(x: Tensor, put: Callable[[int], Tensor], *, turned: bool = False) -> tuple[Tensor, Tensor]:
    """Matrices [..., out, in], or turned, [..., in, out] -> their digits, for which `put` makes room, and scales."""
    x = x.contiguous()
    into, out = x.shape[-2:] if turned else x.shape[:-3:-1]
    count = x.numel() // (into * out)
    digits = put(count * 3 * (-(-into // 64) * 64) * (-(-out // 16) * 16))
    scales = x.new_empty(count * -(-into // _SPAN) * out)
    assert _LIBRARY
    _LIBRARY.kokex_cut(x.data_ptr(), count, out, into, turned, digits.data_ptr(), scales.data_ptr())
    return digits, scales


def _bytes(count: int) -> Tensor:
    return torch.empty(count, dtype=torch.uint8)


class Digits(_Weights):
    """In block fixed point, three bytes a weight: about as exact as single precision, and faster."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.out, self.into = weight.shape
        self.weight, self.scales = _cut(weight, _SHELF.room)
        self.bias = None if bias is None else bias.contiguous()

    def multiply(self, x: Tensor, to: Tensor, *, add: bool) -> None:
        rows = x.shape[0]
        room = _bytes(3 * _SPAN * (rows + 15) + 4 * rows)
        assert _LIBRARY
        _LIBRARY.kokex_multiply_cut(
            x.data_ptr(), rows, self.into, self.weight.data_ptr(), self.scales.data_ptr(), self.out,
            _address(self.bias), to.data_ptr(), add, room.data_ptr(),
        )  # fmt: skip


class NativeMemory(Memory):
    """Of keys and values in panels, or in block fixed point."""

    def __init__(self, key: Tensor, value: Tensor) -> None:
        super().__init__(key, value)
        self.scales: tuple[Tensor | None, Tensor | None] = None, None
        if tiles():
            self.key, key_scales = _cut(key, _bytes)
            self.value, value_scales = _cut(value, _bytes, turned=True)
            self.scales = key_scales, value_scales
        else:
            self.key, self.value = panels(key.transpose(2, 3)), panels(value)

    @classmethod
    def read(cls, query: Tensor, key: Tensor, value: Tensor) -> tuple[Self, Tensor]:
        memory = cls(key, value)
        return memory, memory._attended(query.unsqueeze(2), causal=True)

    def attend(self, query: Tensor) -> Tensor:
        return self._attended(query, causal=False)

    def _attended(self, query: Tensor, *, causal: bool) -> Tensor:
        batch, heads, paths, fresh, width = query.shape
        out = query.new_empty(batch * paths * fresh, heads * width)
        own_key, own_value = self.suffix
        asked = _Attention(
            query.data_ptr(), query.stride(0), query.stride(1), query.stride(3) if fresh > 1 else query.stride(2),
            self.key.data_ptr(), self.value.data_ptr(), *map(_address, self.scales), own_key.data_ptr(),
            own_value.data_ptr(), out.data_ptr(), batch, heads, paths, fresh, width, self.length, self.used,
            own_key.shape[1], causal,
        )  # fmt: skip
        room = query.new_empty(16 * (self.length + self.used + width + 64 + _SPAN))
        assert _LIBRARY
        _LIBRARY.kokex_attend(_LANES, ctypes.byref(asked), room.data_ptr())
        return out


def _address(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


def direction(x: Tensor, extra: float) -> Tensor:
    x = x.contiguous()
    y = torch.empty_like(x)
    assert _LIBRARY
    _LIBRARY.kokex_direction(_LANES, x.data_ptr(), x.numel() // x.shape[-1], x.shape[-1], extra, y.data_ptr())
    return y


def gate(x: Tensor) -> Tensor:
    rows, width = x.shape[0], x.shape[1] // 2
    y = x.new_empty(rows, width)
    assert _LIBRARY
    _LIBRARY.kokex_gate(_LANES, x.data_ptr(), rows, width, y.data_ptr())
    return y


def choose(logits: Tensor, noise: Tensor, top_p: float, close: float) -> tuple[Tensor, Tensor]:
    """[N, V] -> tokens [N], and which of them are too close to call."""
    rows, count = logits.shape
    logits, noise = logits.contiguous(), noise.contiguous()
    tokens, unsure = torch.empty(rows, dtype=torch.int64), torch.empty(rows, dtype=torch.bool)
    room = logits.new_empty(2 * (count + 16))
    assert _LIBRARY
    _LIBRARY.kokex_choose(
        _LANES, logits.data_ptr(), noise.data_ptr(), rows, count, top_p, close, room.data_ptr(), tokens.data_ptr(),
        unsure.data_ptr(),
    )  # fmt: skip
    return tokens, unsure
