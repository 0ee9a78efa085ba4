"""What an auditor asks of a run, one line for each decision, without any content.

Who began it and on whose behalf, under which identity and scope, what data was in it, what was decided and why, who
approved, and what came of it.
"""

from collections.abc import Sequence

from core import ActionKind, Actor, ApprovalId, DocumentId, Fact, Lane, RunId
from core.bodies import AnswerGiven, DecisionMade, DocumentReceived, PassagesRetrieved, RunOpened
from core.events import Event, Stored
from core.parts import RunKind
from interaction.answers import Told
from interaction.decisions import Outcome, asked_for, given_for, outcome_of, resolution_of


class DecisionLine(Told):
    """One decision of the gate, as evidence; `GET /v1/runs/{run}/explanation` has the same with its content.

    Attributes:
        seq: number of the event that holds it.
        person: on whose behalf; a pseudonym.
        chain: who acted for them, outermost first.
        roles: of the person, when the run was opened; `groups` too.
        documents: whose passages the run had been shown by then, or that it takes in.
        policies: which determined it; `reason` is what the first of them states.
        facts: all that they were given to decide on: identity, scope, labels, amounts.
        approval: the one that it asked for, or that it relied on; `approver` decided that, `given_by` approved before.
        outcome: what became of the action; `none` if nothing happened, or has not yet.
    """

    run: RunId
    seq: int
    at: str
    kind: RunKind
    person: str
    chain: list[Actor]
    roles: list[str]
    groups: list[str]
    agent: str
    action: ActionKind
    target: str
    documents: list[DocumentId]
    lane: Lane
    policies: list[str]
    policy_version: str
    reason: str
    facts: dict[str, Fact]
    approval: ApprovalId | None
    approver: str | None
    given_by: list[str]
    outcome: Outcome


def decision_lines(events: Sequence[Stored]) -> list[DecisionLine]:
    """Return all decisions of a run in order; none of what is no run, such as a log of accesses."""
    opened = events[0].event.body
    if not isinstance(opened, RunOpened):
        return []
    return [
        _line(stored.event, made, opened, events)
        for stored in events
        if isinstance(made := stored.event.body, DecisionMade)
    ]


def _line(event: Event, made: DecisionMade, opened: RunOpened, events: Sequence[Stored]) -> DecisionLine:
    later = [stored.event for stored in events[event.seq :]]
    is_asked = made.decision.lane is Lane.APPROVAL or made.approval is not None
    asked = asked_for(made, events, later) if is_asked else None
    resolved, _ = resolution_of(asked[1].approval, events) if asked else (None, None)
    allowed = made.decision.lane is Lane.AUTOMATIC or made.approval is not None
    return DecisionLine(
        run=event.run,
        seq=event.seq,
        at=event.at,
        kind=opened.kind,
        person=events[0].event.actor.id,
        chain=list(opened.chain),
        roles=[role.value for role in opened.roles],
        groups=list(opened.groups),
        agent=opened.agent,
        action=made.kind,
        target=made.target,
        documents=documents_of(events[: event.seq]),
        lane=made.decision.lane,
        policies=list(made.decision.policies),
        policy_version=made.decision.policy_version,
        reason=made.decision.reason,
        facts=made.decision.facts,
        approval=asked[1].approval if asked else None,
        approver=resolved.approver.id if resolved and resolved.approver else None,
        given_by=[given.approver.id for given in given_for(asked[1].approval, events)] if asked else [],
        outcome=outcome_of(made, later) if allowed else "none",
    )


def documents_of(events: Sequence[Stored]) -> list[DocumentId]:
    """Return the documents that were shown, cited or taken in, each once."""
    found: dict[DocumentId, None] = {}
    for stored in events:
        match stored.event.body:
            case PassagesRetrieved(passages=uses) | AnswerGiven(citations=uses):
                found |= dict.fromkeys(use.document for use in uses)
            case DocumentReceived(document=document):
                found[document] = None
            case _:
                pass
    return list(found)
