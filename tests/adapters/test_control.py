"""The control socket: one line in, one line out, owner only, and nothing a client does can hurt."""

import asyncio
import json
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from kokex.adapters.control.client import ControlError, NoDaemon, Refused, ask, talk
from kokex.adapters.control.server import ControlServer
from kokex.adapters.control.wire import LONGEST_LINE, socket_path
from kokex.messages import Command, Message

Test = Callable[[Path], object]


class Desk:
    """Stands in for the actor: answers `echo` at once, `no` with an error, and `silence` never."""

    def __init__(self, *, answer_s: float = 5.0, idle_s: float = 5.0) -> None:
        self.heard: list[Command] = []
        self.commits = 0
        self.server = ControlServer(self.post, self.commit, answer_s=answer_s, idle_s=idle_s)

    def post(self, actor: str, message: Message) -> None:
        assert actor == "control"
        assert isinstance(message, Command)
        self.heard.append(message)
        if message.verb == "echo":
            self.server.answer(message.request, {"args": message.args, "commits": self.commits})
        elif message.verb == "chat":
            for number, piece in enumerate(("Good ", "morning.")):
                self.server.tell(message.request, piece, number)
            self.server.tell(message.request + 1, "for somebody else", 0)
            self.server.answer(message.request, {"text": "Good morning."})
        elif message.verb == "no":
            self.server.answer(message.request, {"error": "not today", "rule": "weather"})

    async def commit(self) -> None:
        self.commits += 1

    def meet(self, path: Path, test: Test) -> None:
        """Runs `test(path)` in a thread against the listening server."""

        async def serve() -> None:
            async with self.server.serve(path):
                await asyncio.to_thread(test, path)

        asyncio.run(serve())


def raw(path: Path, *pieces: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        for piece in pieces:
            client.sendall(piece)
        return client.makefile("rb").readline()


def test_a_command_is_posted_and_its_answer_comes_back(tmp_path: Path) -> None:
    desk = Desk()
    answers: list[object] = []
    desk.meet(tmp_path / "k.sock", lambda path: answers.append(ask(path, "echo", {"plan": "main"})))
    assert answers == [{"args": {"plan": "main"}, "commits": 0}]
    assert [(each.verb, each.args) for each in desk.heard] == [("echo", {"plan": "main"})]
    assert desk.commits == 1, "what led to an answer is on disk before it goes out"


def test_a_talk_is_told_as_it_is_said_to_who_wants_to_hear_it_and_to_nobody_else(tmp_path: Path) -> None:
    desk = Desk()
    heard: list[tuple[str, int]] = []
    answers: list[object] = []

    def test(path: Path) -> None:
        answers.append(talk(path, {"text": "hello"}, lambda said, part: heard.append((said, part))))
        answers.append(ask(path, "chat", {"text": "hello"}))

    desk.meet(tmp_path / "k.sock", test)
    assert heard == [("Good ", 0), ("morning.", 1)]
    assert answers == [{"text": "Good morning."}] * 2
    assert [each.args.get("talk") for each in desk.heard] == ["socket 1", None], (
        "named by the server, whatever is asked"
    )


def test_an_error_is_told_with_all_that_was_said(tmp_path: Path) -> None:
    def test(path: Path) -> None:
        with pytest.raises(Refused, match="not today") as caught:
            ask(path, "no")
        assert caught.value.answer["rule"] == "weather"

    Desk().meet(tmp_path / "k.sock", test)


def test_only_the_owner_may_connect_and_the_socket_goes_with_the_daemon(tmp_path: Path) -> None:
    place = tmp_path / "k.sock"
    Desk().meet(place, lambda path: stat.S_IMODE(path.stat().st_mode) == 0o600 or pytest.fail("open to others"))
    assert list(tmp_path.iterdir()) == []


def test_the_socket_of_a_killed_daemon_is_replaced(tmp_path: Path) -> None:
    place = tmp_path / "k.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place))
    with pytest.raises(NoDaemon):
        ask(place, "echo")
    Desk().meet(place, lambda path: ask(path, "echo"))


def test_without_a_socket_there_is_no_daemon(tmp_path: Path) -> None:
    with pytest.raises(NoDaemon, match="nobody listens"):
        ask(tmp_path / "k.sock", "echo")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"hello\n", "not a request"),
        (b'{"verb": 1}\n', "not a request"),
        (b'{"verb": "echo", "force": true}\n', "not a request"),
        (b'{"verb": "echo", "args": {"size": 1}}\n', "not a request"),
        (b"\xff\xfe\n", "not a request"),
        (b"x" * (2 * LONGEST_LINE), "at most 65536 bytes"),
    ],
)
def test_what_is_no_request_is_answered_with_an_error(tmp_path: Path, line: bytes, said: str) -> None:
    desk = Desk()
    desk.meet(tmp_path / "k.sock", lambda path: said in json.loads(raw(path, line))["error"] or pytest.fail(said))
    assert desk.heard == []


def test_one_connection_may_ask_again_and_in_pieces(tmp_path: Path) -> None:
    def test(path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as client, client.makefile("rb") as answers:
            client.connect(str(path))
            for piece in (b'{"verb": ', b'"echo"}\n{"verb"', b': "echo", "args": {"n": "2"}}\n'):
                client.sendall(piece)
            assert json.loads(answers.readline())["args"] == {}
            assert json.loads(answers.readline())["args"] == {"n": "2"}

    Desk().meet(tmp_path / "k.sock", test)


def test_a_client_that_leaves_is_forgotten_and_others_are_served(tmp_path: Path) -> None:
    def test(path: Path) -> None:
        for piece in (b"", b'{"verb": "silence"}\n', b'{"verb": "ec'):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.sendall(piece)
        assert ask(path, "echo")["args"] == {}

    Desk().meet(tmp_path / "k.sock", test)


def test_an_answer_that_never_comes_is_an_error_in_time(tmp_path: Path) -> None:
    def test(path: Path) -> None:
        with pytest.raises(ControlError, match=r"no answer within 0\.1 s"):
            ask(path, "silence")

    Desk(answer_s=0.1).meet(tmp_path / "k.sock", test)


def test_a_connection_that_asks_nothing_is_closed(tmp_path: Path) -> None:
    Desk(idle_s=0.1).meet(tmp_path / "k.sock", lambda path: raw(path) == b"" or pytest.fail("still open"))


def test_a_daemon_that_stops_says_so_to_who_waits(tmp_path: Path) -> None:
    desk = Desk()
    failures: list[str] = []

    def wait(path: Path) -> None:
        try:
            ask(path, "silence")
        except ControlError as error:
            failures.append(str(error))

    async def serve() -> None:
        place = tmp_path / "k.sock"
        async with desk.server.serve(place):
            waiting = asyncio.get_running_loop().run_in_executor(None, wait, place)
            while not desk.heard:  # noqa: ASYNC110  posting is a plain call
                await asyncio.sleep(0)
        await waiting

    asyncio.run(serve())
    assert failures == ["the daemon stopped before it answered"]


def test_a_directory_too_deep_for_a_socket_name_is_no_obstacle(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a" * 40] * 4)
    deep.mkdir(parents=True)
    Desk().meet(deep / "k.sock", lambda path: ask(path, "echo"))


def test_the_socket_is_beside_its_database_unless_told_otherwise(tmp_path: Path) -> None:
    assert socket_path(tmp_path / "a.db", "") == tmp_path / "a.sock"
    assert socket_path(tmp_path / "a.db", "/run/kokex.sock") == Path("/run/kokex.sock")
