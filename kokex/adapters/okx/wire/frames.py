"""The envelopes: what is around the rows, over REST and over WebSockets."""

from typing import Generic, TypeVar

import msgspec
from msgspec import Raw, Struct

from kokex.adapters.okx.wire import Row, Text

T = TypeVar("T")


class Envelope(Struct, frozen=True, kw_only=True):
    """Of every REST answer. Errors of authentication and rate come without `data`."""

    code: str | int = ""
    msg: Text = ""
    data: Raw = Raw(b"")


class Ack(Row, frozen=True, kw_only=True):
    """One order of a place, amend or cancel, over REST and WebSocket alike: accepted (sCode 0), or not, and why."""

    ord_id: Text = ""
    cl_ord_id: Text = ""
    algo_id: Text = ""
    algo_cl_ord_id: Text = ""
    req_id: Text = ""
    ts: Text = ""
    s_code: Text = "0"
    s_msg: Text = ""


class Arg(Row, frozen=True, kw_only=True, omit_defaults=True):
    """A channel and what of it: the key of a subscription, sent and received. Compare by `key`."""

    channel: str
    inst_type: Text = None
    inst_family: Text = None
    inst_id: Text = None
    ccy: Text = None
    algo_id: Text = None

    @property
    def key(self) -> str:
        """What tells subscriptions apart; servers add a `uid` to the args they send back."""
        parts = (self.inst_type, self.inst_family, self.inst_id, self.ccy, self.algo_id)
        return "/".join([self.channel, *(part for part in parts if part)])


_arg = msgspec.json.Decoder(Arg)


def arg_of(head: bytes) -> Arg:
    """Of a push, `head` being what comes before its first closing brace. Raises msgspec.MsgspecError."""
    return _arg.decode(head.partition(b":")[2] + b"}")


class Event(Row, frozen=True, kw_only=True):
    """What a connection says of itself: acknowledgements, errors, notices, and answers to operations.

    `event` is subscribe, unsubscribe, login, error, notice, channel-conn-count or channel-conn-count-error; the answer
    to an operation has `id`, `op` and `data` instead. A push has `arg` and `data`.
    """

    event: Text = ""
    code: str | int | None = ""
    msg: Text = ""
    conn_id: Text = ""
    channel: Text = ""
    arg: Arg | None = None
    id: Text = ""
    op: Text = ""
    data: Raw = Raw(b"")


class Push(Struct, Generic[T], frozen=True, kw_only=True, rename="camel"):
    """Rows of a channel."""

    arg: Arg
    data: list[T]
    action: str = ""  # books: snapshot or update
    event_type: str = ""  # account, positions: snapshot or event_update
    cur_page: int = 1
    last_page: bool = True  # of a snapshot in several frames
