"""agent: answers people in their own words.

Holds the conversations under way, and the proposals that wait for a yes. Receives, by way of control, what somebody
said (Command `chat`), and their yes or no to a proposal (`confirm`, `decline`). Asks llm; each tool that the model
uses becomes a Command to control, whose Answer goes back to the model, a failure as a failure. Emits a Remark for
every step.

The model can only ask and prepare. Nothing it says becomes `confirm`: that command comes from a person alone, names a
proposal by its number, and is taken from whoever the proposal was made for, once, while it is fresh, over a restart
too. Then the order goes the way of every order of a person, through risk once more.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, final

import msgspec
from msgspec import Struct

from actors.proposals import Proposal, Proposals
from kokex.brain.dialogue import LONGEST_QUESTION, told_again, with_notes
from kokex.brain.tools import BadCall, Skill, result, tools, understood
from kokex.brain.wording import Wording
from kokex.config import Llm
from kokex.kernel.actor import DEFERRED, Actor
from kokex.kernel.cell import Failure
from kokex.messages import Answer, Answered, Command, Prompt, Remark, Reply, ToolCall, Turn
from kokex.ports import Saved, Store

KEY = "agent"
LOCAL = "local"  # who speaks over the socket: the owner of the machine
MOST_REQUESTS = 6  # to the model, for one question
MOST_CALLS = 8  # of tools, in one answer
MOST_TALKS = 8  # under way
TALK_S = 120.0  # for one question, all told
TOOL_S = 20.0
CONFIRM_S = 19.0  # more than control waits for a price and then for a verdict
FRESH_S = 300.0  # a proposal is good for so long; a chat asks for less
LOAD_S = 5.0
ENOUGH = "no more calls for this question; answer with what you know"


class Manners(Struct, frozen=True):
    """How it speaks."""

    config: Llm
    wording: Wording
    accounts: str  # what there is to trade with, in words


class Kept(Struct, frozen=True):
    """What is on record."""

    conversations: int = 0  # so many there have been
    proposals: tuple[Proposal, ...] = ()  # that wait for a yes


class Used(Struct, frozen=True):
    """A tool that was used."""

    name: str
    arguments: str
    failed: bool


@final
class Talk:
    """A question under way."""

    def __init__(self, command: Command, conversation: int, until_ns: int) -> None:
        self.question = command.id
        self.by = command.by
        self.conversation = conversation
        self.until_ns = until_ns
        self.trades = command.args.get("trades") != "no"
        self.stream = command.args.get("talk", "")
        self.text = command.args.get("text", "").strip()
        self.turns: list[Turn] = []
        self.asked = 0  # id of the question's Remark
        self.requests = 0
        self.results: list[Turn | None] = []  # of the calls under way, in their order
        self.used: list[Used] = []
        self.proposals: list[Proposal] = []


class Agent(Actor):
    emits = (Command, Remark)
    asks = (Prompt,)
    state = Kept

    def __init__(self, manners: Manners | None, instruments: Sequence[str], store: Store, speed: float = 1.0) -> None:
        """`manners` None: no provider is configured, so there is no agent. `speed`: of trading time."""
        self._manners = manners
        self._instruments = instruments
        self._store = store
        self._speed = speed
        self._conversations = 0
        self._talks: dict[int, Talk] = {}  # by conversation
        self._awaited: dict[int, Any] = {}  # command -> who is told its answer
        self._proposals = Proposals()

    async def load(self) -> Kept:
        body = await self._store.saved(KEY)
        return msgspec.msgpack.decode(body, type=Kept) if body else Kept()

    def start(self, state: Kept) -> None:
        self._conversations = state.conversations
        self._proposals = Proposals(state.proposals)

    # ---- what people say

    def on_command(self, command: Command) -> Any:
        """chat: TEXT in a new CONVERSATION or an old one; confirm, decline: a PROPOSAL."""
        if command.verb == "chat":
            return self._hear(command)
        return self._confirm(command) if command.verb == "confirm" else self._decline(command)

    def _hear(self, command: Command) -> Any:
        manners, text = self._manners, command.args.get("text", "").strip()
        number = command.args.get("conversation", "")
        if manners is None:
            return {"error": "no language model is configured: name one in [llm] of config.toml; see docs/brain.md"}
        if self.draining:
            return {"error": "the daemon is stopping"}
        if number and not (number.isdecimal() and len(number) < 16):
            return {"error": f"conversation {number[:20]!r} is not a number"}
        if not text and not number:
            return {"model": manners.config.label}
        if len(text) > LONGEST_QUESTION:
            return {"error": f"a question of {len(text)} characters; at most {LONGEST_QUESTION} are sent to a model"}
        if len(self._talks) >= MOST_TALKS or (number and int(number) in self._talks):
            return {"error": "the question before is not answered yet"}
        until_ns = self.now + round(TALK_S * 1e9 * self._speed)
        if number:
            talk = Talk(command, int(number), until_ns)
            self.call(
                self._store.remarks, talk.conversation,
                returns=list[Remark], then=partial(self._recall, talk), timeout_s=LOAD_S,
            )  # fmt: skip
        else:
            self._conversations += 1
            self._keep()
            talk = Talk(command, self._conversations, until_ns)
            self.soon(self._begin, talk, (), ())
        self._talks[talk.conversation] = talk
        return DEFERRED

    def _recall(self, talk: Talk, remarks: list[Remark] | Failure) -> None:
        assert self._manners
        if isinstance(remarks, Failure):
            self._end(talk, {"error": f"the record cannot be read: {remarks.text}"})
        elif not remarks or talk.by not in {LOCAL, remarks[0].by}:
            self._end(talk, {"error": f"there is no conversation {talk.conversation}"})
        elif not talk.text:
            self._end(talk, {"model": self._manners.config.label, "conversation": talk.conversation})
        else:
            self._begin(talk, *told_again(remarks, self._manners.config.prompt_tokens))

    def _begin(self, talk: Talk, before: Sequence[Turn], notes: Sequence[str]) -> None:
        talk.asked = self._remark(talk, Turn(role="user", text=talk.text))
        talk.turns = [*before, Turn(role="user", text=with_notes(notes, talk.text))]
        self._ask(talk)

    # ---- what the model says

    def _ask(self, talk: Talk) -> None:
        manners = self._manners
        assert manners
        talk.requests += 1
        prompt = Prompt(
            purpose="chat",
            system=manners.wording.say(
                "chat", instruments=", ".join(self._instruments), accounts=manners.accounts
            ),
            turns=tuple(talk.turns),
            tools=tools(trades=talk.trades),
            max_tokens=manners.config.answer_tokens,
            deadline_ns=talk.until_ns,
            stream=f"{talk.stream}#{talk.requests}" if talk.stream else "",
            wording=manners.wording.versions["chat"],
        )  # fmt: skip
        left_s = max(0.0, (talk.until_ns - self.now) / 1e9)
        self.ask("llm", prompt, then=partial(self._answered, talk), timeout_s=left_s)

    def _answered(self, talk: Talk, answered: Answered | Failure) -> None:
        if isinstance(answered, Failure):
            self._end(talk, {"error": f"the model was not asked: {answered.text}"})
        elif answered.reply is None:
            self._end(talk, {"error": answered.why})
        else:
            self._heed(talk, answered.reply, answered)

    def _heed(self, talk: Talk, reply: Reply, answered: Answered) -> None:
        by = answered.provider if reply.echo else ""
        turn = Turn(role="assistant", text=reply.text, calls=reply.calls, echo=reply.echo, by=by)
        self._remark(talk, turn, call=answered.call)
        talk.turns.append(turn)
        if reply.calls and talk.requests < MOST_REQUESTS:
            self._use(talk, reply.calls)
            return
        why = {"length": "the answer was cut off", "refusal": "the model refused to answer"}.get(reply.stop, "")
        if reply.calls:
            why = f"it wanted more tools after {MOST_REQUESTS} requests, the most for one question"
        elif not reply.text.strip() and not why:
            why = "the model said nothing"
        self._end(
            talk,
            {
                "conversation": talk.conversation, "text": reply.text, "model": reply.model, "note": why,
                "tools": talk.used, "proposals": [each.told() for each in talk.proposals],
            },
        )  # fmt: skip

    def _end(self, talk: Talk, body: Mapping[str, Any]) -> None:
        del self._talks[talk.conversation]
        self.reply(talk.question, body)

    # ---- what it uses

    def _use(self, talk: Talk, calls: Sequence[ToolCall]) -> None:
        talk.results = [None] * len(calls)
        for index, call in enumerate(calls):
            try:
                if index >= MOST_CALLS:
                    raise BadCall(f"at most {MOST_CALLS} calls at once")
                if talk.requests == MOST_REQUESTS - 1:
                    raise BadCall(ENOUGH)
                skill, args = understood(call, self._instruments, trades=talk.trades)
            except BadCall as error:
                self._used(talk, index, call, {"error": str(error)})
                continue
            asked = {key: value for key, value in args.items() if skill.name != "cancel_order" or key != "order"}
            number = self.emit(Command(verb=skill.verb, args=asked, by=f"{talk.by} through the agent"))
            self._awaited[number] = partial(self._brought, talk, index, call, skill, args)
            self.later(TOOL_S * self._speed, self._overdue, number, skill.name)

    def on_answer(self, answer: Answer) -> None:
        if told := self._awaited.pop(answer.command, None):
            told(answer.body)

    def _overdue(self, number: int, what: str) -> None:
        if told := self._awaited.pop(number, None):
            told({"error": f"{what}: no answer within {TOOL_S:.0f} s"})

    def _brought(self, talk: Talk, index: int, call: ToolCall, skill: Skill, args: dict[str, str], body: Any) -> None:
        if skill.proposes and "error" not in body:
            body = self._propose(talk, skill, args, body)
        self._used(talk, index, call, body)

    def _used(self, talk: Talk, index: int, call: ToolCall, body: Mapping[str, Any]) -> None:
        """A result is there; when all are, the model hears them."""
        if self._talks.get(talk.conversation) is not talk:
            return
        failed = "error" in body
        talk.used.append(Used(call.name, call.arguments, failed))
        talk.results[index] = Turn(role="tool", text=result(body), answers=call.id, failed=failed)
        if None in talk.results:
            return
        for turn in talk.results:
            assert turn
            self._remark(talk, turn)
            talk.turns.append(turn)
        self._ask(talk)

    # ---- what is prepared, and a person's word on it

    def _propose(self, talk: Talk, skill: Skill, args: dict[str, str], body: Mapping[str, Any]) -> dict[str, Any]:
        """Keeps it for a person, and says so to the model."""
        verb, order = args.get("act", "cancel"), body.get("order")
        if skill.name == "cancel_order":
            order = next((each for each in body["orders"] if each["client_id"] == args["order"]), None)
            if order is None:
                return {"error": f"no open order {args['order'][:64]!r} in account {body['account']}"}
        proposal = Proposal(
            number=self.cause,  # of the answer that allowed it: no two are the same
            conversation=talk.conversation, by=talk.by, verb=verb, order=order, stop=body.get("stop"),
            args={key: value for key, value in args.items() if key != "act"},
            until_ns=self.now + round(FRESH_S * 1e9 * self._speed), asked=talk.asked,
        )  # fmt: skip
        if not self._proposals.add(proposal, self.now):
            return {"error": "too many proposals wait for a person"}
        self._keep()
        talk.proposals.append(proposal)
        return {
            "state": "prepared, not sent: the person is asked for a yes or no when you have answered",
            "verb": verb, "order": order, "stop": proposal.stop,
        }  # fmt: skip

    def _taken(self, command: Command) -> Proposal | None:
        """The proposal, which is then no longer there; None: there is none for this person."""
        found = self._proposals.take(command.args.get("proposal", ""), command.by, self.now)
        if found:
            self._keep()  # before whatever comes of it: also after a crash it is taken once
        return found

    def _confirm(self, command: Command) -> Any:
        proposal = self._taken(command)
        if proposal is None:
            return {"error": "this proposal is answered or too old; nothing was done"}
        self.because(proposal.asked)  # so that the order is explained back to what was asked for
        number = self.emit(Command(verb=proposal.verb, args=proposal.args, by=proposal.by))
        self._awaited[number] = partial(self._done, proposal, command.id)
        self.later(CONFIRM_S * self._speed, self._overdue, number, proposal.verb)
        return DEFERRED

    def _done(self, proposal: Proposal, question: int, body: Mapping[str, Any]) -> None:
        came = f"refused: {body['error']}" if "error" in body else "approved and sent"
        self._note(proposal, f"the person confirmed: {proposal.line()}; {came}")
        self.reply(question, body)

    def _decline(self, command: Command) -> dict[str, Any]:
        proposal = self._taken(command)
        if proposal:
            self._note(proposal, f"the person declined: {proposal.line()}; nothing was done")
        return {"declined": proposal is not None}

    # ---- on record

    def _keep(self) -> None:
        kept = Kept(self._conversations, self._proposals.waiting())
        self._store.append(Saved(key=KEY, body=msgspec.msgpack.encode(kept)))

    def _note(self, proposal: Proposal, text: str) -> None:
        turn = Turn(role="user", text=text)
        self.emit(Remark(conversation=proposal.conversation, by=proposal.by, turn=turn, note=True))

    def _remark(self, talk: Talk, turn: Turn, *, call: int = 0) -> int:
        return self.emit(Remark(conversation=talk.conversation, by=talk.by, turn=turn, call=call))
