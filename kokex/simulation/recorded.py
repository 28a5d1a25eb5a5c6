"""Recorded answers of language models, played in a backtest.

No model is asked about candles of old: it may have read how they went on. What one said when they were new is on
record in `llm_calls`. Each answer is played when it came: the plan thinks about the instruments the model was asked
about then, and is told what it said. Everything after that is computed anew: whether an entry still makes sense, its
size, the verdict, order and fills.

An answer belongs to a question by its instruments and the time. Its numbers are held against what the model was shown,
which its record holds, and all else against how things stand in the backtest.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, final

import msgspec
from msgspec import Struct

from actors.scheduler import RECORDING
from kokex.adapters.sqlite import llm_calls
from kokex.adapters.sqlite.llm_calls import Dated
from kokex.adapters.sqlite.reader import Reader
from kokex.brain.answer import SHAPE_VERSION
from kokex.brain.fingerprint import fingerprint
from kokex.config import Llm as LlmConfig
from kokex.config import Mode
from kokex.kernel.system import System
from kokex.messages import Command, LlmCall, Moment, Prompt, Reply, Sent, Shape, Turn
from kokex.paper.replay import ReplayMarket, Scout

DATABASE = "kokex.db"  # of a folder
OLD_NS = 86_400_000_000_000  # candles older than that when the model was asked were its past
LASTING_NS = 60_000_000_000  # an answer belongs to the questions of so long after it
RECORDED_ONLY = Mode(kind="realtime", long_s=0)  # neither an edge nor the clock wakes the plan
NOTHING = '{"decisions": [], "note": ""}'


class RecordingError(Exception):
    """What is wrong with a recording, in one line."""


class Recording(Struct, frozen=True, kw_only=True):
    """One answer, and to what."""

    at: int  # when it came, trading time
    plan: str
    symbols: tuple[str, ...]  # that the model was asked about
    prompt: str  # hash of the question
    turns: int  # of the conversation: more than one after an answer that could not be read
    shown: str
    reply: Reply
    old: bool  # the candles were old when the model was asked

    @property
    def first(self) -> bool:
        """Not the second answer to a question."""
        return self.turns == 1


class _Asked(Struct):
    """What is needed of `llm_calls.request`."""

    turns: tuple[Turn, ...]
    shape: Shape | None = None


def read(paths: Iterable[Path], plan: str, wording: str) -> list[Recording]:
    """All answers of these databases (or folders with one) to decisions of a plan, in the order in which they came.

    `plan` "": of the only one there is. `wording`: version of the texts of prompts. Raises RecordingError, StoreError.
    """
    dated: list[Dated] = []
    for path in paths:
        file = path / DATABASE if path.is_dir() else path
        with Reader(file) as reader:
            found = reader.ask(llm_calls.decided())
        if not found:
            raise RecordingError(f"{file}: no answer of a model to a decision is on record here")
        for each in found:
            _refuse_other_words(file, each.call, wording)
        dated += found
    made = sorted((_recording(each) for each in dated), key=lambda each: each.at)
    plans = dict.fromkeys(each.plan for each in made)
    if plan and plan not in plans:
        raise RecordingError(f"no recording of a plan {plan!r}; there are: {', '.join(plans)}")
    if not plan and len(plans) > 1:
        raise RecordingError(f"recordings of several plans: {', '.join(plans)}; choose one with --plan")
    return [each for each in made if each.plan == (plan or each.plan)]


def _refuse_other_words(file: Path, call: LlmCall, wording: str) -> None:
    if (call.wording, call.shape) != (wording, SHAPE_VERSION):
        raise RecordingError(
            f"{file}: call {call.id} was asked in the words of prompts {call.wording}, form {call.shape}; this program "
            f"has prompts {wording}, form {SHAPE_VERSION}: name those texts ([llm] prompts) or take that version"
        )


def _recording(dated: Dated) -> Recording:
    call = dated.call
    asked = msgspec.json.decode(call.request, type=_Asked)
    return Recording(
        at=dated.answered_ns,
        plan=call.plan,
        symbols=symbols_of(asked.shape),
        prompt=call.prompt,
        turns=len(asked.turns),
        shown=asked.turns[0].text,
        reply=msgspec.json.decode(call.answer, type=Reply),
        old=call.begun.wall_ns - call.at > OLD_NS,
    )


@final
class Recordings:
    """`kokex.ports.Llm` in a backtest, at once and for nothing; and who commands the cycles that ask."""

    def __init__(self, made: Sequence[Recording], instruments: Iterable[str], start_ns: int, end_ns: int) -> None:
        """Of `made` those on one of these instruments and within this time."""
        self._known = frozenset(instruments)
        self._made = [each for each in made if start_ns <= each.at <= end_ns and self._known & set(each.symbols)]
        self._next = 0  # of `_made`, the first whose time has not come
        self._system: System
        self._shown = ""  # to who answered last
        self._played: set[int] = set()
        self._alike = 0
        self._unanswered = 0

    def beside(self, market: ReplayMarket, system: System, plan: str) -> "Playing":
        """The market of that system, and between its candles the times at which answers to `plan` came."""
        self._system = system
        return Playing(market, self, plan)

    # ---- when they play

    def next_at(self) -> int | None:
        """When the next answer came."""
        return self._made[self._next].at if self._next < len(self._made) else None

    def take(self, plan: str) -> None:
        """Has the plan think about what that answer is about."""
        each = self._made[self._next]
        self._next += 1
        if each.first:
            asked = {"plan": plan, "instruments": ",".join(name for name in each.symbols if name in self._known)}
            self._system.post("control", Command(verb="cycle", args=asked, by=RECORDING))

    def answer(self, request: int, body: object) -> None:
        """`kokex.ports.Control`: what came of it shows in what is asked."""

    # ---- what is asked

    async def moment(self) -> Moment:
        return Moment(self._system.now, self._system.now, "backtest")

    async def send(self, provider: str, prompt: Prompt, timeout_s: float) -> Sent:
        """What had last been said of these instruments; nothing, so that they are held, where no recording fits."""
        ended = await self.moment()
        asked = set(symbols_of(prompt.shape))
        number = self._first(asked) if len(prompt.turns) == 1 else self._second(asked)
        if number is None:
            self._unanswered += 1
            return Sent(Reply(text=NOTHING, stop="end", model="no recording"), ended, 0)
        fit = self._made[number]
        self._played.add(number)
        self._alike += fit.prompt == fingerprint(prompt)
        self._shown = fit.shown
        return Sent(fit.reply, ended, 0, shown=fit.shown)

    def _first(self, asked: set[str]) -> int | None:
        """The newest answer on these instruments that came within the last minute."""
        for number in range(self._next - 1, -1, -1):
            each = self._made[number]
            if each.at < self._system.now - LASTING_NS:
                return None
            if each.first and asked <= set(each.symbols):
                return number
        return None

    def _second(self, asked: set[str]) -> int | None:
        """What the model said when it was asked once more, and not yet anew."""
        for number in range(self._next, len(self._made)):
            each = self._made[number]
            if each.first and asked == set(each.symbols):
                return None
            if not each.first and each.shown == self._shown:
                return number
        return None

    # ---- what became of them

    def counts(self) -> dict[str, int]:
        """`recordings` on these instruments and candles, how many were `played`, and what a reader should know."""
        return {
            "recordings": len(self._made),
            "played": len(self._played),
            "word_for_word": self._alike,  # to the very question on record
            "unanswered": self._unanswered,  # questions that no recording fits
            "about_the_past": sum(each.old for each in self._made),
        }


def symbols_of(shape: Shape | None) -> tuple[str, ...]:
    """The instruments that an answer of this form may speak of."""
    schema: Any = shape.schema if shape else {}
    return tuple(schema["properties"]["decisions"]["items"]["properties"]["symbol"]["enum"])


@final
class Playing:
    """`kokex.kernel.system.Source`: candles, and answers between them."""

    def __init__(self, market: ReplayMarket, recordings: Recordings, plan: str) -> None:
        self._market = market
        self._recordings = recordings
        self._plan = plan

    def next_at(self) -> int | None:
        candle, answer = self._market.next_at(), self._recordings.next_at()
        return candle if answer is None or (candle is not None and candle <= answer) else answer

    def take(self) -> None:
        candle, answer = self._market.next_at(), self._recordings.next_at()
        if answer is None or (candle is not None and candle <= answer):
            self._market.take()
        else:
            self._recordings.take(self._plan)

    def skim(self, until_ns: int, scouts: Mapping[str, Sequence[Scout]]) -> tuple[int, int]:
        """As the market does, up to the next answer."""
        answer = self._recordings.next_at()
        return self._market.skim(until_ns if answer is None else min(until_ns, answer), scouts)


def for_nothing(config: LlmConfig) -> LlmConfig:
    """[llm] of a backtest: a recorded answer costs nothing and is never too many; none stands in for another."""
    free = Decimal(0)
    return LlmConfig(
        provider="openai", model="recorded", rpm=0, rpd=0, usd_in=free, usd_out=free, usd_per_day=free,
        usd_per_month=free, prompt_tokens=config.prompt_tokens, answer_tokens=config.answer_tokens,
        prompts=config.prompts, keep_plan_s=0, repair=config.repair,
    )  # fmt: skip
