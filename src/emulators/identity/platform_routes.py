"""What is published (discovery, keys), and what the platform offers its own processes (managed identity, rotation)."""

from typing import Annotated

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel

from emulators.identity.issuing import BEARER
from emulators.identity.oauth import OAuthError
from emulators.identity.provider import Provider
from emulators.identity.signing import JwkSet

IdentityHeader = Annotated[str | None, Header(alias="X-IDENTITY-HEADER")]


class ManagedIdentityToken(BaseModel):
    """What App Service and Container Apps answer; `expires_on` is seconds since 1970, as text.

    https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
    """

    access_token: str
    expires_on: str
    resource: str
    token_type: str = BEARER
    client_id: str


class Configuration(BaseModel):
    """What the provider can do (OpenID Connect Discovery 1.0, section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    end_session_endpoint: str
    jwks_uri: str
    scopes_supported: list[str]
    response_types_supported: list[str] = ["code"]
    response_modes_supported: list[str] = ["query"]
    grant_types_supported: list[str] = ["authorization_code", "refresh_token", "client_credentials"]
    subject_types_supported: list[str] = ["pairwise"]
    id_token_signing_alg_values_supported: list[str] = ["RS256"]
    token_endpoint_auth_methods_supported: list[str] = [
        "client_secret_post",
        "client_secret_basic",
        "private_key_jwt",
        "none",
    ]
    code_challenge_methods_supported: list[str] = ["S256"]


class Rotated(BaseModel):
    """The id of the key that signs from now on."""

    kid: str


def discovery_routes(provider: Provider) -> APIRouter:
    """Return the routes that anybody may read."""
    router = APIRouter(tags=["discovery"])

    @router.get("/{tid}/v2.0/.well-known/openid-configuration")
    async def configuration(tid: str) -> Configuration:
        """Describe the provider (OpenID Connect Discovery 1.0)."""
        provider.directory.tenants(tid)
        return _configuration(provider.base, tid, provider.api)

    @router.get("/{tid}/discovery/v2.0/keys")
    async def keys(tid: str) -> JwkSet:
        """Return the public keys that sign tokens."""
        provider.directory.tenants(tid)
        return provider.keys.published(f"{provider.base}/{{tenantid}}/v2.0")

    return router


def platform_routes(provider: Provider) -> APIRouter:
    """Return the routes that need the platform's header secret."""
    router = APIRouter(tags=["platform"])

    @router.get("/msi/token")
    async def managed_identity_token(
        api_version: Annotated[str, Query(alias="api-version")] = "",
        resource: str = "",
        client_id: str = "",
        header: IdentityHeader = None,
    ) -> ManagedIdentityToken:
        """Give a service the token of its managed identity."""
        provider.check_header(header)
        if api_version != "2019-08-01":
            raise OAuthError("invalid_request", "The api-version must be 2019-08-01.")
        service = provider.services.get(client_id)
        if service is None:
            raise OAuthError("invalid_request", "There is no managed identity of this client_id.")
        provider.check_resource(resource)
        return ManagedIdentityToken(
            access_token=provider.issuer.service_token(service, resource),
            expires_on=str(provider.issuer.expires_on()),
            resource=resource,
            client_id=client_id,
        )

    @router.post("/local/rotate")
    async def rotate(header: IdentityHeader = None) -> Rotated:
        """Sign with a new key from now on."""
        provider.check_header(header)
        return Rotated(kid=await provider.keys.rotate())

    return router


def _configuration(base: str, tid: str, api: str) -> Configuration:
    here = f"{base}/{tid}"
    issuing = "{tenantid}" if tid in {"common", "organizations"} else tid
    return Configuration(
        issuer=f"{base}/{issuing}/v2.0",
        authorization_endpoint=f"{here}/oauth2/v2.0/authorize",
        token_endpoint=f"{here}/oauth2/v2.0/token",
        end_session_endpoint=f"{here}/oauth2/v2.0/logout",
        jwks_uri=f"{here}/discovery/v2.0/keys",
        scopes_supported=["openid", "profile", "email", "offline_access", f"{api}/access", f"{api}/.default"],
    )
