"""Sockets of the server that a module's `server` fixture runs."""

from collections.abc import Callable, Generator
from contextlib import ExitStack

import pytest

from tests.adapters.okx.exchange.raw import Socket, socket
from tests.adapters.okx.exchange.servers import Running


@pytest.fixture
def opened(server: Running) -> Generator[Callable[[str], Socket], None, None]:
    """Opens sockets that are closed with the test."""
    with ExitStack() as stack:
        yield lambda door: stack.enter_context(socket(server, door))
