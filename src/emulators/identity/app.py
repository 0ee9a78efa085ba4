"""The identity provider as an application."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse

from core import Clock, SystemClock
from emulators.identity.directory import (
    ClientRegistration,
    Directory,
    DirectoryTenant,
    DirectoryUser,
    ServiceIdentity,
)
from emulators.identity.grants import Grants
from emulators.identity.issuing import Issuer
from emulators.identity.oauth import OAuthError
from emulators.identity.platform_routes import discovery_routes, platform_routes
from emulators.identity.provider import Provider
from emulators.identity.sign_in_routes import sign_in_routes
from emulators.identity.signing import SigningKeys
from emulators.identity.token_routes import token_routes
from emulators.local_only import refuse_outside_local
from web import create_service

API = "api://mandate"
SERVICE_TID = "5e6f1c1e-0000-4000-8000-00000000cafe"
_MAX_BODY = 20_000


def create_app(
    *,
    issuer_base: str,
    tenants: Sequence[DirectoryTenant],
    folder: Path,
    services: Mapping[str, ServiceIdentity],
    clients: Sequence[ClientRegistration],
    header_secret: str,
    api: str = API,
    service_tid: str = SERVICE_TID,
    publishers: Sequence[DirectoryUser] = (),
    v1_resources: Collection[str] = (),
    clock: Clock | None = None,
) -> FastAPI:
    """Return a local OpenID Connect provider shaped like Entra v2.0, with the managed-identity protocol.

    A sign-in without a browser: GET the authorize page, keep its cookie, POST the form fields `csrf` and `username` to
    the same address, and read the code from the redirect. `emulators.identity.sign_in` does that.

    Reads and writes files: call it before the event loop starts.

    Args:
        issuer_base: public address, such as `http://127.0.0.1:8080/identity`.
        tenants: who can sign in.
        folder: where signing keys are kept.
        services: managed identities by client id.
        clients: their redirect URIs, and how those that are confidential prove themselves.
        header_secret: what processes of ours know as IDENTITY_HEADER.
        api: audience of user tokens.
        service_tid: the tenant of the managed identities: the publisher's.
        publishers: people of that tenant.
        v1_resources: those for which services get tokens of version 1.0.
        clock: dates tokens.

    Raises:
        Defect: this is not a local environment (`defect.emulator`).
    """
    refuse_outside_local()
    time = clock or SystemClock()
    base = issuer_base.rstrip("/")
    keys = SigningKeys(folder)
    provider = Provider(
        base=base,
        api=api,
        header_secret=header_secret,
        directory=Directory([DirectoryTenant(service_tid, "Publisher", publishers), *tenants]),
        service_tid=service_tid,
        clients={client.client_id: client for client in clients},
        services=services,
        keys=keys,
        issuer=Issuer(base, keys, time, service_tid, v1_resources),
        grants=Grants(time),
    )
    app = create_service(name="identity emulator", version="2.0", ready=_ready, max_body=_MAX_BODY)
    app.add_exception_handler(OAuthError, _on_oauth_error)
    for routes in (platform_routes, discovery_routes, sign_in_routes, token_routes):
        app.include_router(routes(provider))
    return app


async def _ready() -> None:
    """Nothing has to be waited for."""


async def _on_oauth_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OAuthError)
    return JSONResponse({"error": error.error, "error_description": error.description}, error.status)
