"""Who am I?"""

from fastapi import APIRouter, Response

from core import Role, TenantContext
from interaction.answers import Told, answer, described
from interaction.authority import Me
from interaction.dependencies import Deps, InteractionDependencies

router = APIRouter(prefix="/v1", tags=["me"])


class Organisation(Told):
    id: str
    name: str


class Myself(Told):
    """Who you are here.

    Attributes:
        id: your pseudonym, by which events and records name you.
        groups: whose documents you may read, besides those for all members.
        environment: where you are, such as `local` or `prod`.
    """

    id: str
    roles: list[Role]
    groups: list[str]
    tenant: Organisation
    plan: str
    region: str
    environment: str


@router.get("/me", responses=described(Myself, 404))
async def who_am_i(me: Me, deps: Deps) -> Response:
    """Say who you are to this app. Any member."""
    return answer(await myself(me, deps))


async def myself(me: TenantContext, deps: InteractionDependencies) -> Myself:
    tenant = await deps.directory.tenant(me.tenant)
    return Myself(
        id=me.principal.id,
        roles=[role for role in Role if role in me.principal.roles],
        groups=sorted(me.principal.groups),
        tenant=Organisation(id=tenant.id, name=tenant.name),
        plan=me.plan,
        region=me.region,
        environment=deps.environment,
    )
