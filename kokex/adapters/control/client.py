"""The commands' end of the control socket. Plain and blocking: a command asks once and goes."""

import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from kokex.adapters.control.wire import ANSWER_S, TALK_S, Request, Said, address


class ControlError(Exception):
    """The daemon could not be asked, or said no. The text goes to the person."""


class NoDaemon(ControlError):
    """Nobody listens there."""


def ask(
    path: Path, verb: str, args: Mapping[str, str] | None = None, *, timeout_s: float = ANSWER_S + 5
) -> dict[str, Any]:
    """The daemon's answer. Raises ControlError, NoDaemon; an answer that says "error" is a ControlError too."""
    return _answer(next(_lines(path, Request(verb, dict(args or {})), timeout_s)))


def talk(path: Path, args: Mapping[str, str], hear: Callable[[str, int], object]) -> dict[str, Any]:
    """`ask` for the verb `chat`; `hear` is told what a model says as it comes, and in which of its answers."""
    lines = _lines(path, Request("chat", {**args, "talk": "yes"}), TALK_S + 5)
    while True:
        line = next(lines)
        try:
            said = msgspec.json.decode(line, type=Said)
        except msgspec.ValidationError:
            return _answer(line)
        hear(said.said, said.part)


def _lines(path: Path, request: Request, timeout_s: float) -> Iterator[bytes]:
    """The lines of the daemon's answer. Raises ControlError, NoDaemon; the first also when there is no further line."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, address(path) as name:
            connection.settimeout(timeout_s)
            connection.connect(name)
            connection.sendall(msgspec.json.encode(request) + b"\n")
            with connection.makefile("rb") as lines:
                for line in lines:
                    if line.endswith(b"\n"):
                        yield line
    except (FileNotFoundError, ConnectionRefusedError):
        raise NoDaemon(f"nobody listens at {path}") from None
    except PermissionError:
        raise ControlError(f"{path}: only the user who started the daemon may talk to it") from None
    except TimeoutError:
        raise ControlError(f"the daemon at {path} does not answer") from None
    except OSError as error:
        raise ControlError(f"{path}: {error.strerror or error}") from None
    raise ControlError("the daemon stopped before it answered")


def _answer(line: bytes) -> dict[str, Any]:
    """Raises Refused."""
    answer = msgspec.json.decode(line, type=dict[str, Any])
    if "error" in answer:
        raise Refused(answer)
    return answer


class Refused(ControlError):
    """The daemon said no; `answer` is all it said."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__(str(answer["error"]))
        self.answer = answer
