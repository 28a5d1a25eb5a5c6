"""Messages and stores for the tests of this directory."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from kokex.adapters.sqlite.direct import DirectStore, open_direct
from kokex.adapters.sqlite.live import LiveStore, open_live
from kokex.messages import Approved, Decision, Fill, Order, OrderState, OrderUpdate

AT = 1_700_000_000_000_000_000
PLACE: dict[str, Any] = {"account": "main", "plan": "default", "instrument": "BTC-USDT"}
SESSION: dict[str, Any] = {
    "mode": "paper",
    "version": "0.1",
    "config_json": "{}",
    "tag_factory": lambda: "abc123",
}


def direct(path: Path | str, now_ns: int = AT, **options: Any) -> DirectStore:
    return open_direct(path, now_ns=now_ns, **SESSION, **options)


async def live(path: Path) -> LiveStore:
    return await open_live(path, now_ns=AT, **SESSION)


def decision(number: int, cause: int = 0) -> Decision:
    return Decision(
        id=number, cause=cause, at=AT, act="open_long", conviction=3, horizon_s=3600, price=42000.5,
        reasons=("fast above slow", "volume"), **PLACE,
    )  # fmt: skip


def approval(number: int, of: int, client_id: str | None) -> Approved:
    return Approved(
        id=number, cause=of, at=AT, decision=of, order=None if client_id is None else order(client_id, of), **PLACE
    )


def order(client_id: str, of: int = 0) -> Order:
    return Order(client_id=client_id, side="buy", kind="market", size=Decimal("0.02"), decision=of, **PLACE)


def intent(number: int, client_id: str, of: int = 0, cause: int = 0) -> OrderUpdate:
    return OrderUpdate(
        id=number, cause=cause, at=AT, client_id=client_id, state="intent", order=order(client_id, of), decision=of,
        **PLACE,
    )  # fmt: skip


def update(number: int, client_id: str, state: OrderState, filled: str = "0", reason: str = "") -> OrderUpdate:
    return OrderUpdate(
        id=number, at=AT + number, client_id=client_id, state=state, filled=Decimal(filled), reason=reason, **PLACE
    )


def fill(number: int, client_id: str, trade_id: str, size: str = "0.02") -> Fill:
    return Fill(
        id=number, at=AT, client_id=client_id, trade_id=trade_id, side="buy", size=Decimal(size),
        price=Decimal("42000.10"), fee=Decimal("0.8400020"), liquidity="taker", filled_ns=AT, **PLACE,
    )  # fmt: skip
