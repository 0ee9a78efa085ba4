"""The events of a run. The run log is a list of these, and everything else is a reading of it.

An event holds pseudonyms, enums, whole numbers, labels and references to content: never content itself, never a
string that a person, a document or a model made up. `SCHEMA` grows by one when the meaning of stored bytes changes;
old versions stay readable (`tests/unit/golden` keeps one of each).
"""

from enum import StrEnum
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from core.canonical import digest
from core.content import ContentRef
from core.decisions import ActionKind, Decision, Effect
from core.ids import ApprovalId, ConversationId, DocumentId, FlagId, RunId, TenantId
from core.labels import Label
from core.tenancy import Actor, Role

SCHEMA = 1


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunKind(StrEnum):
    TURN = "turn"
    INGESTION = "ingestion"
    SEARCH = "search"
    ACCESS = "access"
    ADMIN = "admin"


class RunState(StrEnum):
    """Where a run is. All but the first two are ends, and every run reaches one of them."""

    RUNNING = "running"
    PARKED = "parked"
    COMPLETED = "completed"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LIMIT_REACHED = "limit_reached"
    OUTCOME_UNKNOWN = "outcome_unknown"

    @property
    def ended(self) -> bool:
        return self not in (RunState.RUNNING, RunState.PARKED)


class Versions(_Body):
    """What was in force when the run began: enough to say why it behaved as it did."""

    code: str
    agent: str = ""
    prompts: dict[str, str] = {}
    """Prompt file name to SHA-256 of its text."""
    policy: str = ""
    models: dict[str, str] = {}
    """Logical model to `target@version` of its first target."""
    index: str = ""


class Limits(_Body):
    steps: int
    tool_calls: int
    tokens: int
    output_tokens: int
    """Of one model call."""
    cost_micros: int
    seconds: int


class Usage(_Body):
    """Tokens, and cost in millionths of the catalogue's currency."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int = 0
    model_calls: int = 0
    tool_calls: int = 0

    def plus(self, other: "Usage") -> "Usage":
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in Usage.model_fields})


class RunOpened(_Body):
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


class DecisionMade(_Body):
    """Stored before the effect that it allows."""

    type: Literal["decision_made"] = "decision_made"
    step: int
    call: int = 0
    kind: ActionKind
    target: str
    arguments: ContentRef | None = None
    argument_labels: dict[str, Label] = {}
    decision: Decision
    approval: ApprovalId | None = None


class PassageUse(_Body):
    """A passage that the model was shown. Scores are in millionths; ranks start at 1, 0 means not found that way.

    Attributes:
        similarity: cosine of question and passage, in millionths; 0 where the two cannot be compared.
    """

    passage: str
    document: DocumentId
    label: Label
    score: int
    rank_vector: int
    rank_text: int
    similarity: int = 0


class PassagesRetrieved(_Body):
    type: Literal["passages_retrieved"] = "passages_retrieved"
    step: int
    passages: tuple[PassageUse, ...]
    content: ContentRef
    usage: Usage = Usage()
    duration_ms: int


class Proposal(_Body):
    """An action that the model proposed; its arguments are content until the gate has seen them."""

    call: int
    tool: str
    """A registered tool's name, or `unknown`: what the model made up is content."""


class ModelFinished(_Body):
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


class ProposalRejected(_Body):
    """What the model proposed cannot be an action, so there was nothing to decide."""

    type: Literal["proposal_rejected"] = "proposal_rejected"
    step: int
    call: int
    tool: str
    cause: Literal["unknown_tool", "invalid_arguments", "malformed", "limit"]


class ToolFinished(_Body):
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


class ApprovalRequested(_Body):
    type: Literal["approval_requested"] = "approval_requested"
    approval: ApprovalId
    step: int
    call: int
    tool: str
    effect: Effect
    arguments: ContentRef
    policy_version: str
    expires_at: str


class ApprovalResolved(_Body):
    type: Literal["approval_resolved"] = "approval_resolved"
    approval: ApprovalId
    step: int
    call: int
    verdict: Literal["approved", "denied", "expired", "superseded"]
    approver: Actor | None = None
    reason: ContentRef | None = None


