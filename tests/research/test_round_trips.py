from collections.abc import Sequence
from decimal import Decimal

from kokex.messages import Fill, Funding
from kokex.research.round_trips import OpenPosition, RoundTrip, round_trips
from tests.research.trading import INSTRUMENTS, SPOT, SWAP, fill, funding

D = Decimal


def trips(
    fills: Sequence[Fill], fundings: Sequence[Funding] = (), mark: str = "100"
) -> tuple[list[RoundTrip], list[OpenPosition]]:
    return round_trips(fills, fundings, INSTRUMENTS, {SPOT.symbol: D(mark), SWAP.symbol: D(mark)})


def test_all_between_flat_and_flat_is_one_trip() -> None:
    closed, still_open = trips(
        [
            fill("buy", "1", "100", 1, fee="0.1"),
            fill("buy", "2", "110", 2, fee="0.2"),
            fill("sell", "0.5", "120", 3, fee="0.05"),
            fill("sell", "2.5", "130", 4, fee="0.25"),
        ]
    )
    assert still_open == []
    assert closed == [
        RoundTrip(
            instrument=SPOT.symbol, side="long", entered_ns=1, exited_ns=4, max_size=D(3),
            gross=D("65"), fees=D("0.60"), funding=D(0), net=D("64.40"),
        )
    ]  # fmt: skip


def test_a_flip_closes_one_trip_and_opens_the_next_and_splits_its_fee_by_size() -> None:
    closed, still_open = trips(
        [
            fill("buy", "1", "100", 1, fee="1"),
            fill("sell", "4", "110", 2, fee="0.10"),
            fill("buy", "3", "90", 3, fee="0.07"),
        ]
    )
    assert [(trip.side, trip.max_size, trip.gross, trip.entered_ns) for trip in closed] == [
        ("long", D(1), D(10), 1),
        ("short", D(3), D(60), 2),
    ]
    assert [trip.fees for trip in closed] == [D("1.025"), D("0.145")]
    assert still_open == []


def test_a_fee_that_does_not_divide_evenly_is_not_lost() -> None:
    closed, _ = trips([fill("buy", "1", "1", 1), fill("sell", "3", "1", 2, fee="0.1"), fill("buy", "2", "1", 3)])
    assert abs(sum(trip.fees for trip in closed) - D("0.1")) < D("1e-70")


def test_a_swaps_gross_counts_its_contract_value() -> None:
    closed, _ = trips([fill("sell", "5", "60000", 1, instrument=SWAP), fill("buy", "5", "59000", 2, instrument=SWAP)])
    assert (closed[0].side, closed[0].gross) == ("short", D(50))


def test_instruments_trip_by_themselves_in_the_order_they_close() -> None:
    closed, _ = trips(
        [
            fill("buy", "1", "100", 1),
            fill("buy", "1", "100", 2, instrument=SWAP),
            fill("sell", "1", "100", 3, instrument=SWAP),
            fill("sell", "1", "100", 4),
        ]
    )
    assert [trip.instrument for trip in closed] == [SWAP.symbol, SPOT.symbol]


def test_funding_belongs_to_the_trip_that_holds_the_position() -> None:
    fills = [
        fill("buy", "1", "100", 10, instrument=SWAP),
        fill("sell", "1", "100", 30, instrument=SWAP),
        fill("buy", "1", "100", 40, instrument=SWAP),
        fill("sell", "1", "100", 50, instrument=SWAP),
    ]
    paid = [funding("-1", 20), funding("-2", 30), funding("-4", 35), funding("8", 45)]
    closed, _ = trips(fills, paid)
    # Due as the position closes: it is due on what was held. Due while flat: nobody's.
    assert [(trip.funding, trip.net) for trip in closed] == [(D(-3), D(-3)), (D(8), D(8))]


def test_an_open_position_is_reported_apart_at_average_cost() -> None:
    closed, still_open = trips(
        [
            fill("buy", "1", "100", 1, fee="0.1"),
            fill("buy", "1", "200", 2, fee="0.2"),
            fill("sell", "0.5", "170", 3, fee="0.05"),
        ],
        mark="140",
    )
    assert closed == []
    assert still_open == [
        OpenPosition(
            instrument=SPOT.symbol, size=D("1.5"), entered_ns=1, average_price=D(150), mark=D(140),
            unrealised=D(-15), realised=D(10), fees=D("0.35"), funding=D(0),
        )
    ]  # fmt: skip
