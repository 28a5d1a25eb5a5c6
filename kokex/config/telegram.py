"""[telegram]: who may speak to the daemon over Telegram, and of what it tells there."""

from typing import Annotated, Literal

from msgspec import Struct

from kokex.config.rules import Filled, Matches, Range

Voice = Literal["on", "silent", "off"]  # silent: the phone makes no sound
TimeOfDay = Annotated[str, Matches(r"([01]\d|2[0-3]):[0-5]\d", 'a time of day, for example "08:00"')]
QuietHours = Annotated[
    str, Matches(r"|([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d", 'a span of the day, for example "23:00-07:00"')
]


class Alerts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How each kind of alert arrives."""

    start: Voice = "on"  # the daemon started or stops
    market: Voice = "silent"  # a trading calendar opens or closes
    cycle: Voice = "off"  # what a cycle came to
    decision: Voice = "silent"
    order: Voice = "off"  # sent, cancelled, rejected
    fill: Voice = "on"
    exit: Voice = "on"  # a position was closed, in part or whole, with its profit or loss
    refusal: Voice = "silent"  # risk said no
    stop: Voice = "silent"  # a protective stop was placed or moved
    breaker: Voice = "on"  # warning, trip, reset
    health: Voice = "on"  # degraded and recovered, and what went wrong
    quota: Voice = "on"  # of the language model
    training: Voice = "silent"
    proposal: Voice = "on"  # of a strategy, for approval
    daily: Voice = "on"  # digest
    weekly: Voice = "on"  # digest, on Monday
    security: Voice = "on"  # somebody who is not listed wrote
    note: Voice = "silent"  # all else: pause and resume, for example


class Telegram(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The chat. The token is a secret and stands elsewhere; `chat` 0: no Telegram."""

    chat: int = 0
    owners: tuple[int, ...] = ()  # user ids: may do everything
    traders: tuple[int, ...] = ()  # may trade and pause
    viewers: tuple[int, ...] = ()  # may ask
    base_url: Filled = "https://api.telegram.org/bot"
    totp: bool = False  # acts of owners want a one-time code too
    time_zone: Filled = "UTC"  # of times shown, quiet hours and digests
    quiet: QuietHours = ""  # no sound then, but for what is critical
    digest_at: TimeOfDay = "08:00"
    min_worth: Annotated[float, Range(least=0)] = 0.0  # in quote currency: smaller orders and fills are not told
    min_conviction: Annotated[int, Range(least=1, most=5)] = 1  # decisions with less are not told
    alerts: Alerts = Alerts()
