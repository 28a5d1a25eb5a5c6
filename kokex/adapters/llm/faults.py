"""What went wrong with a request, told apart once for both SDKs: they raise errors of the same names."""

import json
from typing import Any

from kokex.adapters.secrets.secret import redact
from kokex.messages.llm import Fault, FaultKind

LONGEST_TEXT = 500  # characters of an error that are kept
LARGEST_ANSWER = 256 * 1024  # bytes; a decision takes two thousand


class Unreadable(Exception):
    """The answer is none of this wire's."""


class Oversized(Exception):
    """The answer is larger than any answer may be."""


def fault_of(error: Exception) -> Fault:
    """The fault behind what an SDK, or the HTTP library below it, raised; secrets are blotted out."""
    text = _redacted(str(error) or type(error).__name__)
    status: Any = getattr(error, "status_code", None)
    if isinstance(error, Oversized):
        return Fault(kind="oversized", text=text)
    if isinstance(error, Unreadable):
        return Fault(kind="unreadable", text=text)
    if isinstance(status, int):
        body = _redacted(_body(error))
        return Fault(kind=_by_status(status), status=status, text=body or text, retry_after_s=_retry_after_s(error))
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, TimeoutError) or "APITimeoutError" in names or "TimeoutException" in names:
        return Fault(kind="timeout", text=text)
    if "APIConnectionError" in names:
        below = type(error.__cause__).__name__
        kind = "unreachable" if below.startswith(("Connect", "Pool", "Unsupported", "Proxy")) else "cut_off"
        return Fault(kind=kind, text=_redacted(f"{text} {below}: {error.__cause__}"))
    if "APIError" in names:  # an error within a stream
        return Fault(kind="overloaded" if "overloaded" in text.lower() else "server_error", text=text)
    return Fault(kind="cut_off", text=_redacted(f"{type(error).__name__}: {error}"))


def _by_status(status: int) -> FaultKind:
    if status == 429:
        return "rate_limited"
    if status in {503, 529}:
        return "overloaded"
    return "server_error" if status >= 500 else "rejected"


def _body(error: Exception) -> str:
    body: Any = getattr(error, "body", None)
    return body if isinstance(body, str) else json.dumps(body) if body else ""


def _retry_after_s(error: Exception) -> float | None:
    """Seconds of the header; a date there is left to the ledger's own patience."""
    headers: Any = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        milliseconds = headers.get("retry-after-ms")
        seconds = float(milliseconds) / 1000 if milliseconds else float(headers.get("retry-after"))
    except (TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < 86_400 * 2 else None


def _redacted(text: str) -> str:
    return redact(text)[:LONGEST_TEXT]
