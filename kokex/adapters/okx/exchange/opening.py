"""Opens the exchange: accounts and candles from files, the market from a seed, the door with or without TLS."""

import asyncio
import gc
import signal
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct, field

from kokex.adapters.host.chance import Random, fresh_seed
from kokex.adapters.host.clock import TradingClock
from kokex.adapters.okx.exchange.app import Server, serving
from kokex.adapters.okx.exchange.course import Course
from kokex.adapters.okx.exchange.keeping import Begun, Keeping, KeepingError
from kokex.adapters.okx.exchange.listing import Listing, usual_listings
from kokex.adapters.okx.exchange.signing import Key
from kokex.adapters.okx.exchange.tapes import Tape, TapeError
from kokex.adapters.okx.exchange.tapes import read as tapes_of
from kokex.adapters.okx.exchange.venue import CASH, Owner, Venue
from kokex.paper.prices import common_shocks

_FORM = "each account is a table [[accounts]] with name, key, secret and passphrase"
AWAY_S = 2 * 3600  # of a longer time away only the end has candles


class OpeningError(Exception):
    """It cannot be opened. One line."""


class Opening(Struct, kw_only=True):
    """What was asked for on the command line."""

    host: str = "127.0.0.1"
    port: int = 0
    key: str = "kokex"
    secret: str = "kokex"  # noqa: S105  everybody's
    passphrase: str = "kokex"  # noqa: S105
    accounts: Path | None = None
    candles: tuple[Path, ...] = ()
    funding_s: int = 8 * 3600
    seed: int | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    faults: bool = False
    limited: bool = True
    for_s: float | None = None
    data: Path | None = None


class _Account(Struct, forbid_unknown_fields=True):
    name: str
    key: str
    secret: str
    passphrase: str
    cash: dict[str, Decimal] = field(default_factory=lambda: dict(CASH))
    level: Literal["1", "2"] = "2"
    position_mode: Literal["net_mode", "long_short_mode"] = "net_mode"


class _Accounts(Struct, forbid_unknown_fields=True):
    accounts: list[_Account]


def owners(opening: Opening) -> list[Owner]:
    """Raises OpeningError."""
    if opening.accounts is None:
        return [Owner(Key("main", opening.key, opening.secret, opening.passphrase), CASH)]
    try:
        text = opening.accounts.read_bytes()
        read = msgspec.toml.decode(text, type=_Accounts).accounts
    except OSError as error:
        raise OpeningError(f"{opening.accounts}: {error.strerror or error}") from None
    except msgspec.MsgspecError as error:
        raise OpeningError(f"{opening.accounts}: {error}; {_FORM}") from None
    if not read:
        raise OpeningError(f"{opening.accounts}: no account; {_FORM}")
    for each in read:
        if bad := [currency for currency, amount in each.cash.items() if not amount.is_finite() or amount < 0]:
            raise OpeningError(f"{opening.accounts}: {each.name}: cash of {', '.join(bad)} is not zero or more")
    for what in ("name", "key"):
        if len({getattr(each, what) for each in read}) < len(read):
            raise OpeningError(f"{opening.accounts}: two accounts have the same {what}")
    return [
        Owner(Key(each.name, each.key, each.secret, each.passphrase), each.cash, each.level, each.position_mode)
        for each in read
    ]


def venue(opening: Opening) -> tuple[Venue, list[str]]:
    """The exchange, its market at this moment, and what there is to say of it. Raises OpeningError."""
    if opening.funding_s < 1:
        raise OpeningError("--funding-every is a second at least")
    keeping = None
    try:
        keeping = Keeping(opening.data) if opening.data else None
        return _venue(opening, keeping)
    except (TapeError, KeepingError, OpeningError) as error:
        if keeping:
            keeping.close()
        raise OpeningError(str(error)) from None


