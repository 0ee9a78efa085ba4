"""The difference between what is wanted and what is there, told or made away. Done twice, the second time finds none.

Nothing is deleted that was not made here; and what was, only when told (`prune`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from core.errors import NotFound
from mandate.entra.graph import Graph, Thing
from mandate.entra.wanted import Place, Wanted, id_of
from web import EXCHANGE_AUDIENCE

_NOT_MADE = ""
"""Stands for the id of what `plan` would make."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A registration that is there, or would be."""

    application: str
    client: str
    principal: str


@dataclass(slots=True)
class _Work:
    graph: Graph
    place: Place
    apply: bool
    prune: bool
    said: list[str] = field(default_factory=list[str])
    made: dict[str, _Made] = field(default_factory=dict[str, _Made])

    def say(self, line: str) -> bool:
        """Note a step; return whether to take it."""
        self.said.append(line)
        return self.apply


async def reconcile(
    graph: Graph, wanted: Mapping[str, Wanted], place: Place, *, apply: bool, prune: bool = False
) -> list[str]:
    """Return each step that is needed, or was taken, as a line.

    Args:
        graph: of the publisher's tenant.
        wanted: the registrations, by name.
        place: which environment and stamp they are of.
        apply: take the steps rather than tell them.
        prune: also take away trust and roles that were given here and are not wanted any more.

    Raises:
        NotFound: an identity of the stamp is not there: deploy it first (`entra.identity`).
        Forbidden, Unavailable: see `Graph`.
    """
    work = _Work(graph, place, apply, prune)
    for name, one in wanted.items():
        work.made[name] = await _registered(work, name, one)
    identities = {who for one in wanted.values() for who, _ in one.assigned} | {one.trusts for one in wanted.values()}
    principals = {who: await _identity(work, who) for who in sorted(identities - {""})}
    for name, one in wanted.items():
        await _trusted(work, name, one, principals)
        await _assigned(work, name, one, principals)
        await _consented(work, name, one)
    return work.said


async def _registered(work: _Work, name: str, one: Wanted) -> _Made:
    path = f"/applications(uniqueName='{one.unique}')"
    found = await work.graph.find(path)
    if found is None:
        if not work.say(f"+ registration {name}"):
            return _Made(_NOT_MADE, _NOT_MADE, _NOT_MADE)
        found = await work.graph.create("/applications", {**one.application, "uniqueName": one.unique})
    changed = {key: value for key, value in one.application.items() if not _holds(found.get(key), value)}
    if changed and work.say(f"~ registration {name}: {', '.join(sorted(changed))}"):
        await work.graph.update(path, changed)
    client = str(found["appId"])
    principal = await work.graph.find(f"/servicePrincipals(appId='{client}')")
    if principal is None and work.say(f"+ principal of {name}"):
        principal = await work.graph.create("/servicePrincipals", {"appId": client})
    return _Made(str(found["id"]), client, str(principal["id"]) if principal else _NOT_MADE)


def _holds(found: JsonValue, wanted: JsonValue) -> bool:
    """Return whether `found` says what is wanted; Graph adds fields of its own, in any order of lists."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_holds(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(found, list) or len(found) != len(wanted):
            return not wanted and not found
        return all(any(_holds(one, value) for one in found) for value in wanted)
    return found == wanted


async def _identity(work: _Work, who: str) -> str:
    """Return the object id of one of the stamp's managed identities."""
    name = f"{work.place.stamp}-{who}"
    query = {"$filter": f"displayName eq '{name}' and servicePrincipalType eq 'ManagedIdentity'"}
    found = await work.graph.all("/servicePrincipals", **query)
    if len(found) != 1:
        raise NotFound(f"There is no identity {name} in Entra. Deploy the stamp first.", code="entra.identity")
    return str(found[0]["id"])


async def _trusted(work: _Work, name: str, one: Wanted, principals: Mapping[str, str]) -> None:
    made = work.made[name]
    path = f"/applications/{made.application}/federatedIdentityCredentials"
    found = await work.graph.all(path) if made.application else []
    ours = {str(item["name"]): item for item in found if str(item["name"]).startswith(_trust_name(work, ""))}
    wanted = {_trust_name(work, one.trusts): _credential(work, one.trusts, principals)} if one.trusts else {}
    for key, credential in wanted.items():
        if key not in ours:
            if work.say(f"+ {name} trusts {one.trusts}"):
                await work.graph.create(path, {**credential, "name": key})
        elif not _holds(dict(ours[key]), dict(credential)) and work.say(f"~ {name} trusts {one.trusts}"):
            await work.graph.update(f"{path}/{ours[key]['id']}", credential)
    for key in ours.keys() - wanted.keys():
        if work.prune and work.say(f"- {name} trusts {key}"):
            await work.graph.delete(f"{path}/{ours[key]['id']}")


def _trust_name(work: _Work, who: str) -> str:
    return f"{work.place.stamp}-{who}"


def _credential(work: _Work, who: str, principals: Mapping[str, str]) -> Thing:
    return {
        "issuer": f"{work.place.login}/{work.place.tid}/v2.0",
        "subject": principals[who],
        "audiences": [EXCHANGE_AUDIENCE],
    }


async def _assigned(work: _Work, name: str, one: Wanted, principals: Mapping[str, str]) -> None:
    resource = work.made[name].principal
    path = f"/servicePrincipals/{resource}/appRoleAssignedTo"
    found = await work.graph.all(path) if resource else []
    known = {(str(item["principalId"]), str(item["appRoleId"])): str(item["id"]) for item in found}
    wanted = {(principals[who], id_of(name, "role", role)): (who, role) for who, role in one.assigned}
    for (principal, role), (who, title) in wanted.items():
        if (principal, role) not in known and work.say(f"+ {who} has {title} on {name}"):
            await work.graph.create(path, {"principalId": principal, "resourceId": resource, "appRoleId": role})
    mine = {principal: who for who, principal in principals.items()}
    for key in known.keys() - wanted.keys():
        if work.prune and key[0] in mine and work.say(f"- {mine[key[0]]} has a role on {name}"):
            await work.graph.delete(f"{path}/{known[key]}")


async def _consented(work: _Work, name: str, one: Wanted) -> None:
    client = work.made[name].principal
    for other, scopes in one.wants.items():
        resource, scope = work.made[other].principal, " ".join(scopes)
        query = {"$filter": f"clientId eq '{client}' and resourceId eq '{resource}' and consentType eq 'AllPrincipals'"}
        found = await work.graph.all("/oauth2PermissionGrants", **query) if client and resource else []
        if not found:
            if work.say(f"+ consent: {name} asks {other} for {scope}"):
                grant = {"clientId": client, "resourceId": resource, "consentType": "AllPrincipals", "scope": scope}
                await work.graph.create("/oauth2PermissionGrants", grant)
        elif {*str(found[0]["scope"]).split()} != {*scopes} and work.say(f"~ consent: {name} asks {other} for {scope}"):
            await work.graph.update(f"/oauth2PermissionGrants/{found[0]['id']}", {"scope": scope})
