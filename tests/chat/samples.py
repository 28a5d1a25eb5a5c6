"""What each command answers in one and the same session: the samples of docs/telegram.md.

`python -m tests.chat.samples` writes them there anew.
"""

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from kokex.present.commands import COMMANDS
from tests.chat.scene import Played, Scene

DOCS = Path(__file__).parents[2] / "docs/telegram.md"
SAMPLE = re.compile(
    r"(?<=^### /)(?P<name>[a-z]+)\n\n(?P<about>(?:(?!```).*\n)*)```\n(?P<text>(?:(?!```).*\n)*)```$", re.MULTILINE
)
ORDER = re.compile(r"k[A-Za-z0-9]{10,}")
ID = re.compile(r"(kabcdef[a-z0-9]+)((?:S\d+)?)")
SIZE = re.compile(r"[\d.]+ MB")
QUIET = "/pause"
RANK = {
    "trades": 0,
    "orders": 0,
    "cancel": 0.5,
    "closeall": 2,
}  # some need what others showed, or leave nothing to show

LINES = {
    "trades": "/trades 3",
    "forecast": "/forecast btc",
    "chart": "/chart btc",
    "buy": "/buy btc 0.5",
    "sell": "/sell eth 2",
    "close": "/close btc",
    "brain": "/brain 3",
    "daily": "/daily 3",
    "weekly": "/weekly 2",
    "monthly": "/monthly 2",
    "mode": "/mode realtime",
    "help": "/help buy",
}


async def sample(chat: Played, name: str, found: dict[str, str]) -> str:
    line = LINES.get(name, f"/{name}")
    if name in {"order", "why"}:
        line += f" {_id(found['trades'])}"
    elif name == "cancel":
        line += f" {_id(found['orders'])}"
    said = await chat.say(line)
    shown = [f"> {line}", said]
    question = chat.sent[-1]
    if question.data[:1] and question.data[0].startswith("y:"):
        shown += ["[" + "] [".join(question.labels) + "]", ""]
        await chat.tap(question, question.data[0])
        shown += ["> " + question.labels[0] if question.labels else "> ✅ Yes", question.text]
    elif question.labels:
        shown.append("[" + "] [".join(question.labels) + "]")
    return SIZE.sub("0.5 MB", "\n".join(shown))


def _id(text: str) -> str:
    found = ORDER.search(text)
    assert found, text
    return found[0]


def samples() -> dict[str, str]:
    """Name -> what is said and answered."""
    found: dict[str, str] = {}
    order = sorted((spec.name for spec in COMMANDS), key=lambda name: RANK.get(name, 1))

    async def script(chat: Played) -> None:
        await chat.say(QUIET)
        for name in order:
            found[name] = await sample(chat, name, found)

    with TemporaryDirectory() as folder:
        Scene(Path(folder) / "kokex.db").play(script)
    return _without_chance(found)


def _without_chance(found: dict[str, str]) -> dict[str, str]:
    """Ids by their order, and of the actors the first: what else is told of them changes with every new one."""
    ids: dict[str, str] = {}

    def named(old: re.Match[str]) -> str:
        return ids.setdefault(old[1], f"kabcdefe13wu{len(ids) + 1:03}") + old[2]

    named_anew = {name: ID.sub(named, text) for name, text in found.items()}
    health = named_anew["health"].split("\n")
    first = next(number for number, line in enumerate(health) if line.startswith("Actors"))
    return {**named_anew, "health": "\n".join([*health[:first], "Actors", *health[first + 1 : first + 3], "..."])}


def written(text: str, found: dict[str, str]) -> str:
    """The page with these samples."""
    return SAMPLE.sub(lambda old: f"{old['name']}\n\n{old['about']}```\n{found[old['name']]}\n```", text)


def on_page(text: str) -> dict[str, str]:
    return {each["name"]: each["text"].removesuffix("\n") for each in SAMPLE.finditer(text)}


if __name__ == "__main__":
    page = written(DOCS.read_text(encoding="utf-8"), samples())
    DOCS.write_text(page, encoding="utf-8")
    sys.stdout.write(f"{DOCS}\n")
