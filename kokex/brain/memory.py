"""Memory, the pure part: how like two situations are, what a decision came to, and what many of them teach.

An outcome is measured against leaving things as they were: an entry against staying out, an exit against staying in.
Costs are taken off. So doing nothing is worth 0 by definition, and only decisions that change something are episodes.

Lessons are plain statistics over episodes that do not overlap: a signal repeated every minute is one experience, not
sixty. A group of fewer than LEAST_EPISODES, or one whose mean is within LEAST_T standard errors of nothing, teaches
nothing; three and not two of them, because a dozen groups are looked at.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from kokex.brain.prompt import number
from kokex.messages import Act, Episode, Forecast, Lesson, Readings, Situation

LEAST_EPISODES = 20
LEAST_T = 3.0
LESSON_NS = 30 * 86_400_000_000_000  # then it is forgotten, unless it was learnt anew
MOST_LESSONS = 4  # in one prompt
MOST_OF_A_KIND = 2  # winners, and losers, in one prompt
SIGNAL = "signal "  # how the features of strategies begin
RANK_OFFSET = 60  # of reciprocal rank fusion (Cormack et al., 2009)
UNLIKE = math.inf


# ---- situations ---------------------------------------------------------------------------------


def situation(reading: Readings, forecast: Forecast | None) -> Situation:
    """Nothing in it depends on the price's level: the average true range is a percentage."""
    features = {name: value for name, value in reading.values.items() if name != "atr" and math.isfinite(value)}
    atr = reading.values.get("atr")
    if atr is not None and reading.price > 0:
        features["atr_pct"] = 100 * atr / reading.price
    features |= {SIGNAL + name: signal.side * signal.strength for name, signal in reading.signals.items()}
    if forecast:
        features["p_up"] = forecast.p_up
    return Situation(instrument=reading.instrument, features=features)


def words(of: Situation) -> list[str]:
    """The situation as words to search for: its instrument, and what strategies say of it."""
    return [_word(of.instrument), *(f"{_word(name)}_{side}" for name, side in _sides(of.features))]


def _word(text: str) -> str:
    return "".join(each if each.isalnum() else "_" for each in text.lower())


def _sides(features: Mapping[str, float]) -> list[tuple[str, str]]:
    named = [(name.removeprefix(SIGNAL), value) for name, value in features.items() if name.startswith(SIGNAL)]
    return [(name, "up" if value > 0 else "down") for name, value in named if value]


# ---- outcomes -----------------------------------------------------------------------------------


def direction(act: Act, held: Decimal) -> int:
    """Where an act moves what is held: 1 towards long, -1 towards short, 0 nowhere."""
    if act in {"open_long", "open_short"}:
        return 1 if act == "open_long" else -1
    return 0 if act == "hold" or not held else (-1 if held > 0 else 1)


class Costs(Struct, frozen=True):
    """Of one side of a round trip, in basis points."""

    fee_bp: float
    slippage_bp: float

    def of(self, act: Act, *, filled: bool) -> float:
        """An entry has yet to be closed. What filled has its slippage in its price."""
        sides = 2 if act.startswith("open") else 1
        return sides * self.fee_bp + (sides - filled) * self.slippage_bp


def outcome_bp(towards: int, start: float, end: float, cost_bp: float) -> float:
    return towards * (end / start - 1) * 10_000 - cost_bp


# ---- recall -------------------------------------------------------------------------------------


def recall(
    situations: Sequence[Situation], episodes: Sequence[Episode], found: Sequence[Sequence[int]]
) -> list[Episode]:
    """The episodes most like these situations, as many winners as losers may be told of.

    `episodes` have matured; `found[i]`: ids of what a search for the words of situation i gave, best first.
    """
    scales = _scales(episodes)
    scores: dict[int, float] = {}
    for here, ids in zip(situations, found, strict=True):
        distances = {each.id: _distance(here.features, each.features, scales) for each in episodes}
        near = sorted((each for each in distances if distances[each] < UNLIKE), key=distances.__getitem__)
        score = dict.fromkeys((*near, *ids), 0.0)
        for ranking in (near, ids):
            for place, episode in enumerate(ranking):
                score[episode] += 1 / (RANK_OFFSET + place)
        for episode, value in score.items():
            scores[episode] = max(scores.get(episode, 0.0), value)
    return balanced(
        sorted((each for each in episodes if each.id in scores), key=lambda each: (-scores[each.id], -each.id))
    )


def balanced(ranked: Sequence[Episode]) -> list[Episode]:
    """The first of these, as many winners as losers."""
    winners = [each for each in ranked if each.outcome_bp is not None and each.outcome_bp > 0][:MOST_OF_A_KIND]
    losers = [each for each in ranked if each.outcome_bp is not None and each.outcome_bp <= 0][:MOST_OF_A_KIND]
    most = min(len(winners), len(losers)) or 1  # where there is but one kind, one of it
    return [*winners[:most], *losers[:most]]


