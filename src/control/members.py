"""What is known of a member by their pseudonym: the groups that they were last seen in, their name."""

import orjson

from control.records import PersonRecord
from core import PrincipalId
from core.errors import NotFound
from data import TenantData


async def groups_now(data: TenantData) -> frozenset[str]:
    """Return the groups that the principal of `data` was last seen in, by any process; those of its proof if never."""
    principal = data.context.principal
    found = await data.records.get(PersonRecord, principal.id)
    return frozenset(found.value.groups) if found else principal.groups


async def member_name(data: TenantData, member: PrincipalId) -> str | None:
    """Return the name of a member of the tenant, else their user name; None if it is not known or was erased."""
    found = await data.records.get(PersonRecord, member)
    if found is None:
        return None
    try:
        profile: dict[str, str] = orjson.loads(await data.content.get(found.value.profile))
    except NotFound:
        return None
    return profile["name"] or profile["username"]
