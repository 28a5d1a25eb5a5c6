"""How far the machine's clock is from the providers', by the Date of their answers.

A clock that was wrong when the process first looked cannot be told from a right one, and days are counted by it.
"""

from collections.abc import Callable, Coroutine
from email.utils import parsedate_to_datetime
from typing import Any

from kokex.adapters.host.clock import moment

Hook = Callable[[Any], Coroutine[Any, Any, None]]


class Dates:
    """Hears every answer of one provider, whatever its status."""

    def __init__(self) -> None:
        self.ahead_s = 0  # ours of theirs, by the newest answer

    @property
    def hooks(self) -> dict[str, list[Hook]]:
        """For the HTTP client."""
        return {"response": [self._hear]}

    async def _hear(self, response: Any) -> None:
        try:
            told_s = parsedate_to_datetime(response.headers["date"]).timestamp()
        except (KeyError, ValueError):
            return
        self.ahead_s = round(moment().wall_ns / 1e9 - told_s)
