"""What the model is shown: the prompt, earlier turns, passages, quotations, the person's message, what came of actions.

Every text goes in under a role, and every text that goes in is known to the labelling.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from core import PRISTINE, Json, Label, RunId
from core.bodies import PassagesRetrieved, ToolFinished
from core.errors import NotFound, Unprocessable
from core.labels import Integrity
from data import read_run
from guards import Place, Text
from models import Message, ToolCall
from orchestration.labelling import Sources
from orchestration.quoting import UNTRUSTED, quotation
from orchestration.records import ConversationRecord
from orchestration.shown import Shown, ShownPassage, blocks, erased_passages, shown_again
from orchestration.state import ProposalState, fold, message_of
from orchestration.turn import Turn
from tools import Tool

SILENT = (
    "(Not from the person: a source of the organisation did not answer just now. Say in your answer that it may be "
    "incomplete for that reason.)"
)


@dataclass(slots=True)
class Transcript:
    """The messages of a turn, and the sources that their texts came from.

    Attributes:
        texts: what was read, for guards to look at: all but the prompt and what the model itself said in this turn.
        passages: those that it was shown, as they may be shown now.
    """

    messages: list[Message] = field(default_factory=list[Message])
    sources: Sources = field(default_factory=Sources)
    texts: list[Text] = field(default_factory=list[Text])
    passages: Sequence[ShownPassage] = ()

    def read(self, place: Place, message: Message) -> None:
        self.messages.append(message)
        self.texts.append(Text(place, message.text))

    def user(self, text: str, place: Place = Place.MESSAGE) -> None:
        self.read(place, Message(role="user", text=text))
        self.sources.own_words.append(text)

    def assistant(self, text: str, label: Label) -> None:
        self.read(Place.HISTORY, Message(role="assistant", text=text))
        self.sources.others.append(label)


async def transcribe(turn: Turn) -> Transcript:
    """Return what the model has read so far in this turn."""
    transcript = Transcript()
    transcript.messages.append(Message(role="system", text=turn.agent.system.text))
    await _history(turn, transcript)
    if (retrieved := turn.progress.retrieved) and retrieved.passages:
        # Who may read them may have changed since the run was shown them, and so may their labels.
        again = await shown(turn, retrieved)
        transcript.passages = again.passages
        transcript.read(Place.PASSAGES, Message(role="user", text=blocks(again.passages)))
        transcript.sources.others += [*(passage.label for passage in retrieved.passages), *again.labels]
    if retrieved and retrieved.silent:
        transcript.messages.append(Message(role="user", text=SILENT))
    if quoted := turn.progress.run.quoted:
        transcript.read(Place.QUOTATION, Message(role="user", text=quotation(await turn.content(quoted))))
        transcript.sources.others.append(UNTRUSTED)
    transcript.user((await turn.content(message_of(turn.progress))).decode())
    for model in turn.progress.models:
        if model.message and model.proposals:
            text, calls = parse_model_message(await turn.content(model.message))
            transcript.messages.append(Message(role="assistant", text=text, tool_calls=calls))
            for proposal in turn.progress.proposals:
                if proposal.step == model.step:
                    await _outcome(turn, proposal, calls, transcript)
    return transcript


def model_message(text: str, calls: tuple[ToolCall, ...]) -> bytes:
    """Return the stored form of what a model said."""
    return orjson.dumps(
        {"text": text, "calls": [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in calls]}
    )


def parse_model_message(data: bytes) -> tuple[str, tuple[ToolCall, ...]]:
    stored = orjson.loads(data)
    return stored["text"], tuple(ToolCall(c["id"], c["name"], c["arguments"]) for c in stored["calls"])


async def shown(turn: Turn, retrieved: PassagesRetrieved) -> Shown:
    """Return the passages that the turn was given; those that were erased or closed since without their words."""
    try:
        stored = await turn.content(retrieved.content)
    except NotFound:
        return Shown(erased_passages(retrieved), ())
    return await shown_again(turn.data, stored, (await turn.scope()).confidentiality_ceiling)


async def _history(turn: Turn, transcript: Transcript) -> None:
    """Add the last turns of the conversation; only what is stored counts, never what a client sends along."""
    if turn.earlier is None:
        said = [await _said(turn, run) for run in await _earlier_runs(turn)]
        turn.earlier = [item for item in said if item]
    for message, answer, label in turn.earlier:
        transcript.user(message, Place.HISTORY)
        transcript.assistant(answer, label)


async def _earlier_runs(turn: Turn) -> tuple[RunId, ...]:
    conversation = turn.progress.run.conversation
    found = await turn.data.records.get(ConversationRecord, conversation) if conversation else None
    if found is None or turn.writer.run not in found.value.runs:
        return ()
    runs = found.value.runs
    return runs[: runs.index(turn.writer.run)][-turn.agent.history.turns :]


async def _said(turn: Turn, run: RunId) -> tuple[str, str, Label] | None:
    try:
        progress = fold(await read_run(turn.data, run))
    except NotFound:
        return None  # it joined the conversation, and its first event was never written
    try:
        message = (await turn.content(message_of(progress))).decode()
        if progress.answer is None:
            return message, f"({progress.state})", PRISTINE
        text, _ = parse_model_message(await turn.content(progress.answer.message))
    except NotFound:
        return None  # erased since, or its time is up
    return message, text, progress.answer.label


async def _outcome(turn: Turn, proposal: ProposalState, calls: tuple[ToolCall, ...], transcript: Transcript) -> None:
    """Add what became of a proposal, as the message of the tool."""
    if not proposal.settled:
        return
    call = calls[proposal.call]
    result: Json
    if proposal.finished:
        result = await _result(turn, proposal.finished, transcript)
    else:
        result = refusal(proposal, call, turn.services.registry.get(proposal.tool))
    text = orjson.dumps(result).decode()
    transcript.read(Place.RESULTS, Message(role="tool", text=text, tool_call_id=call.id))


async def _result(turn: Turn, finished: ToolFinished, transcript: Transcript) -> Json:
    if finished.result is None:
        return {"error": finished.error or finished.outcome}
    result: Json = orjson.loads(await turn.content(finished.result))
    if finished.label.integrity is Integrity.TRUSTED:
        transcript.sources.records.append((result, finished.label))
    else:
        transcript.sources.others.append(finished.label)
    return result


def refusal(proposal: ProposalState, call: ToolCall, tool: Tool | None) -> Json:
    """Return what the model and the person are told of an action that was not done."""
    if proposal.rejected:
        return {"error": proposal.rejected.cause, "detail": _rejection(proposal.rejected.cause, call, tool)}
    if proposal.resolved and proposal.resolved.verdict in ("denied", "expired"):
        return {"refused": f"The approval was {proposal.resolved.verdict}. The action was not done."}
    if proposal.decision:
        return {"refused": proposal.decision.decision.reason, "policies": proposal.decision.decision.policies}
    return {"error": "not_done"}


def _rejection(cause: str, call: ToolCall, tool: Tool | None) -> str:
    if cause == "invalid_arguments" and tool:
        return _problem(tool, call.arguments)
    if cause == "limit":
        return "This run has used up its tool calls."
    return "There is no such tool."


def _problem(tool: Tool, raw: str) -> str:
    try:
        tool.parse(raw)
    except Unprocessable as error:
        return error.message
    return "The arguments do not fit this tool."
