"""Who can sign in, and as what: the emulator's stand-in for Entra tenants and app registrations."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from emulators.identity.oauth import OAuthError

PERSONAL_ACCOUNTS = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant that all personal Microsoft accounts share."""

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_URI = re.compile(r"[A-Za-z0-9:/?\[\]!$&'()*+,;=._~%-]{1,2000}")


@dataclass(frozen=True, slots=True)
class DirectoryUser:
    """A person. `roles` are app roles of the API, `groups` object ids, `puid` an optional claim."""

    username: str
    name: str
    object_id: str
    roles: Sequence[str] = ()
    groups: Sequence[str] = ()
    puid: str = ""


@dataclass(frozen=True, slots=True)
class DirectoryTenant:
    tid: str
    name: str
    users: Sequence[DirectoryUser]


@dataclass(frozen=True, slots=True)
class ServiceIdentity:
    """A managed identity. `roles` are the app roles it holds, by resource; with a `secret` it is an app as well."""

    client_id: str
    object_id: str
    name: str
    roles: Mapping[str, Sequence[str]]
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class FederatedCredential:
    """Whose tokens a client may prove itself with, in place of a secret: `iss`, `sub` and `aud` must be these."""

    issuer: str
    subject: str
    audience: str


@dataclass(frozen=True, slots=True)
class ClientRegistration:
    """A client; without a credential a public one.

    In a redirect URI to this machine over http the port is free (RFC 8252, 7.3). `resources` are those for which it
    gets tokens as an application of any tenant: each has consented to it.
    """

    client_id: str
    name: str
    redirect_uris: Sequence[str]
    credential: FederatedCredential | None = None
    resources: Sequence[str] = ()

    def allows(self, redirect_uri: str) -> bool:
        """Return whether the client registered `redirect_uri`."""
        asked = _comparable(redirect_uri)
        return asked is not None and any(_comparable(registered) == asked for registered in self.redirect_uris)


class Directory:
    """Looks up tenants and people."""

    def __init__(self, tenants: Sequence[DirectoryTenant]) -> None:
        self._tenants = {tenant.tid: tenant for tenant in tenants}

    def tenants(self, authority: str) -> list[DirectoryTenant]:
        """Return who can sign in at `/{authority}`: a tenant id, `organizations` or `common`.

        Raises:
            OAuthError: there is no such tenant.
        """
        if authority == "common":
            return list(self._tenants.values())
        if authority == "organizations":
            return [tenant for tenant in self._tenants.values() if tenant.tid != PERSONAL_ACCOUNTS]
        if authority not in self._tenants:
            raise OAuthError("invalid_tenant", "There is no such tenant.")
        return [self._tenants[authority]]

    def person(self, authority: str, username: str) -> tuple[DirectoryTenant, DirectoryUser] | None:
        """Return who has this username among those who can sign in at `/{authority}`."""
        return next(((t, u) for t, u in self._people(authority) if u.username == username), None)

    def _people(self, authority: str) -> Iterator[tuple[DirectoryTenant, DirectoryUser]]:
        for tenant in self.tenants(authority):
            for user in tenant.users:
                yield tenant, user


def _comparable(uri: str) -> SplitResult | None:
    if not _URI.fullmatch(uri):
        return None
    parts = urlsplit(uri)
    try:
        _ = parts.port
    except ValueError:
        return None
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return parts._replace(netloc=parts.hostname)
    return parts if parts.scheme == "https" else None
