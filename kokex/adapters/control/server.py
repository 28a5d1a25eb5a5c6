"""The daemon's end of the control socket: owner only, one line in, one line out.

A request becomes a Command for the actor `control`; what that answers, under the number the command carries, goes
back to who asked; and what a model says meanwhile, to who wants to hear it. Nothing a client does can hurt: long,
broken or late lines are answered with an error, and one who leaves is forgotten.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import final

import msgspec

from kokex.adapters.control.wire import ANSWER_S, LONGEST_LINE, TALK_S, Request, Said, address
from kokex.adapters.secrets.secret import mask
from kokex.messages import Command
from kokex.ports import Post, StoreError

IDLE_S = 60.0  # a connection that asks nothing for so long is closed
MOST_CLIENTS = 32
COMMIT_S = 2.0
MOST_UNREAD = 1_000_000  # bytes that a client has not taken: more is not said to it
TALK = "socket"  # how a talk over the socket is called, before the number of its request

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Request).decode


@final
class ControlServer:
    """`kokex.ports.Control` over a Unix socket; see `serve`."""

    def __init__(
        self, post: Post, commit: Callable[[], Awaitable[None]], *, answer_s: float = ANSWER_S, idle_s: float = IDLE_S
    ) -> None:
        """`commit`: an answer is an effect like any other; what led to it is on disk before it goes out."""
        self._post = post
        self._commit = commit
        self._answer_s = answer_s
        self._idle_s = idle_s
        self._requests = 0
        self._waiting: dict[int, asyncio.Future[object]] = {}
        self._clients: set[asyncio.Task[None]] = set()
        self._listening: dict[int, asyncio.StreamWriter] = {}

    def answer(self, request: int, body: object) -> None:
        """To who asked, if they still wait."""
        waiting = self._waiting.pop(request, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(body)

    def tell(self, request: int, said: str, part: int) -> None:
        """A piece of an answer ahead of it, to who asked, if they still listen."""
        writer = self._listening.get(request)
        if writer and not writer.is_closing() and writer.transport.get_write_buffer_size() < MOST_UNREAD:
            writer.write(mask(_encode(Said(said, part))) + b"\n")

    @asynccontextmanager
    async def serve(self, path: Path) -> AsyncGenerator[None, None]:
        """Listens at `path` until left. A socket that a killed daemon left there is replaced. Raises OSError."""
        listener = _listen(path)
        server = await asyncio.start_unix_server(self._accept, sock=listener, limit=LONGEST_LINE)
        try:
            yield
        finally:
            server.close()
            for client in self._clients:
                client.cancel()
            path.unlink(missing_ok=True)  # noqa: ASYNC240  one system call, at the end

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.get_running_loop().create_task(self._converse(reader, writer))
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Requests of one client, one after the other."""
        try:
            if len(self._clients) > MOST_CLIENTS:
                writer.write(_error("too many clients at once"))
                return
            while line := await asyncio.wait_for(reader.readline(), self._idle_s):
                writer.write(await self._ask(line, writer))
                await asyncio.wait_for(writer.drain(), self._idle_s)
        except ValueError:
            writer.write(_error(f"a request is one line of at most {LONGEST_LINE} bytes"))
        except (OSError, TimeoutError):
            pass  # gone, or asleep
        finally:
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _ask(self, line: bytes, writer: asyncio.StreamWriter) -> bytes:
        try:
            request = _decode(line)
        except msgspec.MsgspecError as error:
            return _error(f"not a request: {error}")
        self._requests += 1
        number = self._requests
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        args, answer_s = request.args, self._answer_s
        if request.verb == "chat":
            answer_s = TALK_S
            if "talk" in args:
                args = {**args, "talk": f"{TALK} {number}"}
                self._listening[number] = writer
        try:
            self._post("control", Command(verb=request.verb, args=args, request=number))
            answer = await asyncio.wait_for(waiting, answer_s)
            with suppress(StoreError, TimeoutError):  # the journal alerts; people are still answered
                await asyncio.wait_for(self._commit(), COMMIT_S)
            return mask(_encode(answer)) + b"\n"
        except TimeoutError:
            return _error(f"no answer within {answer_s:g} s")
        finally:
            self._waiting.pop(number, None)
            self._listening.pop(number, None)


def _error(text: str) -> bytes:
    return mask(_encode({"error": text})) + b"\n"


def _listen(path: Path) -> socket.socket:
    """Bound under another name, given its mode, and only then put in place: nobody else can ever connect."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with address(fresh) as name:
            listener.bind(name)
        fresh.chmod(0o600)
        fresh.replace(path)
    except OSError:
        listener.close()
        raise
    return listener
