"""Names of people: content, looked up where people are shown, and gone once they are erased."""

from collections.abc import Awaitable, Callable, Mapping

from control import PersonRecord, member_name
from core import PrincipalId
from data import TenantData

_MOST_PEOPLE = 500

NameOf = Callable[[str], Awaitable[str | None]]


def names_in(data: TenantData) -> NameOf:
    """Return a function that gives the name behind a pseudonym of the tenant, looked up once; None if it is unknown."""
    known: dict[str, str | None] = {}

    async def name(principal: str) -> str | None:
        if principal not in known:
            known[principal] = await member_name(data, PrincipalId(principal))
        return known[principal]

    return name


async def people_named(data: TenantData, which: Callable[[PersonRecord], bool] | None = None) -> Mapping[str, str]:
    """Return the first members of the tenant by their pseudonyms, under their names, in order of these.

    Args:
        data: the tenant's.
        which: those of them that are asked for; all without it.
    """
    name, page = names_in(data), await data.records.list(PersonRecord, limit=_MOST_PEOPLE)
    asked = [found.key for found in page.items if which is None or which(found.value)]
    named = {key: await name(key) or key for key in asked}
    return dict(sorted(named.items(), key=lambda item: item[1]))
