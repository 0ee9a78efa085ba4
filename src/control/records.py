"""What the control plane keeps: one typed record each, with the key under which it is found."""

from dataclasses import dataclass
from functools import reduce
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from core import Actor, ContentRef, PrincipalId, Role, TenantId, digest
from data import Record

PERSONAL_ACCOUNTS = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The one Entra tenant of all personal Microsoft accounts: it says nothing about who somebody works for."""


class _Strict(Record):
    kind: ClassVar[str] = ""  # of those that are part of another
    model_config = ConfigDict(frozen=True, extra="forbid")


LAST_RING = "general"
"""The ring of whoever was put into no other: changes reach it last."""


class TenantRecord(_Strict):
    """A customer, in the publisher's tenant. Key: its id.

    Attributes:
        groups: Entra group object id to our name of the group.
        stamp: the deployment that holds its data.
        owner: mark of the person for whom it was bought, who is an owner whatever their roles; see `owner_mark`.
        ring: in which it gets changes, as the targeting of flags names it.
    """

    kind: ClassVar[str] = "tenant"
    id: TenantId
    name: str
    plan: str
    region: str
    status: Literal["active", "suspended", "closed"] = "active"
    groups: dict[str, str] = Field(default={})
    stamp: str = "local"
    mode: Literal["publisher_hosted", "customer_hosted", "hybrid"] = "publisher_hosted"
    owner: str = ""
    ring: str = LAST_RING


class BindingRecord(_Strict):
    """Which tenant an identity belongs to, in the publisher's tenant. Key: see `binding_key`."""

    kind: ClassVar[str] = "binding"
    tenant: TenantId


class MemberRecord(_Strict):
    """A person, in their tenant. Key: the Entra object id. Their name is content, and can be erased."""

    kind: ClassVar[str] = "member"
    principal: PrincipalId
    profile: ContentRef


class PersonRecord(_Strict):
    """A member by their pseudonym, which is the key: their profile, and the groups and roles they were last seen in.

    Attributes:
        groups: our names of them, from the latest of their tokens that any process has verified.
        groups_at: when that token was issued, in seconds since 1970.
        roles: those of the same token; None where that was not yet written down.
    """

    kind: ClassVar[str] = "person"
    profile: ContentRef
    groups: tuple[str, ...]
    groups_at: float
    roles: tuple[Role, ...] | None = None


class ServiceKeyRecord(_Strict):
    """A public key that one of our processes signs with, in the publisher's tenant. Key: `kid`."""

    kind: ClassVar[str] = "service_key"
    kid: str
    service: str
    public: str
    expires: str


class SessionRecord(_Strict):
    """Somebody signed in to the console, in the publisher's tenant. Key: see `control.sessions`.

    Attributes:
        sealed: the person's tokens, encrypted under a key that only the cookie holds.
        access_until: when the access token among them expires.
        began: when they signed in.
        seen: when they last asked for something, to the minute.
        browser: which, in words of ours.
        renewing_until: some process exchanges the refresh token, and has until then.
    """

    kind: ClassVar[str] = "session"
    tenant: TenantId
    principal: PrincipalId
    sealed: str
    access_until: str
    began: str
    seen: str
    browser: str
    renewing_until: str = ""


class ReceiptLine(_Strict):
    """What was destroyed in one of the stores of `orchestration.stores`, when; `items` counts it as the store does."""

    store: str
    items: int
    at: str


ErasureReason = Literal["contract_over", "not_needed", "moved", "asked_for", "other"]
"""Why an organisation is erased; no text of anybody's, since this outlives all of theirs."""


