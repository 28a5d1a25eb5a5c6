"""The kernels of native.c: what they are given, and whether they are here.

They are built when the program is installed, where there is a C compiler, and are for one thread of an x86 processor
with AVX2 or AVX-512; without them torch does the same. On a processor with AMX those of native_amx.c multiply.
"""

import ctypes
from collections.abc import Callable, Sequence
from ctypes import c_float, c_int, c_long, c_void_p
from importlib.util import find_spec
from typing import Self

import torch
from torch import Tensor

from kokex.kronos.memory import Memory
from kokex.kronos.pages import Desk, Shelf

_PANEL, _STEP = 48, 16  # columns of a panel, and what those of the last are a multiple of
_SPAN = 512  # inputs that share a scale
_AT_ONCE = 512  # rows from one product to the next, as in native.c


class _Attention(ctypes.Structure):
    """`struct attention`"""

    _fields_ = (
        ("query", c_void_p),
        *((name, c_long) for name in ("query_batch", "query_head", "query_row")),
        *((name, c_void_p) for name in ("key", "value", "key_scales", "value_scales", "own_key", "own_value", "out")),
        *((name, c_long) for name in ("batch", "heads", "paths", "fresh", "width", "length", "used", "room", "causal")),
    )


class _Matrix(ctypes.Structure):
    """`struct matrix`"""

    _fields_ = (
        *((name, c_void_p) for name in ("weights", "scales", "bias")),
        *((name, c_long) for name in ("into", "out")),
    )


class _Block(ctypes.Structure):
    """`struct block`"""

    _fields_ = (*((name, _Matrix) for name in ("qkv", "out", "up", "down")), ("extra", c_float))


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
    library.kokex_project.argtypes = (c_int, a, a, a, a, a)
    library.kokex_finish.argtypes = (c_int, a, a, n, a, a)
    library.kokex_extend.argtypes = (c_int, n, a, a, a, a, a)
    for name in ("multiply", "attend", "project", "finish", "extend", "direction", "gate", "choose"):
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


_SHELF, _DESK = Shelf(), Desk()


class _Weights:
    """A Matrix: weights laid out for a kernel that writes its products, or adds them to what is there."""

    weight: Tensor
    scales: Tensor | None = None
    bias: Tensor | None
    into: int
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

    def described(self) -> _Matrix:
        return _Matrix(self.weight.data_ptr(), _address(self.scales), _address(self.bias), self.into, self.out)