def _scales(episodes: Sequence[Episode]) -> dict[str, float]:
    """Standard deviation of each feature; one that never differs tells nothing apart."""
    columns: dict[str, list[float]] = {}
    for each in episodes:
        for name, value in each.features.items():
            columns.setdefault(name, []).append(value)
    return {name: spread for name, values in columns.items() if (spread := _spread(values)) > 0}


def _spread(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def _distance(here: Mapping[str, float], there: Mapping[str, float], scales: Mapping[str, float]) -> float:
    """Mean square difference of the features both have, each in its own standard deviation."""
    common = [name for name in scales if name in here and name in there]
    if not common:
        return UNLIKE
    return math.fsum(((here[name] - there[name]) / scales[name]) ** 2 for name in common) / len(common)


def told(episode: Episode) -> str:
    """An episode in a line for a prompt. No date, and no word that a model or a stranger wrote."""
    shown = [f"{name} {number(episode.features[name], 3)}" for name in ("rsi", "p_up") if name in episode.features]
    shown += [f"{name} {side}" for name, side in _sides(episode.features)]
    outcome = episode.outcome_bp or 0.0
    what = f"{episode.act} {episode.instrument} at conviction {episode.conviction}"
    return f"once: {what} ({', '.join(shown) or 'nothing known'}) {_came_to(outcome)} over {_hours(episode.horizon_s)}"


def _came_to(mean_bp: float) -> str:
    return f"{'won' if mean_bp > 0 else 'lost'} {number(abs(mean_bp), 3)} bp net of costs"


def _hours(seconds: int) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds / 60:g} min"


# ---- lessons ------------------------------------------------------------------------------------


def reflect(episodes: Iterable[Episode], at_ns: int) -> list[Lesson]:
    """What the episodes that had matured by `at_ns` teach, plan by plan, the surest first."""
    known = [each for each in episodes if each.outcome_bp is not None and each.matures_ns <= at_ns]
    lessons: list[Lesson] = []
    for plan in sorted({each.plan for each in known}):
        seen: set[tuple[int, ...]] = set()
        for (instrument, condition), group in _groups(each for each in known if each.plan == plan).items():
            apart = _apart(group)
            ids = tuple(each.id for each in apart)
            if len(apart) < LEAST_EPISODES or ids in seen:
                continue
            if lesson := _lesson(apart, instrument, condition, at_ns):
                seen.add(ids)  # a narrower condition on the very same episodes says nothing more
                lessons.append(lesson)
    return sorted(lessons, key=lambda each: (-abs(each.t), each.text))


def _groups(episodes: Iterable[Episode]) -> dict[tuple[str, str], list[Episode]]:
    """(instrument, condition) -> its episodes; wide conditions before narrow ones."""
    groups: dict[tuple[str, str], list[Episode]] = {}
    found = sorted(episodes, key=lambda each: (each.at_ns, each.id))
    for keys in (_all, _of_instrument, _of_conviction, _of_rsi, _of_signals):
        for each in found:
            for key in keys(each):
                groups.setdefault(key, []).append(each)
    return groups


Keys = Callable[[Episode], list[tuple[str, str]]]


def _all(of: Episode) -> list[tuple[str, str]]:
    return [("", of.act)]


def _of_instrument(of: Episode) -> list[tuple[str, str]]:
    return [(of.instrument, f"{of.act} {of.instrument}")]


def _of_conviction(of: Episode) -> list[tuple[str, str]]:
    return [("", f"{of.act} at conviction {of.conviction}")]


def _of_rsi(of: Episode) -> list[tuple[str, str]]:
    rsi = of.features.get("rsi")
    if rsi is None:
        return []
    return [("", f"{of.act} at rsi {'below 30' if rsi < 30 else 'above 70' if rsi > 70 else '30 to 70'}")]


def _of_signals(of: Episode) -> list[tuple[str, str]]:
    return [("", f"{of.act} while {name} says {side}") for name, side in _sides(of.features)]


def _apart(episodes: Iterable[Episode]) -> list[Episode]:
    """Of each instrument, those that began after the one before had matured. Given oldest first."""
    free_ns: dict[str, int] = {}
    kept: list[Episode] = []
    for each in episodes:
        if each.at_ns >= free_ns.get(each.instrument, 0):
            free_ns[each.instrument] = each.matures_ns
            kept.append(each)
    return kept


def _lesson(episodes: Sequence[Episode], instrument: str, condition: str, at_ns: int) -> Lesson | None:
    outcomes = [each.outcome_bp for each in episodes if each.outcome_bp is not None]
    count = len(outcomes)
    mean = math.fsum(outcomes) / count
    error = _spread(outcomes) / math.sqrt(count - 1)
    t = mean / error if error else math.copysign(1e9, mean) if mean else 0.0
    if abs(t) < LEAST_T:
        return None
    won = sum(each > 0 for each in outcomes)
    return Lesson(
        plan=episodes[0].plan,
        instrument=instrument,
        text=f"{condition}: {_came_to(mean)} on average ({count} times, {won} won)",
        episodes=count,
        won=won,
        mean_bp=mean,
        t=t,
        written_ns=at_ns,
        expires_ns=at_ns + LESSON_NS,
    )
