"""A shallow book is what the exchange wrote, to the digit, and what is no number does not get in."""

from decimal import Decimal

import msgspec
import pytest

from kokex.adapters.okx.frames import shallow_books
from kokex.messages import AnyMessage, Book, Level

GOOD = ("60000.10", "0.30000000000000000000000001")  # more digits than a float has


def told(*levels: tuple[str, str]) -> list[Book]:
    """What is heard of a frame with these bids."""
    rows = [[price, size, "0", "4"] for price, size in levels]
    frame = {"arg": {"channel": "books5", "instId": "X"}, "data": [{"asks": [], "bids": rows, "ts": "1", "seqId": 1}]}
    heard: list[Book] = []
    shallow_books("X", [heard.append])(msgspec.json.encode(frame))
    return heard


def test_a_level_is_exact_and_a_book_can_be_compared_kept_and_not_changed() -> None:
    (book,) = told(GOOD, ("60000", "7"))
    best = book.bids[0]
    assert (str(best.price), best.size) == ("60000.10", Decimal(GOOD[1]))
    assert [book] == told(GOOD, ("60000", "7")) != told(("60000.20", GOOD[1]), ("60000", "7"))
    assert msgspec.json.decode(msgspec.json.encode(book), type=AnyMessage) == book
    with pytest.raises(AttributeError):
        best.px = "1"  # pyright: ignore[reportAttributeAccessIssue]
    assert {best, Level(*GOOD)} == {best}


@pytest.mark.parametrize("text", ["", "x", "NaN", "Infinity", "-1", "1.2.3", "1_0", " 1", "1e400"])
@pytest.mark.parametrize("place", ["price", "size"])
def test_what_is_no_number_is_found_before_anybody_hears_of_the_book(text: str, place: str) -> None:
    bad = (text, GOOD[1]) if place == "price" else (GOOD[0], text)
    with pytest.raises(msgspec.ValidationError):
        told(GOOD, bad)
