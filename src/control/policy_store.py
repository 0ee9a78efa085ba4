"""Which policies are in force for a tenant, and how it changes its own."""

import asyncio

from control.cache import Cache
from control.policy import Ruleset
from control.policy_text import Layer, Rule, parse_layer, publisher_text
from control.records import POLICY_KEY, PolicyRecord
from core import Clock, TenantId, digest
from core.errors import PreconditionFailed
from data import TenantData, Versioned

_Loaded = tuple[str, Ruleset]


class Policies:
    """The rule sets of all tenants. A change reaches other processes within five seconds, this one at once.

    Raises:
        Unprocessable: the publisher's or the environment's own policies are wrong; the program must not start.
    """

    def __init__(self, *, environment: str, clock: Clock, publisher: str | None = None) -> None:
        self._fixed = {
            Layer.PUBLISHER: parse_layer(Layer.PUBLISHER, publisher_text() if publisher is None else publisher),
            Layer.ENVIRONMENT: parse_layer(Layer.ENVIRONMENT, environment),
        }
        self._without_tenant = Ruleset(self._fixed)
        self._cache: Cache[TenantId, _Loaded] = Cache(clock, size=1000)

    async def ruleset(self, data: TenantData) -> Ruleset:
        """Return what the gate asks for this tenant.

        Raises:
            Unprocessable: the stored policies of the tenant no longer fit the schema; nothing is allowed until an
                admin has corrected them.
        """

        async def load(old: _Loaded | None) -> _Loaded:
            stored = await self.read(data)
            if stored is None:
                return "", self._without_tenant
            return old if old and old[0] == stored.etag else (stored.etag, await self.check(stored.value.text))

        return (await self._cache.get(data.context.tenant, load))[1]

    async def read(self, data: TenantData) -> Versioned[PolicyRecord] | None:
        """Return the tenant's own policies as they were saved."""
        return await data.records.get(PolicyRecord, POLICY_KEY)

    async def check(self, text: str) -> Ruleset:
        """Return the rule set that `text` as the tenant's layer would give, without saving it.

        Raises:
            Unprocessable: `policy.*`, naming the policy and what to change.
        """
        return await asyncio.to_thread(self._merge, text)

    async def save(self, data: TenantData, text: str, *, etag: str | None) -> Versioned[PolicyRecord]:
        """Put `text` in force as the tenant's layer; `etag` None where there was none.

        Raises:
            Unprocessable: as `check`; nothing was saved.
            PreconditionFailed: somebody else has changed the policies since they were read.
        """
        await self.check(text)
        record = PolicyRecord(text=text, version=digest(text.encode()))
        try:
            new = await data.records.put(POLICY_KEY, record, etag=etag)
        except PreconditionFailed:
            raise PreconditionFailed(
                "The policies were changed by somebody else; read them again and repeat your change."
            ) from None
        finally:
            self._cache.forget(data.context.tenant)
        return Versioned(key=POLICY_KEY, value=record, etag=new)

    def _merge(self, text: str) -> Ruleset:
        tenant: list[Rule] = parse_layer(Layer.TENANT, text)
        return Ruleset({**self._fixed, Layer.TENANT: tenant})
