"""What an executor needs to go on after a restart."""

from decimal import Decimal

from msgspec.structs import replace

from kokex.messages import Funding, OrderState
from tests.adapters.sqlite.samples import approval, decision, direct, fill, intent, update


async def test_trades_are_read_back_for_unsettled_orders_only() -> None:
    store = direct(":memory:")
    orders: tuple[tuple[int, str, OrderState], ...] = ((1, "done", "filled"), (10, "open", "partial"))
    for base, client_id, state in orders:
        store.append(decision(base))
        store.append(approval(base + 1, base, client_id))
        store.append(intent(base + 2, client_id, of=base))
        store.append(fill(base + 3, client_id, f"t{base}"))
        store.append(update(base + 4, client_id, state, "0.01"))
    assert [each.client_id for each in await store.fills_of_unsettled("main")] == ["open"]
    assert await store.fills_of_unsettled("other") == []
    store.close()


async def test_an_entry_comes_back_with_the_number_of_its_guards() -> None:
    store = direct(":memory:")
    for base, client_id, filled in ((1, "kx1", "0.01"), (10, "kx12", "0.01"), (20, "kx2", "0")):
        store.append(decision(base))
        store.append(approval(base + 1, base, client_id))
        store.append(intent(base + 2, client_id, of=base))
        store.append(update(base + 3, client_id, "filled" if filled != "0" else "rejected", filled))
    for number in (1, 2):
        stop = intent(30 + number, f"kx12S{number}", of=10)
        assert stop.order
        store.append(replace(stop, order=replace(stop.order, reduce_only=True)))
    (entry,) = await store.entries("main")  # the newest that filled, of this plan, instrument and side
    assert entry.approved.order
    assert (entry.approved.order.client_id, entry.guards) == ("kx12", 2)
    store.append(update(40, "kx12S1", "working"))
    store.append(decision(50))
    store.append(approval(51, 50, "kx3"))
    store.append(intent(52, "kx3", of=50))
    assert [each.approved.decision for each in await store.entries("main")] == [10, 50]  # and what is unsettled
    store.close()


async def test_funding_on_record_is_known_by_its_id() -> None:
    store = direct(":memory:")
    for number, due_ns in ((1, 100), (2, 200), (3, 300)):
        store.append(
            Funding(
                id=number, account="main", instrument="BTC-USDT-SWAP", funding_id=f"f{number}", rate=Decimal(0),
                amount=Decimal(1), due_ns=due_ns,
            )
        )  # fmt: skip
    assert await store.fundings_since("main", 200) == ["f2", "f3"]
    assert await store.fundings_since("other", 0) == []
    store.close()
