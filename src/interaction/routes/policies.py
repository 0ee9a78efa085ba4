"""The organisation's own policies, as the control plane keeps them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

import orjson
from fastapi import APIRouter, Response
from pydantic import Field, StringConstraints

from control import PolicyRecord
from core import Json, TenantContext
from data import Store
from interaction.answers import Given, Told, described
from interaction.authority import Admin, Overseer
from interaction.dependencies import Deps, InteractionDependencies
from interaction.parameters import IfMatch

router = APIRouter(prefix="/v1/policies", tags=["policies"])

CALL_TIME = timedelta(seconds=30)

_PATH = "/v1/policies"
_ETAG = {"ETag": "Give it as If-Match to change the policies."}


class PolicyText(Given):
    """Policies in Cedar. They can only tighten: `forbid`, or `permit` with `@lane("approval")`."""

    text: Annotated[str, StringConstraints(max_length=90_000)] = Field(
        examples=[
            '@id("no-refunds") @lane("never") @reason("Refunds are not given here.")\n'
            'forbid (principal, action == Mandate::Action::"call_tool", resource == Mandate::Tool::"issue_refund");'
        ]
    )


class SavedPolicies(PolicyText):
    """Policies to put in force, and why."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"\S")] = Field(
        examples=["Refunds are paid by the shops from now on."]
    )


class PoliciesView(Told):
    """The organisation's own policies.

    Attributes:
        text: as it was saved; empty if there are none.
        version: SHA-256 of `text`, empty if there are none.
        number: counts what was saved, from 1; 0 if there are none.
        in_force: version of the whole rule set, as decisions name it.
    """

    text: str
    version: str
    number: int
    in_force: str


class PolicyTold(Told):
    id: str
    lane: str
    approvers: int
    reason: str


class CheckedPolicies(Told):
    """What would be in force, from the publisher's policies to the organisation's."""

    in_force: str
    policies: list[PolicyTold]


@router.get("", responses=described(PoliciesView, 504, headers=_ETAG))
async def read_policies(me: Overseer, deps: Deps) -> Response:
    """Read the organisation's own policies. Roles: owner, admin, auditor."""
    raw = await deps.control.call(me, "GET", _PATH, deadline=deps.clock.now() + CALL_TIME)
    return await with_etag(deps.store, me, raw)


@router.put("", responses=described(PoliciesView, 412, 413, 415, 422, 504, headers=_ETAG))
async def write_policies(body: SavedPolicies, me: Admin, deps: Deps, if_match: IfMatch = None) -> Response:
    """Put policies in force. Roles: owner, admin.

    Leave If-Match out only if there were none.
    """
    return await with_etag(deps.store, me, await saved(me, deps, body.model_dump(), if_match))


async def saved(
    me: TenantContext, deps: InteractionDependencies, body: Mapping[str, Json], if_match: str | None
) -> bytes:
    """Have policies put in force, and return what the control plane says."""
    seen = {"If-Match": f'"{if_match}"'} if if_match else {"If-None-Match": "*"}
    async with deps.control.stream(
        me,
        "PUT",
        _PATH,
        body=orjson.dumps(body),
        deadline=deps.clock.now() + CALL_TIME,
        headers={"Accept": "application/json", **seen},
    ) as pieces:
        return b"".join([piece async for piece in pieces])


@router.post("/check", responses=described(CheckedPolicies, 413, 415, 422, 504))
async def check_policies(body: PolicyText, me: Overseer, deps: Deps) -> Response:
    """Check policies without putting them in force. Roles: owner, admin, auditor."""
    payload = orjson.dumps(body.model_dump())
    raw = await deps.control.call(me, "POST", f"{_PATH}/check", body=payload, deadline=deps.clock.now() + CALL_TIME)
    return Response(CheckedPolicies.model_validate_json(raw).model_dump_json(), media_type="application/json")


async def with_etag(store: Store, me: TenantContext, raw: bytes) -> Response:
    """Return what the control plane said, with the ETag of that very text.

    The calls between services give no headers, so the ETag is read beside. If the policies have changed in between
    there is none, and whoever wants to change them reads them again.
    """
    view = PoliciesView.model_validate_json(raw)
    found = await store.tenant(me).records.get(PolicyRecord, "tenant")
    headers = {"ETag": f'"{found.etag}"'} if found and found.value.version == view.version else None
    return Response(raw, headers=headers, media_type="application/json")
