"""`/{tid}/oauth2/v2.0/token`: what clients and apps exchange for tokens."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from urllib.parse import unquote_plus

from fastapi import APIRouter, Request
from pydantic import BaseModel

from emulators.identity.grants import Redeemed
from emulators.identity.issuing import BEARER, LIFETIME_SECONDS
from emulators.identity.oauth import OAuthError, form_values
from emulators.identity.provider import Provider


class TokenResponse(BaseModel):
    """What the token endpoint answers (RFC 6749, 5.1; OpenID Connect Core, 3.1.3.3)."""

    token_type: str = BEARER
    scope: str
    expires_in: int = LIFETIME_SECONDS
    access_token: str
    id_token: str | None = None
    refresh_token: str | None = None


def token_routes(provider: Provider) -> APIRouter:
    """Return the route."""
    router = APIRouter(tags=["tokens"])

    @router.post("/{tid}/oauth2/v2.0/token", response_model_exclude_none=True)
    async def token(request: Request, tid: str) -> TokenResponse:
        """Exchange a code, a refresh token or an app's secret for tokens."""
        provider.directory.tenants(tid)
        form = await form_values(request)
        provider.check_client(form)
        match form.get("grant_type"):
            case "authorization_code":
                return _tokens(provider, tid, _redeem_code(provider, form))
            case "refresh_token":
                token, client_id = form.get("refresh_token", ""), form.get("client_id", "")
                return _tokens(provider, tid, provider.grants.redeem_refresh(token, client_id=client_id))
            case "client_credentials":
                if tid != provider.service_tid or form.get("client_id") in provider.clients:
                    return _customer_token(provider, tid, form)
                return _app_token(provider, form, request.headers.get("authorization", ""))
            case _:
                raise OAuthError("unsupported_grant_type", "The grant type is not known.")

    return router


def _redeem_code(provider: Provider, form: Mapping[str, str]) -> Redeemed:
    return provider.grants.redeem_code(
        form.get("code", ""),
        client_id=form.get("client_id", ""),
        redirect_uri=form.get("redirect_uri", ""),
        verifier=form.get("code_verifier", ""),
    )


def _tokens(provider: Provider, tid: str, redeemed: Redeemed) -> TokenResponse:
    person = redeemed.person
    if person.tenant not in provider.directory.tenants(tid):
        raise OAuthError("invalid_grant", "The grant is for another tenant.")
    scopes = person.scope.split()
    return TokenResponse(
        scope=person.scope,
        access_token=provider.issuer.access_token(person, provider.api),
        id_token=provider.issuer.id_token(person) if "openid" in scopes else None,
        refresh_token=provider.grants.refresh_token(redeemed) if "offline_access" in scopes else None,
    )


def _customer_token(provider: Provider, tid: str, form: Mapping[str, str]) -> TokenResponse:
    """Give a token in a customer's tenant to an application that has proved itself by its federated credential."""
    client, scope = provider.clients.get(form.get("client_id", "")), form.get("scope", "")
    resource = scope.removesuffix("/.default")
    if client is None or client.credential is None or resource not in client.resources or resource == scope:
        raise OAuthError("unauthorized_client", "No such application has been consented to in this tenant.")
    return TokenResponse(scope=scope, access_token=provider.issuer.customer_token(tid, client.client_id, resource))


def _app_token(provider: Provider, form: Mapping[str, str], authorization: str) -> TokenResponse:
    client_id, secret = _credentials(form, authorization)
    service = provider.services.get(client_id)
    if service is None or service.secret is None:
        raise OAuthError("unauthorized_client", "The app is not registered here, or has no secret.", status=401)
    if not hmac.compare_digest(secret.encode(), service.secret.encode()):
        raise OAuthError("invalid_client", "The secret is wrong.", status=401)
    scope = form.get("scope", "")
    resource = scope.removesuffix("/.default")
    if resource == scope:
        raise OAuthError("invalid_scope", "An app asks for <resource>/.default.")
    provider.check_resource(resource)
    return TokenResponse(scope=scope, access_token=provider.issuer.service_token(service, resource))


def _credentials(form: Mapping[str, str], authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise OAuthError("invalid_client", "The Authorization header cannot be read.", status=401) from None
    return unquote_plus(client_id), unquote_plus(secret)
