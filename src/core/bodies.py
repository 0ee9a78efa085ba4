"""What can happen in a run, one type for each; `core.events` says what else an event holds, and what none may."""

from typing import Annotated, Literal

from pydantic import Field

from core.admin_bodies import AccessRefused, RecordChanged
from core.content import ContentRef
from core.decisions import ActionKind, Decision, Effect
from core.ids import ApprovalId, ConversationId, DocumentId, FlagId, RunId
from core.labels import Label, Origin
from core.parts import (
    Citation,
    FlagKind,
    Grounds,
    Limits,
    Part,
    PassageUse,
    Proposal,
    RunKind,
    RunState,
    Undoes,
    Usage,
    Versions,
)
from core.tenancy import Actor, Role


class RunOpened(Part):
    type: Literal["run_opened"] = "run_opened"
    kind: RunKind
    roles: tuple[Role, ...] = ()
    groups: tuple[str, ...] = ()
    chain: tuple[Actor, ...] = ()
    plan: str = ""
    region: str = ""
    correlation: str = ""
    nonce: str = ""
    """The assertion nonce that this append claims; a replay finds it taken."""
    agent: str = ""
    conversation: ConversationId | None = None
    replaces: RunId | None = None
    """The turn whose place this one takes in the conversation: asked again, or in other words."""
    undoes: Undoes | None = None
    """Where a person has an effect taken back: there is no model in it, and `message` says why."""
    message: ContentRef | None = None
    quoted: ContentRef | None = None
    """What a client program sent along as the conversation so far: untrusted text, and nobody's words."""
    attachment: ContentRef | None = None
    """The file that came with it, as it was."""
    use_knowledge: bool = False
    versions: Versions
    limits: Limits | None = None
    deadline: str = ""
    carrier: str = ""
    """The lease under which a process carries the run from here on."""


class DecisionMade(Part):
    """Stored before the effect that it allows."""

    type: Literal["decision_made"] = "decision_made"
    step: int
    call: int = 0
    kind: ActionKind
    target: str
    arguments: ContentRef | None = None
    argument_labels: dict[str, Label] = Field(default={})
    argument_origins: dict[str, Origin] = Field(default={})
    """What each label rests on; empty in events from before it was written down."""
    decision: Decision
    approval: ApprovalId | None = None


class PassagesRetrieved(Part):
    type: Literal["passages_retrieved"] = "passages_retrieved"
    step: int
    passages: tuple[PassageUse, ...]
    content: ContentRef
    usage: Usage = Usage()
    duration_ms: int
    silent: int = 0
    """Customers' own sources that were asked and did not answer in time."""


class ModelFinished(Part):
    type: Literal["model_finished"] = "model_finished"
    step: int
    outcome: Literal["answered", "interrupted", "failed"]
    logical: str
    target: str = ""
    version: str = ""
    prompt: str = ""
    """SHA-256 of the system prompt file that the call used."""
    message: ContentRef | None = None
    proposals: tuple[Proposal, ...] = ()
    label: Label = Label()
    """The join of all that the model had read."""
    usage: Usage = Usage()
    attempts: int = 1
    first_token_ms: int = 0
    duration_ms: int = 0
    error: str = ""


class ProposalRejected(Part):
    """What the model proposed cannot be an action, so there was nothing to decide."""

    type: Literal["proposal_rejected"] = "proposal_rejected"
    step: int
    call: int
    tool: str
    cause: Literal["unknown_tool", "invalid_arguments", "malformed", "limit"]


class ToolFinished(Part):
    type: Literal["tool_finished"] = "tool_finished"
    step: int
    call: int
    tool: str
    effect: Effect
    outcome: Literal["ok", "failed", "timeout", "unknown"]
    idempotency_key: str
    result: ContentRef | None = None
    label: Label = Label()
    duration_ms: int = 0
    error: str = ""


