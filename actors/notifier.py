"""notifier: tells people.

Receives Alert from everybody, Fill from the executor and Lifecycle from the kernel. For now it writes to the console;
the same again within a minute is counted, and the count told at the end of it.
"""

from kokex.kernel.actor import Actor
from kokex.messages import Alert, Fill, Lifecycle
from kokex.ports import Console

REPEAT_S = 60.0
LEVELS = {"info": "INFO", "warning": "WARNING", "critical": "CRITICAL"}


class Notifier(Actor):
    def __init__(self, console: Console | None) -> None:
        self._console = console
        self._repeats: dict[tuple[str, str], int] = {}  # level, text -> how often again within the last minute

    def on_alert(self, alert: Alert) -> None:
        self._tell(LEVELS[alert.severity], f"{_where(alert.account)}{alert.kind}: {alert.text}")

    def on_fill(self, fill: Fill) -> None:
        if self._console is not None:
            text = f"{fill.side} {fill.size} {fill.instrument} at {fill.price}, fee {fill.fee}"
            self._tell("INFO", f"{_where(fill.account)}fill: {text}")

    def _tell(self, level: str, text: str) -> None:
        if self._console is None:
            return
        if (level, text) in self._repeats:
            self._repeats[level, text] += 1
            return
        self._repeats[level, text] = 0
        self._console(self.now, level, "alert", text)
        self.later(REPEAT_S, self._sum_up, level, text)

    def _sum_up(self, level: str, text: str) -> None:
        assert self._console
        if again := self._repeats.pop((level, text)):
            self._console(self.now, level, "alert", f"{text} ({again} more in {REPEAT_S:.0f} s)")

    def on_lifecycle(self, lifecycle: Lifecycle) -> None:
        if self._console and lifecycle.event not in {"started", "stopped"}:
            text = f"{lifecycle.actor} {lifecycle.event.replace('_', ' ')}: {lifecycle.error}"
            self._console(self.now, "WARNING" if lifecycle.event == "restarting" else "ERROR", "actor", text)


def _where(account: str) -> str:
    return f"[{account}] " if account not in {"", "main"} else ""
