"""What an event means to the person who waits: what the agent does now, for whom it waits, why not and what then.

A decision stands in the log before its effect, so what is about to happen is told from it. `phase` is for programs,
`says` for people; nothing of it is stored.
"""

from typing import Literal

from core import ActionKind, Json, Lane
from core.bodies import (
    AnswerGiven,
    ApprovalEscalated,
    ApprovalGiven,
    ApprovalRequested,
    ApprovalResolved,
    Body,
    CancelRequested,
    DecisionMade,
    ModelFinished,
    PassagesRetrieved,
    ProposalRejected,
    RunEnded,
    RunOpened,
    RunParked,
    RunResumed,
    ToolFinished,
)
from core.parts import RunState
from orchestration.deputies import DECIDERS

Phase = Literal[
    "received", "searching", "asking_model", "calling_tool", "indexing", "deciding", "waiting", "refused", "answered",
    "ended",
]  # fmt: skip

_ENDS = {
    RunState.COMPLETED: "Done.",
    RunState.REFUSED: "The rules did not let the agent go on.",
    RunState.FAILED: "A fault kept the agent from finishing.",
    RunState.CANCELLED: "It was ended before it was finished.",
    RunState.LIMIT_REACHED: "A limit was reached.",
    RunState.OUTCOME_UNKNOWN: "Nobody here can say whether the last action happened.",
}

_NEXT = {
    RunState.REFUSED: "Ask for something else, or ask an admin of your organisation about the rule.",
    RunState.FAILED: "Nothing more is done. Try again; if it fails again, give the code to whoever runs this product.",
    RunState.CANCELLED: "What was done before stays done.",
    RunState.LIMIT_REACHED: "Ask for less at a time. If the budget is used up, ask an admin of your organisation.",
    RunState.OUTCOME_UNKNOWN: "Look in the system itself before you ask again.",
}

_MODEL = {ActionKind.CALL_MODEL: "Asking the model.", ActionKind.SHOW: "The model is writing."}

_RESOLVED = {
    "approved": "It was approved.",
    "denied": "It was not approved, so it is not done.",
    "expired": "Nobody decided in time, so it is not done.",
    "superseded": "The run ended before anybody decided, so it is not done.",
}

_REJECTED = {
    "unknown_tool": "The model proposed what it has no tool for. It is told so.",
    "invalid_arguments": "The model proposed an action that lacks something or has something wrong. It is told so.",
    "malformed": "The model proposed what cannot be read. It is told so.",
    "limit": "The model has used up its actions for this run. It is told so.",
}

_TOOL = {
    "ok": "is done",
    "failed": "was not done",
    "timeout": "may or may not have been done",
    "unknown": "may or may not have been done",
}


def telling(body: Body) -> dict[str, Json]:  # noqa: C901, PLR0911, PLR0912 - one case for each kind of event
    """Return `phase` and `says`, and where it applies `waiting_for` and `next`; nothing for what tells nothing."""
    match body:
        case RunOpened():
            return _told("received", "Your message has arrived.") if body.message else {}
        case DecisionMade():
            return _decision(body)
        case PassagesRetrieved(passages=passages, silent=silent):
            found = f"Found {len(passages)} passages." if len(passages) != 1 else "Found 1 passage."
            less = " A source of the organisation did not answer." if silent else ""
            return _told("deciding", (found if passages else "Found nothing in the documents.") + less)
        case ModelFinished():
            return _told("deciding", _model(body))
        case ProposalRejected(cause=cause):
            return _told("deciding", _REJECTED[cause])
        case ToolFinished(tool=tool, outcome=outcome):
            return _told("deciding", f"The action {tool} {_TOOL[outcome]}.")
        case ApprovalRequested(expires_at=until):
            return _waiting(until)
        case RunParked(until=until):
            return _waiting(until)
        case ApprovalGiven():
            return _told("waiting", "A colleague has approved it; another one has to as well.")
        case ApprovalEscalated():
            return _told("waiting", "It has waited for long: the owners and admins of your organisation were told.")
        case ApprovalResolved(verdict=verdict):
            return _told("deciding", _RESOLVED[verdict])
        case RunResumed():
            return _told("deciding", "The agent goes on.")
        case CancelRequested():
            return _told("deciding", "Somebody asked it to end.")
        case AnswerGiven():
            return _told("answered", "The answer is there.")
        case RunEnded(state=state):
            return _told("ended", _ENDS.get(state, ""), next=_NEXT.get(state))
        case _:
            return {}


def _decision(body: DecisionMade) -> dict[str, Json]:
    if body.decision.lane is Lane.NEVER:
        return _told("refused", f"The rules do not allow it: {body.decision.reason}", next=_NEXT[RunState.REFUSED])
    if body.decision.lane is Lane.APPROVAL and body.approval is None:
        return _told("deciding", f"The rules leave it to a person: {body.decision.reason}")
    match body.kind:
        case ActionKind.CALL_MODEL | ActionKind.SHOW if body.target != "embed":
            return _told("asking_model", _MODEL[body.kind])
        case ActionKind.CALL_TOOL:
            return _told("calling_tool", f"Calling the tool {body.target}.")
        case ActionKind.INGEST:
            return _told("indexing", "Taking the document in.")
        case ActionKind.RETRIEVE | ActionKind.CALL_MODEL | ActionKind.SHOW:
            return _told("searching", "Looking into the documents.")


def _model(body: ModelFinished) -> str:
    if body.outcome != "answered":
        return "The model did not answer."
    tools = ", ".join(proposal.tool for proposal in body.proposals)
    return f"The model proposes to call: {tools}." if tools else "The model has answered."


def _waiting(until: str) -> dict[str, Json]:
    says = "Waiting for a colleague who is an approver or the owner of your organisation."
    return {
        **_told("waiting", says, next="You need not stay: it goes on by itself once somebody has decided."),
        "waiting_for": {"roles": [role.value for role in DECIDERS], "until": until},
    }


def _told(phase: Phase, says: str, *, next: str | None = None) -> dict[str, Json]:  # noqa: A002 - its name in the API
    return {"phase": phase, "says": says, **({"next": next} if next else {})}
