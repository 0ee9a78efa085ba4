"""Why a run did what it did, composed from its log alone: every decision, and a few sentences for whom it affects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from control import AgentManifest
from core import DocumentId, Label, RunId
from core.bodies import ProposalRejected
from core.events import Stored
from core.parts import RunKind, RunState, Usage
from data import is_outside
from interaction.alternatives import CAUSES, Alternative
from interaction.answers import Told
from interaction.decisions import DecisionTold, decisions_of
from interaction.run_view import message_text, state_of
from orchestration import Fetch, fold, shown_passages
from tools import Registry


class Source(Told):
    """A passage that the agent was shown, and whether its answer cites it."""

    number: int
    passage: str
    document: DocumentId
    heading: str
    text: str
    label: Label
    cited: bool

    @property
    def outside(self) -> bool:
        """Whether it is from a customer's own source: there is no document here to open."""
        return is_outside(self.document)


class PlainWords(Told):
    """The same for somebody whom the run affects: a sentence or a few for each question.

    Attributes:
        not_done: what was proposed and did not happen, and why.
        objection: what to do who disagrees.
    """

    asked: str
    looked_at: str
    decided: str
    done: str
    not_done: str
    objection: str


class RejectedProposal(Told):
    """What the model proposed and was no action, so that there was nothing to decide; `why` in plain words.

    Attributes:
        seq: number of the event that says so.
        tool: `unknown` where there is none of the name that the model made up.
    """

    seq: int
    step: int
    call: int
    tool: str
    why: str


class Explanation(Told):
    """Why a run did what it did.

    Attributes:
        ending: `state` in plain words, with the cause.
        used: what it used and cost, in plain words.
        plain: for somebody whom it affects.
        decisions: all, those that refused something too; with `rejected` it is all that the agent wanted to do.
        alternatives: what of it was refused, by a rule, by a person, or since it was no action; and why.
        sources: what the agent was shown.
    """

    run: RunId
    state: RunState
    agent: str
    ending: str
    used: str
    plain: PlainWords
    decisions: list[DecisionTold]
    rejected: list[RejectedProposal]
    alternatives: list[Alternative]
    sources: list[Source]


@dataclass(frozen=True, slots=True)
class Story:
    """What plain words are made from; `agent` is None where none took part, or it is no longer in the register."""

    kind: RunKind
    agent_name: str
    agent: AgentManifest | None
    opened_at: str
    message: str | None
    undoes: bool
    state: RunState
    code: str
    usage: Usage
    decisions: Sequence[DecisionTold]
    rejected: Sequence[RejectedProposal]
    sources: Sequence[Source]


async def sources_of(events: Sequence[Stored], fetch: Fetch) -> list[Source]:
    """Return the passages that the agent was shown, in the order of their numbers."""
    progress = fold(events)
    cited = {citation.passage for citation in progress.answer.citations} if progress.answer else set[str]()
    if progress.retrieved is None:
        return []
    labels = {passage.passage: passage.label for passage in progress.retrieved.passages}
    return [
        Source(
            number=shown.number,
            passage=shown.passage,
            document=shown.document,
            heading=shown.heading,
            text=shown.text,
            label=labels[shown.passage],
            cited=shown.passage in cited,
        )
        for shown in await shown_passages(progress.retrieved, fetch)
    ]


def _rejected(events: Sequence[Stored]) -> list[RejectedProposal]:
    return [
        RejectedProposal(seq=stored.event.seq, step=body.step, call=body.call, tool=body.tool, why=CAUSES[body.cause])
        for stored in events
        if isinstance(body := stored.event.body, ProposalRejected)
    ]


async def story_of(
    events: Sequence[Stored], fetch: Fetch, registry: Registry, agents: Mapping[str, AgentManifest]
) -> Story:
    progress = fold(events)
    return Story(
        kind=progress.run.kind,
        agent_name=progress.run.agent,
        agent=agents.get(progress.run.agent),
        opened_at=events[0].event.at,
        message=await message_text(progress, fetch),
        undoes=progress.run.undoes is not None,
        state=state_of(progress),
        code=progress.ended.code if progress.ended else "",
        usage=progress.usage,
        decisions=await decisions_of(events, fetch, registry),
        rejected=_rejected(events),
        sources=await sources_of(events, fetch),
    )
