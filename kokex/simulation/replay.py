"""Replay: a recorded session once more, and what it should have been compared with what is on record.

The record holds what came from outside (market, venue answers, commands, timers, what actors loaded), each with the
number of messages handled before it. Fed in that order to the same actors, they must emit the same messages with
the same ids. Nothing is read back of what they once emitted, so decisions, verdicts and orders may be missing
from the record: then it is compared with another, the original.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast, final

import msgspec
from msgspec import Struct

from kokex.adapters.host.chance import Random
from kokex.adapters.host.prompts import read_wording
from kokex.adapters.sqlite import llm_calls, queries, tables
from kokex.adapters.sqlite.direct import DirectStore, open_direct
from kokex.adapters.sqlite.reader import Reader
from kokex.adapters.sqlite.recorder import outcome, posted
from kokex.brain.answer import SHAPE_VERSION
from kokex.brain.wording import BadWording, Wording
from kokex.config import Config
from kokex.kernel.cell import Call, Failure
from kokex.kernel.system import Hooks, System
from kokex.messages import AnyMessage, LlmCall, Message, Purpose
from kokex.ports import Forecaster, Input, Llm, Memory, News, Settings, Store, Training, Venue
from kokex.ports.chat import Chat, Pictures, Records
from kokex.topology import JOURNALED, JOURNALED_POSTS, Ports, daemon

RECORDED = "run"  # the mode of sessions whose inputs are on record


DECIDING = frozenset({"scheduled", "event"})  # purposes whose prompts the brain makes
WORDED = DECIDING | {"chat"}  # and all whose prompts are made of texts that people may change


class ReplayError(Exception):
    """The record cannot be replayed: what is missing, or where it stops fitting."""


class Difference(Struct, frozen=True):
    """One row that is not what the replay says it should be."""

    table: str
    key: str  # the id a person can look up
    what: str


@final
class Recorded:
    """The driver of a replay: no time passes, no call is made; all that happens is on record."""

    def __init__(self, system: System) -> None:
        self._system = system
        system.driver = self

    def begin(self, call: Call) -> None:
        """Its outcome is on record, or the session ended before it came."""

    def wake(self) -> None:
        """Nothing sleeps."""

    def run(self, inputs: Sequence[Input], progress: Callable[[int], None] | None = None) -> None:
        """Feeds the inputs. Raises ReplayError where the record and the actors do not fit together."""
        system = self._system
        for number, row in enumerate(inputs):
            while system.turn < row.turn:
                if not system.queue:
                    raise ReplayError(
                        f"input {number} ({row.kind} to {row.actor}) came after {row.turn} messages were handled, "
                        f"but the replay has only {system.turn}: this is not the program or the configuration that "
                        "made the record"
                    )
                system.step()
            system.now = max(system.now, row.at)
            system.cause = 0
            try:
                self._accept(row)
            except msgspec.ValidationError as error:
                what = f"input {number} ({row.kind} to {row.actor})"
                raise ReplayError(f"{what} was recorded by another version: {error}") from error
            if progress and number % 1000 == 0:
                progress(number)
        system.drain()

    def _accept(self, row: Input) -> None:
        system = self._system
        if row.kind == "post":
            system.post(row.actor, posted(row))
        elif row.kind == "timer":
            if row.ref not in system.timers:
                raise ReplayError(f"timer {row.ref} of {row.actor} fired, but the replay has not set it")
            system.fire(row.ref)
        elif row.kind in ("answer", "loaded"):
            call = system.calls.get(row.ref)
            if call is None:
                raise ReplayError(f"an answer to call {row.ref} of {row.actor} came, but the replay did not make it")
            failed, value = outcome(row, call.returns)
            system.accept(call, Failure(value.kind, value.text) if failed else value)
        elif row.kind == "start":
            system.starter.start()
        elif row.kind == "drain":
            system.starter.drain()
        else:
            system.starter.stop(system.cells[row.actor])


# ---- comparing --------------------------------------------------------------------------------

TABLES: Mapping[str, str] = {  # table -> the column that names a row
    "journal": "id",
    "decisions": "id",
    "verdicts": "decision",
    "orders": "client_id",
    "fills": "client_id",
    "fundings": "id",
    "portfolios": "id",
    "llm_calls": "id",
    "remarks": "id",
}


def differences(expected: Reader, replayed: DirectStore, sessions: Sequence[int]) -> Iterator[Difference]:
    """What is on record of `sessions` against what the replay made, table by table."""
    first, end = min(sessions) << 40, (max(sessions) + 1) << 40
    for table, key in TABLES.items():
        names = expected.ask(tables.columns(table))
        ident, name = names.index("id"), names.index(key)
        on_record = {row[ident]: row for row in expected.ask(tables.rows(table, first, end))}
        again = {row[ident]: row for row in replayed.ask(tables.rows(table, first, end))}
        for number in sorted(on_record.keys() | again.keys()):
            was, now = on_record.get(number), again.get(number)
            if was is None and now is not None:
                yield Difference(table, str(now[name]), "is missing from the record")
            elif now is None and was is not None:
                yield Difference(table, str(was[name]), "is on record, but the replay does not make it")
            elif was is not None and now is not None and was != now and (what := _changed(names, was, now)):
                yield Difference(table, str(was[name]), what)


def _changed(columns: Sequence[str], was: tuple[Any, ...], now: tuple[Any, ...]) -> str:
    parts: list[str] = []
    for column, recorded, again in zip(columns, was, now, strict=True):
        if column == "body":
            parts += _fields_changed(recorded, again)
        elif recorded != again:
            parts.append(f"{column} is {recorded!r}, should be {again!r}")
    return "; ".join(parts)


def _fields_changed(recorded: str, again: str) -> Iterator[str]:
    should: Message = _decode(again)
    kind = type(should).__name__
    try:
        found: Message = _decode(recorded)
    except msgspec.MsgspecError as error:
        yield f"the {kind} on record cannot be read: {error}"
        return
    if type(found) is not type(should):
        yield f"is a {type(found).__name__}, should be a {kind}"
        return
    for field in should.__struct_fields__:
        was, now = getattr(found, field), getattr(should, field)
        if was != now:
            yield f"{field} of the {kind} is {was!r}, should be {now!r}"


_decode = msgspec.json.Decoder(AnyMessage).decode


def end_of(expected: Reader, session: int, inputs: Sequence[Input]) -> int:
    """The last message that can be on record: a kill loses the unwritten tail, a clean stop nothing."""
    if inputs and inputs[-1].kind == "stop":
        return 1 << 62
    return expected.ask(tables.newest_id(session))


# ---- the whole of it --------------------------------------------------------------------------


class Replayed(Struct, frozen=True):
    """What a replay did and found."""

    sessions: tuple[int, ...]
    inputs: int
    handled: int
    rows: dict[str, int]  # compared, by table
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        return not self.differences


def replay(record: Reader, expected: Reader, progress: Callable[[float], None] | None = None) -> Replayed:
    """Replays all sessions of `record` that kept their inputs; compares with `expected`, the same or its original.

    `progress` is told what part is done, 0..1. Raises ReplayError.
    """
    chosen = [each for each in record.ask(queries.sessions()) if each.mode == RECORDED]
    inputs = {each.id: record.ask(queries.inputs(each.id)) for each in chosen}
    chosen = [each for each in chosen if inputs[each.id]]
    if not chosen:
        raise ReplayError("no session of a daemon is on record here; a backtest is replayed by running it again")
    tag = record.ask(tables.tag())
    store = open_direct(
        ":memory:", now_ns=0, mode="replay", version="", config_json="{}", tag_factory=lambda: tag, batch=4000
    )
    total, done, handled = sum(len(rows) for rows in inputs.values()), 0, 0
    for session in chosen:
        store.session = session.id
        end = end_of(expected, session.id, inputs[session.id])
        asked = record.ask(llm_calls.between(session.id << 40, (session.id + 1) << 40))
        if asked:
            refuse_other_words(session.id, asked, wording_of(_config_of(session)))
        system = _system(session, store, end)

        def told(number: int, before: int = done) -> None:
            if progress:
                progress((before + number) / total)

        Recorded(system).run(inputs[session.id], told)
        done += len(inputs[session.id])
        handled += system.turn
    store.flush()
    numbers = [each.id for each in chosen]
    first, last = min(numbers) << 40, (max(numbers) + 1) << 40
    rows = {table: len(store.ask(tables.rows(table, first, last))) for table in TABLES}
    return Replayed(tuple(numbers), total, handled, rows, tuple(differences(expected, store, numbers)))


def _config_of(session: queries.Session) -> Config:
    try:
        return msgspec.json.decode(session.config, type=Config)
    except msgspec.MsgspecError as error:
        raise ReplayError(f"the configuration of session {session.id} is not one of this kokex: {error}") from error


def wording_of(config: Config) -> Wording | None:
    """The texts of prompts, as they are now. Raises ReplayError."""
    if not config.llm.provider:
        return None
    try:
        return read_wording(config.llm.prompts)
    except BadWording as error:
        raise ReplayError(str(error)) from None


def _words_of_now(purpose: Purpose, wording: Wording | None) -> tuple[str, str]:
    """The versions of the texts and of the form that a prompt of this purpose is made of."""
    if purpose == "chat":
        return wording.versions["chat"] if wording else "none", ""
    return wording.version if wording else "none", SHAPE_VERSION


def _named(words: str, form: str) -> str:
    return f"{words}, form {form}" if form else words


def refuse_other_words(session: int, calls: Iterable[LlmCall], wording: Wording | None) -> None:
    """What was asked in other words, or in another form, cannot be recomputed. Raises ReplayError."""
    for call in calls:
        if call.purpose not in WORDED:
            continue
        now = _words_of_now(call.purpose, wording)
        if (call.wording, call.shape) != now:
            raise ReplayError(
                f"session {session} asked a model in the words of prompts {_named(call.wording, call.shape)}; this "
                f"program has prompts {_named(*now)}: replay it with those texts ([llm] prompts) and version"
            )


def _system(session: queries.Session, store: DirectStore, end: int) -> System:
    """The system of a session: its configuration is on record, its ports are not needed."""
    config = _config_of(session)

    def tap(message: Message) -> None:
        if message.id <= end:
            store.append(message)

    return daemon(
        config,
        Ports(
            store=cast(Store, Forgetful(store)),
            venues={account.name: cast(Venue, Absent()) for account in config.resolved_accounts()},
            chance=Random,
            llm=cast(Llm, Absent()) if config.llm.provider else None,
            wording=wording_of(config),
            model=cast(Forecaster, Absent()),
            news=cast(News, Absent()),
            memory=cast(Memory, Absent()),
            control=Absent(),
            settings=cast(Settings, Absent()),
            training=cast(Training, Absent()) if config.training.enabled else None,
            chat=cast(Chat, Absent()),
            records=cast(Records, Absent()),
            pictures=cast(Pictures, Absent()),
            console=_unheard,  # there is one: who talks to it also counts what it said
        ),
        hooks=Hooks(tap=tap, journaled=JOURNALED, journaled_posts=JOURNALED_POSTS),
    )


@final
class Forgetful:
    """The store of a replay: knows its session, keeps nothing that actors append by themselves, is asked nothing."""

    def __init__(self, store: DirectStore) -> None:
        self.session = store.session
        self.tag = store.tag
        self.batches = False

    def append(self, row: object) -> None:
        """Only the tap writes."""

    def pending(self) -> int:
        return 1  # so that the journal commits whenever it did

    def __getattr__(self, name: str) -> Any:
        return _never


@final
class Absent:
    """A port whose answers are on record."""

    latency_ns = 0

    def answer(self, request: int, body: object) -> None:
        """Who asked is long gone."""

    def __getattr__(self, name: str) -> Any:
        return _never


def _unheard(at: int, level: str, kind: str, text: str) -> None:
    """A replay says nothing."""


async def _never(*_: Any) -> Any:
    raise ReplayError("a replay makes no calls")
