"""What is switched off at once: all of an organisation, an agent, a tool, a capability. Facts for the gate.

It stands in two records, the organisation's own and the publisher's. A decision is made by what this process read last;
the write that puts it on disk compares both records with that, and where one has changed all is decided anew.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from control import contexts
from control.cache import Cache
from control.switch_records import SWITCHES_KEY, Sponsorship, Switch, SwitchesRecord
from core import (
    PUBLISHER,
    ActionKind,
    Actor,
    Clock,
    Content,
    ContentClass,
    ContentRef,
    Effect,
    Facts,
    TenantContext,
    TenantId,
    timestamp,
)
from core.errors import Conflict, NotFound, PreconditionFailed
from data import Seen, Store, TenantData, Versioned

EVERYTHING = "tenant"
CHANGE_FREEZE = "change_freeze"
_ATTEMPTS = 20

STOPPED = ("agent", "capability", "claim", "tenant", "tool")
"""On account of what something is switched off."""


class Capability(StrEnum):
    """What can be switched off for all agents and tools together."""

    MODELS = "models"
    SEARCH = "search"
    TOOLS = "tools"
    MONEY = "money"
    SENDING = "sending"
    DOCUMENTS = "documents"


@dataclass(frozen=True, slots=True)
class SwitchTold:
    """One that is thrown, for people to read; `reason` is None where it was erased."""

    name: str
    by_publisher: bool
    by: Actor
    at: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Thrown:
    """What was switched off for a tenant when it was read, and which agents it sponsored.

    `everywhere` is what the publisher has switched off, `read` the two records, for what rests on them.
    """

    tenant: TenantId
    own: Mapping[str, Switch]
    everywhere: Mapping[str, Switch]
    agents: Mapping[str, Sponsorship]
    read: tuple[Seen, ...]

    @property
    def change_freeze(self) -> bool:
        return self._has(CHANGE_FREEZE)

    def stopping(self, *, agent: str, tool: str, capabilities: Collection[Capability]) -> tuple[str, ...]:
        """Return on account of what an action is switched off; nothing if it is not."""
        stopped = {
            "agent": self._has(f"agent/{agent}"),
            "capability": any(self._has(f"capability/{capability}") for capability in capabilities),
            "tenant": self._has(EVERYTHING) or f"tenant/{self.tenant}" in self.everywhere,
            "tool": self._has(f"tool/{tool}"),
        }
        return tuple(kind for kind, is_off in stopped.items() if is_off)

    def _has(self, name: str) -> bool:
        return name in self.own or name in self.everywhere


class Switches:
    """What can be switched, what is switched off, and how that is changed; durable on return.

    Args:
        agents: names of those that there are; `tools` likewise.
        claims: names of the switches by which the publisher alone marks a claim as failed.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        agents: Collection[str],
        tools: Collection[str],
        claims: Collection[str] = (),
    ) -> None:
        self._store = store
        self._clock = clock
        self._known: Cache[TenantId, Thrown] = Cache(clock, lifetime=timedelta.max)
        self.claims = claims
        self.names = (
            EVERYTHING,
            CHANGE_FREEZE,
            *(f"agent/{name}" for name in agents),
            *(f"tool/{name}" for name in sorted(tools)),
            *(f"capability/{name}" for name in Capability),
        )
        """All that an organisation can switch off, in the order in which people are shown them."""

    async def thrown(self, data: TenantData) -> Thrown:
        """Return what is switched off now. Two point reads, side by side."""
        tenant = data.context.tenant
        own, everywhere = await asyncio.gather(read_switches(data), read_switches(self._publisher()))
        read = _seen(tenant, own), _seen(PUBLISHER, everywhere)
        return Thrown(tenant, _off(own), _off(everywhere), own.value.agents if own else {}, read)

    async def known(self, data: TenantData) -> Thrown:
        """Return what was switched off when this process last looked: only for what is written resting on `read`."""
        return await self._known.get(data.context.tenant, lambda _: self.thrown(data))

    def forget(self, data: TenantData) -> None:
        """Have `known` look anew: the records are not as they were read."""
        self._known.forget(data.context.tenant)

    async def told(self, data: TenantData) -> list[SwitchTold]:
        """Return the same for people, with who, when and why; the publisher's for other tenants are left out."""
        thrown, publisher = await self.thrown(data), self._publisher()
        known = (*self.names, *self.claims, f"tenant/{data.context.tenant}")
        lines = [await _told(data, name, thrown.own[name], by_publisher=False) for name in thrown.own]
        theirs = [name for name in thrown.everywhere if name in known]
        return lines + [await _told(publisher, name, thrown.everywhere[name], by_publisher=True) for name in theirs]

    async def everywhere(self, publisher: TenantData) -> list[SwitchTold]:
        """Return what the publisher has switched off, for all or for one, as its own people read it."""
        thrown = await self.thrown(publisher)
        return [await _told(publisher, name, one, by_publisher=True) for name, one in thrown.everywhere.items()]

    async def switch_off(self, context: TenantContext, name: str, reason: str) -> ContentRef:
        """Switch `name` off from the next decision on, in all processes; returns where the reason is.

        In the publisher's tenant it is off for all, and `tenant/<id>` for that one.

        Raises:
            NotFound: there is nothing of that name to switch.
            Conflict: it is off already (`switch.thrown`), or many change switches at this moment.
        """
        self._check(context, name)
        data = self._store.tenant(context)
        why = Content.new(reason.encode(), kind=ContentClass.REASON, owner=context.principal.id)
        await data.content.put([why])
        switch = Switch(by=context.principal.actor, at=timestamp(self._clock.now()), reason=why.ref)

        def thrown(record: SwitchesRecord) -> SwitchesRecord:
            if name in record.off:
                raise Conflict("This is switched off already.", code="switch.thrown")
            return record.model_copy(update={"off": {**record.off, name: switch}})

        await changed(data, thrown)
        return why.ref

    async def switch_on(self, context: TenantContext, name: str) -> None:
        """Switch `name` on again.

        Raises:
            NotFound: it is not switched off here.
            Conflict: many change switches at this moment.
        """
        data = self._store.tenant(context)
        gone: list[Switch] = []

        def put_back(record: SwitchesRecord) -> SwitchesRecord:
            if name not in record.off:
                raise NotFound("This is not switched off here. What the publisher switched off, it alone switches on.")
            gone.append(record.off[name])
            return record.model_copy(update={"off": {key: one for key, one in record.off.items() if key != name}})

        await changed(data, put_back)
        with suppress(Conflict):  # a legal hold keeps the reason
            await data.content.erase([gone[-1].reason.id])

    def _check(self, context: TenantContext, name: str) -> None:
        publishers = name.startswith("tenant/ten_") or name in self.claims
        if name not in self.names and not (publishers and context.tenant == PUBLISHER):
            raise NotFound("There is nothing of that name to switch off. See GET /v1/switches.")

    def _publisher(self) -> TenantData:
        return self._store.tenant(contexts.publisher("switches"))


