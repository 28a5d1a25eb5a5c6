"""A Letta server in place of the database's own search: it finds which decisions were like now.

Each episode whose outcome is known is handed to the archival memory of one agent, once, with the time at which it
was known. For a briefing two questions are asked: what won, and what lost, in situations like these. Only the numbers
of episodes are taken from the answers. What is told of them, and whether it was known by then, the database says: no
word of the server's comes into a prompt, and no lie of it.

Whatever goes wrong, the database's own memory answers, and the answer says why.

Interface: https://docs.letta.com/api, agents/passages (as of letta-client 1.12).
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import final

import aiohttp
import msgspec
from msgspec import Struct

from kokex.adapters.secrets.secret import Secret
from kokex.adapters.sqlite.memory import SqliteMemory
from kokex.brain import memory as rules
from kokex.messages import Episode, Situation
from kokex.ports import Recollection

OURS = "kokex"  # the tag of all that comes from here
EPISODE = "episode:"  # how the tag begins that says which one
TIMEOUT_S = 3.0
AT_ONCE = 50  # episodes handed on in one go
MOST_BYTES = 1 << 20


class _Passage(Struct):
    tags: tuple[str, ...] | None = None


class _Found(Struct):
    results: tuple[_Passage, ...]


class LettaError(Exception):
    """The server did not do it. One line."""


@final
class LettaMemory:
    """`kokex.ports.Memory`."""

    def __init__(self, session: aiohttp.ClientSession, url: str, agent: str, own: SqliteMemory) -> None:
        self._session = session
        self._place = f"{url.rstrip('/')}/v1/agents/{agent}/archival-memory"
        self._own = own

    async def recall(self, plan: str, at_ns: int, situations: tuple[Situation, ...]) -> Recollection:
        try:
            found = await asyncio.gather(*(self._search(plan, at_ns, situations, kind) for kind in ("won", "lost")))
        except LettaError as error:
            return Recollection(
                await asyncio.to_thread(self._own.look_back, plan, at_ns, situations), f"Letta does not: {error}"
            )
        return Recollection(await asyncio.to_thread(self._own.tell, plan, at_ns, situations, [*found[0], *found[1]]))

    async def probe(self) -> None:
        """Asks for nothing, to see whether it answers. Raises LettaError."""
        await self._search("", 0, (Situation(instrument="none", features={}),), "won")

    async def keep_up(self) -> str:
        """Takes in what is on record, and hands on what has matured; what went wrong with that, or nothing."""
        await self._own.keep_up()
        try:
            while waiting := await asyncio.to_thread(self._own.not_handed_on, AT_ONCE):
                for each in waiting:
                    await self._hand_on(each)
                    await asyncio.to_thread(self._own.handed_on, each.id)
        except LettaError as error:
            return f"Letta takes nothing in: {error}"
        return ""

    async def _search(self, plan: str, at_ns: int, situations: Sequence[Situation], kind: str) -> list[int]:
        asked = "; ".join(" ".join(rules.words(each)) for each in situations)
        wanted = {
            "query": asked, "tags": [OURS, _plan(plan), kind], "tag_match_mode": "all",
            "top_k": str(4 * rules.MOST_OF_A_KIND), "end_datetime": _time(at_ns),
        }  # fmt: skip
        body = await self._call("GET", "/search", params=wanted)
        try:
            found = msgspec.json.decode(body, type=_Found)
        except msgspec.MsgspecError as error:
            raise LettaError(f"an answer that cannot be read: {error}") from None
        return [number for each in found.results if (number := _number(each.tags or ()))]

    async def _hand_on(self, of: Episode) -> None:
        here = Situation(instrument=of.instrument, features=of.features)
        kind = "won" if (of.outcome_bp or 0.0) > 0 else "lost"
        passage = {
            "text": f"{rules.told(of)}; {' '.join(rules.words(here))}",
            "created_at": _time(of.matures_ns),
            "tags": [OURS, _plan(of.plan), kind, f"{EPISODE}{of.id}"],
        }
        await self._call("POST", "", json=passage)

    async def _call(self, method: str, path: str, **what: object) -> bytes:
        try:
            async with self._session.request(method, self._place + path, allow_redirects=False, **what) as answer:  # type: ignore[arg-type]
                body = await answer.content.read(MOST_BYTES)
                if answer.status >= 300:
                    raise LettaError(f"HTTP {answer.status}")
                return body
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise LettaError(str(error) or type(error).__name__) from None


def _plan(name: str) -> str:
    return f"plan:{name}"


def _time(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat()


def _number(tags: Sequence[str]) -> int:
    """The episode a passage is of; 0: it is none of ours."""
    named = [tag.removeprefix(EPISODE) for tag in tags if tag.startswith(EPISODE)]
    return int(named[0]) if OURS in tags and len(named) == 1 and named[0].isdecimal() and len(named[0]) < 19 else 0


@asynccontextmanager
async def open_letta(
    url: str, agent: str, token: Secret | None, own: SqliteMemory
) -> AsyncGenerator[LettaMemory, None]:
    headers = {"Authorization": f"Bearer {token.reveal()}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield LettaMemory(session, url, agent, own)
