"""RSS and Atom feeds, read politely: only what changed, not too much of it, and no sooner than the server wants.

What comes back is text: markup is taken out, control characters too, and what is longer than a headline is cut.
"""

import calendar
import hashlib
import html
import io
import re
import unicodedata
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any, cast, final

import aiohttp
import anyio.to_thread

from kokex import __version__
from kokex.ports import FeedFailed, FeedPage, FeedQuestion, Headline

MOST_BYTES = 2 << 20
MOST_HEADLINES = 100
TITLE, SUMMARY = 300, 1_000  # characters
TIMEOUT_S = 20.0
_HEADERS = {
    "User-Agent": f"kokex/{__version__} (feed reader)",
    "Accept": "application/atom+xml, application/rss+xml, application/xml;q=0.9, text/xml;q=0.8",
}


@final
class Feeds:
    """`ports.News`."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def read(self, question: FeedQuestion) -> FeedPage:
        headers = dict(_HEADERS)
        if question.etag:
            headers["If-None-Match"] = question.etag
        if question.modified:
            headers["If-Modified-Since"] = question.modified
        try:
            async with self._session.get(question.url, headers=headers, max_redirects=5) as answer:
                wait_s = _wait_s(answer)
                if answer.status == 304:
                    return FeedPage(etag=question.etag, modified=question.modified, wait_s=wait_s)
                if answer.status in {429, 503} and wait_s:
                    return FeedPage(etag=question.etag, modified=question.modified, wait_s=wait_s)
                if answer.status != 200:
                    raise FeedFailed(f"HTTP {answer.status}")
                body = await _body(answer)
                etag, modified = answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", "")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise FeedFailed(str(error) or type(error).__name__) from None
        headlines = await anyio.to_thread.run_sync(parse, body)
        return FeedPage(headlines=headlines, etag=etag, modified=modified, wait_s=wait_s)


@asynccontextmanager
async def open_feeds() -> AsyncGenerator[Feeds, None]:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Feeds(session)


def parse(body: bytes) -> tuple[Headline, ...]:
    """The entries of a document, in its order. Raises FeedFailed when it is no feed."""
    import feedparser  # pyright: ignore[reportMissingTypeStubs]  (takes a while: only who reads news needs it)

    found = cast(Any, feedparser).parse(io.BytesIO(body), sanitize_html=True, resolve_relative_uris=False)
    if not found.version:
        raise FeedFailed("this is no RSS or Atom feed")
    made = (_headline(entry) for entry in found.entries[:MOST_HEADLINES])
    return tuple(each for each in made if each.title)


def _headline(entry: Any) -> Headline:
    title, link = plain(entry.get("title", ""), TITLE), str(entry.get("link", ""))[:2_000]
    name = str(entry.get("id") or link or title)
    moment = entry.get("published_parsed") or entry.get("updated_parsed")
    return Headline(
        item=hashlib.sha256(name.encode()).hexdigest()[:16],
        title=title,
        summary=plain(entry.get("summary", ""), SUMMARY),
        link=link if link.startswith(("http://", "https://")) else "",
        published_ns=calendar.timegm(moment) * 1_000_000_000 if moment else 0,
    )


def plain(text: object, most: int) -> str:
    """Without markup, entities, control and invisible characters; one line; at most so many characters."""
    bare = re.sub(r"<[^>]*>", " ", html.unescape(str(text)))
    seen = "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in bare if not _hides(c))
    return " ".join(seen.split())[:most]


def _hides(character: str) -> bool:
    return unicodedata.category(character) in {"Cf", "Co", "Cs", "Cn"}


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > MOST_BYTES:
            raise FeedFailed(f"longer than {MOST_BYTES >> 20} MiB")
    return bytes(body)


def _wait_s(answer: aiohttp.ClientResponse) -> float:
    """Retry-After, in either of its forms, as seconds."""
    said = answer.headers.get("Retry-After", "")
    if said.isdigit():
        return float(said)
    try:
        return max(0.0, (parsedate_to_datetime(said) - parsedate_to_datetime(answer.headers["Date"])).total_seconds())
    except (KeyError, ValueError, TypeError):
        return 0.0
