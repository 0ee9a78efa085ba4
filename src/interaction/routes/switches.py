"""What is switched off at once, by the organisation or the publisher: all see it, an owner or admin changes it."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field, StringConstraints

from control import SwitchesRecord
from core import Actor, TenantContext
from interaction.answers import Given, Told, answer, described, problems
from interaction.authority import Admin, Me
from interaction.dependencies import Deps, InteractionDependencies

router = APIRouter(prefix="/v1/switches", tags=["switches"])

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z_]+(/[a-z0-9_-]+)?$", max_length=100)]


class SwitchedOn(Given):
    """Name of what is switched, as the list has it."""

    name: _Name = Field(examples=["tool/issue_refund"])


class SwitchedOff(SwitchedOn):
    """The reason is shown to everybody whom it stops."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"\S")] = Field(
        examples=["The ledger is being moved; refunds start again on Monday."]
    )


class SwitchTold(Told):
    """Something that is switched off.

    Attributes:
        by: who did it; null where it was the publisher.
        reason: null if it was erased, or its time was up.
    """

    name: str
    by_publisher: bool
    by: Actor | None
    at: str
    reason: str | None


class SwitchList(Told):
    """`off` is what is switched off now, `names` what you can switch."""

    off: list[SwitchTold]
    names: list[str]


@router.get("", responses=described(SwitchList))
async def list_switches(me: Me, deps: Deps) -> Response:
    """List what is switched off, and what could be. Any member."""
    off = await switched_off(me, deps)
    return answer(SwitchList(off=list(off.values()), names=list(deps.switches.names)))


@router.post(
    "/off", status_code=204, responses={204: {"description": "It is off"}, **problems(404, 409, 413, 415, 422)}
)
async def switch_off(body: SwitchedOff, me: Admin, deps: Deps) -> Response:
    """Switch something off, from the next decision on, for all of your organisation. Roles: owner, admin."""
    await switch_off_for(me, deps, body)
    return Response(status_code=204)


@router.post("/on", status_code=204, responses={204: {"description": "It is on"}, **problems(404, 409, 413, 415, 422)})
async def switch_on(body: SwitchedOn, me: Admin, deps: Deps) -> Response:
    """Switch something on again that your organisation has switched off. Roles: owner, admin."""
    await switch_on_for(me, deps, body)
    return Response(status_code=204)


async def switch_off_for(me: TenantContext, deps: InteractionDependencies, body: SwitchedOff) -> None:
    """Switch something off for somebody, and write down that they did; raises as `Switches.switch_off`."""
    await deps.switches.switch_off(me, body.name, body.reason)
    await deps.access.admin(me, SwitchesRecord.kind, body.name, "off")


async def switch_on_for(me: TenantContext, deps: InteractionDependencies, body: SwitchedOn) -> None:
    """Switch something on for somebody, and write down that they did; raises as `Switches.switch_on`."""
    await deps.switches.switch_on(me, body.name)
    await deps.access.admin(me, SwitchesRecord.kind, body.name, "on")


async def switched_off(me: TenantContext, deps: InteractionDependencies) -> Mapping[str, SwitchTold]:
    """Return what is off by its name; what both have switched off is told as the publisher's, who must be waited for.

    The publisher's switch of this organisation is told as `tenant`.
    """
    told = await deps.switches.told(deps.store.tenant(me))
    return {
        "tenant" if one.name.startswith("tenant/") else one.name: SwitchTold(
            name="tenant" if one.name.startswith("tenant/") else one.name,
            by_publisher=one.by_publisher,
            by=None if one.by_publisher else one.by,
            at=one.at,
            reason=one.reason,
        )
        for one in told
    }