class RunParked(_Body):
    type: Literal["run_parked"] = "run_parked"
    cause: Literal["approval"]
    until: str


class RunResumed(_Body):
    type: Literal["run_resumed"] = "run_resumed"
    cause: Literal["approval", "restart"]
    carrier: str = ""
    """As in `RunOpened`: who carries it from here on."""


class Citation(_Body):
    marker: int
    passage: str
    document: DocumentId


class AnswerGiven(_Body):
    type: Literal["answer_given"] = "answer_given"
    message: ContentRef
    citations: tuple[Citation, ...] = ()
    label: Label = Label()


class CancelRequested(_Body):
    type: Literal["cancel_requested"] = "cancel_requested"
    nonce: str = ""


class RunEnded(_Body):
    type: Literal["run_ended"] = "run_ended"
    state: RunState
    code: str = ""
    """Why, as a stable code; empty for `completed`."""
    usage: Usage = Usage()


class FlagKind(StrEnum):
    WRONG = "wrong"
    UNSAFE = "unsafe"
    NOT_GROUNDED = "not_grounded"
    OFFENSIVE = "offensive"
    PRIVACY = "privacy"
    OTHER = "other"


class AnswerFlagged(_Body):
    """A reader objects to the answer. It comes after `run_ended`, and changes nothing of the run."""

    type: Literal["answer_flagged"] = "answer_flagged"
    flag: FlagId
    kind: FlagKind
    reason: ContentRef


class FlagResolved(_Body):
    """Somebody who oversees the agent has dealt with a flag."""

    type: Literal["flag_resolved"] = "flag_resolved"
    flag: FlagId
    reason: ContentRef


class DocumentReceived(_Body):
    type: Literal["document_received"] = "document_received"
    document: DocumentId
    collection: str
    version: int
    label: Label
    readers: tuple[str, ...]
    content: ContentRef
    passages: int


class PassagesIndexed(_Body):
    """Progress of an ingestion: the first `done` of `total` passages can be found."""

    type: Literal["passages_indexed"] = "passages_indexed"
    document: DocumentId
    done: int
    total: int
    usage: Usage = Usage()


class AccessRefused(_Body):
    """Refused access is evidence too; equal refusals within a moment are counted in one event."""

    type: Literal["access_refused"] = "access_refused"
    code: str
    operation: str
    """The route's template and method, never the address that was asked for."""
    count: int = 1


class RecordChanged(_Body):
    """An administrative act: what the record is now can be read there, who changed it and when is here."""

    type: Literal["record_changed"] = "record_changed"
    kind: str
    key: str
    version: str


Body = Annotated[
    RunOpened
    | DecisionMade
    | PassagesRetrieved
    | ModelFinished
    | ProposalRejected
    | ToolFinished
    | ApprovalRequested
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


class Event(BaseModel):
    """One line of the run log. Its hash covers every field, `prev` included, so a run is a chain.

    Attributes:
        seq: 1 for the first event of a run; also the fence: an append at a taken number is a conflict.
        actor: the pseudonym of who caused it.
        prev: hash of the event before, `GENESIS` for the first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = SCHEMA
    tenant: TenantId
    run: RunId
    seq: int
    at: str
    actor: Actor
    prev: str
    body: Body

    def canonical(self) -> bytes:
        """Return what is stored and hashed: equal to `core.canonical`, whose search for floats no event needs."""
        return orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)


class Stored(BaseModel):
    """An event as the log holds it: `hash` is the SHA-256 of `data`, and `data` is the event's canonical JSON.

    In `data` the names that the tenant chose are sealed (`core.names`); in `event` they are as whoever read it knows
    them.
    """

    model_config = ConfigDict(frozen=True)

    event: Event
    data: bytes
    hash: str

    @classmethod
    def seal(cls, event: Event, written: Event | None = None) -> "Stored":
        """Make what is stored of an event; `written` is the same with its names sealed."""
        data = (written or event).canonical()
        return cls.model_construct(event=event, data=data, hash=digest(data))

    @classmethod
    def parse(cls, data: bytes) -> "Stored":
        """Read an event back from its stored bytes; the hash is computed again, never trusted."""
        return cls.model_construct(event=_EVENT.validate_json(data), data=data, hash=digest(data))


_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
