from decimal import Decimal

import msgspec

from kokex.messages import Fill, Instrument, Order, Portfolio, Position
from kokex.present.tables import Status, Table, balance, orders, plans, positions, report, status, trades
from kokex.present.text import render
from kokex.research.equity import equity_curve
from kokex.research.metrics import report as measure
from tests.research.trading import DAY, INSTRUMENTS, SPOT, SWAP, candles, fill

D = Decimal
HELD = Position(instrument=SWAP.symbol, size=D(-5), cost=D(-3000), mark=D("59000.5"))
ACCOUNT = Portfolio(
    account="main", cash=D(99_000), equity=D("100049.975"), positions=(HELD,),
    day_start_equity=D(100_000), peak_equity=D(101_000),
)  # fmt: skip
ORDER = Order(
    client_id="kabc1", account="main", plan="main", instrument=SWAP.symbol, side="buy", kind="take_profit",
    size=D("1.50"), trigger=D(58000), reduce_only=True,
)  # fmt: skip


def cells(table: Table) -> dict[str, str]:
    assert len(table.rows) == 1
    return dict(zip(table.columns, table.rows[0], strict=True))


def test_balance_tells_today_and_the_distance_from_the_peak() -> None:
    assert cells(balance([ACCOUNT], "USDT")) == {
        "account": "main",
        "equity": "100,049.98 USDT",
        "cash": "99,000.00 USDT",
        "today": "+49.98 USDT",
        "below peak": "0.94 %",
    }


def test_a_short_position_gains_when_the_price_falls() -> None:
    shown = cells(positions([ACCOUNT], INSTRUMENTS))
    assert (shown["side"], shown["size"], shown["entry"], shown["mark"]) == ("short", "5", "60000", "59000.5")
    assert (shown["P&L"], shown["%"]) == ("+49.98 USDT", "+1.67 %")


def test_flat_positions_are_not_shown() -> None:
    flat = msgspec.structs.replace(ACCOUNT, positions=(Position(instrument=SPOT.symbol, size=D(0), cost=D(0)),))
    assert render(positions([flat], INSTRUMENTS)) == "Positions: none"


def test_orders_begin_with_the_id_a_person_types() -> None:
    assert orders([ORDER]).rows == (
        ("kabc1", "BTC-USDT-SWAP", "buy", "1.5", "take profit at 58000, reduce only", "main"),
    )


def test_trades_carry_time_and_fee() -> None:
    made: Fill = fill("buy", "0.5", "60000.10", DAY, fee="3.0")
    assert trades([made]).rows == (("1970-01-02T00:00:00Z", made.client_id, SPOT.symbol, "buy", "0.5", "60000.1", "3"),)


def answer() -> Status:
    return msgspec.convert(
        {
            "now_ns": DAY,
            "paused": False,
            "market_up": True,
            "plans": [
                {
                    "plan": "main", "account": "main", "mode": "adaptive", "enabled": True, "warm": True,
                    "instruments": ["BTC-USDT-SWAP"], "strategies": ["trend"], "next_cycle_ns": DAY + 90 * 10**9,
                },
                {
                    "plan": "slow", "account": "main", "mode": "daily", "enabled": False, "warm": False,
                    "instruments": ["BTC-USDT-SWAP"], "strategies": [], "next_cycle_ns": None,
                },
            ],
            "accounts": [msgspec.to_builtins(ACCOUNT)],
            "actors": [
                {
                    "name": "risk[main]", "state": "running", "waiting": 0, "high_water": 3, "drops": 0, "restarts": 1,
                    "last_error": "ValueError: no", "last_beat_ns": DAY - 2 * 10**9,
                }
            ],
        },
        Status,
        strict=False,
    )  # fmt: skip


def test_the_sockets_answer_is_read_as_it_is() -> None:
    tables = {table.title: table for table in status(answer(), "USDT")}
    assert tables["KOKEX"].rows[1:] == (("trading", "running"), ("market", "up"))
    assert [row[1] for row in tables["Plans"].rows] == ["next cycle in 1 min 30 s", "stopped"]
    assert tables["Actors"].rows == (("risk[main]", "running", "0 (most 3)", "0", "1", "2 s", "ValueError: no"),)


def test_text_puts_numbers_to_the_right_and_words_to_the_left() -> None:
    table = Table("Fruit", ("name", "count", "note"), (("fig", "7", ""), ("apple", "1,200", "red")))
    assert render(table).split("\n") == [
        "Fruit",
        "name   count  note",
        "fig        7",
        "apple  1,200  red",
    ]


def test_every_table_has_as_many_cells_as_columns() -> None:
    made = [orders([ORDER]), plans(answer().plans, DAY), *status(answer(), "USDT"), balance([ACCOUNT], "USDT")]
    for table in made:
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_a_report_states_the_definition_beside_the_number() -> None:
    instruments: dict[str, Instrument] = INSTRUMENTS
    fills = [fill("buy", "1", "100", 1), fill("sell", "1", "90", DAY), fill("buy", "1", "90", 2 * DAY)]
    series = {SPOT.symbol: candles([90.0, 90.0, 95.0], DAY)}
    made = measure(equity_curve(D(1000), fills, [], series, instruments), fills, [], instruments)
    made = msgspec.structs.replace(made, notes=("fixed size: no stops",))
    table = report(msgspec.structs.asdict(made), "USDT")
    rows = {label: (value, meaning) for label, value, meaning in table.rows}
    assert rows["net"] == ("-10.00 USDT", "gross - fees + funding of the closed round trips")
    assert rows["round trips"][0] == "1 (0 won)"
    assert rows["profit factor"][0] == "0.000"
    assert "ddof 0" in rows["Sharpe, daily"][1]
    assert rows["open"][0] == "1 BTC-USDT @ 90, now 95: +5.00 USDT"
    assert rows["note"][0] == "fixed size: no stops"
    undefined = report(msgspec.structs.asdict(msgspec.structs.replace(made, sharpe_daily=None)), "USDT")
    assert ("Sharpe, daily", "n/a") in [row[:2] for row in undefined.rows]
