"""A tenant that has bought everything, and what it may spend."""

from collections.abc import Awaitable, Callable, Mapping

from control import Amount, Capability, Entitlement
from core import TenantContext
from core.errors import Defect

ENTITLED = Entitlement(
    "team", is_active=True, features=frozenset(Capability), models=frozenset({"chat", "chat-small", "embed"})
)


def by_plan(limits: Mapping[str, Amount]) -> Callable[[TenantContext], Awaitable[Amount]]:
    async def limit(context: TenantContext) -> Amount:
        if context.plan not in limits:
            raise Defect(f"The plan `{context.plan}` has no budget.")
        return limits[context.plan]

    return limit
