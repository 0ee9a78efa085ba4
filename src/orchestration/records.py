"""The records that orchestration owns: conversations, approvals, collections, documents."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from core import (
    Actor,
    ApprovalId,
    Confidentiality,
    ContentRef,
    ConversationId,
    DocumentId,
    Effect,
    Integrity,
    Label,
    PrincipalId,
    RunId,
    TenantId,
)
from data import Record, Source, Term


class ConversationRecord(Record):
    """A person's conversation: its runs, oldest first. Its title is one they gave, else the first message's beginning.

    Attributes:
        replaced: runs whose place another has taken: they stay in the log, and count as turns no more.
        deleted_at: when its owner deleted it, with all content; empty if it is there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "conversation"

    id: ConversationId
    owner: PrincipalId
    agent: str
    opened_at: str
    title: ContentRef
    runs: tuple[RunId, ...]
    replaced: tuple[RunId, ...] = ()
    deleted_at: str = ""


class Yes(BaseModel):
    """One person's approval, of something that others have to approve as well."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Actor
    reason: ContentRef
    at: str
    nonce: str
    in_place_of: str = ""
    """Whose deputy they were in this; empty for a right of their own."""
    through: str = ""
    """The organisation's own app in which they signed it (`DecidingAppRecord.id`); empty where they did not."""


class ApprovalRecord(Record):
    """What must be exact about an approval: decided once, consumed once.

    It stays `pending` until `approvers` different people have approved it, or one has denied it. `approver` is the last
    of them, or the one who denied it; `given` has who approved before.

    `claim` is who consumed it: `<run>:<sequence number of the append that was to follow>`. A run that resumes after a
    crash between the two recognises its own claim by it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "approval"

    id: ApprovalId
    run: RunId
    step: int
    call: int
    agent: str
    tool: str
    effect: Effect
    arguments: ContentRef
    policy_version: str
    requester: PrincipalId
    requested_at: str
    expires_at: str
    approvers: int = 1
    given: tuple[Yes, ...] = ()
    status: Literal["pending", "approved", "denied", "expired", "superseded"] = "pending"
    approver: Actor | None = None
    reason: ContentRef | None = None
    decided_at: str = ""
    nonce: str = ""
    in_place_of: str = ""
    through: str = ""
    claim: str = ""

    @property
    def yes(self) -> tuple[Actor, ...]:
        """Everybody who has approved it, in order."""
        last = (self.approver,) if self.approver and self.status == "approved" else ()
        return (*(one.by for one in self.given), *last)


class DeputyRecord(Record):
    """Who decides in the place of an approver who is away, and from when until when. Key: who is away."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "deputy"

    absent: PrincipalId
    deputy: PrincipalId
    since: str
    until: str
    at: str


class DecidingAppRecord(Record):
    """An app of the organisation's own in which people sign decisions on approvals. Key: its client id in Entra ID.

    One that was taken away stays, with `ended_at`: without any record, decisions would need no signature again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "deciding_app"

    id: str
    client: str
    by: PrincipalId
    at: str
    ended_at: str = ""


class CancellationRecord(Record):
    """A run shall end: its requester asked, or its agent was revoked; whoever carries it heeds that. Key: the run."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "cancellation"

    by: Actor
    cause: Literal["asked", "agent_revoked"] = "asked"


class CarrierRecord(Record):
    """A process that carries runs, in the publisher's tenant. Key: its name. It is dead if `until` has passed."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "carrier"

    lease: str
    until: str


class WakeRecord(Record):
    """Whoever carries a run shall look at it, in the publisher's tenant. Key: `<tenant>/<run>`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "wake"

    tenant: TenantId
    run: RunId


class CollectionRecord(Record):
    """A place for documents. What it says of labels and readers holds for all that is in it, at once: see `access`.

    Only an admin may mark one as trusted: its authors are then believed by policy. With a `source` its passages are not
    here but in an index that the customer keeps.

    Attributes:
        retention_days: so long a document stays that is brought from now on; None: as long as its class of content.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "collection"

    id: str
    title: str
    purpose: str
    owner: PrincipalId
    integrity: Integrity
    confidentiality: Confidentiality
    readers: tuple[str, ...] = ()
    retention_days: int | None = None
    source: Source | None = None

    @property
    def label(self) -> Label:
        return Label(integrity=self.integrity, confidentiality=self.confidentiality)


class DocumentRecord(Record):
    """A document as it is known; its title, text and original are content.

    Attributes:
        content: JSON with `title` and `text`, which is Markdown.
        run: the ingestion that took it in, or was the last to index it again.
        version: how often it was indexed.
        media_type: of what was brought.
        size: of that, in bytes.
        original: the file as it was brought; None where that was the text itself.
        brought_at: when its text was stored.
        erasing: it is about to go; nobody sees it any more.
        expires_at: when its collection's retention is over; empty if that states none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "document"

    id: DocumentId
    collection: str
    owner: PrincipalId
    title: ContentRef
    content: ContentRef
    passages: int
    run: RunId
    brought_at: str
    updated_at: str
    version: int = 1
    media_type: str = "text/markdown"
    size: int = 0
    original: ContentRef | None = None
    erasing: bool = False
    expires_at: str = ""

    @property
    def term(self) -> Term:
        return Term(self.content.id, self.owner, since=self.brought_at, until=self.expires_at)
