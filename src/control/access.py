"""Evidence of what is not a run: refused access, and administrative acts; one log a day for each tenant and kind."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from control import contexts
from control.batches import Batches
from core import Actor, Clock, ContentRef, PrincipalKind, RunId, TenantContext, TenantId, derived_id
from core.admin_bodies import ChangeCause
from core.bodies import AccessRefused, Body, RecordChanged, RunOpened
from core.errors import Conflict
from core.parts import RunKind, Versions
from data import RunWriter, Store, TenantData, append_shared

APPENDS_PER_SECOND = 20
"""What one tenant's refusals may cost; what comes faster is counted together."""

_ACTORS = 20
_KINDS = 50
_PART = 250  # events; every append reads the log that it appends to, so a long day is continued in another run

MANY = Actor(kind=PrincipalKind.SERVICE, id="svc_many")
"""Stands for whoever else was refused in a flood of refusals."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    data: TenantData
    actor: Actor
    code: str
    operation: str


@dataclass(slots=True)
class _Log:
    """Where the log of a tenant, kind and day goes on."""

    day: str = ""
    part: int = 0
    run: RunId = field(default_factory=lambda: RunId(""))


class AccessLog:
    def __init__(self, store: Store, clock: Clock, *, code: str) -> None:
        self._store = store
        self._clock = clock
        self._versions = Versions(code=code)
        self._logs: dict[tuple[TenantId, RunKind], _Log] = {}
        self._refusals: Batches[TenantId, _Refusal] = Batches(self._commit, self._pace)
        self._free_at: dict[TenantId, float] = {}

    async def refused(self, context: TenantContext | None, code: str, operation: str, actor: Actor) -> None:
        """Record that `actor` was refused; on disk when this returns.

        Args:
            context: of whoever asked; None if no tenant is known, then it goes into the publisher's own log.
            code: of the error that they were given.
            operation: method and the route's template, never the address that was asked for.
            actor: a pseudonym.
        """
        data = self._store.tenant(context or contexts.publisher("access"))
        await self._refusals.add(data.context.tenant, _Refusal(data, actor, code, operation))

    async def admin(
        self,
        context: TenantContext,
        kind: str,
        key: str,
        version: str,
        *,
        cause: ChangeCause = "",
        reason: ContentRef | None = None,
    ) -> None:
        """Record that the principal changed the record `key` to `version`; on disk when this returns.

        `key` must not name a person: give a pseudonym. `reason` is content of the context's tenant.
        """
        changed = RecordChanged(kind=kind, key=key, version=version, cause=cause, reason=reason)
        await self._append(self._store.tenant(context), RunKind.ADMIN, [changed], context.principal.actor)

    async def _pace(self, tenant: TenantId) -> None:
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, self._free_at.get(tenant, 0.0) - now))

    async def _commit(self, tenant: TenantId, refusals: Sequence[_Refusal]) -> None:
        by_actor = _merge(refusals)
        for actor, bodies in by_actor.items():
            await self._append(refusals[0].data, RunKind.ACCESS, bodies, actor)
        self._free_at[tenant] = asyncio.get_running_loop().time() + len(by_actor) / APPENDS_PER_SECOND

    async def _append(
        self, data: TenantData, kind: Literal[RunKind.ACCESS, RunKind.ADMIN], bodies: Sequence[Body], actor: Actor
    ) -> None:
        run = await self._log(data, kind)
        await append_shared(data, run, bodies, actor=actor)

    async def _log(self, data: TenantData, kind: Literal[RunKind.ACCESS, RunKind.ADMIN]) -> RunId:
        """Return the run that takes the next event, opened if need be."""
        tenant, day = data.context.tenant, self._clock.now().strftime("%Y-%m-%d")
        log = self._logs.setdefault((tenant, kind), _Log())
        if log.day != day:
            log.day, log.part, log.run = day, 0, log_run(tenant, kind, day)
        while await data.log.read(log.run, after=_PART - 1, limit=1):
            log.part += 1
            log.run = log_run(tenant, kind, day, log.part)
        if not await data.log.read(log.run, limit=1):
            await self._open(data, kind, log.run)
        return log.run

    async def _open(self, data: TenantData, kind: RunKind, run: RunId) -> None:
        platform = contexts.publisher("access").principal.actor
        writer = RunWriter(data, run, actor=platform, clock=self._clock)
        with suppress(Conflict):  # another process has opened it at this moment
            await writer.append([RunOpened(kind=kind, versions=self._versions)])


def log_run(tenant: TenantId, kind: Literal[RunKind.ACCESS, RunKind.ADMIN], day: str, part: int = 0) -> RunId:
    """Return the id of a day's log, `day` such as `2026-11-23`; `part` counts its continuations."""
    parts = (tenant, kind.value, day, str(part)) if part else (tenant, kind.value, day)
    return RunId(derived_id("run", *parts))


def _merge(refusals: Sequence[_Refusal]) -> dict[Actor, list[AccessRefused]]:
    """Return one event for equal refusals; bounded in actors and in kinds, however many there are."""
    counts: dict[Actor, Counter[tuple[str, str]]] = {}
    for refusal in refusals:
        actor = refusal.actor if refusal.actor in counts or len(counts) < _ACTORS else MANY
        counter = counts.setdefault(actor, Counter())
        what = (refusal.code, refusal.operation)
        counter[what if what in counter or len(counter) < _KINDS else ("access.flood", "*")] += 1
    return {
        actor: [
            AccessRefused(code=code, operation=operation, count=count) for (code, operation), count in counter.items()
        ]
        for actor, counter in counts.items()
    }
