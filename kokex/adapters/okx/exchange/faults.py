"""What goes wrong on purpose: switches that a test turns through the control endpoint.

    POST /faults  {"kind": "drop", "on": "POST /trade/order", "count": 1}

| kind    | what happens                                                                            |
|---------|-----------------------------------------------------------------------------------------|
| drop    | it is executed; the connection is cut before the answer (REST), or nothing is answered (WebSocket) |
| delay   | it is executed, and answered after `seconds`                                            |
| error   | it is not executed: HTTP `status` (503), code `code` (50001)                            |
| busy    | it is not executed: HTTP 429, code 50011                                                |
| close   | REST: cut before it is executed; WebSocket operations: executed, and the connection cut |
| stale   | nothing is pushed for `seconds`                                                         |
| gap     | `count` updates of order books are lost                                                 |
| sockets | all WebSockets are closed, `abrupt` or not; with `notice` told first, and closed after `seconds` |
| down    | for `seconds` all connections are cut and none is taken                                 |

`on` is a path or its end, `/trade/order` or `POST /trade/order` or `orders-pending`, or a WebSocket operation, `order`;
`*` stands for anything, and empty for all. `count` requests are hit, 0: until it is cleared. GET tells what is on,
DELETE clears all.
"""

from fnmatch import fnmatchcase
from typing import Any

import msgspec
from msgspec import Struct

from kokex.adapters.okx.exchange.envelope import TEXTS

KINDS = ("drop", "delay", "error", "busy", "close", "stale", "gap", "sockets", "down")


class Fault(Struct, kw_only=True, forbid_unknown_fields=True):
    """One switch that is on."""

    kind: str
    on: str = ""
    over: str = ""  # "rest", "ws", or both
    count: int = 1
    seconds: float = 1.0
    status: int = 503
    code: str = ""
    notice: bool = False
    abrupt: bool = False
    text: str = ""
    until_ms: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} is not one of {', '.join(KINDS)}")
        if not self.code:
            self.code = "50011" if self.kind == "busy" else "50001"
        if self.kind == "busy":
            self.status = 429
        if not self.text:
            self.text = TEXTS.get(self.code, "Service temporarily unavailable. Please try again later.")


class Faults:
    """All switches."""

    def __init__(self) -> None:
        self.on: list[Fault] = []
        self.stale_until_ms = 0
        self.down_until_ms = 0
        self.gaps = 0

    def turn_on(self, body: bytes, now_ms: int) -> Fault:
        """Raises ValueError for what is no fault."""
        try:
            fault = msgspec.json.decode(body, type=Fault)
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from None
        fault.until_ms = now_ms + int(fault.seconds * 1000)
        if fault.kind == "stale":
            self.stale_until_ms = fault.until_ms
        elif fault.kind == "gap":
            self.gaps += fault.count
        elif fault.kind == "down":
            self.down_until_ms = fault.until_ms
        elif fault.kind != "sockets":
            self.on.append(fault)
        return fault

    def clear(self) -> None:
        self.on.clear()
        self.stale_until_ms = self.down_until_ms = self.gaps = 0

    def pick(self, over: str, *names: str) -> Fault | None:
        """The switch that hits a request of these names, which is counted."""
        for fault in self.on:
            end = "/" + fault.on.lstrip("/")
            hit = not fault.on or any(fnmatchcase(name, fault.on) or name.endswith(end) for name in names)
            if hit and fault.over in {"", over}:
                if fault.count:
                    fault.count -= 1
                    if not fault.count:
                        self.on.remove(fault)
                return fault
        return None

    def stale(self, now_ms: int) -> bool:
        return now_ms < self.stale_until_ms

    def down(self, now_ms: int) -> bool:
        return now_ms < self.down_until_ms

    def take_gap(self, door: str) -> bool:
        if self.gaps and door == "public":
            self.gaps -= 1
            return True
        return False

    def told(self, now_ms: int) -> dict[str, Any]:
        return {
            "faults": [msgspec.to_builtins(fault) for fault in self.on],
            "gaps": self.gaps,
            "stale_ms": max(0, self.stale_until_ms - now_ms),
            "down_ms": max(0, self.down_until_ms - now_ms),
        }
