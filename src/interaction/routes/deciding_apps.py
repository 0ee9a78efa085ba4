"""The organisation's own apps in which people may sign decisions on approvals."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import StringConstraints

from core import PrincipalId, TenantContext, new_id, timestamp
from core.errors import Conflict, PreconditionFailed
from interaction.answers import Told, answer, described, problems
from interaction.authority import Admin, Overseer
from interaction.dependencies import Deps, InteractionDependencies
from interaction.parameters import no_such
from interaction.people import names_in
from orchestration import DecidingAppRecord

router = APIRouter(prefix="/v1/approvals/apps", tags=["approvals"])

MOST = 100

Client = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
ClientPath = Annotated[Client, Path(description="The app's client id in your Microsoft Entra ID.")]


class DecidingApp(Told):
    """An app. `app` is our id of it, which decisions name as `through`; the name of who added it may be gone."""

    app: str
    client: str
    added_by: PrincipalId
    added_by_name: str | None
    added_at: str


class DecidingApps(Told):
    items: list[DecidingApp]


@router.get("", responses=described(DecidingApps))
async def list_deciding_apps(me: Overseer, deps: Deps) -> Response:
    """List the apps in which your people may sign decisions. Roles: owner, admin, auditor."""
    return answer(DecidingApps(items=await deciding_apps(me, deps)))


async def deciding_apps(me: TenantContext, deps: InteractionDependencies) -> list[DecidingApp]:
    """Return the apps from which decisions are taken now."""
    page = await deps.store.tenant(me).records.list(DecidingAppRecord, limit=MOST)
    return [await _told(me, deps, found.value) for found in page.items if not found.value.ended_at]


@router.put("/{client}", responses=described(DecidingApp, 409, 422))
async def add_deciding_app(client: ClientPath, me: Admin, deps: Deps) -> Response:
    """Let your people sign decisions in an app of yours. Roles: admin, owner.

    From the first app on, decisions are taken from the console and from the apps that you have named alone. Doing it
    again changes nothing.
    """
    records = deps.store.tenant(me).records
    found = await records.get(DecidingAppRecord, client)
    if found and not found.value.ended_at:
        return answer(await _told(me, deps, found.value))
    if not found and len((await records.list(DecidingAppRecord, limit=MOST)).items) >= MOST:
        raise Conflict(f"You have named {MOST} apps already; those that you took away count.", code="approval.apps")
    named = found.value.id if found else new_id("dap")
    record = DecidingAppRecord(id=named, client=client, by=me.principal.id, at=timestamp(deps.clock.now()))
    await _put(me, deps, record, "added", etag=found.etag if found else None)
    return answer(await _told(me, deps, record))


@router.delete("/{client}", status_code=204, responses={204: {"description": "It is over"}, **problems(404, 409, 422)})
async def remove_deciding_app(client: ClientPath, me: Admin, deps: Deps) -> Response:
    """Take no decisions from an app any more, from now on. Roles: admin, owner."""
    found = await deps.store.tenant(me).records.get(DecidingAppRecord, client)
    if found is None or found.value.ended_at:
        raise no_such("app")
    ended = found.value.model_copy(update={"ended_at": timestamp(deps.clock.now())})
    await _put(me, deps, ended, "ended", etag=found.etag)
    return Response(status_code=204)


async def _put(
    me: TenantContext, deps: InteractionDependencies, record: DecidingAppRecord, act: str, *, etag: str | None
) -> None:
    await deps.access.admin(me, DecidingAppRecord.kind, record.id, act)
    try:
        await deps.store.tenant(me).records.put(record.client, record, etag=etag)
    except PreconditionFailed:
        raise Conflict("A colleague has just changed this; look how it is now.", code="conflict") from None


async def _told(me: TenantContext, deps: InteractionDependencies, record: DecidingAppRecord) -> DecidingApp:
    name = names_in(deps.store.tenant(me))
    return DecidingApp(
        app=record.id,
        client=record.client,
        added_by=record.by,
        added_by_name=await name(record.by),
        added_at=record.at,
    )
