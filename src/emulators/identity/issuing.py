"""What the tokens say: claims as Entra puts them, in version 2.0, or 1.0 where a resource asks for that."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from core import Clock
from emulators.identity.directory import DirectoryTenant, DirectoryUser, ServiceIdentity
from emulators.identity.signing import SigningKeys

BEARER = "Bearer"
"""The type of every token: whoever has it may use it (RFC 6750)."""
LIFETIME_SECONDS = 3600

V1_ISSUER = "https://sts.windows.net/{tid}/"
"""https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference"""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody signed in to a client that asked for `scope`."""

    tenant: DirectoryTenant
    user: DirectoryUser
    client_id: str
    scope: str
    nonce: str


class Issuer:
    """Makes tokens.

    Args:
        base: what issuers begin with: `<base>/<tid>/v2.0`.
        keys: sign them.
        clock: dates them.
        service_tid: the tenant that the service identities live in.
        v1_resources: those whose registration leaves `requestedAccessTokenVersion` empty.
    """

    def __init__(
        self, base: str, keys: SigningKeys, clock: Clock, service_tid: str, v1_resources: Collection[str] = ()
    ) -> None:
        self._base = base
        self._keys = keys
        self._clock = clock
        self._service_tid = service_tid
        self._v1_resources = v1_resources

    def access_token(self, person: SignedIn, audience: str) -> str:
        """Return a user's token for an API."""
        claims = self._about(person, audience)
        claims |= {"idtyp": "user", "scp": "access", "azp": person.client_id, "azpacr": "0"}
        return self._keys.sign(claims | {"groups": list(person.user.groups)})

    def id_token(self, person: SignedIn) -> str:
        """Return what tells the client who signed in."""
        nonce = {"nonce": person.nonce} if person.nonce else {}
        return self._keys.sign(self._about(person, person.client_id) | nonce)

    def customer_token(self, tid: str, client_id: str, resource: str) -> str:
        """Return an application's token in a customer's tenant, where it is a service principal of its own."""
        object_id = str(uuid5(UUID(tid), client_id))
        claims = self._common(tid, object_id, resource)
        claims |= {"idtyp": "app", "azp": client_id, "appid": client_id, "azpacr": "2"}
        return self._keys.sign(claims | {"sub": object_id, "roles": []})

    def service_token(self, service: ServiceIdentity, resource: str) -> str:
        """Return a service's own token for `resource`, with the app roles it holds there."""
        claims = self._common(self._service_tid, service.object_id, resource)
        claims |= {"idtyp": "app", "sub": service.object_id, "roles": list(service.roles.get(resource, ()))}
        if resource in self._v1_resources:
            claims |= {"ver": "1.0", "iss": V1_ISSUER.replace("{tid}", self._service_tid)}
            return self._keys.sign(claims | {"appid": service.client_id, "appidacr": "2"})
        return self._keys.sign(claims | {"azp": service.client_id, "appid": service.client_id, "azpacr": "1"})

    def now(self) -> float:
        """Return the time in seconds since 1970."""
        return self._clock.now().timestamp()

    def expires_on(self) -> int:
        """Return when a token made now expires, in seconds since 1970."""
        return int(self.now()) + LIFETIME_SECONDS

    def _about(self, person: SignedIn, audience: str) -> dict[str, Any]:
        claims = self._common(person.tenant.tid, person.user.object_id, audience)
        puid = {"puid": person.user.puid} if person.user.puid else {}
        return (
            puid
            | claims
            | {
                "sub": _pairwise(person.user.object_id, person.client_id),
                "name": person.user.name,
                "preferred_username": person.user.username,
                "roles": list(person.user.roles),
            }
        )

    def _common(self, tid: str, object_id: str, audience: str) -> dict[str, Any]:
        expires = self.expires_on()
        return {
            "ver": "2.0",
            "iss": f"{self._base}/{tid}/v2.0",
            "aud": audience,
            "tid": tid,
            "oid": object_id,
            "iat": expires - LIFETIME_SECONDS,
            "nbf": expires - LIFETIME_SECONDS,
            "exp": expires,
            "uti": secrets.token_urlsafe(16),
        }


def _pairwise(object_id: str, client_id: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(f"{object_id} {client_id}".encode()).digest()).rstrip(b"=").decode()
