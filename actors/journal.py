"""journal: brings to disk what the tap appends.

The tap on the kernel appends every message from Edge on, at once and in order; who needs a row on disk before an
effect commits for itself. This actor only sees to it that the rest does not wait longer than `commit_s`.
"""

from typing import Literal

from kokex.kernel.actor import Actor
from kokex.kernel.cell import Failure
from kokex.messages import Alert
from kokex.ports import Store

COMMIT_S = 60.0  # a commit that takes longer has failed
LONGEST_WAIT_S = 30.0  # between tries, beyond the usual


class Journal(Actor):
    emits = (Alert,)

    def __init__(self, store: Store, commit_s: float) -> None:
        """`commit_s` 0: the store flushes by itself (backtest)."""
        self._store = store
        self._commit_s = commit_s
        self._wait_s = commit_s  # longer after each failure

    def start(self, state: None) -> None:
        if self._commit_s:
            self.later(self._commit_s, self._commit)

    def _commit(self) -> None:
        if self._store.pending():
            self.call(self._store.commit, returns=None, then=self._committed, timeout_s=COMMIT_S)
        else:
            self.later(self._commit_s, self._commit)

    def _committed(self, outcome: Failure | None) -> None:
        failed_before = self._wait_s > self._commit_s
        if outcome is None:
            self._wait_s = self._commit_s
            if failed_before:
                self._say("info", "the database takes writes again; nothing was lost")
        else:
            self._wait_s = min(self._wait_s * 2, self._commit_s + LONGEST_WAIT_S)
            if not failed_before:
                text = f"the database cannot be written: {outcome.text}; no order is sent until it can"
                self._say("critical", text)
        self.later(self._wait_s, self._commit)

    def _say(self, severity: Literal["info", "critical"], text: str) -> None:
        self.emit(Alert(severity=severity, kind="store", text=text))
