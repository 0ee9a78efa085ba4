"""The emulator's parts in one place, and the checks that several routes make."""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from emulators.identity.directory import ClientRegistration, Directory, ServiceIdentity
from emulators.identity.grants import Grants
from emulators.identity.issuing import Issuer
from emulators.identity.oauth import OAuthError, SignInRequest
from emulators.identity.signing import SigningKeys
from web import EXCHANGE_AUDIENCE

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_OPENID_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
_MAX_ECHOED = 2_000
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class Provider:
    """Everything the routes need.

    Attributes:
        base: public address, without a final slash.
        api: audience of user tokens.
        service_tid: the tenant of the service identities.
    """

    base: str
    api: str
    header_secret: str
    service_tid: str
    directory: Directory
    clients: Mapping[str, ClientRegistration]
    services: Mapping[str, ServiceIdentity]
    keys: SigningKeys
    issuer: Issuer
    grants: Grants

    def client(self, parameters: Mapping[str, str]) -> tuple[ClientRegistration, str]:
        """Return the client and its redirect URI, before which nothing may be redirected.

        Raises:
            OAuthError: they are not registered.
        """
        client = self.clients.get(parameters.get("client_id", ""))
        if client is None:
            raise OAuthError("unauthorized_client", "The client is not registered here.")
        redirect_uri = parameters.get("redirect_uri", "")
        if not client.allows(redirect_uri):
            raise OAuthError("invalid_request", "The redirect URI is not registered for this client.")
        return client, redirect_uri

    def check(self, request: SignInRequest, parameters: Mapping[str, str]) -> None:
        """Check what is left of a sign-in request; errors go back to the client.

        Raises:
            OAuthError: it cannot be served.
        """
        if parameters.get("response_type") != "code":
            raise OAuthError("unsupported_response_type", "Only response_type=code is served.")
        if parameters.get("response_mode", "query") != "query":
            raise OAuthError("invalid_request", "Only response_mode=query is served.")
        if parameters.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(request.challenge):
            raise OAuthError("invalid_request", "PKCE with method S256 is required.")
        if len(request.state) > _MAX_ECHOED or len(request.nonce) > _MAX_ECHOED:
            raise OAuthError("invalid_request", "State or nonce is too long.")
        if request.prompt == "none":
            raise OAuthError("login_required", "Nobody is signed in here: the emulator keeps no session.")
        if request.prompt not in {"", "login", "select_account", "consent"}:
            raise OAuthError("invalid_request", "The prompt is not known.")
        self.check_scope(request.scope)

    def check_scope(self, scope: str) -> None:
        """Check that `scope` asks for a token for our API and for nothing unknown.

        Raises:
            OAuthError: `invalid_scope`.
        """
        asked = set(scope.split()) - _OPENID_SCOPES
        if not asked or not asked <= {f"{self.api}/.default", f"{self.api}/access"}:
            raise OAuthError("invalid_scope", f"Ask for {self.api}/access; there is no other API here.")

    def check_resource(self, resource: str) -> None:
        """Check that some service has been given roles on `resource`, so that it exists.

        Raises:
            OAuthError: `invalid_resource`.
        """
        if resource != EXCHANGE_AUDIENCE and not any(resource in service.roles for service in self.services.values()):
            raise OAuthError("invalid_resource", "The resource is not registered here.")

    def check_client(self, form: Mapping[str, str]) -> None:
        """Check that a confidential client proves itself by a token of its federated credential.

        Raises:
            OAuthError: it does not (`invalid_client`).
        """
        client = self.clients.get(form.get("client_id", ""))
        credential = client.credential if client else None
        if credential is None:
            return
        claims = None
        if form.get("client_assertion_type") == _ASSERTION:
            claims = self.keys.read(
                form.get("client_assertion", ""),
                issuer=credential.issuer,
                audience=credential.audience,
                now=self.issuer.now(),
            )
        if claims is None or claims["sub"] != credential.subject:
            raise OAuthError("invalid_client", "The client does not prove itself with its credential.", status=401)

    def check_header(self, given: str | None) -> None:
        """Check the secret that the platform gives to its own processes.

        Raises:
            OAuthError: it is missing (400) or wrong (401).
        """
        if given is None:
            raise OAuthError("invalid_request", "The header X-IDENTITY-HEADER is missing.")
        if not hmac.compare_digest(given.encode(), self.header_secret.encode()):
            raise OAuthError("unauthorized", "The header X-IDENTITY-HEADER is wrong.", status=401)