class ApprovalRequested(Part):
    type: Literal["approval_requested"] = "approval_requested"
    approval: ApprovalId
    step: int
    call: int
    tool: str
    effect: Effect
    arguments: ContentRef
    policy_version: str
    expires_at: str
    approvers: int = 1
    """How many different people have to approve."""
    escalates_at: str = ""
    """When owners and admins are told, unless it is decided before."""


class ApprovalGiven(Part):
    """Somebody approved, and others have to as well; the approval of the last stands in `approval_resolved`."""

    type: Literal["approval_given"] = "approval_given"
    approval: ApprovalId
    step: int
    call: int
    approver: Actor
    reason: ContentRef
    decided_at: str
    in_place_of: str = ""
    """Whose deputy they were in this, by pseudonym; empty for a right of their own."""
    through: str = ""
    """The organisation's own app in which they signed it, by an id of ours; empty for the console and the API."""


class ApprovalEscalated(Part):
    """Half of the time was over and nobody had decided: owners and admins are told."""

    type: Literal["approval_escalated"] = "approval_escalated"
    approval: ApprovalId
    step: int
    call: int


class ApprovalResolved(Part):
    type: Literal["approval_resolved"] = "approval_resolved"
    approval: ApprovalId
    step: int
    call: int
    verdict: Literal["approved", "denied", "expired", "superseded"]
    approver: Actor | None = None
    reason: ContentRef | None = None
    decided_at: str = ""
    """When they did, which may be before the run came to know; empty where nobody did."""
    in_place_of: str = ""
    through: str = ""


class RunParked(Part):
    type: Literal["run_parked"] = "run_parked"
    cause: Literal["approval"]
    until: str


class RunResumed(Part):
    type: Literal["run_resumed"] = "run_resumed"
    cause: Literal["approval", "restart"]
    carrier: str = ""
    """As in `RunOpened`: who carries it from here on."""


class AnswerGiven(Part):
    type: Literal["answer_given"] = "answer_given"
    message: ContentRef
    citations: tuple[Citation, ...] = ()
    label: Label = Label()
    grounds: Grounds | None = None
    """None in events from before it was counted."""


class CancelRequested(Part):
    type: Literal["cancel_requested"] = "cancel_requested"
    nonce: str = ""
    cause: Literal["asked", "agent_revoked"] = "asked"


class RunEnded(Part):
    type: Literal["run_ended"] = "run_ended"
    state: RunState
    code: str = ""
    """Why, as a stable code; empty for `completed`."""
    usage: Usage = Usage()


class AnswerFlagged(Part):
    """A reader objects to the answer. It comes after `run_ended`, and changes nothing of the run."""

    type: Literal["answer_flagged"] = "answer_flagged"
    flag: FlagId
    kind: FlagKind
    reason: ContentRef


class FlagResolved(Part):
    """Somebody who oversees the agent has dealt with a flag."""

    type: Literal["flag_resolved"] = "flag_resolved"
    flag: FlagId
    reason: ContentRef


class DocumentReceived(Part):
    type: Literal["document_received"] = "document_received"
    document: DocumentId
    collection: str
    version: int
    label: Label
    readers: tuple[str, ...]
    content: ContentRef
    passages: int


class PassagesIndexed(Part):
    """Progress of an ingestion: the first `done` of `total` passages can be found."""

    type: Literal["passages_indexed"] = "passages_indexed"
    document: DocumentId
    done: int
    total: int
    usage: Usage = Usage()


Body = Annotated[
    RunOpened
    | DecisionMade
    | PassagesRetrieved
    | ModelFinished
    | ProposalRejected
    | ToolFinished
    | ApprovalRequested
    | ApprovalGiven
    | ApprovalEscalated
    | ApprovalResolved
    | RunParked
    | RunResumed
    | AnswerGiven
    | CancelRequested
    | RunEnded
    | AnswerFlagged
    | FlagResolved
    | DocumentReceived
    | PassagesIndexed
    | AccessRefused
    | RecordChanged,
    Field(discriminator="type"),
]
