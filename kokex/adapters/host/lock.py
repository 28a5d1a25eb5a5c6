"""One process at a time.

`flock` and not a pid file: the kernel lets go of it however the process ends, kill -9 included, so a
lock is never stale. The file stays behind on purpose: removing it would let two processes hold locks
on two files of the same name.
"""

import fcntl
import os
from pathlib import Path


class Locked(Exception):
    """Another process holds the lock; `pid` is None when it did not get round to writing it down."""

    def __init__(self, pid: int | None) -> None:
        super().__init__("locked by another process" if pid is None else f"locked by process {pid}")
        self.pid = pid


class FileLock:
    """An exclusive lock, held from construction to `release`. Raises Locked, or OSError when there can be no file."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._file, 20, 0).strip()
            os.close(self._file)
            if isinstance(error, BlockingIOError):
                raise Locked(int(holder) if holder.isdigit() else None) from None
            raise
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Lets the next one in; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
