"""A tenant's own layer of policies: read, check, change."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from control.callers import ControlServices, admin, reader, services
from control.policy import Ruleset
from control.policy_store import NewPolicies
from control.policy_text import Rule
from core import TenantContext
from core.errors import PreconditionFailed
from web import problem_responses

router = APIRouter(prefix="/v1/policies", tags=["policies"])

Services = Annotated[ControlServices, Depends(services)]

_ETAG = re.compile(r'"([\x21\x23-\x7e]{1,128})"')
_ETAG_HEADER: dict[str, Any] = {"ETag": {"schema": {"type": "string"}, "description": "Give it as If-Match on PUT."}}


class PolicyText(BaseModel):
    """Policies in Cedar."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: Annotated[str, StringConstraints(max_length=90_000)]


class SavedPolicies(PolicyText):
    """Policies to put in force, and why; `restored` is the number of the version whose text it is, 0 if it is new."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"\S")]
    restored: Annotated[int, Field(ge=0)] = 0


class PolicySummary(BaseModel):
    id: str
    lane: str
    approvers: int
    reason: str


class PoliciesView(BaseModel):
    """The tenant's own policies.

    Attributes:
        text: as it was saved; empty if the tenant has none of its own.
        version: SHA-256 of `text`, empty if there is none.
        number: counts what was saved, from 1; 0 if there is none.
        in_force: version of the whole rule set, as decisions name it.
    """

    text: str
    version: str
    number: int
    in_force: str


class CheckedPolicies(BaseModel):
    """What would be in force, from the publisher's policies to the tenant's."""

    in_force: str
    policies: list[PolicySummary]


def expected_etag(
    if_match: Annotated[str | None, Header(max_length=200)] = None,
    if_none_match: Annotated[str | None, Header(max_length=200)] = None,
) -> str | None:
    """Dependency: the ETag that the policies must have now; None if there must be none.

    Raises:
        PreconditionFailed: neither header says what the caller has seen.
    """
    found = _ETAG.fullmatch(if_match or "")
    if found and if_none_match is None:
        return found.group(1)
    if if_match is None and if_none_match == "*":
        return None
    raise PreconditionFailed(
        "Say what you have seen: If-Match with the ETag that you read, or `If-None-Match: *` if there were no policies."
    )


@router.get("", responses={200: {"headers": _ETAG_HEADER}} | problem_responses(401, 403, 422, 503))
async def read_policies(
    context: Annotated[TenantContext, Depends(reader)], deps: Services, response: Response
) -> PoliciesView:
    """Return the tenant's own policies. Roles: owner, admin, auditor."""
    data = deps.store.tenant(context)
    stored = await deps.policies.read(data)
    rules = await deps.policies.ruleset(data)
    if stored is None:
        return PoliciesView(text="", version="", number=0, in_force=rules.version)
    response.headers["ETag"] = f'"{stored.etag}"'
    own = stored.value
    return PoliciesView(text=own.text, version=own.version, number=own.number, in_force=rules.version)


@router.put("", responses={200: {"headers": _ETAG_HEADER}} | problem_responses(400, 401, 403, 412, 413, 422, 503))
async def write_policies(
    body: SavedPolicies,
    context: Annotated[TenantContext, Depends(admin)],
    etag: Annotated[str | None, Depends(expected_etag)],
    deps: Services,
    response: Response,
) -> PoliciesView:
    """Put policies in force that tighten the publisher's. Roles: owner, admin.

    They may hold `forbid`, and `permit` with `@lane("approval")`; each needs `@id`, `@lane` and `@reason`. How many
    different people have to approve says `@approvers("2")`; where there is none, one.
    """
    data = deps.store.tenant(context)
    new = NewPolicies(body.text, body.reason, body.restored)
    saved = await deps.policies.save(data, new, etag=etag)
    await deps.access.admin(context, saved.value.kind, saved.key, saved.value.version)
    response.headers["ETag"] = f'"{saved.etag}"'
    own, rules = saved.value, await deps.policies.ruleset(data)
    return PoliciesView(text=own.text, version=own.version, number=own.number, in_force=rules.version)


@router.post("/check", responses=problem_responses(400, 401, 403, 413, 422, 503))
async def check_policies(
    body: PolicyText, _: Annotated[TenantContext, Depends(reader)], deps: Services
) -> CheckedPolicies:
    """Check policies without saving them. Roles: owner, admin, auditor."""
    return _checked(await deps.policies.check(body.text))


def _summary(rule: Rule) -> PolicySummary:
    return PolicySummary(id=rule.id, lane=rule.lane, approvers=rule.approvers, reason=rule.reason)


def _checked(rules: Ruleset) -> CheckedPolicies:
    return CheckedPolicies(
        in_force=rules.version,
        policies=[_summary(rule) for rule in rules.rules.values()],
    )
