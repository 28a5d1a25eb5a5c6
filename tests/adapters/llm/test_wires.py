"""The real SDKs against a loopback server: what comes of each answer, and that each send is one request."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import anyio
import pytest

from kokex.adapters.llm.client import Providers
from kokex.adapters.secrets.secret import Secret
from kokex.brain.models import Endpoint, endpoint
from kokex.config.llm import Fallback
from kokex.messages import Fault, Prompt, Reply, Sent, Shape, Tool, ToolCall, Turn
from tests.loopback.models import SIGNATURE, Act, Models, models

KEY = "sk-loopback-0123456789"
SHAPE = Shape("answer", {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, "1")
ONE_MORE_STREAM = "chat/1"

# The tests' own loop is trio's; the port runs on asyncio, in the daemon and here.
live = partial(anyio.run, backend="asyncio")


@pytest.fixture(params=["anthropic", "openai"])
def api(request: pytest.FixtureRequest) -> str:
    return request.param


class Line:
    """A server, and a port that knows it as `it`."""

    def __init__(self, api: str, server: Models) -> None:
        self.api = api
        self.server = server
        self.script: Callable[[dict[str, Any]], Act] = lambda _: Act(text="hello")
        server.script = self._act
        self.heard: list[str] = []

    def _act(self, asked: dict[str, Any]) -> Act:
        return self.script(asked)

    def send(self, prompt: Prompt, *, timeout_s: float = 5.0, mode: str = "native") -> Sent:
        async def one() -> Sent:
            port = Providers([self._endpoint(mode)], {"it": Secret(KEY)}, lambda _, text: self.heard.append(text))
            try:
                return await port.send("it", prompt, timeout_s)
            finally:
                await port.close()

        return live(one)

    def probe(self) -> Fault | str:
        async def one() -> Fault | str:
            port = Providers([self._endpoint("native")], {})
            try:
                return await port.probe("it", 5.0)
            finally:
                await port.close()

        return live(one)

    def _endpoint(self, mode: str) -> Endpoint:
        wanted = Fallback(
            name="it", provider=self.api, model="test-model", base_url=self.server.url,  # type: ignore[arg-type]
            schema_mode=mode,  # type: ignore[arg-type]
        )  # fmt: skip
        return endpoint(wanted)


@pytest.fixture
def line(api: str) -> Iterator[Line]:
    with models(lambda _: Act()) as server:
        yield Line(api, server)


def prompt(**more: Any) -> Prompt:
    usual: dict[str, Any] = {"purpose": "scheduled", "system": "be brief", "turns": (Turn(role="user", text="hi"),)}
    return Prompt(**usual | more)


def fault(line: Line, act: Act, **how: Any) -> Fault:
    """What one request that is answered so comes to."""
    line.script = lambda _: act
    before = len(line.server.seen)
    outcome = line.send(prompt(), **how).outcome
    assert len(line.server.seen) == before + 1, "one send is one request, whatever comes of it"
    assert isinstance(outcome, Fault)
    return outcome


def reply(line: Line, act: Act, asked: Prompt | None = None, **how: Any) -> Reply:
    line.script = lambda _: act
    outcome = line.send(asked or prompt(), **how).outcome
    assert isinstance(outcome, Reply), outcome
    return outcome


def test_an_answer_comes_with_its_count_and_the_model_that_gave_it(line: Line) -> None:
    got = reply(line, Act(text="hello", input_tokens=12, output_tokens=3))
    assert (got.text, got.stop, got.model) == ("hello", "end", "test-model-served")
    assert (got.input_tokens, got.output_tokens, got.calls) == (12, 3, ())
    assert len(line.server.seen) == 1


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("stream", ["", ONE_MORE_STREAM])
def test_an_answer_tells_by_how_much_our_clock_is_wrong(line: Line, status: int, stream: str) -> None:
    told = format_datetime(datetime.now(UTC) - timedelta(hours=2), usegmt=True)
    line.script = lambda _: Act(text="hello", status=status, headers={"Date": told})
    assert line.send(prompt(stream=stream)).ahead_s == pytest.approx(7200, abs=3)
    line.script = lambda _: Act(text="hello", status=status, headers={"Date": "yesterday"})
    assert line.send(prompt(stream=stream)).ahead_s == 0
    line.script = lambda _: Act(text="hello", status=status)
    assert abs(line.send(prompt(stream=stream)).ahead_s) <= 3


def test_a_form_is_asked_for_in_the_providers_own_way(line: Line) -> None:
    reply(line, Act(text='{"a": 1}'), prompt(shape=SHAPE))
    asked = line.server.seen[-1]
    if line.api == "anthropic":
        assert asked["output_config"]["format"] == {"type": "json_schema", "schema": SHAPE.schema}
        assert asked["system"] == "be brief"
    else:
        form = asked["response_format"]
        assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)
        assert form["json_schema"]["schema"] == SHAPE.schema


def test_where_the_wire_cannot_enforce_a_form_the_prompt_asks_for_it(line: Line) -> None:
    reply(line, Act(text='{"a": 1}'), prompt(shape=SHAPE), mode="json")
    assert json.dumps(SHAPE.schema) in json.dumps(line.server.seen[-1]["messages"]).replace('\\"', '"') + str(
        line.server.seen[-1].get("system")
    )
    assert "output_config" not in line.server.seen[-1]
    assert line.server.seen[-1].get("response_format") in (None, {"type": "json_object"})


TOOL = Tool("get_price", "The last price.", {"type": "object", "properties": {"symbol": {"type": "string"}}})


@pytest.mark.parametrize("stream", ["", ONE_MORE_STREAM])
def test_a_tool_is_asked_for_and_its_result_goes_back(line: Line, stream: str) -> None:
    look = Act(text="let me look", calls=(("t1", "get_price", '{"symbol": "BTC"}'),))
    first = reply(line, look, prompt(tools=(TOOL,), stream=stream))
    (call,) = first.calls
    assert (call.id, call.name, first.stop) == ("t1", "get_price", "tools")
    assert json.loads(call.arguments) == {"symbol": "BTC"}
    turns = (
        Turn(role="user", text="price?"),
        Turn(role="assistant", text=first.text, calls=first.calls),
        Turn(role="tool", answers="t1", text="no such symbol", failed=True),
        Turn(role="tool", answers="t2", text="43000"),
    )
    reply(line, Act(text="done"), prompt(tools=(TOOL,), turns=turns, stream=stream))
    said = line.server.seen[-1]["messages"]
    if line.api == "anthropic":
        assert [turn["role"] for turn in said] == ["user", "assistant", "user"]
        assert [(part["tool_use_id"], part["is_error"]) for part in said[2]["content"]] == [("t1", True), ("t2", False)]
    else:
        assert [turn["role"] for turn in said] == ["system", "user", "assistant", "tool", "tool"]
        assert said[3]["content"] == "FAILED: no such symbol"


@pytest.mark.parametrize("stream", ["", ONE_MORE_STREAM])
def test_what_a_model_thought_before_a_call_is_told_again_to_that_model_and_to_no_other(
    line: Line, stream: str
) -> None:
    act = Act(calls=(("t1", "get_price", "{}"),), thought="the price is what they want to know")
    first = reply(line, act, prompt(tools=(TOOL,), stream=stream))
    assert not line.heard, "thoughts are nobody's business"
    sent: list[Any] = []
    for provider in ("it", "another"):
        turns = (
            Turn(role="user", text="price?"),
            Turn(role="assistant", calls=first.calls, echo=first.echo, by=provider),
            Turn(role="tool", answers="t1", text="43000"),
        )
        reply(line, Act(text="done"), prompt(tools=(TOOL,), turns=turns))
        sent.append(line.server.seen[-1]["messages"][-2])
    same, other = sent
    if line.api == "anthropic":
        thinking = {"type": "thinking", "thinking": act.thought, "signature": SIGNATURE}
        assert same["content"][0] == thinking
        assert [part["type"] for part in other["content"]] == ["tool_use"]
    else:
        assert same["reasoning_content"] == act.thought
        assert same["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": SIGNATURE}}
        assert set(other) == {"role", "content", "tool_calls"}
        assert set(other["tool_calls"][0]) == {"id", "type", "function"}


def test_arguments_that_another_model_wrote_badly_do_not_stop_a_conversation(line: Line) -> None:
    calls = (ToolCall("t1", "get_price", "{bad"), ToolCall("t2", "get_price", "[1]"))
    failed = [Turn(role="tool", answers=call.id, text="cannot be read", failed=True) for call in calls]
    turns = (Turn(role="user", text="price?"), Turn(role="assistant", calls=calls), *failed)
    assert reply(line, Act(text="sorry"), prompt(tools=(TOOL,), turns=turns)).text == "sorry"


def test_text_is_told_as_it_comes_and_is_whole_at_the_end(line: Line) -> None:
    text = "one two three four five six"
    got = reply(line, Act(text=text, input_tokens=9, output_tokens=7), prompt(stream=ONE_MORE_STREAM))
    assert (got.text, "".join(line.heard)) == (text, text)
    assert len(line.heard) > 3
    assert (got.input_tokens, got.output_tokens, got.model) == (9, 7, "test-model-served")


# ---- what goes wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "kind", "retry_after_s"),
    [
        (429, {"retry-after": "7"}, "rate_limited", 7.0),
        (429, {"retry-after-ms": "250"}, "rate_limited", 0.25),
        (429, {}, "rate_limited", None),
        (429, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, "rate_limited", None),
        (500, {}, "server_error", None),
        (529, {}, "overloaded", None),
        (503, {"retry-after": "3"}, "overloaded", 3.0),
        (400, {}, "rejected", None),
        (401, {}, "rejected", None),
    ],
)
def test_a_refusal_is_one_request_and_says_how_long_to_wait(
    line: Line, status: int, headers: dict[str, str], kind: str, retry_after_s: float | None
) -> None:
    got = fault(line, Act(status=status, headers=headers))
    assert (got.kind, got.status, got.retry_after_s) == (kind, status, retry_after_s)


def test_the_body_of_a_refusal_is_kept_and_the_key_in_it_is_not(line: Line) -> None:
    message = f"quota exceeded for {KEY}, limit: 20, PerDay"
    got = fault(line, Act(status=429, error={"error": {"type": "rate_limit_error", "message": message}}))
    assert "limit: 20, PerDay" in got.text
    assert KEY not in got.text


def test_a_redirect_is_not_followed(line: Line) -> None:
    got = fault(line, Act(status=307, headers={"location": f"{line.server.url}/v1/messages"}))
    assert got.kind == "rejected"


def test_a_slow_answer_ends_in_time(line: Line) -> None:
    assert fault(line, Act(text="late", slow_s=3.0), timeout_s=0.3).kind == "timeout"


def test_an_answer_that_is_cut_off_is_no_answer(line: Line) -> None:
    assert fault(line, Act(text="x" * 5000, cut=True)).kind == "cut_off"


def test_a_stream_that_is_cut_off_is_no_answer(line: Line) -> None:
    line.script = lambda _: Act(text="a long answer that never ends", cut=True)
    outcome = line.send(prompt(stream=ONE_MORE_STREAM)).outcome
    assert isinstance(outcome, Fault)
    assert outcome.kind in {"cut_off", "unreadable"}
    assert len(line.server.seen) == 1


def test_ten_megabytes_are_not_read_to_their_end(line: Line) -> None:
    assert fault(line, Act(text="x" * 10_000_000)).kind == "oversized"


@pytest.mark.parametrize("raw", [b"", b"<html>busy</html>", b"{}", b'{"choices": []}', b'{"content": 7}', b"\xff\xfe"])
def test_a_body_of_another_kind_is_unreadable(line: Line, raw: bytes) -> None:
    assert fault(line, Act(raw=raw)).kind == "unreadable"


def test_nobody_at_the_address_is_told_as_such(line: Line) -> None:
    line.server.port = 1
    outcome = line.send(prompt()).outcome
    assert isinstance(outcome, Fault)
    assert outcome.kind == "unreachable"


def test_a_probe_asks_for_the_models_entry_and_for_nothing_that_costs(line: Line) -> None:
    assert line.probe() == "test-model"
    assert line.server.seen == []
