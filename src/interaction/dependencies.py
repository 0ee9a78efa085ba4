"""What the edge is given by the composition root, and how an endpoint gets hold of it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol

from fastapi import Depends, Request

from control import (
    AccessLog,
    AgentManifest,
    Directory,
    Features,
    Governance,
    Policies,
    Principals,
    Sessions,
    Switches,
)
from core import Clock, RunId, TenantContext
from data import Store, TenantData, Verdict
from interaction.rates import RateLimits
from orchestration import Eraser
from tools import Registry
from web import OpenIdClient, TokenValidator, Transport


class Peer(Protocol):
    """Another of our services, as `web.PeerClient` reaches it."""

    async def call(
        self, context: TenantContext, method: str, path: str, *, body: bytes = b"", deadline: datetime
    ) -> bytes: ...

    def stream(
        self,
        context: TenantContext,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        deadline: datetime,
        headers: Mapping[str, str] | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]: ...


@dataclass(frozen=True, slots=True)
class InteractionDependencies:
    """What the composition root gives this service.

    Attributes:
        version: of the code.
        verify: checks a run's chain from the bytes on disk; raises `NotFound` if there is no such run.
        environment: its name, for people to see where they are.
        currency: of all costs, as an ISO 4217 code.
        public_url: where people reach the product, without a slash at the end; links begin with it.
        webhooks: the way to the control plane for what outsiders tell it.
        candidate: the way to the revision of orchestration that some tenants reach; None where it has no address.
        publisher: the Entra tenant of the publisher's own people; empty where none of them comes here.
        sign_ins: verifies what the provider says of those who sign in to the console.
    """

    store: Store
    directory: Directory
    validator: TokenValidator
    access: AccessLog
    policies: Policies
    switches: Switches
    principals: Principals
    agents: Mapping[str, AgentManifest]
    orchestration: Peer
    control: Peer
    webhooks: Transport
    candidate: Transport | None
    limits: RateLimits
    features: Features
    registry: Registry
    eraser: Eraser
    governance: Governance
    clock: Clock
    version: str
    verify: Callable[[TenantData, RunId], Awaitable[Verdict]]
    environment: str
    currency: str
    sessions: Sessions
    provider: OpenIdClient
    sign_ins: TokenValidator
    public_url: str
    publisher: str = ""


async def dependencies_of(request: Request) -> InteractionDependencies:
    dependencies: InteractionDependencies = request.app.state.dependencies
    return dependencies


Deps = Annotated[InteractionDependencies, Depends(dependencies_of)]
