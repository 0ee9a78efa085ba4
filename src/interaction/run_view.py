"""A run as its reader sees it, read from the log: exact, never from a projection."""

from collections.abc import Sequence

from pydantic import Field

from core import ApprovalId, ConversationId, DocumentId, Effect, Label, RunId
from core.errors import NotFound
from core.events import AnswerGiven, Limits, RunKind, RunState, Stored, Usage, Versions
from interaction.answers import Told
from orchestration import Fetch, Progress, answer_text, fold, shown_passages

ERASED = "(erased)"


class CitedSource(Told):
    """What an answer cites. `marker` is the number in square brackets in its text."""

    marker: int
    passage: str
    document: DocumentId
    heading: str


class Answer(Told):
    """What the agent said. `label` says who could have influenced it, and how confidential it is."""

    text: str
    citations: list[CitedSource]
    label: Label


class PendingApproval(Told):
    approval: ApprovalId
    tool: str
    effect: Effect
    expires_at: str


class RunView(Told):
    """One run.

    Attributes:
        code: why it ended as it did; empty while it goes on, and where it completed.
        requester: pseudonym of who asked.
        message: what they asked; null for a run that is no turn with an agent.
        pending_approval: what a colleague must decide before it goes on.
        events: how many there are; what to give as `after` to follow it from here.
    """

    run: RunId
    kind: RunKind
    agent: str
    state: RunState = Field(description="`running` and `parked` go on; all others are ends.")
    code: str
    requester: str
    conversation: ConversationId | None
    opened_at: str
    ended_at: str | None
    message: str | None
    answer: Answer | None
    pending_approval: PendingApproval | None
    usage: Usage
    limits: Limits | None
    versions: Versions
    events: int


async def view_run(events: Sequence[Stored], fetch: Fetch) -> RunView:
    progress = fold(events)
    first, last = events[0].event, events[-1].event
    return RunView(
        run=first.run,
        kind=progress.run.kind,
        agent=progress.run.agent,
        state=state_of(progress),
        code=progress.ended.code if progress.ended else "",
        requester=first.actor.id,
        conversation=progress.run.conversation,
        opened_at=first.at,
        ended_at=last.at if progress.ended else None,
        message=await message_text(progress, fetch),
        answer=await view_answer(progress, progress.answer, fetch) if progress.answer else None,
        pending_approval=_pending(progress),
        usage=progress.usage,
        limits=progress.run.limits,
        versions=progress.run.versions,
        events=last.seq,
    )


def state_of(progress: Progress) -> RunState:
    """Return the state; a log of a day has none of its own, since nothing in it goes on."""
    if progress.run.kind in (RunKind.ACCESS, RunKind.ADMIN):
        return RunState.COMPLETED
    return progress.state


async def message_text(progress: Progress, fetch: Fetch) -> str | None:
    """Return what the person asked; None if the run is no turn."""
    opened = progress.run
    if opened.kind is not RunKind.TURN or opened.message is None:
        return None
    try:
        return (await fetch(opened.message)).decode()
    except NotFound:
        return ERASED


async def view_answer(progress: Progress, answer: AnswerGiven, fetch: Fetch) -> Answer:
    shown = await shown_passages(progress.retrieved, fetch) if progress.retrieved else []
    headings = {passage.passage: passage.heading for passage in shown}
    cited = [
        CitedSource(marker=c.marker, passage=c.passage, document=c.document, heading=headings.get(c.passage, ERASED))
        for c in answer.citations
    ]
    return Answer(text=await answer_text(answer, fetch), citations=cited, label=answer.label)


def _pending(progress: Progress) -> PendingApproval | None:
    if progress.ended:
        return None
    waiting = next((found for p in progress.proposals if (found := p.waiting)), None)
    if waiting is None:
        return None
    return PendingApproval(
        approval=waiting.approval, tool=waiting.tool, effect=waiting.effect, expires_at=waiting.expires_at
    )
