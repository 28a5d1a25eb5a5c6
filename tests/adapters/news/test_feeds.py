"""Feeds over real HTTP on loopback: only what changed, not too much, and no markup."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from aiohttp import web

from kokex.adapters.news.feeds import MOST_BYTES, Feeds, open_feeds, parse, plain
from kokex.ports import FeedFailed, FeedQuestion

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

RSS = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0"><channel><title>T</title>
<item><title>Newest &lt;b&gt;bold&lt;/b&gt;</title><guid>2</guid><link>javascript:alert(1)</link>
<pubDate>Thu, 26 Nov 2026 10:00:00 GMT</pubDate>
<description>&lt;p&gt;A&lt;script&gt;x&lt;/script&gt; b&lt;/p&gt;</description></item>
<item><title>비트코인</title><guid>1</guid><link>https://a.example/1</link></item>
<item><title></title><guid>0</guid></item>
</channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>T</title><id>f</id>
<entry><id>e1</id><title type="html">One</title><updated>2026-11-26T10:00:00+09:00</updated>
<link href="https://a.example/e1"/></entry></feed>"""


def serve(handler: Handler, use: Callable[[Feeds, str], Awaitable[T]]) -> T:
    async def run() -> T:
        app = web.Application()
        app.router.add_get("/feed", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            async with open_feeds() as feeds:
                return await use(feeds, f"http://127.0.0.1:{port}/feed")
        finally:
            await runner.cleanup()

    return asyncio.run(run())


def test_an_unchanged_feed_is_not_sent_again() -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.headers.get("If-None-Match", ""))
        if seen[-1] == '"v1"':
            return web.Response(status=304)
        return web.Response(text=RSS, headers={"ETag": '"v1"', "Last-Modified": "Thu, 26 Nov 2026 10:00:00 GMT"})

    async def use(feeds: Feeds, url: str) -> None:
        page = await feeds.read(FeedQuestion(url=url))
        assert [each.title for each in page.headlines] == ["Newest bold", "비트코인"]
        again = await feeds.read(FeedQuestion(url=url, etag=page.etag, modified=page.modified))
        assert (again.headlines, again.etag) == ((), '"v1"')

    serve(handler, use)
    assert seen == ["", '"v1"']


def test_headlines_come_without_markup_and_with_their_times() -> None:
    newest, other = parse(RSS.encode())
    assert (newest.link, newest.published_ns) == ("", 1_795_687_200_000_000_000)
    assert "<" not in newest.title + newest.summary
    assert (other.link, other.published_ns) == ("https://a.example/1", 0)
    (entry,) = parse(ATOM.encode())
    assert (entry.title, entry.published_ns) == ("One", 1_795_654_800_000_000_000)


@pytest.mark.parametrize("status", [404, 500])
def test_an_error_is_a_failure(status: int) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status)

    async def use(feeds: Feeds, url: str) -> None:
        with pytest.raises(FeedFailed, match=f"HTTP {status}"):
            await feeds.read(FeedQuestion(url=url))

    serve(handler, use)


def test_a_server_that_asks_for_patience_gets_it() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "1800"})

    async def use(feeds: Feeds, url: str) -> float:
        return (await feeds.read(FeedQuestion(url=url))).wait_s

    assert serve(handler, use) == 1800


def test_a_feed_without_an_end_is_cut_off() -> None:
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(MOST_BYTES // 65_536 * 4):
            await answer.write(b" " * 65_536)
            sent += 65_536
        return answer

    async def use(feeds: Feeds, url: str) -> None:
        with pytest.raises(FeedFailed, match="longer than"):
            await feeds.read(FeedQuestion(url=url))

    serve(handler, use)
    assert sent < MOST_BYTES * 4


def test_what_is_no_feed_is_said_to_be_none_and_nobody_listening_too() -> None:
    with pytest.raises(FeedFailed, match="no RSS or Atom feed"):
        parse(b"<html><body>hello</body></html>")

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=RSS)

    async def use(feeds: Feeds, url: str) -> None:
        with pytest.raises(FeedFailed):
            await feeds.read(FeedQuestion(url="http://127.0.0.1:9/"))

    serve(handler, use)


def test_invisible_characters_do_not_hide_anything() -> None:
    assert plain("a\u202eb\u200bc\x00d\u2028e &lt;i&gt; <i>f</i>", 100) == "abc d e f"
    assert len(plain("x" * 1000, 300)) == 300
