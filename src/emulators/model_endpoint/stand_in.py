"""The stand-in itself: one reply to one conversation, from the conversation alone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from emulators.model_endpoint.answers import UNKNOWN, answer
from emulators.model_endpoint.arguments import Sources
from emulators.model_endpoint.conversation import Conversation, Tool, Turn, parse_json, read_turn
from emulators.model_endpoint.results import describe, went_wrong
from emulators.model_endpoint.tool_choice import Proposal, best_effort, propose
from emulators.model_endpoint.words import name_words, stems

INTRODUCTION = (
    "I am a stand-in for a language model: I can answer from documents that I am given and use the tools that I am "
    "offered, but I know nothing else."
)
_ASK = "Before I can do that I need to know"
_GREETING = re.compile(
    r"^\W*(?:hi|hello|hey|good (?:morning|afternoon|evening|day)|greetings)(?: there| all| team)?\W*$", re.IGNORECASE
)
_THANKS = re.compile(r"^\W*(?:many thanks|thanks|thank you)(?: (?:so|very) much| a lot)?\W*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ProposedCall:
    """A tool call; `arguments` is JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Reply:
    """Words, or a call (in its faults also several), never both empty."""

    text: str = ""
    calls: tuple[ProposedCall, ...] = ()


def reply(conversation: Conversation) -> Reply:
    """Return the stand-in's reply, the same for the same conversation.

    A tool that the request asks for comes first, then the words for its result, then an answer from the passages.
    """
    turn = read_turn(conversation.messages)
    sources = _sources(turn)
    proposals = propose(conversation.tools, sources) if sources.request else []
    pending = _pending(proposals, turn)
    call = next((proposal for proposal in pending if proposal.ready), None)
    if call is not None and call is pending[0]:
        return Reply(calls=(_call(call),))
    if conversation.must_call and conversation.tools and not turn.results:
        return Reply(calls=(_call(best_effort(conversation.tools, sources)),))
    return Reply(text=_in_words(turn, sources.request, pending, conversation.tools))


def _in_words(turn: Turn, request: str, pending: Sequence[Proposal], tools: Sequence[Tool]) -> str:
    ordered = [proposal for proposal in pending if proposal.ordered]
    if turn.results:
        return " ".join([describe(turn.results), *(_question(proposal) for proposal in ordered[:1])])
    if small_talk := _small_talk(request):
        return small_talk
    if not stems(request) or not (pending or turn.passages):
        return INTRODUCTION + _offers(tools)
    if ordered:
        return _question(ordered[0])
    return answer(request, turn.passages) or UNKNOWN if turn.passages else _question(pending[0])


def _small_talk(request: str) -> str:
    if _GREETING.match(request):
        return f"Hello. {INTRODUCTION}"
    return "You are welcome." if _THANKS.match(request) else ""


def _sources(turn: Turn) -> Sources:
    """Take up an order that was left open by our own question, so that its answer completes it."""
    request, earlier = turn.request, turn.earlier
    if turn.followed_up.startswith(_ASK) or f" {_ASK}" in turn.followed_up:
        request, earlier = f"{earlier[0].rstrip(' .')}. {request}" if earlier else request, earlier[1:]
    return Sources(clause=request, request=request, known=turn.known, earlier=earlier)


def _pending(proposals: Sequence[Proposal], turn: Turn) -> list[Proposal]:
    """Return what this turn has not tried yet; nothing once a result says that something went wrong."""
    if any(went_wrong(text) for _, text in turn.results):
        return []
    tried = [(call.name, parse_json(call.arguments)) for call, _ in turn.results]
    pending: list[Proposal] = []
    names = [call.name for call, _ in turn.results]
    for proposal in proposals:
        if proposal.tool.name in names:
            names.remove(proposal.tool.name)
        elif (proposal.tool.name, proposal.filled.arguments) not in tried:
            pending.append(proposal)
    return pending


def _call(proposal: Proposal) -> ProposedCall:
    return ProposedCall(proposal.tool.name, orjson.dumps(proposal.filled.arguments).decode())


def _question(proposal: Proposal) -> str:
    wanted = [
        f"the {_spoken(field.name)}" + (f" ({field.description.rstrip('.')})" if field.description else "")
        for field in proposal.filled.missing
    ]
    listed = wanted[0] if len(wanted) == 1 else f"{', '.join(wanted[:-1])} and {wanted[-1]}"
    return f"{_ASK} {listed}. What is it?" if len(wanted) == 1 else f"{_ASK} {listed}. What are they?"


def _spoken(name: str) -> str:
    words = name_words(name)
    return " ".join(word for word in words if word not in ("id", "cents") or len(words) == 1)


def _offers(tools: Sequence[Tool]) -> str:
    if not tools:
        return ""
    return f" The tools I am offered here: {', '.join(' '.join(name_words(tool.name)) for tool in tools)}."
