"""SIGINT and SIGTERM: the first asks to end, the second ends."""

import os
import signal
from collections.abc import Callable

import anyio


async def heed_signals(asked: Callable[[], None]) -> None:
    """Calls `asked` at the first signal; the next one ends the process at once, with the shell's usual code for it."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        waiting = False
        async for number in signals:
            if waiting:
                os._exit(128 + number)
            waiting = True
            asked()
