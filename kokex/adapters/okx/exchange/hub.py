"""The WebSocket side: lines come and go, say what they want, and are told."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import msgspec
from aiohttp import web

from kokex.adapters.okx.exchange import channels
from kokex.adapters.okx.exchange.envelope import TEXTS, Failure, encode
from kokex.adapters.okx.exchange.faults import Faults
from kokex.adapters.okx.exchange.line import IDLE_MS, TEXT, Door, Line, Topic
from kokex.adapters.okx.exchange.listing import Row
from kokex.adapters.okx.exchange.member import Member
from kokex.adapters.okx.exchange.signing import Keys
from kokex.adapters.okx.exchange.streams import Streams

LONGEST = 64 * 1024
Operate = Callable[[Member, str, list[Any], Row], Row]
First = Callable[[Member, Topic], list[Row] | None]


class Hub:
    """`operate` does an operation on orders; `snapshot(member, topic)` is what a private subscriber hears first."""

    def __init__(
        self, streams: Streams, keys: Keys, members: dict[str, Member], faults: Faults, now_ms: Callable[[], int]
    ) -> None:
        self.lines: set[Line] = set()
        self.operate: Operate  # both are set by whoever knows orders and accounts
        self.snapshot: First
        self._streams = streams
        self._keys = keys
        self._members = members
        self._faults = faults
        self.now_ms = now_ms
        self._numbers = count(now_ms() & 0xFFFFFFF)  # connection ids
        self._readers: defaultdict[Topic, dict[Line, None]] = defaultdict(dict)  # of public topics
        self.private: defaultdict[str, dict[Line, None]] = defaultdict(dict)  # by account

    # ---- a connection's life --------------------------------------------------------------------

    async def serve(self, request: web.Request, door: Door) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=LONGEST, compress=False)
        await socket.prepare(request)
        line = Line(socket, request.transport, door, f"{next(self._numbers):08x}", self.now_ms())
        self.lines.add(line)
        writer = asyncio.create_task(line.write())
        try:
            async for message in socket:
                line.active_ms = self.now_ms()
                if message.type == TEXT:
                    self._heard(line, message.data)
        finally:
            writer.cancel()
            self._gone(line)
        return socket

    def _gone(self, line: Line) -> None:
        self.lines.discard(line)
        for topic in list(line.topics):
            self._unlisten(line, topic)
        if line.member is not None:
            self.private[line.member.name].pop(line, None)

    def check_idle(self) -> None:
        now = self.now_ms()
        for line in self.lines:
            if now - line.active_ms > IDLE_MS:
                line.close(4004, "No data received in 30s")

    # ---- what it says ---------------------------------------------------------------------------

    def _heard(self, line: Line, text: str) -> None:
        if text == "ping":
            line.send("pong", self.now_ms())
            return
        try:
            said = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.MsgspecError:
            self._error(line, "60012", f"Invalid request: {text[:500]}")
            return
        op = str(said.get("op") or "")
        args: list[Any] = said["args"] if isinstance(said.get("args"), list) else []
        if op in {"login", "subscribe", "unsubscribe"}:
            if not line.admit_request(self.now_ms()):
                self._error(line, "60014", "Requests too frequent", said)
            elif not args or not all(isinstance(arg, dict) for arg in args):
                self._error(line, "60012", f"Invalid request: {text[:500]}", said)
            elif op == "login":
                self._login(line, args[0])
            else:
                for arg in args:
                    (self._subscribe if op == "subscribe" else self._unsubscribe)(line, arg, said)
        elif op in OPERATIONS:
            self._operation(line, op, args, said)
        else:
            self._error(line, "60012", f"Invalid request: {text[:500]}", said)

    def _login(self, line: Line, arg: Row) -> None:
        try:
            key = self._keys.login(arg, self.now_ms())
        except Failure as failure:
            self._error(line, failure.code, failure.text)
            return
        line.member = self._members[key.account]
        self.private[key.account][line] = None
        line.say({"event": "login", "msg": "", "code": "0", "connId": line.number}, self.now_ms())

    def _subscribe(self, line: Line, arg: Row, said: Row) -> None:
        try:
            asked = channels.read(self._streams.floor, line.door, arg)
            if asked.private and line.member is None:
                raise Failure("60011", "Please log in")
        except Failure as failure:
            self._error(line, failure.code, failure.text, said)
            return
        known = asked.topic in line.topics
        line.topics[asked.topic] = arg
        self._ack(line, "subscribe", arg, said)
        if asked.private:
            self._first_private(line, asked.topic, arg)
            return
        self._readers[asked.topic][line] = None
        if known and asked.topic[0] in channels.CHAINED:
            return
        for topic, action, data in self._streams.first(asked.topic):
            line.send(_frame(line.topics[topic], action, data), self.now_ms())

    def _first_private(self, line: Line, topic: Topic, arg: Row) -> None:
        member = line.member
        assert member is not None
        if topic[0] in channels.COUNTED:
            same = sum(any(each[0] == topic[0] for each in other.topics) for other in self.private[member.name])
            line.say(
                {"event": "channel-conn-count", "channel": topic[0], "connCount": str(same), "connId": line.number},
                self.now_ms(),
            )
        rows = self.snapshot(member, topic)
        if rows is not None:
            line.say(private_frame(arg, member, rows, event="snapshot"), self.now_ms())

    def _unsubscribe(self, line: Line, arg: Row, said: Row) -> None:
        try:
            asked = channels.read(self._streams.floor, line.door, arg)
        except Failure as failure:
            self._error(line, failure.code, failure.text, said)
            return
        line.topics.pop(asked.topic, None)
        self._unlisten(line, asked.topic)
        self._ack(line, "unsubscribe", arg, said)

    def _unlisten(self, line: Line, topic: Topic) -> None:
        readers = self._readers.get(topic)
        if readers is not None:
            readers.pop(line, None)
            if not readers:
                del self._readers[topic]
                self._streams.forget([topic])

    def _ack(self, line: Line, event: str, arg: Row, said: Row) -> None:
        row: Row = {"event": event, "arg": arg, "connId": line.number}
        if said.get("id"):
            row = {"id": said["id"], **row}
        line.say(row, self.now_ms())

    def _error(self, line: Line, code: str, text: str, said: Row | None = None) -> None:
        row: Row = {"event": "error", "msg": text, "code": code, "connId": line.number}
        if said and said.get("id"):
            row = {"id": said["id"], **row}
        line.say(row, self.now_ms())

    # ---- orders ---------------------------------------------------------------------------------

    def _operation(self, line: Line, op: str, args: list[Any], said: Row) -> None:
        began = self.now_ms() * 1000
        if line.door == "public":
            self._error(line, "60028", TEXTS["60028"], said)
            return
        if line.member is None:
            self._error(line, "60011", "Please log in", said)
            return
        fault = self._faults.pick("ws", op)
        if fault is not None and fault.kind in {"busy", "error"}:
            line.say(
                {"id": said.get("id", ""), "op": op, "code": fault.code, "msg": fault.text, "data": []}, self.now_ms()
            )
            return
        if not args:
            answer: Row = {"code": "60013", "msg": "Invalid args", "data": []}
        else:
            answer = self.operate(line.member, op, args, said)
        row = {"id": said.get("id", ""), "op": op, **answer, "inTime": str(began), "outTime": str(self.now_ms() * 1000)}
        if fault is None:
            line.say(row, self.now_ms())
        elif fault.kind == "delay":
            asyncio.get_running_loop().call_later(fault.seconds, lambda: line.say(row, self.now_ms()))
        elif fault.kind == "close":
            line.drop()
        # "drop": it was done, and nobody is told

    # ---- what it is told ------------------------------------------------------------------------

    def publish(self) -> None:
        """After a tick: the news on all topics that somebody has."""
        if self._faults.stale(self.now_ms()):
            return
        for topic, action, data in self._streams.due(list(self._readers)):
            frame = ""
            for line in list(self._readers.get(topic, ())):
                if action == "update" and self._faults.take_gap(line.door):
                    continue
                if not frame:
                    frame = _frame(line.topics[topic], action, data)
                line.send(frame, self.now_ms())

    def tell(
        self, member: Member, channel: str, covers: Callable[[Topic], bool], rows: list[Row], event: str = ""
    ) -> None:
        """Rows of a private channel, to all lines of the account whose topic covers them."""
        if self._faults.stale(self.now_ms()):
            return
        for line in self.private[member.name]:
            for topic, arg in line.topics.items():
                if topic[0] == channel and covers(topic):
                    line.say(private_frame(arg, member, rows, event=event), self.now_ms())

    def regular(self, member: Member) -> None:
        """The snapshots of account and positions that come every few seconds."""
        for line in self.private[member.name]:
            for topic, arg in line.topics.items():
                if topic[0] in {"account", "positions"} and "updateInterval" not in str(arg.get("extraParams")):
                    rows = self.snapshot(member, topic)
                    if rows and not self._faults.stale(self.now_ms()):
                        line.say(private_frame(arg, member, rows, event="snapshot"), self.now_ms())

    def close_all(
        self, *, doors: Iterable[str] = ("public", "private", "business"), code: int = 1001, abrupt: bool = False
    ) -> int:
        """Closes connections; returns how many."""
        picked = [line for line in self.lines if line.door in set(doors)]
        for line in picked:
            if abrupt:
                line.drop()
            else:
                line.close(code, "")
        return len(picked)

    async def shut(self) -> None:
        """The server stops."""
        for line in list(self.lines):
            await line.socket.close(code=1001, message=b"The server stops")

    def notice(self) -> None:
        """Announces that connections will be closed."""
        for line in self.lines:
            line.say(
                {
                    "event": "notice",
                    "code": "64008",
                    "msg": "The connection will soon be closed for a service upgrade. Please reconnect.",
                    "connId": line.number,
                },
                self.now_ms(),
            )


OPERATIONS = frozenset({
    "order", "batch-orders", "cancel-order", "batch-cancel-orders", "amend-order", "batch-amend-orders", "mass-cancel",
})  # fmt: skip


def _frame(arg: Row, action: str, data: object) -> str:
    row: Row = {"arg": arg, "data": data} if not action else {"arg": arg, "action": action, "data": data}
    return encode(row).decode()


def private_frame(arg: Row, member: Member, rows: list[Row], *, event: str) -> Row:
    told = {name: value for name, value in arg.items() if name != "extraParams"}
    row: Row = {"arg": {**told, "uid": member.uid}, "data": rows}
    if event and arg["channel"] in {"account", "positions"}:
        row.update({"eventType": event, "curPage": 1, "lastPage": True})
    return row
