"""What a tenant has bought at this moment: its plan, and what the publisher laid down for it alone.

It is a fact that the gate gives to the policies, and nobody else decides by it. Copies are five seconds old at most, so
that a change reaches a run in the middle.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import ConfigDict, Field

from control import contexts
from control.cache import Cache
from control.records import Amount, TenantRecord
from control.switches import Capability
from core import ActionKind, Clock, ContentClass, TenantId
from core.errors import Conflict, PreconditionFailed
from data import Record, Records, Store, Versioned

_ATTEMPTS = 20
_NO_BUDGET = Amount()


class OverrideRecord(Record):
    """What the publisher laid down for one tenant, in place of what its plan says. Key: the tenant's id.

    Attributes:
        features: None where the plan's hold, as in the next two.
        included: by unit, how many the price includes; None: this unit is not billed. A unit that is not here is as the
            plan has it.
    """

    kind: ClassVar[str] = "entitlement_override"
    model_config = ConfigDict(frozen=True, extra="forbid")

    features: frozenset[Capability] | None = None
    models: frozenset[str] | None = None
    budget: Amount | None = None
    included: dict[str, int | None] = Field(default={})


@dataclass(frozen=True, slots=True)
class Offered:
    """What a plan gives: see `environments/plans.yaml`."""

    features: frozenset[Capability]
    models: frozenset[str]
    budget: Amount
    meters: Mapping[str, int]
    retention: Mapping[ContentClass, int] = field(default_factory=dict[ContentClass, int])


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What a tenant may use now.

    Attributes:
        plan: ours; empty where there is none.
        is_active: False while it is suspended, and when it has ended.
        models: logical ones.
        budget: of a calendar month; nothing, unless there is a plan.
        retention: days that content of a class stays, where that is not as `environments/governance.yaml` says.
    """

    plan: str
    is_active: bool
    features: frozenset[Capability]
    models: frozenset[str]
    budget: Amount = _NO_BUDGET
    retention: Mapping[ContentClass, int] = field(default_factory=dict[ContentClass, int])

    def includes(self, kind: ActionKind, target: str, needed: Collection[Capability]) -> bool:
        """Return whether an action is included: all that it needs, and the model where it calls one."""
        has_model = kind is not ActionKind.CALL_MODEL or target in self.models
        return self.is_active and has_model and self.features.issuperset(needed)


@dataclass(frozen=True, slots=True)
class Meters:
    """`included` units of a term's price, by unit; what is not here is not billed. `exactly` those laid down for it."""

    included: Mapping[str, int]
    exactly: frozenset[str]


NOTHING = Entitlement("", is_active=False, features=frozenset(), models=frozenset())


class Entitlements:
    """Knows what each tenant has bought, and changes what is laid down for one alone.

    Args:
        plans: what each of our plans gives, by its name.
    """

    def __init__(self, store: Store, clock: Clock, plans: Mapping[str, Offered]) -> None:
        self._store = store
        self._plans = plans
        self._cache: Cache[TenantId, Entitlement] = Cache(clock)

    @property
    def _records(self) -> Records:
        return self._store.tenant(contexts.publisher("entitlements")).records

    async def of(self, tenant: TenantId) -> Entitlement:
        """Return what the tenant may use, as it was within five seconds."""
        return await self._cache.get(tenant, lambda _: self._load(tenant))

    async def budget(self, tenant: TenantId) -> Amount:
        """Return what the tenant may spend in a month, as old as `of`: nothing without a plan of ours."""
        return (await self.of(tenant)).budget

    async def meters(self, tenant: TenantId, plan: str, agreed: Mapping[str, int] | None = None) -> Meters:
        """Return what a term of `plan` includes for the tenant, exact.

        Args:
            tenant: whose.
            plan: ours.
            agreed: units as the marketplace has them for this deal: they count before the plan's, for what the plan
                bills at all, and after what the publisher laid down for the tenant.
        """
        found = await self.laid_down(tenant)
        own = found.value.included if found else {}
        usual: Mapping[str, int | None] = self._plans[plan].meters if plan in self._plans else {}
        deal = {unit: many for unit, many in (agreed or {}).items() if usual.get(unit) is not None}
        merged = {**usual, **deal, **own}
        return Meters({unit: many for unit, many in merged.items() if many is not None}, frozenset(own))

    async def laid_down(self, tenant: TenantId) -> Versioned[OverrideRecord] | None:
        """Return what the publisher laid down for the tenant."""
        return await self._records.get(OverrideRecord, tenant)

    async def lay_down(self, tenant: TenantId, override: OverrideRecord) -> None:
        """Replace what is laid down for the tenant; durable on return, and in force everywhere within five seconds."""
        for _ in range(_ATTEMPTS):
            found = await self.laid_down(tenant)
            with suppress(PreconditionFailed):
                await self._records.put(tenant, override, etag=found.etag if found else None)
                self._cache.forget(tenant)
                return
        raise Conflict("Too many change this at once; try again in a moment.", retry_after=1)

    async def _load(self, tenant: TenantId) -> Entitlement:
        entry = await self._records.get(TenantRecord, tenant)
        offered = self._plans.get(entry.value.plan) if entry else None
        if entry is None or offered is None:
            return NOTHING
        found = await self.laid_down(tenant)
        own = found.value if found else OverrideRecord()
        return Entitlement(
            plan=entry.value.plan,
            is_active=entry.value.status == "active",
            features=offered.features if own.features is None else own.features,
            models=offered.models if own.models is None else own.models,
            budget=own.budget or offered.budget,
            retention=offered.retention,
        )
