"""What the HTTP API says, as the command line reads it: the fields that it uses, and no others."""

from pydantic import BaseModel, ConfigDict

from core import Decision, Label


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Tenant(_Said):
    id: str
    name: str


class Myself(_Said):
    id: str
    roles: list[str]
    tenant: Tenant


class Citation(_Said):
    marker: int
    passage: str
    document: str


class Answer(_Said):
    text: str
    citations: list[Citation]


class Pending(_Said):
    approval: str


class Run(_Said):
    run: str
    kind: str = "turn"
    state: str
    code: str = ""
    conversation: str | None = None
    answer: Answer | None = None
    pending_approval: Pending | None = None


class Conversation(_Said):
    runs: list[Run]


class RunPage(_Said):
    items: list[Run]
    cursor: str | None


class Document(_Said):
    document: str
    title: str


class DocumentPage(_Said):
    items: list[Document]
    cursor: str | None


class Found(_Said):
    heading: str
    text: str


class Search(_Said):
    run: str
    items: list[Found]


class ApprovalLine(_Said):
    approval: str


class ApprovalPage(_Said):
    items: list[ApprovalLine]


class Approval(_Said):
    """`argument_labels` says for each argument who could have chosen it."""

    approval: str
    status: str
    tool: str
    consequence: str
    arguments: dict[str, object] | None
    argument_labels: dict[str, Label]
    why: str
    message: str | None
    expires_at: str
    may_decide: bool


class ApprovalTold(_Said):
    approver: str | None
    reason: str | None


class DecisionTold(_Said):
    kind: str
    target: str
    consequence: str | None
    lane: str
    policies: list[str]
    reason: str
    approval: ApprovalTold | None
    outcome: str


class PlainWords(_Said):
    asked: str
    looked_at: str
    decided: str
    done: str
    objection: str


class Explanation(_Said):
    plain: PlainWords
    decisions: list[DecisionTold]


class Verification(_Said):
    ok: bool
    events: int


class Agent(_Said):
    title: str
    disclosure: str


class Event(_Said):
    """What all events of a run have; `Decided` and the others below have more."""

    seq: int
    type: str


class Text(_Said):
    text: str


class Opened(_Said):
    conversation: str | None


class Decided(_Said):
    kind: str
    target: str
    proposed: dict[str, object] | str | None = None
    decision: Decision
    approval: str | None


class Passage(_Said):
    passage: str
    document: str
    heading: str
    text: str


class Retrieved(_Said):
    sources: list[Passage]


class Rejected(_Said):
    tool: str
    cause: str


class ToolDone(_Said):
    tool: str
    outcome: str
    error: str
    duration_ms: int


class Asked(_Said):
    approval: str
    expires_at: str


class Resolved(_Said):
    verdict: str
    reason_text: str = ""


class Answered(_Said):
    text: str
    citations: list[Citation]


class Ended(_Said):
    state: str
    code: str


class Refused(_Said):
    actor: dict[str, str]
    code: str = ""
    operation: str = ""


class RefusedPage(_Said):
    items: list[Refused]


class EventPage(_Said):
    items: list[Event]
