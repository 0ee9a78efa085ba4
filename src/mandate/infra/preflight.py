"""`mandate preflight`: whether a subscription takes a deployment, before anything is created; and what would change.

Each check asks Azure Resource Manager and creates nothing. What it finds says what to do.
"""

import fnmatch
from collections.abc import AsyncIterator, Iterator

from core.errors import NotFound
from mandate.infra.arm import Arm, Refused
from mandate.infra.documents import Json, Object, entries, text
from mandate.infra.needs import Missing, Needs, Stamp
from mandate.infra.quotas import apps, models, store

PLACED = (
    *("Microsoft.App/managedEnvironments", "Microsoft.DocumentDB/databaseAccounts"),
    *("Microsoft.CognitiveServices/accounts", "Microsoft.KeyVault/vaults", "Microsoft.Storage/storageAccounts"),
    *("Microsoft.OperationalInsights/workspaces", "Microsoft.Insights/components"),
)
"""Types that are not offered in every region."""

OWN_DEPLOYMENTS = "Microsoft.Resources/deployments"
_ASSIGNING = "Microsoft.Authorization/"


async def preflight(arm: Arm, needs: Needs) -> list[Missing]:
    """Return everything that stands in the way; empty if nothing does.

    Raises:
        MandateError: Azure does not say, as where nobody is signed in.
    """
    found = [one async for one in _subscription(arm)]
    if found:
        return found
    for check in (_providers, _permissions, _policies):
        found += [one async for one in check(arm, needs)]
    for stamp in needs.stamps:
        there = await _is_there(arm, stamp)
        for check in (models, apps, store):
            found += [one async for one in check(arm, stamp, there)]
    return found


async def changes(arm: Arm, needs: Needs, name: str) -> Iterator[str]:
    """Return what a deployment would change, a line for each resource, worst first.

    Raises:
        Refused: Azure would not take it (`arm.refused`).
    """
    path = f"{arm.subscription}/providers/Microsoft.Resources/deployments/{name}/whatIf"
    answer = await arm.post(path, "2024-11-01", _deployment(needs))
    order = ("Delete", "Unsupported", "Modify", "Deploy", "Create", "Ignore", "NoChange", "NoEffect")
    said = sorted(
        ((text(one, "changeType"), text(one, "resourceId")) for one in entries(answer, "properties", "changes")),
        key=lambda one: (order.index(one[0]) if one[0] in order else -1, one[1]),
    )
    return (f"{kind:<11} {place}" for kind, place in said)


async def _subscription(arm: Arm) -> AsyncIterator[Missing]:
    try:
        found = await arm.get(arm.subscription, "2022-12-01")
    except NotFound:
        yield Missing("There is no such subscription, or you may not see it.", "See `az account list`, and `az login`.")
        return
    if text(found, "state") != "Enabled":
        yield Missing(
            f"The subscription is {text(found, 'state') or 'in an unknown state'}.",
            "Look at its billing in the portal; it takes deployments once it is Enabled.",
        )


async def _providers(arm: Arm, needs: Needs) -> AsyncIterator[Missing]:
    wanted = {kind.partition("/")[0] for kind in needs.types}
    known = {text(one, "namespace"): one for one in await arm.all(f"{arm.subscription}/providers", "2021-04-01")}
    for namespace in sorted(wanted):
        if text(known.get(namespace), "registrationState") not in ("Registered", "Registering"):
            yield Missing(
                f"The resource provider {namespace} is not registered.",
                f"az provider register --namespace {namespace} --wait",
            )
    for kind in PLACED:
        namespace, _, name = kind.partition("/")
        types = entries(known.get(namespace), "resourceTypes")
        offered = next((one for one in types if text(one, "resourceType").lower() == name.lower()), None)
        places = {str(place).replace(" ", "").lower() for place in entries(offered, "locations")}
        for stamp in needs.stamps:
            for location in {stamp.location, *([stamp.failover] if kind.endswith("Services/accounts") else [])}:
                if places and location not in places:
                    yield Missing(
                        f"{kind} is not offered in {location}.", f"Choose another region for the stamp {stamp.name}."
                    )


async def _permissions(arm: Arm, needs: Needs) -> AsyncIterator[Missing]:
    path = f"{arm.subscription}/providers/Microsoft.Authorization/permissions"
    given = await arm.all(path, "2022-04-01")
    actions = sorted(f"{kind}/write" for kind in {*needs.types, OWN_DEPLOYMENTS})
    lacking = [action for action in actions if not any(_permits(one, action) for one in given)]
    assigning = [action for action in lacking if action.startswith(_ASSIGNING)]
    if assigning:
        yield Missing(
            f"You may not do {', '.join(assigning)} in the subscription.",
            "Have somebody give you Owner; or, beside Contributor, Role Based Access Control Administrator and, for "
            "policies, Resource Policy Contributor.",
        )
    if others := [action for action in lacking if action not in assigning]:
        yield Missing(
            f"You may not do {', '.join(others)} in the subscription.", "Have somebody give you Contributor there."
        )


def _permits(permission: Json, action: str) -> bool:
    """A permission is of one role: what that excludes, another role may still give."""

    def named(kind: str) -> bool:
        return any(fnmatch.fnmatch(action.lower(), str(one).lower()) for one in entries(permission, kind))

    return named("actions") and not named("notActions")


async def _policies(arm: Arm, needs: Needs) -> AsyncIterator[Missing]:
    """Have Azure look at the whole deployment, policies included, without creating anything of it."""
    path = f"{arm.subscription}/providers/Microsoft.Resources/deployments/mandate-preflight/validate"
    try:
        await arm.post(path, "2024-11-01", _deployment(needs))
    except Refused as refused:
        for error in _innermost(refused.error):
            yield _refusal(error)


def _innermost(error: Object) -> Iterator[Object]:
    inner = [one for one in entries(error, "details") if isinstance(one, dict)]
    for one in inner:
        yield from _innermost(one)
    if not inner:
        yield error


def _refusal(error: Object) -> Missing:
    code, said = text(error, "code"), text(error, "message")
    policies = [
        text(one, "info", "policyAssignmentDisplayName") or text(one, "info", "policyDefinitionDisplayName")
        for one in entries(error, "additionalInfo")
        if text(one, "type") == "PolicyViolation"
    ]
    if code == "RequestDisallowedByPolicy" or policies:
        return Missing(
            f"A policy does not allow it: {', '.join(policies) or said}",
            "Change the parameter that it is about, or ask whoever assigned the policy for an exemption.",
        )
    return Missing(f"Azure would refuse it: {code}: {said}", "Correct what it names; `mandate infra lint` looks too.")


async def _is_there(arm: Arm, stamp: Stamp) -> bool:
    try:
        await arm.get(f"{arm.subscription}/resourceGroups/{stamp.name}", "2021-04-01")
    except NotFound:
        return False
    return True


def _deployment(needs: Needs) -> Object:
    return {
        "location": needs.location,
        "properties": {"mode": "Incremental", "template": needs.template, "parameters": needs.parameters},
    }


async def run(arm: Arm, needs: Needs, *, what_if: bool) -> int:
    """Print what stands in the way and, if nothing does, what would change if asked; return 1 if it would fail."""
    found = await preflight(arm, needs)
    for one in found:
        print(one)
    if any(one.blocking for one in found):
        return 1
    print("The subscription takes it." if not found else "The subscription takes it, but look at the warnings.")
    if what_if:
        for line in await changes(arm, needs, "mandate"):
            print(line)
    return 0
