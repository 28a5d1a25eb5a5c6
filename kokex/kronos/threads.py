"""How torch computes: with how many threads, and what becomes of memory it is through with."""

import ctypes
import gc
import os
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_NEVER = (1 << 31) - 1


def settle(threads: int = 1) -> None:
    """For this process and its children. One thread is the default and, beside a busy neighbour, the fastest: two spin
    at barriers while the neighbour holds one of their cores. More wait without spinning.

    Before the first import of torch: OpenMP reads it once.
    """
    for library in ("OMP", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def keep_memory() -> None:
    """From now on what is freed is kept for the next tensor. Given back and asked for again, each of its pages would
    cost a fault: a tenth of a small model's forecast. To be called when the models are read, or what that took is kept.
    Nor is what there is now looked through for cycles again, which would cost another twentieth.
    """
    gc.collect()
    gc.freeze()
    with suppress(AttributeError):  # another C library has no such settings
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _NEVER)
        mallopt(_TRIM_THRESHOLD, _NEVER)
