"""news: what the feeds say, once each."""

from typing import Any

import msgspec

from actors.news import Newsroom
from kokex.config import News as Settings
from kokex.kernel.actor import Actor
from kokex.market.instruments import parse_symbol
from kokex.messages import Alert, Answered, NewsItem, Prompt, Reply
from kokex.ports import FeedFailed, FeedPage, FeedQuestion, Headline, Store
from tests.actors.desk import START, Desk, memory

URL = "https://feed.example/rss"
SETTINGS = Settings(feeds=(URL,))
HOUR = 3600


class Wire:
    """A feed that answers what it is told to."""

    def __init__(self) -> None:
        self.pages: list[FeedPage | str] = []
        self.asked: list[FeedQuestion] = []

    async def read(self, question: FeedQuestion) -> FeedPage:
        self.asked.append(question)
        page = self.pages.pop(0) if self.pages else FeedPage()
        if isinstance(page, str):
            raise FeedFailed(page)
        return page


class Model(Actor):
    """Answers every prompt alike."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def on_prompt(self, _: Prompt) -> Any:
        return self._answer


def headline(name: str, title: str, published_ns: int = START) -> Headline:
    return Headline(item=name, title=title, summary="", link="", published_ns=published_ns)


def room(wire: Wire, settings: Settings = SETTINGS, store: Store | None = None, answer: Any = None) -> Desk:
    news = Newsroom(settings, [parse_symbol("BTC-USDT-SWAP")], store or memory(), wire)
    return Desk({"news": news, "llm": Model(answer)})


def test_each_headline_is_told_once_the_oldest_first_also_over_a_restart() -> None:
    wire, store = Wire(), memory()
    first, second = headline("1", "Bitcoin soars"), headline("2", "Nothing happened", START + 1)
    wire.pages = [FeedPage(headlines=(second, first), etag="v1"), FeedPage(headlines=(second, first), etag="v2")]
    desk = room(wire, store=store)
    desk.wait(10)
    told = desk.take(NewsItem)
    assert [(each.item, each.event, each.sentiment, each.instruments) for each in told] == [
        ("1", "other", "very_good", ("BTC-USDT-SWAP",)),
        ("2", "other", "neutral", ()),
    ]
    desk.wait(600)
    assert [each.etag for each in wire.asked] == ["", "v1"]
    wire.pages = [FeedPage(headlines=(second, first), etag="v3")]
    again = room(wire, store=store)
    again.wait(10)
    assert wire.asked[-1].etag == "v2"
    assert desk.take(NewsItem) == again.take(NewsItem) == []


def test_old_news_is_no_news_and_nobody_writes_in_the_future() -> None:
    wire = Wire()
    wire.pages = [
        FeedPage(headlines=(headline("1", "a", START + HOUR * 10**9), headline("2", "b", START - 25 * HOUR * 10**9)))
    ]
    desk = room(wire)
    desk.wait(10)
    (told,) = desk.take(NewsItem)
    assert (told.item, told.published_ns) == ("1", told.at)


def test_a_feed_that_fails_is_asked_less_and_told_once() -> None:
    wire = Wire()
    wire.pages = ["HTTP 500"] * 5
    desk = room(wire)
    desk.wait(5 + (2 + 4 + 8 + 16) * 600 + 10)
    assert len(wire.asked) == 5
    (alert,) = desk.take(Alert)
    assert alert.text == f"{URL} cannot be read: HTTP 500"
    desk.wait(32 * 600)
    assert [each.text for each in desk.take(Alert)] == [f"{URL} can be read again"]


def test_a_server_that_asks_for_patience_gets_it() -> None:
    wire = Wire()
    wire.pages = [FeedPage(wait_s=2 * HOUR)]
    desk = room(wire)
    desk.wait(2 * HOUR)
    assert len(wire.asked) == 1
    desk.wait(10)
    assert len(wire.asked) == 2


def test_a_model_may_label_but_not_name_the_instruments_and_the_lexicon_stands_in() -> None:
    labels = msgspec.json.encode({"headlines": [{"number": 0, "event": "macro", "sentiment": "bad"}]}).decode()
    answer = Answered(reply=Reply(text=labels, stop="end", model="small"))
    wire = Wire()
    wire.pages = [FeedPage(headlines=(headline("2", "Hack"), headline("1", "Bitcoin soars")))]
    desk = room(wire, Settings(feeds=(URL,), judge="llm"), answer=answer)
    desk.wait(10)
    one, two = desk.take(NewsItem)
    assert (one.item, one.event, one.sentiment, one.by) == ("1", "macro", "bad", "small")
    assert (two.item, two.event, two.by) == ("2", "hack", "lexicon")
    assert one.instruments == ("BTC-USDT-SWAP",)


def test_without_a_model_the_lexicon_labels() -> None:
    wire = Wire()
    wire.pages = [FeedPage(headlines=(headline("1", "Bitcoin soars"),))]
    desk = room(wire, Settings(feeds=(URL,), judge="llm"), answer=Answered(why="no provider", refused=True))
    desk.wait(10)
    assert [each.by for each in desk.take(NewsItem)] == ["lexicon"]
    assert desk.take(Prompt) == []
