"""news: what the feeds say, as enums.

Holds which entries are known, and each feed's marks. Reads each feed every `interval_s`, judges what is new, and emits
a NewsItem for it. A feed that fails is asked less and less often; told once when it fails again and again, and once
when it is back.
"""

from collections.abc import Sequence
from functools import partial
from typing import final

import msgspec
from msgspec import Struct

from kokex.brain.news import Labels, judge, labels, question
from kokex.config import News as Settings
from kokex.kernel.actor import Actor
from kokex.kernel.cell import Failure
from kokex.messages import Alert, Answered, Instrument, NewsItem, Prompt, Severity
from kokex.ports import FeedPage, FeedQuestion, Headline, News, Saved, Store

TIMEOUT_S = 30.0
LABEL_S = 120.0  # a decision's request comes first
FIRST_S = 5.0  # after the start; a second between feeds
LONGEST_S = 6 * 3600.0
TELL_AFTER = 3  # failures in a row
MOST_KNOWN = 500  # entries of one feed; older ones no feed brings again


class Marks(Struct, frozen=True):
    """What is kept of a feed over a restart."""

    etag: str = ""
    modified: str = ""
    known: tuple[str, ...] = ()  # entries, the newest last


@final
class Feed:
    def __init__(self, url: str, marks: Marks) -> None:
        self.url = url
        self.marks = marks
        self.failures = 0


class Newsroom(Actor):
    emits = (NewsItem, Alert)
    asks = (Prompt,)
    state = dict[str, Marks]

    def __init__(
        self, settings: Settings, instruments: Sequence[Instrument], store: Store, port: News | None = None
    ) -> None:
        """`port` None: nobody reads feeds here."""
        self._settings = settings
        self._instruments = instruments
        self._store = store
        self._port = port

    async def load(self) -> dict[str, Marks]:
        kept = {url: await self._store.saved(_name(url)) for url in self._settings.feeds}
        return {url: msgspec.msgpack.decode(body, type=Marks) for url, body in kept.items() if body}

    def start(self, state: dict[str, Marks]) -> None:
        if self._port:
            for number, url in enumerate(self._settings.feeds):
                self.later(FIRST_S + number, self._read, Feed(url, state.get(url, Marks())))

    def _read(self, feed: Feed) -> None:
        assert self._port
        question = FeedQuestion(url=feed.url, etag=feed.marks.etag, modified=feed.marks.modified)
        self.call(self._port.read, question, returns=FeedPage, then=partial(self._answered, feed), timeout_s=TIMEOUT_S)

    def _answered(self, feed: Feed, page: FeedPage | Failure) -> None:
        if isinstance(page, Failure):
            self._failed(feed, page.text or page.kind)
            return
        if feed.failures >= TELL_AFTER:
            self._say("info", f"{feed.url} can be read again")
        feed.failures = 0
        new = [each for each in reversed(page.headlines) if each.item not in feed.marks.known]  # the oldest first
        known = (*feed.marks.known, *(each.item for each in new))[-MOST_KNOWN:]
        marks = Marks(page.etag, page.modified, known)
        if marks != feed.marks:
            feed.marks = marks
            self._store.append(Saved(key=_name(feed.url), body=msgspec.msgpack.encode(marks)))
        self._judge(feed, [each for each in new if self._is_news(each)])
        self.later(max(self._settings.interval_s, min(page.wait_s, LONGEST_S)), self._read, feed)

    def _failed(self, feed: Feed, why: str) -> None:
        feed.failures += 1
        if feed.failures == TELL_AFTER:
            self._say("warning", f"{feed.url} cannot be read: {why}")
        self.later(min(self._settings.interval_s * 2**feed.failures, LONGEST_S), self._read, feed)

    # ---- what is said

    def _is_news(self, headline: Headline) -> bool:
        return self.now - self._published(headline) <= self._settings.max_age_h * 3600e9

    def _published(self, headline: Headline) -> int:
        """Nobody writes in the future; who does not say when, wrote now."""
        return min(headline.published_ns or self.now, self.now)

    def _judge(self, feed: Feed, new: Sequence[Headline]) -> None:
        if self._settings.judge == "llm" and new:
            texts = [_text(each) for each in new]
            self.ask("llm", question(texts), then=partial(self._labelled, feed, new), timeout_s=LABEL_S)
        else:
            self._tell(feed, new, {}, "lexicon")

    def _labelled(self, feed: Feed, new: Sequence[Headline], answer: Answered | Failure) -> None:
        """What the model did not label, the lexicon does."""
        reply = None if isinstance(answer, Failure) else answer.reply
        self._tell(feed, new, labels(reply.text, len(new)) if reply else {}, reply.model if reply else "lexicon")

    def _tell(self, feed: Feed, new: Sequence[Headline], labelled: Labels, by: str) -> None:
        for number, headline in enumerate(new):
            found = judge(_text(headline), self._instruments)
            event, sentiment = labelled.get(number, (found.event, found.sentiment))
            self.emit(
                NewsItem(
                    item=headline.item,
                    source=feed.url,
                    published_ns=self._published(headline),
                    instruments=found.instruments,
                    event=event,
                    sentiment=sentiment,
                    by=by if number in labelled else "lexicon",
                    title=headline.title,
                    link=headline.link,
                )
            )

    def _say(self, severity: Severity, text: str) -> None:
        self.emit(Alert(severity=severity, kind="news", text=text))


def _name(url: str) -> str:
    return f"news[{url}]"


def _text(headline: Headline) -> str:
    return f"{headline.title}\n{headline.summary}"
