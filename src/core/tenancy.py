"""Who is asking, for which tenant, on whose behalf."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from core.ids import PrincipalId, TenantId


class Role(StrEnum):
    """What a person may do in a tenant; Entra app roles of the same names."""

    OWNER = "owner"
    ADMIN = "admin"
    APPROVER = "approver"
    USER = "user"
    AUDITOR = "auditor"


class PrincipalKind(StrEnum):
    USER = "user"
    SERVICE = "service"
    AGENT = "agent"


class Actor(BaseModel):
    """One link of the chain of who acts for whom, as it is stored in events: a pseudonym, never a name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: PrincipalKind
    id: str


@dataclass(frozen=True, slots=True)
class Principal:
    id: PrincipalId
    kind: PrincipalKind
    roles: frozenset[Role] = frozenset()
    groups: frozenset[str] = frozenset()

    @property
    def actor(self) -> Actor:
        return Actor(kind=self.kind, id=self.id)


@dataclass(frozen=True, slots=True)
class TenantContext:
    """Authority to touch one tenant's data. Only `control.contexts` makes one, from a verified credential.

    Attributes:
        principal: on whose behalf everything is done; whose groups trim what is read.
        chain: who acts for the principal, outermost first (a service, then an agent); empty if nobody does.
        plan: what the tenant bought; limits and models follow from it.
        region: where its data may be and where its models may run.
        correlation: joins what one request caused, across services; no meaning of its own.
    """

    tenant: TenantId
    principal: Principal
    plan: str
    region: str
    correlation: str
    chain: tuple[Actor, ...] = field(default=())

    def acting(self, actor: Actor) -> "TenantContext":
        """Return the same authority with `actor` added as the one who acts for it."""
        return replace(self, chain=(*self.chain, actor))

    def has(self, *roles: Role) -> bool:
        """Return whether the principal holds any of `roles`."""
        return not self.principal.roles.isdisjoint(roles)
