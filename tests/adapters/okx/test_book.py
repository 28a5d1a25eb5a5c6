"""A book is the sum of its snapshot and every update since, or it says that it is not."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from kokex.adapters.okx.book import OrderBook
from kokex.adapters.okx.wire.market import BookRow
from kokex.messages import Level

PRICES = st.decimals("0.1", "9.9", places=1)
LEVELS = st.lists(st.tuples(PRICES, st.decimals("0", "3", places=0)), max_size=8, unique_by=lambda level: level[0])


Side = list[tuple[Decimal, Decimal]]


def level_of(price: Decimal, size: Decimal) -> Level:
    return Level(f"{price:f}", f"{size:f}")


def pairs(levels: tuple[Level, ...]) -> Side:
    return [(level.price, level.size) for level in levels]


def row(bids: Side, asks: Side, before: int, seq: int) -> BookRow:
    return BookRow(
        bids=[level_of(*level) for level in bids],
        asks=[level_of(*level) for level in asks],
        prev_seq_id=before,
        seq_id=seq,
        checksum=0,
    )


@settings(max_examples=50)
@given(LEVELS, LEVELS, st.lists(st.tuples(LEVELS, LEVELS), max_size=5))
def test_a_book_is_what_a_dictionary_of_its_levels_says(
    bids: Side, asks: Side, changes: list[tuple[Side, Side]]
) -> None:
    book = OrderBook()
    book.snapshot(row(bids, asks, -1, 1))
    plain = [dict(bids), dict(asks)]
    for seq, sides in enumerate(changes, 1):
        assert book.update(row(sides[0], sides[1], seq, seq + 1)) == "applied"
        for side, levels in zip(plain, sides, strict=True):
            side.update(levels)
    kept = [{price: size for price, size in side.items() if size} for side in plain]
    assert pairs(book.bids.best(99)) == sorted(kept[0].items(), reverse=True)
    assert pairs(book.asks.best(99)) == sorted(kept[1].items())


LEVEL = (Decimal(1), Decimal(1))


def test_a_missed_update_ends_the_book_until_the_next_snapshot() -> None:
    book = OrderBook()
    assert book.update(row([LEVEL], [], 4, 5)) == "ignored", "before any snapshot"
    book.snapshot(row([LEVEL], [], -1, 5))
    assert book.update(row([], [LEVEL], 6, 7)) == "gap"
    assert not book.valid
    assert book.update(row([], [LEVEL], 7, 8)) == "ignored"
    book.snapshot(row([], [LEVEL], -1, 9))
    assert (book.valid, len(book.bids), len(book.asks)) == (True, 0, 1)


def test_old_and_repeated_updates_are_ignored_and_a_sequence_that_is_set_back_is_followed() -> None:
    book = OrderBook()
    book.snapshot(row([LEVEL], [], -1, 10))
    assert book.update(row([(Decimal(1), Decimal(5))], [], 8, 9)) == "ignored"
    assert book.update(row([], [], 10, 10)) == "applied", "no change, and the exchange says so"
    assert book.update(row([(Decimal(1), Decimal(2))], [], 10, 3)) == "applied", "maintenance"
    assert book.update(row([(Decimal(1), Decimal(3))], [], 3, 5)) == "applied"
    assert book.bids.best(1) == (Level("1", "3"),)


def test_a_checksum_that_is_there_must_agree() -> None:
    book = OrderBook()
    good = BookRow(bids=[level_of(*LEVEL)], asks=[], seq_id=1, prev_seq_id=-1, checksum=12345)
    assert book.snapshot(good) == "gap"
    assert not book.valid
