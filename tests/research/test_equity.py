from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokex.messages import Fill, Funding
from kokex.research.equity import Closes, Curve, equity_curve
from kokex.research.round_trips import round_trips
from tests.research.trading import DAY, INSTRUMENTS, MINUTE, SPOT, SWAP, candles, fill, funding

D = Decimal
CASH = D(1_000_000)


def curve(
    fills: Sequence[Fill], closes: Sequence[float], fundings: Sequence[Funding] = (), span_ns: int = MINUTE
) -> Curve:
    return equity_curve(CASH, fills, fundings, {SPOT.symbol: candles(closes, span_ns)}, INSTRUMENTS)


def naive(
    fills: Sequence[Fill], fundings: Sequence[Funding], series: Mapping[str, Closes]
) -> tuple[dict[int, Decimal], Decimal, int]:
    """What the curve promises, in the slowest and plainest way: (equity by instant, max drawdown, instants held)."""
    close_at = {
        symbol: {at + one.span_ns: D(repr(close)) for at, close in zip(one.open_ns, one.closes, strict=True)}
        for symbol, one in series.items()
    }
    instants = sorted(set().union(*close_at.values()))
    equity: dict[int, Decimal] = {}
    peak, drawdown, held = CASH, D(0), 0
    with localcontext(prec=200):
        for instant in instants:
            counts = [one for one in fills if one.filled_ns <= instant or instant == instants[-1]]
            cash = CASH + sum(one.amount for one in fundings if one.due_ns <= instant or instant == instants[-1])
            total = cash
            holds = False
            for symbol, closings in close_at.items():
                mark = closings[max([at for at in closings if at <= instant], default=min(closings))]
                size = D(0)
                for one in counts:
                    if one.instrument == symbol:
                        signed = one.size if one.side == "buy" else -one.size
                        size += signed
                        total -= signed * INSTRUMENTS[symbol].contract_value * one.price + one.fee
                total += size * INSTRUMENTS[symbol].contract_value * mark
                holds = holds or size != 0
            held += holds
            equity[instant] = total
            peak = max(peak, total)
            drawdown = max(drawdown, peak - total)
    return equity, drawdown, held


rounded = st.floats(0.01, 99_999).map(lambda price: round(price, 2))
ragged = st.floats(1e-5, 99_999, allow_subnormal=False)  # up to 17 digits, as synthetic candles have them
amounts = st.decimals("0.00000001", "50", places=8)


@st.composite
def sessions(draw: st.DrawFn) -> tuple[list[Fill], list[Funding], dict[str, Closes]]:
    length = draw(st.integers(2, 12))
    series = {
        symbol: candles(
            draw(st.lists(draw(st.sampled_from([rounded, ragged])), min_size=length, max_size=length)),
            missing=draw(st.lists(st.integers(0, length - 1), max_size=length - 1)),
        )
        for symbol in INSTRUMENTS
    }
    moments = st.integers(0, (length + 1) * 2).map(lambda half: half * MINUTE // 2)
    trades = st.tuples(
        st.sampled_from(["buy", "sell"]), amounts, ragged, moments, amounts, st.sampled_from([SPOT, SWAP])
    )
    fills = [
        fill(side, str(size), repr(price), at, str(fee), instrument)  # type: ignore[arg-type]
        for side, size, price, at, fee, instrument in draw(st.lists(trades, max_size=8))
    ]
    paid = [funding(str(amount), at) for amount, at in draw(st.lists(st.tuples(amounts, moments), max_size=3))]
    return fills, paid, series


@given(sessions())
def test_every_mark_and_the_drawdown_equal_plain_decimal_arithmetic(
    session: tuple[list[Fill], list[Funding], dict[str, Closes]],
) -> None:
    made = equity_curve(CASH, *session, INSTRUMENTS)
    equity, drawdown, held = naive(*session)
    assert dict(zip(made.close_ns, map(made.amount, made.equity), strict=True)) == equity
    assert (made.max_drawdown()[0], made.held) == (drawdown, held)


@given(sessions())
def test_trips_and_open_positions_add_up_to_the_final_equity(
    session: tuple[list[Fill], list[Funding], dict[str, Closes]],
) -> None:
    fills, _, series = session  # funding while flat belongs to no trip
    made = equity_curve(CASH, fills, [], series, INSTRUMENTS)
    closed, still_open = round_trips(fills, [], INSTRUMENTS, made.marks)
    total = CASH + sum(trip.net for trip in closed)
    total += sum(one.realised + one.unrealised - one.fees + one.funding for one in still_open)
    assert abs(total - made.final) < D("1e-15")


def test_a_fill_at_an_open_stands_after_the_close_of_that_instant_and_a_stop_before_it() -> None:
    closes = [100.0, 110.0, 120.0]
    bought = fill("buy", "1", "100", MINUTE)
    at_open = msgspec.structs.replace(bought, at=MINUTE + 1)  # known a nanosecond later, as the paper exchange does
    at_stop = msgspec.structs.replace(bought, at=MINUTE)
    gains = {
        made.held: [int(made.amount(one) - CASH) for one in made.equity]
        for made in (curve([at_open], closes), curve([at_stop], closes))
    }
    assert gains == {2: [0, 10, 20], 3: [0, 10, 20]}


def test_the_last_mark_counts_what_was_booked_after_it() -> None:
    made = curve([fill("buy", "1", "100", 3 * MINUTE)], [100.0, 110.0], [funding("-5", 4 * MINUTE)])
    assert made.final == CASH + 5


def test_drawdown_is_measured_from_the_start_too() -> None:
    made = curve([fill("buy", "1", "100", 1)], [99.99999999, 99.0])
    assert made.max_drawdown() == (D(1), pytest.approx(1e-4))


def test_a_day_ends_with_the_candle_that_closes_at_midnight_and_a_day_without_candles_returns_nothing() -> None:
    six_hours = DAY // 4
    prices = [100.0, 100.0, 100.0, 200.0, *[300.0] * 4, 400.0]
    gap = candles(prices, six_hours, missing=range(4, 8))
    made = equity_curve(CASH, [fill("buy", "5000", "100", 1)], [], {SPOT.symbol: gap}, INSTRUMENTS)
    # 1,000,000 in cash, half of it invested at 100: 1.5 million at the first midnight, 2.5 at the end.
    assert made.daily_returns() == [0.5, 0.0, 2 / 3]


def test_returns_are_undefined_once_nothing_is_left() -> None:
    made = curve([fill("buy", "20000", "100", 1)], [100.0, 40.0, 100.0], span_ns=DAY)
    assert made.daily_returns() == []


def test_what_was_traded_must_have_candles() -> None:
    with pytest.raises(ValueError, match=r"BTC-USDT-SWAP was traded but has no candles"):
        curve([fill("buy", "1", "100", 1, instrument=SWAP)], [100.0])


def test_a_run_without_candles_keeps_its_cash() -> None:
    assert equity_curve(CASH, [], [], {}, INSTRUMENTS).final == CASH
