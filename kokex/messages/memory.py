"""What is remembered: decisions with what became of them, and what they teach."""

from msgspec import Struct

from kokex.messages.values import Act


class Situation(Struct, frozen=True, kw_only=True, gc=False):
    """Where an instrument stands, in figures that can be compared across instruments and times."""

    instrument: str
    features: dict[str, float]


class Episode(Struct, frozen=True, kw_only=True, gc=False):
    """A decision that changed something, or would have, and what came of it."""

    id: int  # the decision's
    at_ns: int
    plan: str
    account: str
    instrument: str
    act: Act
    direction: int  # 1: towards long, -1: towards short
    conviction: int
    horizon_s: int
    price: float  # last close it was made from
    invalidation: float | None
    by: str
    features: dict[str, float]
    matures_ns: int  # nothing is known of its outcome before
    settled: bool = False
    verdict: str = ""  # "approved", or the rule that refused; empty: not known yet
    fill_price: float | None = None  # mean, of its own order; None: nothing filled
    outcome_bp: float | None = None  # net of costs, against leaving things as they were; None: not known


class Lesson(Struct, frozen=True, kw_only=True, gc=False):
    """What many episodes of one kind came to."""

    plan: str
    instrument: str  # empty: of all
    text: str
    episodes: int
    won: int
    mean_bp: float
    t: float  # the mean, in its standard errors
    written_ns: int
    expires_ns: int
