from decimal import Decimal
from typing import get_args

import pytest

from kokex.messages import (
    Alert,
    AnyMessage,
    Approved,
    Book,
    Candle,
    Candles,
    Command,
    Cycle,
    Decision,
    Edge,
    Fill,
    Forecast,
    ForecastStep,
    Funding,
    Lifecycle,
    Link,
    ModelVersion,
    Order,
    OrderUpdate,
    Portfolio,
    Quote,
    Readings,
    Refused,
    Signal,
    Trained,
)
from kokex.present.events import level, line

D = Decimal
BTC = "BTC-USDT-SWAP"
CANDLE = Candle(BTC, 0, 60000.0, 60020.0, 59990.0, 60010.2, 12.5)
ORDER = Order(
    client_id="kx7f3a", account="main", plan="main", instrument=BTC, side="buy", kind="market", size=D("1.50")
)  # fmt: skip
STEP = ForecastStep(1, 2, 3, 4, 5)


LINES: list[tuple[AnyMessage, str]] = [
    (Candles(close_ns=1, span_ns=1, rows=(CANDLE,)), "price BTC-USDT-SWAP 60010.2"),
    (
        Quote(instrument=BTC, bid=D("60010.1"), ask=D("60010.3"), bid_size=D(1), ask_size=D(1)),
        "price BTC-USDT-SWAP 60010.1 / 60010.3",
    ),
    (
        Readings(
            plan="main", instrument=BTC, close_ns=1, price=60010.2, values={"rsi": 71.0}, signals={"trend": Signal(1)}
        ),
        "reading BTC-USDT-SWAP 60010.2, trend up",
    ),
    (
        Edge(plan="main", instrument=BTC, source="rsi", kind="up", score=0.8, value=71.24, close_ns=1, candle=CANDLE),
        "edge BTC-USDT-SWAP rsi up 71.24, score 0.80",
    ),
    (
        Cycle(plan="main", why="edge", instruments=(BTC,), edges=(5,), note="rsi 71.2 crossed 70"),
        "cycle main: BTC-USDT-SWAP, woken by an edge (rsi 71.2 crossed 70)",
    ),
    (Cycle(plan="main", why="edge", instruments=(BTC,), edges=(5, 6)), "cycle main: BTC-USDT-SWAP, woken by 2 edges"),
    (
        Forecast(
            plan="main", instrument=BTC, close_ns=1, span_ns=60 * 10**9, model="baseline", price=60000.0,
            steps=(STEP,) * 10, p_up=0.55, volatility=0.001, range_low=59900.0, range_high=60100.0,
        ),
        "forecast BTC-USDT-SWAP in 10 min 00 s: 59900 to 60100, up 55.00 % (baseline)",
    ),
    (
        Trained(version=ModelVersion(name="v20240301", folder="", champion=False, against="v1", verdict="no better")),
        "model v20240301 is not the champion: no better",
    ),
    (
        Decision(
            id=7, plan="main", account="main", instrument=BTC, act="open_long", conviction=3, horizon_s=60,
            price=60010.2, invalidation=59000.0, reasons=("trend: EMA 12 above EMA 26", "RSI 71"),
        ),
        "decision 7 BTC-USDT-SWAP open_long conviction 3 wrong at 59000 because trend: EMA 12 above EMA 26; RSI 71",
    ),
    (
        Approved(decision=7, account="main", plan="main", instrument=BTC, order=ORDER, stop=D("59000.0")),
        "verdict 7 approved buy 1.5 BTC-USDT-SWAP market, stop 59000",
    ),
    (
        Approved(decision=8, account="main", plan="main", instrument=BTC, order=None, note="nothing to do"),
        "verdict 8 approved BTC-USDT-SWAP: nothing to do",
    ),
    (
        Refused(decision=9, account="main", plan="main", instrument=BTC, rule="max_order", reason="31 % of free cash"),
        "verdict 9 refused BTC-USDT-SWAP by max_order: 31 % of free cash",
    ),
    (
        OrderUpdate(
            account="main", plan="main", instrument=BTC, client_id="kx7f3a", state="filled", filled=D(1), order=ORDER
        ),
        "order kx7f3a buy 1.5 BTC-USDT-SWAP market: filled",
    ),
    (
        OrderUpdate(account="main", plan="main", instrument=BTC, client_id="kx7f3a", state="partial", filled=D("0.5")),
        "order kx7f3a BTC-USDT-SWAP: partial 0.5",
    ),
    (
        OrderUpdate(account="main", plan="main", instrument=BTC, client_id="kx7f3a", state="expired", reason="late"),
        "order kx7f3a BTC-USDT-SWAP: expired, late",
    ),
    (
        Fill(
            account="main", plan="main", instrument=BTC, client_id="kx7f3a", trade_id="1", side="buy", size=D("1.5"),
            price=D("60010.2"), fee=D("4.500"), liquidity="taker", filled_ns=1,
        ),
        "fill kx7f3a buy 1.5 BTC-USDT-SWAP @ 60010.2 fee 4.5 taker",
    ),
    (
        Funding(account="main", instrument=BTC, funding_id="1", rate=D("0.0001"), amount=D("-1.25"), due_ns=1),
        "funding BTC-USDT-SWAP paid 1.25 at 0.01 %",
    ),
    (
        Portfolio(
            account="main", cash=D(1000), equity=D("1234.5"), positions=(), day_start_equity=D(1), peak_equity=D(1)
        ),
        "portfolio main equity 1,234.50, cash 1,000.00, 0 open",
    ),
    (Link(account="", edge="market", up=False, reason="no candle for 5 s"), "link market down: no candle for 5 s"),
    (Link(account="main", edge="venue", up=True), "link venue main up"),
    (Alert(severity="info", kind="store", text="all is well", account="shadow"), "alert [shadow] store: all is well"),
    (Command(verb="buy", args={"size": "1"}), "command buy size=1 by local"),
    (Command(verb="chat", args={"text": "hello\nthere"}), "command chat by local"),
    (
        Lifecycle(actor="risk[main]", event="restarting", error="ValueError: no", restarts=2),
        "actor risk[main] restarting (restart 2): ValueError: no",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("message", "text"), LINES, ids=lambda one: type(one).__name__ if one else "")
def test_a_message_reads_as_one_line(message: AnyMessage, text: str) -> None:
    said = line(message)
    assert said is not None
    assert " ".join(said) == text
    assert "\n" not in text


def test_what_only_actors_tell_each_other_has_no_line() -> None:
    silent = {kind.__name__ for kind in get_args(AnyMessage)} - {type(message).__name__ for message, _ in LINES}
    assert silent == {
        "Alarm", "Allowance", "Answer", "Book", "Briefing", "LlmCall", "Mark", "NewsItem", "Notice", "Paused",
        "Preview", "Prompt", "Reloaded", "Remark", "Sample", "Spoken", "Standing",
    }  # fmt: skip
    assert line(Book(instrument=BTC, bids=(), asks=())) is None


def test_bad_news_has_a_louder_level() -> None:
    assert level(Alert(severity="critical", kind="breaker", text="tripped")) == "CRITICAL"
    assert level(Lifecycle(actor="risk", event="crashed")) == "ERROR"
    assert level(Link(account="", edge="market", up=False)) == "WARNING"
    assert level(LINES[0][0]) == "INFO"
