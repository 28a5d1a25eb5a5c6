"""The commands' end of the control socket. Plain and blocking: a command asks once and goes."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from kokex.adapters.control.wire import ANSWER_S, Request, address


class ControlError(Exception):
    """The daemon could not be asked, or said no. The text goes to the person."""


class NoDaemon(ControlError):
    """Nobody listens there."""


def ask(
    path: Path, verb: str, args: Mapping[str, str] | None = None, *, timeout_s: float = ANSWER_S + 5
) -> dict[str, Any]:
    """The daemon's answer. Raises ControlError, NoDaemon; an answer that says "error" is a ControlError too."""
    request = msgspec.json.encode(Request(verb, dict(args or {}))) + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, address(path) as name:
            connection.settimeout(timeout_s)
            connection.connect(name)
            connection.sendall(request)
            with connection.makefile("rb") as lines:
                line = lines.readline()
    except (FileNotFoundError, ConnectionRefusedError):
        raise NoDaemon(f"nobody listens at {path}") from None
    except PermissionError:
        raise ControlError(f"{path}: only the user who started the daemon may talk to it") from None
    except TimeoutError:
        raise ControlError(f"the daemon at {path} does not answer") from None
    except OSError as error:
        raise ControlError(f"{path}: {error.strerror or error}") from None
    if not line.endswith(b"\n"):
        raise ControlError("the daemon stopped before it answered")
    answer = msgspec.json.decode(line, type=dict[str, Any])
    if "error" in answer:
        raise Refused(answer)
    return answer


class Refused(ControlError):
    """The daemon said no; `answer` is all it said."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__(str(answer["error"]))
        self.answer = answer
