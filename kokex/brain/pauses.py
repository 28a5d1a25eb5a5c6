"""What a fault of a language model teaches: how long to leave its provider alone."""

import re

from kokex.messages.llm import Fault

_RETRY_IN = re.compile(
    r"(?:retry|try again) (?:in|after) (?:(\d+)\s*m(?:in\w*)?\s*)?(\d+(?:\.\d+)?)\s*(ms|s)", re.IGNORECASE
)
_PER_DAY = re.compile(r"per[\s_-]?day|daily|\bRPD\b|requests per 1 ?d", re.IGNORECASE)
_NO_QUOTA = re.compile(r"\blimit:\s*0\b|insufficient_quota|exceeded your current quota, please check", re.IGNORECASE)
_PER_MINUTE = re.compile(r"per[\s_-]?minute|\bRPM\b", re.IGNORECASE)
UNTIL_RESET_S = -1.0  # the caller knows when the day ends
LONGEST_PAUSE_S = 900.0


def pause_s(fault: Fault, in_a_row: int) -> float:
    """How long to leave a provider alone after a fault, the `in_a_row`th; UNTIL_RESET_S: until its day is over.

    Sources: the wording of Gemini's, OpenAI's and Anthropic's 429 bodies.
    """
    again = min(LONGEST_PAUSE_S, 10.0 * 2.0 ** min(in_a_row, 10))
    if fault.kind == "rate_limited":
        if _NO_QUOTA.search(fault.text) or (_PER_DAY.search(fault.text) and not _PER_MINUTE.search(fault.text)):
            return UNTIL_RESET_S
        said = fault.retry_after_s if fault.retry_after_s is not None else _retry_in_s(fault.text)
        if said is not None:
            return max(1.0, said)
        return 60.0 if _PER_MINUTE.search(fault.text) else max(30.0, again)
    if fault.kind == "rejected" and fault.status in {401, 402, 403, 404}:  # a key, a bill, a name: for a person
        return max(300.0, again)
    if fault.kind == "overloaded" and fault.retry_after_s is not None:
        return max(1.0, fault.retry_after_s)
    return again


def _retry_in_s(text: str) -> float | None:
    found = _RETRY_IN.search(text)
    if not found:
        return None
    minutes, number, unit = found.groups()
    return float(minutes or 0) * 60 + float(number) / (1000 if unit.lower() == "ms" else 1)
