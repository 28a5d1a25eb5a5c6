import json
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokex.research.equity import equity_curve
from kokex.research.metrics import DEFINITIONS, Report, report, sharpe, sortino, to_json
from tests.research.trading import DAY, INSTRUMENTS, MINUTE, SPOT, SWAP, candles, fill, funding

D = Decimal
CASH = D(1000)

daily = st.lists(st.floats(-0.2, 0.2).map(lambda one: round(one, 6)), min_size=2, max_size=60)


def a_week() -> Report:
    """Daily candles: a winner of 1 BTC over two days, a loser, and a position still open."""
    fills = [
        fill("buy", "1", "100", 1, fee="0.1"),
        fill("sell", "1", "120", 2 * DAY, fee="0.12"),
        fill("buy", "1", "120", 3 * DAY, fee="0.12"),
        fill("sell", "1", "110", 4 * DAY, fee="0.11"),
        fill("buy", "1", "105", 6 * DAY, fee="0.105"),
    ]
    closes = [110.0, 120.0, 120.0, 110.0, 90.0, 105.0, 107.12345679]
    curve = equity_curve(CASH, fills, [], {SPOT.symbol: candles(closes, DAY)}, INSTRUMENTS)
    return report(curve, fills, [], INSTRUMENTS)


def test_the_report_counts_closed_trips_apart_from_what_is_open() -> None:
    made = a_week()
    assert (made.candles, made.round_trips, made.wins) == (7, 2, 1)
    assert (made.gross, made.fees, made.funding, made.net) == (D(10), D("0.45"), D(0), D("9.55"))
    assert made.open_position is not None
    assert not isinstance(made.open_position, tuple)
    assert made.open_position.unrealised == D("2.12345679")
    assert made.final_equity == CASH + made.net - D("0.105") + D("2.12345679")
    assert made.max_drawdown == D("10.335")  # from 1019.78 after the winner to 1009.445 after the last entry
    assert made.max_drawdown_pct == pytest.approx(100 * 10.335 / 1019.78)


def test_ratios_follow_their_definitions() -> None:
    made = a_week()
    assert made.profit_factor == pytest.approx((20 - 0.22) / (10 + 0.23))
    assert made.exposure == 4 / 7
    assert made.turnover == pytest.approx((100 + 120 + 120 + 110 + 105) / 1000)
    assert made.cagr == pytest.approx((float(made.final_equity) / 1000) ** (365.25 / 7) - 1)


def test_undefined_numbers_are_null() -> None:
    quiet = equity_curve(CASH, [], [], {SPOT.symbol: candles([100.0] * 3)}, INSTRUMENTS)
    made = json.loads(to_json(report(quiet, [], [], INSTRUMENTS)))
    undefined = ["profit_factor", "cagr", "sharpe_daily", "sortino_daily", "open_position"]
    assert [made[name] for name in undefined] == [None] * 5
    assert (made["exposure"], made["max_drawdown"], made["final_equity"]) == (0.0, 0, 1000)


def test_two_open_positions_are_a_list() -> None:
    fills = [fill("buy", "1", "100", 1), fill("sell", "2", "100", 1, instrument=SWAP)]
    series = {symbol: candles([100.0, 101.0]) for symbol in INSTRUMENTS}
    made = report(equity_curve(CASH, fills, [], series, INSTRUMENTS), fills, [], INSTRUMENTS)
    assert isinstance(made.open_position, tuple)
    assert [one.size for one in made.open_position] == [D(1), D(-2)]


def test_funding_is_part_of_net() -> None:
    fills = [
        fill("buy", "100", "100", MINUTE // 2, instrument=SWAP),
        fill("sell", "100", "101", 3 * MINUTE // 2, instrument=SWAP),
    ]
    paid = [funding("-0.25", MINUTE)]
    curve = equity_curve(CASH, fills, paid, {SWAP.symbol: candles([100.0, 101.0])}, INSTRUMENTS)
    made = report(curve, fills, paid, INSTRUMENTS)
    assert (made.gross, made.funding, made.net) == (D(1), D("-0.25"), D("0.75"))
    assert made.final_equity == CASH + made.net


def test_money_is_written_as_plain_numbers_with_its_exact_digits() -> None:
    text = to_json(a_week()).decode()
    assert '"net":9.55,' in text
    assert '"final_equity":1011.56845679,' in text
    assert json.loads(text, parse_float=D)["final_equity"] == D("1011.56845679")


@given(daily)
def test_sharpe_and_sortino_agree_with_numpy(returns: list[float]) -> None:
    values = np.array(returns)
    deviation, downside = values.std(ddof=0), math.sqrt(np.mean(np.minimum(values, 0) ** 2))
    if len(set(returns)) == 1:
        assert sharpe(returns) is None
    else:
        assert sharpe(returns) == pytest.approx(values.mean() / deviation * math.sqrt(365), rel=1e-6, abs=1e-9)
    if downside == 0:
        assert sortino(returns) is None
    else:
        assert sortino(returns) == pytest.approx(values.mean() / downside * math.sqrt(365), rel=1e-6, abs=1e-9)


@pytest.mark.filterwarnings("ignore")  # the judge's own
def test_empyrical_agrees() -> None:
    judge = pytest.importorskip("empyrical", reason="empyrical-reloaded, the judge, is not installed")
    closes = [100 + 10 * math.sin(i) + i / 3 for i in range(60)]
    fills = [fill("buy", "5", "100", 1)]
    curve = equity_curve(CASH, fills, [], {SPOT.symbol: candles(closes, DAY)}, INSTRUMENTS)
    made, returns = report(curve, fills, [], INSTRUMENTS), np.array(curve.daily_returns())
    sample = math.sqrt(59 / 60)  # empyrical's Sharpe ratio has ddof 1
    assert made.sharpe_daily == pytest.approx(judge.sharpe_ratio(returns, annualization=365) / sample)
    assert made.sortino_daily == pytest.approx(judge.sortino_ratio(returns, annualization=365))
    assert made.max_drawdown_pct == pytest.approx(-100 * judge.max_drawdown(returns))
    assert made.cagr == pytest.approx(judge.cagr(returns, annualization=365.25))


def test_every_number_is_defined_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    missing = [name for name in Report.__struct_fields__ if f"`{name}`" not in page]
    assert missing == []
    assert set(DEFINITIONS) <= set(Report.__struct_fields__)
