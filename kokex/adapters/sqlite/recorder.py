"""The recorder: what came from outside, in the order the kernel accepted it, as rows of `inputs`.

A body is msgpack: the message of a post, or what came of a call, as (failed, value). A large one (the candles an
actor loads to warm up) is deflated; msgpack never begins with the byte that marks it.
"""

import zlib
from collections.abc import Callable
from typing import Any

import msgspec

from kokex.adapters.secrets.secret import mask
from kokex.messages import AnyMessage, Message
from kokex.ports import Input, Store

LARGE = 4096  # bytes
DEFLATED = b"\xc1"  # the one byte that msgpack leaves unused


class Failed(msgspec.Struct, frozen=True):
    """A call's failure, as recorded."""

    kind: str
    text: str


def recorder(store: Store) -> Callable[[int, int, str, str, int, Any], None]:
    """The hook for `Hooks.record`."""
    encode = msgspec.msgpack.Encoder(decimal_format="string").encode

    def record(turn: int, at: int, actor: str, kind: str, ref: int, value: Any) -> None:
        if kind in ("answer", "loaded"):
            failed = type(value).__name__ == "Failure"
            body = encode((failed, Failed(value.kind, value.text) if failed else value))
        else:
            body = b"" if value is None else encode(value)
        body = mask(body)
        if len(body) > LARGE:
            body = DEFLATED + zlib.compress(body, 1)
        store.append(Input(turn=turn, at=at, actor=actor, kind=kind, ref=ref, body=body))

    return record


def posted(row: Input) -> Message:
    """The message of a post."""
    return msgspec.msgpack.decode(_inflated(row.body), type=AnyMessage)


def outcome(row: Input, returns: Any) -> tuple[bool, Any]:
    """(failed, value) of a call that returns `returns`; a failed one's value is a `Failed`."""
    body = _inflated(row.body)
    failed = msgspec.msgpack.decode(body, type=tuple[bool, Any])[0]
    return failed, msgspec.msgpack.decode(body, type=tuple[bool, Failed if failed else returns])[1]


def _inflated(body: bytes) -> bytes:
    return zlib.decompress(body[1:]) if body.startswith(DEFLATED) else body
