"""The part of Microsoft Graph v1.0 that app registrations need, strict: what is not built is answered with 501.

A directory in memory. Managed identities are there from the start; applications are made by whoever asks.
"""

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from core.errors import MandateError
from emulators.identity.directory import ServiceIdentity
from emulators.local_only import refuse_outside_local
from web import bearer_token

Authorize = Callable[[str], Awaitable[None]]

Thing = dict[str, Any]

_APPLICATION = frozenset(
    (
        *("displayName", "signInAudience", "identifierUris", "appRoles", "api", "optionalClaims", "uniqueName"),
        *("groupMembershipClaims", "web"),
    )
)
_FIELDS: Mapping[str, frozenset[str]] = {
    "applications": _APPLICATION,
    "servicePrincipals": frozenset({"appId"}),
    "federatedIdentityCredentials": frozenset({"name", "issuer", "subject", "audiences"}),
    "appRoleAssignedTo": frozenset({"principalId", "resourceId", "appRoleId"}),
    "oauth2PermissionGrants": frozenset({"clientId", "resourceId", "consentType", "scope"}),
}
_REQUIRED = {kind: fields - {"groupMembershipClaims"} for kind, fields in _FIELDS.items()}
_REQUIRED["applications"] = frozenset({"displayName"})
_KEYED = re.compile(r"/v1\.0/(applications|servicePrincipals)\((uniqueName|appId)='([^']+)'\)")
_PATH = re.compile(r"/v1\.0/(\w+)(?:/([\w-]+))?(?:/(\w+)(?:/([\w-]+))?)?")
_BELOW = {"federatedIdentityCredentials": "applications", "appRoleAssignedTo": "servicePrincipals"}
_TERM = re.compile(r"(\w+) eq '([^']*)'")
_PAGE = 2


