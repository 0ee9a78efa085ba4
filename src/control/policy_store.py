"""Which policies are in force for a tenant, which were before, and how it changes its own."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from control.cache import Cache
from control.policy import Ruleset
from control.policy_text import Layer, PolicyProblem, Rule, check_layer, parse_layer, publisher_text
from control.records import POLICY_KEY, PolicyRecord, PolicyVersion, RulesetRecord, policy_version_key
from core import Clock, Content, ContentClass, TenantId, digest, timestamp
from core.errors import NotFound, PreconditionFailed
from data import TenantData, Versioned

_Loaded = tuple[str, Ruleset]

MOST_VERSIONS = 100
"""Of those that a list shows."""


@dataclass(frozen=True, slots=True)
class NewPolicies:
    """What is to be put in force, and why; `restored` is the number of the version whose text it is."""

    text: str
    reason: str
    restored: int = 0


class Policies:
    """The rule sets of all tenants. A change reaches other processes within five seconds, this one at once.

    Raises:
        Unprocessable: the publisher's or the environment's own policies are wrong; the program must not start.
    """

    def __init__(self, *, environment: str, clock: Clock, publisher: str | None = None) -> None:
        self._clock = clock
        self.texts = {
            Layer.PUBLISHER: publisher_text() if publisher is None else publisher,
            Layer.ENVIRONMENT: environment,
        }
        self._fixed = {layer: parse_layer(layer, text) for layer, text in self.texts.items()}
        self._without_tenant = Ruleset(self._fixed)
        self._cache: Cache[TenantId, _Loaded] = Cache(clock, size=1000)

    async def ruleset(self, data: TenantData) -> Ruleset:
        """Return what the gate asks for this tenant; its text can be found under its version from then on.

        Raises:
            Unprocessable: the stored policies of the tenant no longer fit the schema; nothing is allowed until an
                admin has corrected them.
        """

        async def load(old: _Loaded | None) -> _Loaded:
            stored = await self.read(data)
            etag, text = (stored.etag, stored.value.text) if stored else ("", "")
            if old and old[0] == etag:
                return old
            rules = await self.check(text) if stored else self._without_tenant
            await self._keep(data, rules.version, text)
            return etag, rules

        return (await self._cache.get(data.context.tenant, load))[1]

    async def named(self, data: TenantData, version: str) -> RulesetRecord:
        """Return the policies that decisions name as `version`, layer by layer; raises `NotFound`."""
        found = await data.records.get(RulesetRecord, version)
        if found is None:
            raise NotFound("No decision here was made under policies of this version.")
        return found.value

    async def read(self, data: TenantData) -> Versioned[PolicyRecord] | None:
        """Return the tenant's own policies as they were saved."""
        return await data.records.get(PolicyRecord, POLICY_KEY)

    async def version(self, data: TenantData, number: int) -> PolicyRecord:
        """Return what was saved as `number`; raises `NotFound`."""
        current = await self.read(data)
        if current and current.value.number == number:
            return current.value
        found = await data.records.get(PolicyVersion, policy_version_key(number))
        if found is None:
            raise NotFound("There is no such version of the policies.")
        return found.value

    async def versions(self, data: TenantData) -> Sequence[PolicyRecord]:
        """Return what was saved, the latest first, `MOST_VERSIONS` at most."""
        current = await self.read(data)
        before = await data.records.list(PolicyVersion, limit=MOST_VERSIONS)
        earlier = [found.value for found in before.items if current and found.value.number < current.value.number]
        return [current.value, *earlier] if current else []

    async def lint(self, text: str) -> list[PolicyProblem]:
        """Return all that is wrong with `text` as the tenant's layer."""
        return (await asyncio.to_thread(check_layer, Layer.TENANT, text))[1]

    async def check(self, text: str) -> Ruleset:
        """Return the rule set that `text` as the tenant's layer would give, without saving it.

        Raises:
            Unprocessable: `policy.*`, naming the policy and what to change.
        """
        return await asyncio.to_thread(self._merge, text)

    async def save(self, data: TenantData, new: NewPolicies, *, etag: str | None) -> Versioned[PolicyRecord]:
        """Put `new` in force as the tenant's layer; `etag` None where there was none.

        Raises:
            Unprocessable: as `check`; nothing was saved.
            PreconditionFailed: somebody else has changed the policies since they were read.
        """
        await self.check(new.text)
        current = await self.read(data)
        if current and current.etag == etag:
            await _create(
                data, policy_version_key(current.value.number), PolicyVersion.model_validate(current.value.model_dump())
            )
        reason = Content.new(new.reason.encode(), kind=ContentClass.REASON, owner=data.context.principal.id)
        await data.content.put([reason])
        record = PolicyRecord(
            text=new.text,
            version=digest(new.text.encode()),
            number=current.value.number + 1 if current else 1,
            restored=new.restored,
            by=data.context.principal.actor,
            at=timestamp(self._clock.now()),
            reason=reason.ref,
        )
        try:
            version = await data.records.put(POLICY_KEY, record, etag=etag)
        except PreconditionFailed:
            raise PreconditionFailed(
                "The policies were changed by somebody else; read them again and repeat your change."
            ) from None
        finally:
            self._cache.forget(data.context.tenant)
        return Versioned(key=POLICY_KEY, value=record, etag=version)

    async def _keep(self, data: TenantData, version: str, tenant: str) -> None:
        if await data.records.get(RulesetRecord, version) is None:
            texts = {layer.value: text for layer, text in self.texts.items()}
            await _create(data, version, RulesetRecord(**texts, tenant=tenant))

    def _merge(self, text: str) -> Ruleset:
        tenant: list[Rule] = parse_layer(Layer.TENANT, text)
        return Ruleset({**self._fixed, Layer.TENANT: tenant})


async def _create(data: TenantData, key: str, record: PolicyVersion | RulesetRecord) -> None:
    with suppress(PreconditionFailed):  # it is there already, and never changes
        await data.records.put(key, record, etag=None)
