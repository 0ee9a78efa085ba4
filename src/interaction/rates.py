"""How many requests a second a person, and a tenant as a whole, may make: by plan, kept in this process."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core import TenantContext
from core.errors import Forbidden, RateLimited
from web import RateLimiter


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_second` requests on average, `burst` at once."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class PlanRates:
    per_person: Rate
    per_tenant: Rate


class RateLimits:
    def __init__(self, plans: Mapping[str, PlanRates], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        def limiter(rate: Rate) -> RateLimiter:
            return RateLimiter(per_second=rate.per_second, burst=rate.burst, monotonic=monotonic)

        self._people = {plan: limiter(rates.per_person) for plan, rates in plans.items()}
        self._tenants = {plan: limiter(rates.per_tenant) for plan, rates in plans.items()}

    def take(self, context: TenantContext) -> None:
        """Count one request. Who is over their own limit takes nothing from their colleagues.

        Raises:
            RateLimited: too many at once, from this person or from their tenant.
            Forbidden: the tenant's plan is not one that we know (`access.plan`).
        """
        if context.plan not in self._people:
            raise Forbidden("Your organisation's plan is not known here; ask its owner.", code="access.plan")
        self._take(self._people, context.plan, f"{context.tenant}/{context.principal.id}", "You")
        self._take(self._tenants, context.plan, context.tenant, "Your organisation's members")

    def _take(self, limiters: Mapping[str, RateLimiter], plan: str, key: str, who: str) -> None:
        wait = limiters[plan].take(key)
        if wait > 0:
            raise RateLimited(f"{who} are asking too fast. Wait a moment, then try again.", retry_after=wait)
