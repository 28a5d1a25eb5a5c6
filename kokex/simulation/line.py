"""The line between a process and the exchange, with faults.

The exchange is outside: what was sent arrives there even when the process that sent it is gone. So a request is an
event of the world, and only waiting for its answer belongs to the process.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Protocol, TypeVar, final

import anyio
from msgspec.structs import replace

from kokex.messages import Fill, Funding, Link, Message, Order, OrderUpdate
from kokex.paper.exchange import Exchange
from kokex.paper.venue import PaperVenue
from kokex.ports import Ambiguous, FillReport, FundingReport, OrderReport, Rejected, Touch, VenueState
from kokex.simulation.faults import Faults

T = TypeVar("T")


class Outside(Protocol):
    """What a line needs of the world."""

    faults: Faults

    def after(self, delay_ns: int, then: Callable[..., object], *args: Any) -> None:
        """Lets something happen later, whether a process lives then or not."""
        ...

    def deliver(self, actor: str, message: Message) -> None:
        """Hands a message to the process, if one lives."""
        ...

    def danger(self) -> None:
        """Here a kill may strike. Raises Killed."""
        ...

    def sending(self, order: Order) -> None:
        """The process lets an order go."""
        ...

    def amending(self, order: Order, size: Decimal) -> None:
        """The process asks for another size of a stop."""
        ...

    def accepted(self, account: str, order: Order) -> None:
        """The exchange has taken an order."""
        ...


@final
class Line:
    """`kokex.ports.Venue` of one account. It outlives processes: a new one finds it as it is."""

    def __init__(self, world: Outside, exchange: Exchange, account: str) -> None:
        self.latency_ns = 0  # waits by itself
        self.up = True
        self._world = world
        self._exchange = exchange
        self._account = account

    # ---- requests

    async def place(self, order: Order) -> OrderReport:
        self._world.sending(order)

        def execute() -> OrderReport:
            report = self._exchange.place(self._account, order)
            self._world.accepted(self._account, order)
            return report

        return await self._request(execute, may_refuse=True)

    async def cancel(self, order: Order) -> OrderReport:
        return await self._request(lambda: self._exchange.cancel(self._account, order.instrument, order.client_id))

    async def lookup(self, order: Order) -> OrderReport | None:
        return await self._request(lambda: self._exchange.lookup(self._account, order.client_id))

    async def fills(self, since_ns: int) -> list[FillReport]:
        return await self._request(lambda: self._exchange.fills(self._account, since_ns))

    async def fundings(self, since_ns: int) -> list[FundingReport]:
        return await self._request(lambda: self._exchange.fundings(self._account, since_ns))

    async def amend(self, order: Order, size: Decimal, price: Decimal) -> OrderReport:
        self._world.amending(order, size)
        return await self._request(lambda: self._exchange.amend(self._account, order.client_id, size, price))

    async def touch(self, instrument: str) -> Touch:
        return await PaperVenue(self._exchange, self._account, 0).touch(instrument)

    async def keep_alive(self, timeout_s: int) -> None:
        """Not of this exchange."""

    async def state(self) -> VenueState:
        return await self._request(lambda: self._exchange.state(self._account))

    async def _request(self, execute: Callable[[], T], *, may_refuse: bool = False) -> T:
        world, faults = self._world, self._world.faults
        world.danger()
        fate = faults.first_of("lost_request", "lost_reply", "late_request", "server_error", "slow_reply")
        answers: list[Any] = []
        answered = anyio.Event()

        def arrive() -> None:
            answer: Any
            if may_refuse and faults.strikes("refused"):
                answer = Rejected("busy", "try again later")
            elif fate == "server_error" and faults.coin():
                answer = Ambiguous("503")
            else:
                try:
                    answer = execute()
                except Rejected as error:
                    answer = error
                if fate == "server_error":
                    answer = Ambiguous("502")
            if fate != "lost_reply":
                back_ns = faults.between(1.0, 9.0) if fate == "slow_reply" else faults.between(0.01, 0.1)
                world.after(back_ns, reply, answer)

        def reply(answer: Any) -> None:
            answers.append(answer)
            answered.set()

        if fate != "lost_request":
            late = fate == "late_request"
            world.after(faults.between(3.0, 40.0) if late else faults.between(0.01, 0.1), arrive)
        await answered.wait()
        world.danger()
        if isinstance(answers[0], Exception):
            raise answers[0]
        return answers[0]

    # ---- the stream

    def tell(self, message: Message) -> None:
        """The exchange tells the account of a fill, an order's change, a funding payment."""
        faults = self._world.faults
        if not self.up:
            return
        if faults.strikes("stream_drop"):
            self._drop(faults.between(5, 600))
            return
        if faults.strikes("lost_message"):
            return
        actor = f"executor[{self._account}]"
        delay_ns = faults.between(0.5, 20.0) if faults.strikes("late_message") else faults.between(0.0, 0.05)
        self._world.after(delay_ns, self._world.deliver, actor, message)
        if faults.strikes("duplicate_message") and isinstance(message, Fill | OrderUpdate | Funding):
            self._world.after(delay_ns + faults.between(0.0, 60.0), self._world.deliver, actor, replace(message))

    def maybe_drop(self) -> None:
        """An opportunity for the stream to drop that no message gave."""
        if self.up and self._world.faults.strikes("stream_drop"):
            self._drop(self._world.faults.between(5, 600))

    def _drop(self, for_ns: int) -> None:
        self.up = False
        self._link(up=False, reason="connection lost")
        self._world.after(for_ns, self.restore)

    def restore(self) -> None:
        if not self.up:
            self.up = True
            self._link(up=True)

    def _link(self, *, up: bool, reason: str = "") -> None:
        link = Link(account=self._account, edge="venue", up=up, reason=reason)
        self._world.deliver(f"executor[{self._account}]", link)
