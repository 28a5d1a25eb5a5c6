"""Bookings and candles, written briefly."""

from collections.abc import Sequence
from decimal import Decimal

from kokex.messages import Fill, Funding, Instrument, Side
from kokex.research.equity import Closes

MINUTE = 60_000_000_000
DAY = 1440 * MINUTE

SPOT = Instrument(
    symbol="BTC-USDT", kind="spot", base="BTC", quote="USDT",
    tick=Decimal(0), lot=Decimal("1e-8"), minimum=Decimal("1e-8"),
)  # fmt: skip
SWAP = Instrument(
    symbol="BTC-USDT-SWAP", kind="swap", base="BTC", quote="USDT",
    tick=Decimal("0.1"), lot=Decimal("0.01"), minimum=Decimal("0.01"), contract_value=Decimal("0.01"),
)  # fmt: skip
INSTRUMENTS = {SPOT.symbol: SPOT, SWAP.symbol: SWAP}


def fill(side: Side, size: str, price: str, at: int, fee: str = "0", instrument: Instrument = SPOT) -> Fill:
    return Fill(
        account="main", plan="main", instrument=instrument.symbol, client_id=f"kx{at}", trade_id=str(at), side=side,
        size=Decimal(size), price=Decimal(price), fee=Decimal(fee), liquidity="taker", filled_ns=at,
    )  # fmt: skip


def funding(amount: str, at: int, instrument: Instrument = SWAP) -> Funding:
    return Funding(
        account="main", instrument=instrument.symbol, funding_id=str(at), rate=Decimal("0.0001"),
        amount=Decimal(amount), due_ns=at,
    )  # fmt: skip


def candles(closes: Sequence[float], span_ns: int = MINUTE, first_ns: int = 0, missing: Sequence[int] = ()) -> Closes:
    """One close after another from `first_ns`, without the rows of `missing`."""
    rows = [(first_ns + i * span_ns, close) for i, close in enumerate(closes) if i not in missing]
    return Closes([at for at, _ in rows], [close for _, close in rows], span_ns)
