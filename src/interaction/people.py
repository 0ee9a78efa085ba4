"""Names of people: content, looked up where people are shown, and gone once they are erased."""

from collections.abc import Awaitable, Callable

from control import member_name
from core import PrincipalId
from data import TenantData

NameOf = Callable[[str], Awaitable[str | None]]


def names_in(data: TenantData) -> NameOf:
    """Return a function that gives the name behind a pseudonym of the tenant, looked up once; None if it is unknown."""
    known: dict[str, str | None] = {}

    async def name(principal: str) -> str | None:
        if principal not in known:
            known[principal] = await member_name(data, PrincipalId(principal))
        return known[principal]

    return name