def capabilities(kind: ActionKind, facts: Facts) -> frozenset[Capability]:
    """Return what an action needs of what can be switched off."""
    match kind:
        case ActionKind.CALL_MODEL:
            return frozenset({Capability.MODELS})
        case ActionKind.RETRIEVE:
            return frozenset({Capability.SEARCH})
        case ActionKind.INGEST:
            return frozenset({Capability.DOCUMENTS})
        case ActionKind.SHOW:
            return frozenset()
        case ActionKind.CALL_TOOL:
            more = {
                Capability.MONEY: "amount_cents" in facts,
                Capability.SENDING: facts.get("effect") == Effect.EXTERNAL or facts.get("egress") is True,
            }
            return frozenset({Capability.TOOLS, *(capability for capability, needed in more.items() if needed)})


async def read_switches(data: TenantData) -> Versioned[SwitchesRecord] | None:
    return await data.records.get(SwitchesRecord, SWITCHES_KEY)


async def changed(data: TenantData, change: Callable[[SwitchesRecord], SwitchesRecord]) -> None:
    """Change the record of a tenant; what `change` raises, or returns as it was, leaves it as it is.

    Raises:
        Conflict: many change it at this moment.
    """
    for _ in range(_ATTEMPTS):
        found = await read_switches(data)
        record = found.value if found else SwitchesRecord()
        if (new := change(record)) is record:
            return
        with suppress(PreconditionFailed):
            await data.records.put(SWITCHES_KEY, new, etag=found.etag if found else None)
            return
    raise Conflict("Too many change switches at once; try again in a moment.", retry_after=1)


def _off(found: Versioned[SwitchesRecord] | None) -> Mapping[str, Switch]:
    return found.value.off if found else {}


def _seen(tenant: TenantId, found: Versioned[SwitchesRecord] | None) -> Seen:
    return Seen(tenant, SwitchesRecord.kind, SWITCHES_KEY, found.etag if found else None)


async def _told(data: TenantData, name: str, switch: Switch, *, by_publisher: bool) -> SwitchTold:
    try:
        reason = (await data.content.get(switch.reason)).decode()
    except NotFound:
        reason = None
    return SwitchTold(name, by_publisher, switch.by, switch.at, reason)