def _venue(opening: Opening, keeping: Keeping | None) -> tuple[Venue, list[str]]:
    clock = TradingClock()
    now_s = clock.now() // 1_000_000_000
    begun = Begun(fresh_seed() if opening.seed is None else opening.seed, now_s)
    if keeping:
        begun = _as_before(keeping.begun(begun), opening)
    tapes = tapes_of(opening.candles, begun.start_s)
    listings = usual_listings()
    known = {each.id for each in listings}
    listings += [tape.listing for tape in tapes.values() if tape.listing.id not in known]
    market = Random(begun.seed if begun.start_s == now_s else f"{begun.seed}:{now_s}")
    courses = _courses(listings, tapes, begun, now_s)
    if keeping:
        _resume(courses, keeping, market, now_s)
    made = Venue(
        listings, courses, owners(opening), market, clock.now, funding_s=opening.funding_s, limited=opening.limited,
        keeping=keeping,
    )  # fmt: skip
    notes = [
        f"{tape.listing.id}: {len(tape.rows)} candles of {tape.span} s, moved by {tape.moved_s / 86_400:g} days"
        for tape in tapes.values()
    ]
    return made, notes


def _as_before(begun: Begun, opening: Opening) -> Begun:
    if opening.seed not in (None, begun.seed):
        raise OpeningError(f"{opening.data}: its market began with --seed {begun.seed}; leave --seed out")
    return begun


def _courses(listings: list[Listing], tapes: Mapping[str, Tape], begun: Begun, now_s: int) -> dict[str, Course]:
    courses: dict[str, Course] = {}
    seed = begun.seed
    for pair in dict.fromkeys(each.pair for each in listings):
        tape = tapes.get(pair)
        usual = next(each.usual for each in listings if each.pair == pair)
        courses[pair] = Course(
            usual,
            begun.start_s,
            Random(f"{seed}:{pair}" if begun.start_s == now_s else f"{seed}:{pair}:{now_s}"),
            lambda at, pair=pair: Random(f"{seed}:{pair}:{at}"),
            tape.rows if tape else (),
            tape.span if tape else 0,
        )
    return courses


def _resume(courses: Mapping[str, Course], keeping: Keeping, market: Random, now_s: int) -> None:
    """What happened, and then what happens while nobody looks."""
    for pair, course in courses.items():
        keeping.resume(pair, course)
    begin = max(now_s - AWAY_S, min(course.next for course in courses.values()))
    for course in courses.values():
        course.skip(begin)
    for second in range(begin, now_s):
        common = common_shocks(market)
        for course in courses.values():
            if course.next == second:
                course.close(course.draw(common))


def tls(opening: Opening) -> ssl.SSLContext | None:
    """Raises OpeningError."""
    if opening.tls_cert is None and opening.tls_key is None:
        return None
    if opening.tls_cert is None or opening.tls_key is None:
        raise OpeningError("--tls-cert and --tls-key go together")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(opening.tls_cert, opening.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise OpeningError(f"{opening.tls_cert}, {opening.tls_key}: {error}") from None
    return context


def serve(opening: Opening, say: Callable[[str], None]) -> None:
    """Until a signal, or for `for_s`. Raises OpeningError."""
    context = tls(opening)
    made, notes = venue(opening)
    server = Server(made, faults=opening.faults)
    gc.collect()
    gc.freeze()
    try:
        asyncio.run(_serve(opening, server, context, say, notes))
    except OSError as error:
        raise OpeningError(f"cannot listen on {opening.host}:{opening.port}: {error.strerror or error}") from None


async def _serve(
    opening: Opening, server: Server, context: ssl.SSLContext | None, say: Callable[[str], None], notes: list[str]
) -> None:
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, end.set)
    async with serving(server, opening.host, opening.port, context) as port:
        scheme = "s" if context else ""
        say(
            f"exchange: http{scheme}://{opening.host}:{port}/api/v5, "
            f"ws{scheme}://{opening.host}:{port}/ws/v5/public|private|business"
        )
        for note in notes:
            say(note)
        with suppress(TimeoutError):
            await asyncio.wait_for(end.wait(), opening.for_s)
