"""A bad day at Telegram: nothing is lost, nothing comes twice, and trading does not notice. In virtual time."""

import json
from collections import Counter, defaultdict
from pathlib import Path

import anyio
from msgspec.structs import replace

from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.queries import Query
from kokex.adapters.sqlite.reader import Reader
from kokex.config import Alerts, Market
from kokex.messages import Fill
from kokex.ports.chat import Delivery
from tests.chat.scene import CONFIG, Played, Scene

DOWN = Delivery(state="down", why="Bad Gateway")
CROWDED = Delivery(state="later", retry_s=30.0, why="Too Many Requests: retry after 30")
HOUR_S = 3600
LIVELY = replace(
    CONFIG,
    market=Market(instruments=("BTC-USDT-SWAP", "ETH-USDT-SWAP"), timeframe="1m", history_s=0),
    store=replace(CONFIG.store, commit_s=10.0),
    strategies={"trend": {"fast": 3, "slow": 8, "band": 0.2}},
    telegram=replace(CONFIG.telegram, alerts=Alerts(order="on", cycle="on")),
)
Trades = list[tuple[int, str, str, str, str]]


def two_sessions(path: Path, *, trouble: bool) -> list[str]:
    """Some two hours with a restart in the middle; what was shown in the chat, in order."""
    chats: list[Played] = []

    async def first(chat: Played) -> None:
        chats.append(chat)
        chat.answers = [DOWN] * 3 if trouble else []
        await anyio.sleep(300)
        chat.answers = [CROWDED] if trouble else []
        await anyio.sleep(300)
        chat.conflict = trouble
        await anyio.sleep(120)
        chat.conflict = False
        await anyio.sleep(180)
        chat.down = trouble
        await anyio.sleep(HOUR_S / 2)

    async def second(chat: Played) -> None:
        chats.append(chat)
        chat.down = trouble
        await anyio.sleep(HOUR_S / 2)
        chat.down = False
        await anyio.sleep(1200)

    scene = Scene(path, LIVELY)
    scene.play(first, warm_s=9000)
    scene.play(second, warm_s=0)
    return [each.text for chat in chats for each in chat.sent]


def trades(path: Path) -> Trades:
    with Reader(path) as reader:
        found = reader.ask(queries.journal(kinds=("Fill",)))
    return [
        (each.at, each.instrument, each.side, str(each.size), str(each.price))
        for each in found
        if isinstance(each, Fill)
    ]


def letters(path: Path) -> list[tuple[int, str, bool]]:
    """Lane, text, and whether it is known to have arrived; as they were written."""
    with Reader(path) as reader:
        rows = reader.ask(Query("SELECT lane, words, settled_ns, why FROM outbox ORDER BY id", (), list))
    return [(lane, json.loads(words)["text"], bool(settled) and not why) for lane, words, settled, why in rows]


def test_a_bad_day_at_telegram(tmp_path: Path) -> None:
    calm = two_sessions(tmp_path / "calm.db", trouble=False)
    shown = two_sessions(tmp_path / "bad.db", trouble=True)
    assert len(trades(tmp_path / "calm.db")) > 10
    assert trades(tmp_path / "bad.db") == trades(tmp_path / "calm.db"), "to the nanosecond"
    assert len(calm) > 50

    written = letters(tmp_path / "bad.db")
    late = [text for _, text, arrived in written if not arrived]
    assert len(late) <= 1, "the goodbye of the first session may have come too late to be of use"
    arrived = [(lane, text) for lane, text, there in written if there]
    whole = "\n\n".join(shown)
    for text, times in Counter(text for _, text in arrived).items():
        assert whole.count(text) >= times, f"lost: {text}"
    assert len(whole) == sum(len(text) for _, text in arrived) + 2 * (len(arrived) - 1), "and nothing came twice"

    places: dict[int, int] = defaultdict(int)
    for lane, text in arrived:
        place = whole.find(text, places[lane])
        assert place >= 0, f"out of its order: {text}"
        places[lane] = place + len(text)
    assert whole.count("another program listens with the same token") == 1
    assert whole.count("commands are heard again") == 1
