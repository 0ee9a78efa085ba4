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


STAFF_PLAN = "none"
"""What the publisher's own people have in place of a plan, see `control.contexts.staff`."""

STAFF_RATES = PlanRates(per_person=Rate(10, 60), per_tenant=Rate(50, 300))


class RateLimits:
    """Limits by plan. Where `plans` says something else in a moment, the buckets of that plan are full again."""

    def __init__(self, plans: Mapping[str, PlanRates], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._plans = plans
        self._monotonic = monotonic
        self._limiters: dict[str, _Limiters] = {}

    def take(self, context: TenantContext) -> None:
        """Count one request. Who is over their own limit takes nothing from their colleagues.

        Raises:
            RateLimited: too many at once, from this person or from their tenant.
            Forbidden: the tenant's plan is not one that we know (`access.plan`).
        """
        limiters = self._of(context.plan)
        _take(limiters.people, f"{context.tenant}/{context.principal.id}", "You")
        _take(limiters.tenants, context.tenant, "Your organisation's members")

    def _of(self, plan: str) -> "_Limiters":
        rates = STAFF_RATES if plan == STAFF_PLAN else self._plans.get(plan)
        known = self._limiters.get(plan)
        if rates is None:
            raise Forbidden("Your organisation's plan is not known here; ask its owner.", code="access.plan")
        if known is None or known.rates != rates:
            known = _Limiters(rates, self._limiter(rates.per_person), self._limiter(rates.per_tenant))
            self._limiters[plan] = known
        return known

    def _limiter(self, rate: Rate) -> RateLimiter:
        return RateLimiter(per_second=rate.per_second, burst=rate.burst, monotonic=self._monotonic)


@dataclass(frozen=True, slots=True)
class _Limiters:
    rates: PlanRates
    people: RateLimiter
    tenants: RateLimiter


def _take(limiter: RateLimiter, key: str, who: str) -> None:
    if (wait := limiter.take(key)) > 0:
        raise RateLimited(f"{who} are asking too fast. Wait a moment, then try again.", retry_after=wait)
