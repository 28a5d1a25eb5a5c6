"""The texts a prompt is made of: files that a person can edit, checked when they are loaded, known by their hash.

Each text knows its gaps (`$price`). One that names a gap nobody fills, or leaves out what the model must be told, is
refused before anything starts.
"""

from collections.abc import Mapping
from importlib.resources import files
from string import Template
from typing import final

from kokex.brain.fingerprint import digest

# text -> (gaps it must have, gaps it may have)
SECTIONS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "mandate": (frozenset(), frozenset()),
    "red_lines": (frozenset(), frozenset()),
    "answer": (frozenset(), frozenset({"least_atr", "most_atr", "longest_why"})),
    "costs": (frozenset(), frozenset({"round_trip_bp", "timeframe"})),
    "portfolio": (frozenset({"held"}), frozenset({"exposure_pct"})),
    "instrument": (
        frozenset({"symbol", "price", "position", "acts"}),
        frozenset({"readings", "signals", "forecast", "kind", "news"}),
    ),
    "lessons": (frozenset({"lessons"}), frozenset()),
    "question": (frozenset({"symbols"}), frozenset()),
    "repair": (frozenset(), frozenset({"error"})),
    "chat": (frozenset({"instruments"}), frozenset({"accounts"})),
}
CORE = ("mandate", "red_lines", "answer")  # the core memory: in every prompt, and a person's alone to change
LONGEST = 8_000  # characters of one text


class BadWording(ValueError):
    """What is wrong with a text, in one line."""


@final
class Wording:
    """All texts. Raises BadWording."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._templates = {name: _checked(name, texts[name]) for name in SECTIONS}
        self.version = digest({name: texts[name] for name in SECTIONS if name != "chat"})  # of those of decisions
        self.versions = {name: digest(texts[name]) for name in SECTIONS}

    def text(self, section: str) -> str:
        """As it stands in its file."""
        return self._templates[section].template

    def say(self, section: str, **gaps: str) -> str:
        return self._templates[section].substitute(gaps).strip()


def builtin() -> dict[str, str]:
    """The texts that come with the program."""
    folder = files("kokex.brain").joinpath("prompts")
    return {name: folder.joinpath(f"{name}.md").read_text(encoding="utf-8") for name in SECTIONS}


def _checked(name: str, text: str) -> Template:
    needed, known = SECTIONS[name]
    template = Template(text)
    if not text.strip():
        raise BadWording(f"{name}.md is empty")
    if len(text) > LONGEST:
        raise BadWording(f"{name}.md has {len(text)} characters; at most {LONGEST} are sent with every prompt")
    if not template.is_valid():
        raise BadWording(f"{name}.md: a $ stands before no name; write $$ for the sign itself")
    gaps = set(template.get_identifiers())
    if missing := sorted(needed - gaps):
        raise BadWording(f"{name}.md must contain {', '.join('$' + gap for gap in missing)}")
    if unknown := sorted(gaps - needed - known):
        there = ", ".join("$" + gap for gap in sorted(needed | known)) or "none"
        raise BadWording(f"{name}.md: nobody fills {', '.join('$' + gap for gap in unknown)}; there is {there}")
    return template
