"""What an answer means: done, definitely not done, or nobody knows (see docs/okx.md).

`kokex.ports.Rejected` carries OKX's code; two of its kinds may be sent again. `Ambiguous` is everything after which
only a question tells what happened.
"""

from collections.abc import Sequence

from kokex.adapters.okx.wire.frames import Ack
from kokex.ports import Ambiguous, Rejected

UNKNOWN = frozenset({"50004", "51054", "51149"})  # timeouts inside OKX: the outcome is not known
THROTTLED = frozenset({"50011", "50013", "50040", "50061"})  # too much, or too busy: not done
EXPIRED_TIMESTAMP = "50102"
BATCH = frozenset({"1", "2"})  # all, or some, of the rows failed: each says how


class Throttled(Rejected):
    """Not done, because it was too much or OKX is too busy: may be sent again after a while."""


class Unsent(Ambiguous):
    """It never left this machine: no connection could be made. Nothing was done, and nothing is to be looked up."""


def failure(status: int, code: str, message: str) -> Rejected | Ambiguous:
    """What a REST answer other than success means. `code` "": it had none that could be read."""
    if status >= 500 or code in UNKNOWN or not code:
        return Ambiguous(f"HTTP {status}, {code or 'no code'}: {message[:200]}")
    if code in THROTTLED or status == 429:
        return Throttled(code, message)
    return Rejected(code, message)


def accepted(rows: Sequence[Ack]) -> Ack:
    """The one row of a single operation. Raises Rejected or Ambiguous when it says no."""
    if len(rows) != 1:
        raise Ambiguous(f"{len(rows)} rows answer one operation")
    row = rows[0]
    code = row.s_code or "0"
    if code == "0":
        return row
    raise failure(200, code, row.s_msg or "")
