"""Why a run did what it did, composed from its log alone: every decision, and a few sentences for whom it affects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from control import AgentManifest
from core import DocumentId, Label, RunId
from core.events import RunState, Stored
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


class PlainWords(Told):
    """The same for somebody whom the run affects: a sentence or a few for each question."""

    asked: str
    looked_at: str
    decided: str
    done: str
    objection: str


class Explanation(Told):
    run: RunId
    state: RunState
    agent: str
    plain: PlainWords
    decisions: list[DecisionTold]
    sources: list[Source]


@dataclass(frozen=True, slots=True)
class Story:
    """What plain words are made from; `agent` is None where none took part, or it is no longer in the register."""

    agent_name: str
    agent: AgentManifest | None
    opened_at: str
    message: str | None
    state: RunState
    decisions: Sequence[DecisionTold]
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


async def story_of(
    events: Sequence[Stored], fetch: Fetch, registry: Registry, agents: Mapping[str, AgentManifest]
) -> Story:
    progress = fold(events)
    return Story(
        agent_name=progress.run.agent,
        agent=agents.get(progress.run.agent),
        opened_at=events[0].event.at,
        message=await message_text(progress, fetch),
        state=state_of(progress),
        decisions=await decisions_of(events, fetch, registry),
        sources=await sources_of(events, fetch),
    )
