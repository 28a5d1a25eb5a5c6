"""What the brain keeps of its conversation with models: last answers, how often they failed, what was told of it."""

from collections.abc import Mapping, Sequence
from typing import Literal, final

from msgspec import Struct
from msgspec.structs import replace

from kokex.brain.answer import Item, Judged, Unreadable, judge, read
from kokex.brain.fingerprint import digest
from kokex.brain.prompt import Composed, Terms, compose
from kokex.brain.rates import Rate
from kokex.brain.wording import Wording
from kokex.config import Llm, Plan
from kokex.messages import Answered, Briefing, Instrument, Prompt, Purpose, Readings, Reply, Turn

Stage = Literal["model", "last answer", "rules"]
WHOLE = (1, False)  # one question for all
LONGEST_ECHO = 2_000  # characters of an unreadable answer that are shown to the model again


class Settings(Struct, frozen=True):
    """What the brain `llm` is made of."""

    config: Llm
    wording: Wording
    round_trip_bp: Mapping[str, float]  # by plan
    recorded: bool = False  # answers are recordings: of the same question there may be several


@final
class Answer:
    """What a model last said of some instruments, and what has become of it."""

    __slots__ = ("at", "call", "composed", "items", "question", "shown", "spent")

    def __init__(
        self, question: str, composed: Composed, items: list[Item | str], call: int, at: int, shown: str
    ) -> None:
        self.question = question
        self.composed = composed
        self.items = items
        self.call = call
        self.at = at
        self.shown = shown  # where it was not what is composed
        self.spent: set[str] = set()  # instruments a position was opened in on its word


@final
class Thinking:
    def __init__(self, settings: Settings, instruments: Mapping[str, Instrument]) -> None:
        self._settings = settings
        self._instruments = instruments
        self._answers: dict[tuple[str, tuple[str, ...]], Answer] = {}  # by plan and the instruments asked for
        self._parts: dict[str, tuple[int, bool]] = {}  # plan -> into how many parts, and whether some had no room
        self._stages: dict[str, Stage] = {}  # plan -> who decides
        self._abstained = Rate("answers of the model could not be read", worst=0.1)
        self._invented = Rate("decisions of the model quoted numbers it was not shown", worst=0.1)

    @property
    def texts(self) -> dict[str, str]:
        """The version of each text that prompts are made of."""
        return self._settings.wording.versions

    # ---- asking

    def compose(
        self, plan: Plan, briefing: Briefing, readings: Sequence[Readings]
    ) -> tuple[list[Composed], tuple[str, ...]]:
        """The parts of the question, and the instruments there is no room for."""
        settings = self._settings
        terms = Terms(settings.round_trip_bp[plan.name], plan.timeframe_ns, settings.config.prompt_tokens)
        return compose(briefing, readings, self._instruments, settings.wording, terms)

    def prompt(self, plan: Plan, briefing: Briefing, composed: Composed, part: int, parts: int) -> Prompt:
        return Prompt(
            purpose=purpose_of(briefing.why),
            plan=plan.name,
            system=composed.system,
            turns=composed.turns,
            shape=composed.shape,
            max_tokens=self._settings.config.answer_tokens,
            deadline_ns=briefing.deadline_ns,
            wording=self._settings.wording.version,
            part=part,
            parts=parts,
        )

    def once_more(self, prompt: Prompt, reply: Reply, error: str) -> Prompt | None:
        """The one question after an answer that could not be read; None: it is not to be asked."""
        if not self._settings.config.repair or len(prompt.turns) > 1:
            return None
        said = reply.text[:LONGEST_ECHO] or "(nothing)"
        turns = (
            *prompt.turns,
            Turn(role="assistant", text=said),
            Turn(role="user", text=self._settings.wording.say("repair", error=error)),
        )
        return replace(prompt, turns=turns)

    # ---- what was said

    def unchanged(self, plan: Plan, composed: Composed) -> Answer | None:
        """What was answered to this very question, when it was the last one."""
        last = None if self._settings.recorded else self._answers.get((plan.name, tuple(composed.shown)))
        return last if last and last.question == same_as(composed) else None

    def lasting(self, plan: Plan, composed: Composed, now: int) -> Answer | None:
        """The last answer on these instruments, while it is fresh enough to stand in for a new one."""
        last = self._answers.get((plan.name, tuple(composed.shown)))
        return last if last and now - last.at <= self._settings.config.keep_plan_s * 1e9 else None

    def heard(self, plan: Plan, composed: Composed, answered: Answered, now: int) -> Answer:
        """Raises Unreadable."""
        reply = answered.reply
        if reply is None:
            raise Unreadable("there is none")
        if reply.stop in {"length", "refusal"}:
            raise Unreadable("it was cut off" if reply.stop == "length" else "the model refused to answer")
        answer = Answer(same_as(composed), composed, read(reply.text), answered.call, now, answered.shown)
        self._answers[plan.name, tuple(composed.shown)] = answer
        return answer

    def judge(self, plan: Plan, answer: Answer, composed: Composed) -> list[Judged]:
        """An answer held against how things stand now; an entry on its word is good for one position."""
        judged = judge(answer.items, composed, min_conviction=plan.brain.min_conviction, shown=answer.shown)
        return [
            Judged(each.symbol, "hold", each.conviction, each.horizon_s, None, (*each.reasons, SPENT), "moot")
            if each.act.startswith("open") and each.symbol in answer.spent
            else each
            for each in judged
        ]

    # ---- what people should know

    def split(self, plan: Plan, parts: Sequence[Composed], left_out: Sequence[str]) -> str:
        """Notes into how many questions a briefing went; what to tell when that has changed."""
        now = (len(parts), bool(left_out))
        before, self._parts[plan.name] = self._parts.get(plan.name, WHOLE), now
        if now == before:
            return ""
        if now == WHOLE:
            return f"the question of plan {plan.name} is one again"
        named = "; ".join(", ".join(part.shown) for part in parts)
        lost = f"; no room for {', '.join(left_out)}" if left_out else ""
        what = f"{len(parts)} questions ({named})" if len(parts) > 1 else "one question"
        return f"the question of plan {plan.name} is too long for llm.prompt_tokens: {what}{lost}"

    def count(self, judged: Sequence[Judged] | None) -> list[str]:
        """Takes in one answer (None: it could not be read); what to tell."""
        told = [self._abstained.count(judged is None)]
        told += [self._invented.count(each.verdict == "mismatch") for each in judged or ()]
        return [text for text in told if text]

    def decided_by(self, plan: Plan, stage: Stage, why: str = "") -> str:
        """Notes who decides for a plan; what to tell when that has changed."""
        before = self._stages.get(plan.name, "model")
        self._stages[plan.name] = stage
        if stage == before:
            return ""
        if stage == "model":
            return f"plan {plan.name} is decided by the model again"
        who = "the last answer stands in" if stage == "last answer" else "the strategies vote in its place"
        return f"the model does not decide for plan {plan.name}: {why}; {who}"


SPENT = "already traded on: waiting for a new answer"


def purpose_of(why: str) -> Purpose:
    """What a cycle's call is charged to."""
    return "scheduled" if why in {"long", "short", "session", "realtime"} else "event"


def same_as(composed: Composed) -> str:
    """Equal for questions that are the same to the letter."""
    return digest((composed.system, composed.turns, composed.shape))