class ErasureRecord(_Strict):
    """That something is to be erased, and what came of it; in the publisher's tenant. Key: `<tenant>/<id>`.

    Attributes:
        target: id of the document, the person or the tenant; like all in here it was minted by us.
        reason: why, of an organisation where somebody said so.
        waits: why it does not go on, as a code; it is tried again.
        done_at: empty until all stores are done.
        settled: it was done once more when whatever was under way at the time was over.
    """

    kind: ClassVar[str] = "erasure"
    id: str
    tenant: TenantId
    subject: Literal["document", "person", "tenant"]
    target: str
    by: Actor
    at: str
    reason: ErasureReason | None = None
    waits: str = ""
    done_at: str = ""
    settled: bool = False
    receipt: tuple[ReceiptLine, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.tenant}/{self.id}"


class OpenErasure(_Strict):
    """That an erasure must be carried on, under its key: so that nobody has to look through those of years."""

    kind: ClassVar[str] = "open_erasure"


class PolicyRecord(_Strict):
    """The tenant's own layer of policies, as it is in force. Key: `POLICY_KEY`.

    Attributes:
        version: SHA-256 in hex of `text`.
        number: counts what was saved, from 1.
        restored: number of the earlier one whose text was put in force again; 0 if it is new.
        by: who saved it; None where that was not yet written down, as `reason`.
    """

    kind: ClassVar[str] = "policy"
    text: str
    version: str
    number: int = 1
    restored: int = 0
    by: Actor | None = None
    at: str = ""
    reason: ContentRef | None = None


class PolicyVersion(PolicyRecord):
    """One that was in force before. Key: see `policy_version_key`, so that lists begin with the latest."""

    kind: ClassVar[str] = "policy_version"


POLICY_KEY = "tenant"


def policy_version_key(number: int) -> str:
    return f"{10**9 - number:010d}"


class RulesetRecord(_Strict):
    """All policies by which decisions of the tenant were made, layer by layer. Key: the version that they name."""

    kind: ClassVar[str] = "ruleset"
    publisher: str
    environment: str
    tenant: str


class Moved(_Strict):
    """Money that an agent moved, or is about to move, for somebody."""

    at: str
    user: PrincipalId
    cents: int


class MovedRecord(_Strict):
    """All money that a tenant's agents moved within a day, by the caller's key. Key: `MOVED_KEY`."""

    kind: ClassVar[str] = "moved"
    moves: dict[str, Moved] = Field(default={})


MOVED_KEY = "current"


@dataclass(frozen=True, slots=True)
class Amount:
    """Money in millionths of the catalogue's currency, and tokens."""

    micros: int = 0
    tokens: int = 0

    def plus(self, other: "Amount") -> "Amount":
        return Amount(micros=self.micros + other.micros, tokens=self.tokens + other.tokens)

    def minus(self, other: "Amount") -> "Amount":
        return Amount(micros=self.micros - other.micros, tokens=self.tokens - other.tokens)


class BudgetRecord(_Strict):
    """What the tenant has spent this month and has set aside. Key: `BUDGET_KEY`.

    Attributes:
        month: such as `2026-11`, in UTC; `spent` starts at nothing in each.
        reserved: by the caller's key; carried over into the next month until it is settled.
        calls: tool calls of the last hour, by the five minutes in which they were made.
    """

    kind: ClassVar[str] = "budget"
    month: str
    limit: Amount
    spent: Amount = Amount()
    reserved: dict[str, Amount] = Field(default={})
    calls: dict[str, int] = Field(default={})

    @property
    def left(self) -> Amount:
        """What is neither spent nor set aside; below 0 where a call cost more than was set aside for it."""
        return reduce(Amount.minus, self.reserved.values(), self.limit.minus(self.spent))


BUDGET_KEY = "current"


def owner_mark(tid: str, oid: str) -> str:
    """Return what a tenant's entry says of its owner: enough to know them again, too little to name them."""
    return digest(f"{tid}/{oid}".encode())


def binding_key(tid: str, oid: str) -> str:
    """Return the key of an identity's binding: the organisation, or the person where the account is personal."""
    if tid == PERSONAL_ACCOUNTS:
        # mandate: equal[key] - all of these have one and the same `tid`
        return f"person/{tid}/{oid}"
    return f"org/{tid}"
