"""Our state x OKX's answer -> what we do: the one place that decides it. docs/okx-trading.md shows the same table.

Two answers are never taken at their word: an accepted cancel or amend, because accepted is not done, and a refusal
that may mean that the thing was already done. Both are looked up.
"""

from typing import Literal

from kokex.adapters.okx.answers import Throttled, Unsent
from kokex.ports import Ambiguous, Rejected

State = Literal["placing", "amending", "cancelling", "asking"]
Step = Literal["done", "refuse", "again", "look", "absent"]

# A client id is known among what is pending: the order is there, by an earlier try whose answer was lost.
DUPLICATE = frozenset({"51016", "51065"})
# The trigger of a stop or take-profit lies on the wrong side of the price: it is through.
THROUGH = frozenset({"51277", "51278", "51279", "51280"})
# What was to be changed is filled, cancelled, or not there.
OVER = frozenset({"51400", "51401", "51402", "51405", "51410", "51503", "51509", "51510", "51527", "51532"})
MISSING = frozenset({"51603"})


def next_step(state: State, answer: Rejected | Ambiguous | None) -> Step:
    """`answer` None: accepted, or in the state "asking" told.

    done: as wanted. refuse: definitely not done, and not to be tried again. again: definitely not done; the same once
    more, as long as its deadline allows. look: nobody knows, ask for that one order. absent: it is not there, now.
    """
    match answer:
        case None:
            return "look" if state in ("amending", "cancelling") else "done"
        case Unsent() | Throttled():
            return "again"
        case Ambiguous():
            return "look"
        case Rejected(code=code) if state == "placing" and code in DUPLICATE:
            return "look"
        case Rejected(code=code) if state in ("amending", "cancelling") and code in OVER:
            return "look"
        case Rejected(code=code) if state == "asking" and code in MISSING:
            return "absent"
        case _:
            return "refuse"


def worded(rejection: Rejected) -> Rejected:
    """A refusal in the executor's words, where it must tell it apart."""
    if rejection.code in THROUGH:
        return Rejected("trigger_through", f"{rejection.reason} ({rejection.code})")
    return rejection