class Panels(_Weights):
    """In single precision."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.out, self.into = weight.shape
        self.weight = _SHELF.put(panels(weight.t()))
        self.bias = None if bias is None else bias.contiguous()

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
            x.data_ptr(), rows, self.into, self.weight.data_ptr(), _address(self.scales), self.out,
            _address(self.bias), to.data_ptr(), add, room.data_ptr(),
        )  # fmt: skip


class NativeMemory(Memory):
    """Of keys and values in panels, or in block fixed point."""

    def __init__(self, key: Tensor, value: Tensor, put: Callable[[int], Tensor] = _bytes) -> None:
        """`put` makes room for the digits."""
        super().__init__(key, value)
        scales: tuple[Tensor | None, Tensor | None] = None, None
        if tiles():
            key, key_scales = _cut(key, put)
            value, value_scales = _cut(value, put, turned=True)
            scales = key_scales, value_scales
        else:
            key, value = panels(key.transpose(2, 3)), panels(value)
        self._kept = key, value, *scales  # what this points to
        self._asked = _Attention(batch=self.contexts, heads=self.heads, width=self.width, length=self.length)
        for name, each in zip(("key", "value", "key_scales", "value_scales"), self._kept, strict=True):
            setattr(self._asked, name, _address(each))

    @classmethod
    def read(cls, query: Tensor, key: Tensor, value: Tensor) -> tuple[Self, Tensor]:
        memory = cls(key, value)
        return memory, memory._attended(query.unsqueeze(2), causal=True)

    def reserve(self, paths: int, room: int) -> None:
        super().reserve(paths, room)
        self._asked.own_key, self._asked.own_value = (each.data_ptr() for each in self.suffix)
        self._asked.room = room

    def attend(self, query: Tensor) -> Tensor:
        return self._attended(query, causal=False)

    def asked(self, paths: int, fresh: int, *, causal: bool = False) -> _Attention:
        """By the newest rows of so many paths of each context: all but the query, and where the answer goes."""
        self._asked.paths, self._asked.fresh, self._asked.causal = paths, fresh, causal
        self._asked.used = self.used
        return self._asked

    def _attended(self, query: Tensor, *, causal: bool) -> Tensor:
        batch, heads, paths, fresh, width = query.shape
        out = query.new_empty(batch * paths * fresh, heads * width)
        asked = self.asked(paths, fresh, causal=causal)
        asked.query, asked.out = query.data_ptr(), out.data_ptr()
        asked.query_batch, asked.query_head = query.stride(0), query.stride(1)
        asked.query_row = query.stride(3) if fresh > 1 else query.stride(2)
        room = _DESK.room(_attention_bytes(self.length + self.used, width))
        assert _LIBRARY
        _LIBRARY.kokex_attend(_LANES, ctypes.byref(asked), room.data_ptr())
        return out


def _attention_bytes(seen: int, width: int) -> int:
    """That it works in, of so many keys."""
    return 64 * (seen + width + 64 + _SPAN)


class Fused:
    """The blocks of a transformer, and what is between their products."""

    def __init__(self, blocks: Sequence[Sequence[_Weights]], heads: int, extra: float) -> None:
        """blocks: of each the weights before and after attention, and both of the feed-forward part. extra: see
        `direction`.
        """
        self._kept = blocks  # what is pointed to
        described = (_Block(*(each.described() for each in block), extra) for block in blocks)
        self._blocks = (_Block * len(blocks))(*described)
        self._heads, self._d, self._inner = heads, blocks[0][1].out, blocks[0][3].into

    def read(self, x: Tensor, turns: Tensor, batch: int, *, memory_only: bool) -> list[Memory]:
        """See Stack.prefill; x is changed."""
        rows, d = x.shape
        length, width = rows // batch, d // self._heads
        kept, room = self._desk(rows, 6 * rows * d, length)
        query, own, out = kept.split((3 * rows * d, 2 * rows * d, rows * d))
        own_key, own_value = own.view(2, batch, self._heads, length, width)
        asking = {
            "query": query.data_ptr(), "query_batch": length * 3 * d, "query_head": width, "query_row": 3 * d,
            "out": out.data_ptr(),
        }  # fmt: skip
        its = _Attention(
            own_key=own_key.data_ptr(), own_value=own_value.data_ptr(), batch=batch, heads=self._heads, paths=1,
            fresh=length, width=width, used=length, room=length, **asking,
        )  # fmt: skip
        shelf = Shelf(4 * own.numel() * len(self._blocks))  # the memories': a step reads them from end to end
        memories: list[Memory] = []
        assert _LIBRARY
        for place in range(len(self._blocks)):
            block = ctypes.byref(self._blocks, place * ctypes.sizeof(_Block))
            _LIBRARY.kokex_project(_LANES, block, ctypes.byref(its), turns.data_ptr(), x.data_ptr(), room)
            memory = NativeMemory(own_key, own_value, shelf.room)
            memories.append(memory)
            if memory_only and place == len(self._blocks) - 1:
                break
            asked = memory.asked(1, length, causal=True)
            for name, value in asking.items():
                setattr(asked, name, value)
            _LIBRARY.kokex_attend(_LANES, ctypes.byref(asked), room)
            _LIBRARY.kokex_finish(_LANES, block, out.data_ptr(), rows, x.data_ptr(), room)
        return memories

    def extend(self, x: Tensor, memories: Sequence[Memory], turns: Tensor, paths: int) -> None:
        """See Stack.extend; x is changed. The memories are those that `read` made."""
        rows, d = x.shape
        fresh = rows // (memories[0].contexts * paths)
        addresses: list[int] = []
        for memory in memories:
            assert isinstance(memory, NativeMemory)
            memory.used += fresh
            addresses.append(ctypes.addressof(memory.asked(paths, fresh)))
        kept, _ = self._desk(rows, 4 * rows * d, memories[0].length + memories[0].used)
        asked = (c_void_p * len(addresses))(*addresses)
        assert _LIBRARY
        _LIBRARY.kokex_extend(
            _LANES, len(addresses), self._blocks, asked, turns.data_ptr(), x.data_ptr(), kept.data_ptr()
        )

    def _desk(self, rows: int, kept: int, seen: int) -> tuple[Tensor, int]:
        """So many floats, and behind them the address of what kernels work in."""
        count = min(rows, _AT_ONCE)
        floats = count * (max(self._d, self._inner) + 2 * self._inner)
        products = 4 * floats + 3 * _SPAN * (count + 15) + 4 * count
        room = _DESK.room(4 * kept + max(products, _attention_bytes(seen, self._d // self._heads)))
        return room[: 4 * kept].view(torch.float32), room.data_ptr() + 4 * kept


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
