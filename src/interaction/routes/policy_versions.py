"""What the organisation's policies were: every version that was saved, and those that decisions name."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import Field, StringConstraints

from control import PolicyRecord
from core import Actor, TenantContext
from core.errors import NotFound
from data import TenantData
from interaction.answers import Given, Told, answer, described
from interaction.authority import Admin, Overseer
from interaction.dependencies import Deps, InteractionDependencies
from interaction.parameters import IfMatch
from interaction.routes.policies import PoliciesView, saved, with_etag

router = APIRouter(prefix="/v1/policies", tags=["policies"])

NumberPath = Annotated[int, Path(ge=1, le=10**9, description="Counts what was saved, from 1.")]
RulesetPath = Annotated[str, Path(json_schema_extra={"pattern": "^[0-9a-f]{64}$"}, max_length=100)]


class Why(Given):
    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"\S")] = Field(
        examples=["The new rule stopped refunds that we want."]
    )


class PolicyVersionLine(Told):
    """One version.

    Attributes:
        version: SHA-256 of its text.
        restored: number of the version whose text was put in force again; 0 if it was new.
        by: null where that was not yet written down, as `at` and `reason`.
        reason: null also if it was erased, or its time was up.
    """

    number: int
    version: str
    restored: int
    by: Actor | None
    at: str
    reason: str | None


class PolicyVersionTold(PolicyVersionLine):
    text: str


class PolicyVersionList(Told):
    """The latest first; that is in force. A hundred at most."""

    items: list[PolicyVersionLine]


class RulesetTold(Told):
    """The policies by which decisions were made, layer by layer, as their texts were then."""

    publisher: str
    environment: str
    own: str


@router.get("/versions", responses=described(PolicyVersionList))
async def list_versions(me: Overseer, deps: Deps) -> Response:
    """List the versions of the organisation's own policies. Roles: owner, admin, auditor."""
    return answer(PolicyVersionList(items=await versions_of(me, deps)))


@router.get("/versions/{number}", responses=described(PolicyVersionTold, 404))
async def read_version(number: NumberPath, me: Overseer, deps: Deps) -> Response:
    """Read one version with its text. Roles: owner, admin, auditor."""
    return answer(await version_of(me, deps, number))


@router.post(
    "/versions/{number}/restore",
    responses=described(
        PoliciesView, 404, 412, 413, 415, 422, 504, headers={"ETag": "Give it as If-Match to change the policies."}
    ),
)
async def restore_version(number: NumberPath, body: Why, me: Admin, deps: Deps, if_match: IfMatch = None) -> Response:
    """Put an earlier version in force again, as a new one. Roles: owner, admin."""
    return await with_etag(deps.store, me, await restored(me, deps, number, body.reason, if_match))


@router.get("/rulesets/{ruleset}", responses=described(RulesetTold, 404))
async def read_ruleset(ruleset: RulesetPath, me: Overseer, deps: Deps) -> Response:
    """Read all policies that a decision's `policy_version` names. Roles: owner, admin, auditor."""
    found = await deps.policies.named(deps.store.tenant(me), ruleset)
    return answer(RulesetTold(publisher=found.publisher, environment=found.environment, own=found.tenant))


async def versions_of(me: TenantContext, deps: InteractionDependencies) -> list[PolicyVersionLine]:
    data = deps.store.tenant(me)
    return [await _line(data, found) for found in await deps.policies.versions(data)]


async def version_of(me: TenantContext, deps: InteractionDependencies, number: int) -> PolicyVersionTold:
    """Return one version; raises `NotFound`."""
    data = deps.store.tenant(me)
    found = await deps.policies.version(data, number)
    line = await _line(data, found)
    return PolicyVersionTold(**line.model_dump(), text=found.text)


async def restored(
    me: TenantContext, deps: InteractionDependencies, number: int, reason: str, etag: str | None
) -> bytes:
    """Put an earlier version in force again, and return what the control plane says."""
    found = await deps.policies.version(deps.store.tenant(me), number)
    return await saved(me, deps, {"text": found.text, "reason": reason, "restored": number}, etag)


async def _line(data: TenantData, found: PolicyRecord) -> PolicyVersionLine:
    return PolicyVersionLine(
        number=found.number,
        version=found.version,
        restored=found.restored,
        by=found.by,
        at=found.at,
        reason=await _reason(data, found),
    )


async def _reason(data: TenantData, found: PolicyRecord) -> str | None:
    if found.reason is None:
        return None
    try:
        return (await data.content.get(found.reason)).decode()
    except NotFound:
        return None