class Graph:
    """The ASGI application.

    Args:
        identities: managed identities of the tenant.
        authorize: checks the bearer token of each request.
    """

    def __init__(self, identities: Sequence[ServiceIdentity], *, authorize: Authorize) -> None:
        refuse_outside_local()
        self._authorize = authorize
        self.kept: dict[str, dict[str, Thing]] = {kind: {} for kind in _FIELDS}
        self.writes = 0
        for one in identities:
            told = {"appId": one.client_id, "displayName": one.name, "servicePrincipalType": "ManagedIdentity"}
            self.kept["servicePrincipals"][one.object_id] = {"id": one.object_id, **told}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await (await self._answered(Request(scope, receive)))(scope, receive, send)

    async def _answered(self, request: Request) -> Response:
        try:
            await self._authorize(bearer_token(request.headers.get("authorization")))
        except MandateError as error:
            return _refused(error.status)
        self.writes += request.method != "GET"
        body: Thing = await request.json() if request.method in ("POST", "PATCH") else {}
        if keyed := _KEYED.fullmatch(request.url.path):
            kind, field, value = keyed.groups()
            found = next((one for one in self.kept[kind].values() if one.get(field) == value), None)
            return self._on_one(request.method, kind, found, body)
        path = _PATH.fullmatch(request.url.path)
        return self._by_id(request, path, body) if path else _refused(HTTPStatus.NOT_IMPLEMENTED)

    def _by_id(self, request: Request, path: "re.Match[str]", body: Thing) -> Response:
        kind, key, below, inner = path.groups()
        if below is not None:
            return self._inside(request, (kind, key, below, inner), body)
        if kind not in _FIELDS or kind in _BELOW:
            return _refused(HTTPStatus.NOT_IMPLEMENTED)
        if key is None:
            return self._on_many(request, kind, {}, body)
        return self._on_one(request.method, kind, self.kept[kind].get(key), body)

    def _inside(self, request: Request, path: tuple[str, str, str, str | None], body: Thing) -> Response:
        kind, key, below, inner = path
        if _BELOW.get(below) != kind:
            return _refused(HTTPStatus.NOT_IMPLEMENTED)
        if key not in self.kept[kind]:
            return _refused(HTTPStatus.NOT_FOUND)
        if inner is not None:
            return self._on_one(request.method, below, self.kept[below].get(inner), body)
        return self._on_many(request, below, {"@of": key}, body)

    def _on_many(self, request: Request, kind: str, fixed: Thing, body: Thing) -> Response:
        if request.method == "POST":
            return self._made(kind, fixed, body)
        terms = _terms(request.query_params.get("$filter", ""))
        if request.method != "GET" or terms is None or not {"$filter", "$skiptoken"}.issuperset(request.query_params):
            return _refused(HTTPStatus.NOT_IMPLEMENTED)
        wanted = {**terms, **fixed}
        found = [one for one in self.kept[kind].values() if all(one.get(key) == value for key, value in wanted.items())]
        after = int(request.query_params.get("$skiptoken", "0"))
        page: Thing = {"value": [_shown(one) for one in found[after : after + _PAGE]]}
        if after + _PAGE < len(found):
            page["@odata.nextLink"] = str(request.url.include_query_params(**{"$skiptoken": after + _PAGE}))
        return JSONResponse(page)

    def _made(self, kind: str, fixed: Thing, body: Thing) -> Response:
        if not _FIELDS[kind].issuperset(body) or not _REQUIRED[kind].issubset(body) or not self._fits(kind, body):
            return _refused(HTTPStatus.BAD_REQUEST)
        same = {"applications": ("uniqueName",), "servicePrincipals": ("appId",)}.get(kind, tuple(_FIELDS[kind]))
        if any(all(one.get(key) == body.get(key) for key in same) for one in self.kept[kind].values()):
            return _refused(HTTPStatus.CONFLICT)
        thing: Thing = {"id": str(uuid.uuid4()), **fixed, **body}
        if kind == "applications":
            thing["appId"] = str(uuid.uuid4())
        self.kept[kind][thing["id"]] = thing
        return JSONResponse(_shown(thing), HTTPStatus.CREATED)

    def _fits(self, kind: str, body: Thing) -> bool:
        """Return whether what the body refers to is there."""
        principals = self.kept["servicePrincipals"]
        if kind == "servicePrincipals":
            return any(one["appId"] == body["appId"] for one in self.kept["applications"].values())
        if kind == "oauth2PermissionGrants":
            return body["clientId"] in principals and body["resourceId"] in principals
        if kind == "appRoleAssignedTo":
            resource = principals.get(body["resourceId"], {})
            owner = (one for one in self.kept["applications"].values() if one["appId"] == resource.get("appId"))
            roles = {role["id"] for one in owner for role in one.get("appRoles", [])}
            return body["principalId"] in principals and body["appRoleId"] in roles
        return True

    def _on_one(self, method: str, kind: str, found: Thing | None, body: Thing) -> Response:
        if found is None:
            return _refused(HTTPStatus.NOT_FOUND)
        if method == "GET":
            return JSONResponse(_shown(found))
        if method == "DELETE" and kind in (*_BELOW, "oauth2PermissionGrants"):
            del self.kept[kind][found["id"]]
        elif method == "PATCH" and kind in ("applications", "federatedIdentityCredentials", "oauth2PermissionGrants"):
            if not (_FIELDS[kind] - {"uniqueName", "name"}).issuperset(body):
                return _refused(HTTPStatus.BAD_REQUEST)
            found.update(body)
        else:
            return _refused(HTTPStatus.NOT_IMPLEMENTED)
        return Response(status_code=HTTPStatus.NO_CONTENT)


def _terms(text: str) -> Thing | None:
    """Return a filter of equalities; None for any other."""
    parts = text.split(" and ") if text else []
    found = [_TERM.fullmatch(part) for part in parts]
    return None if None in found else {one[1]: one[2] for one in found if one}


def _shown(thing: Thing) -> Thing:
    return {key: value for key, value in thing.items() if not key.startswith("@")}


def _refused(status: int) -> Response:
    return JSONResponse({"error": {"code": HTTPStatus(status).name, "message": ""}}, status)
