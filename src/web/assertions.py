"""Signed tenant assertions: how one of our services tells another for whom it asks (design section 4).

The service token proves which service calls; the assertion proves for which tenant and principal, for exactly this
request, once, for at most a minute. Each process signs with a key of its own that it never writes down.

    ma1.<base64url(canonical JSON)>.<base64url(Ed25519 signature over "ma1." and the first part)>
"""

import base64
import binascii
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError
from starlette.types import Scope

from core import (
    Actor,
    Clock,
    PrincipalId,
    PrincipalKind,
    Role,
    TenantContext,
    TenantId,
    canonical,
    digest,
    new_id,
    parse_timestamp,
    timestamp,
)
from core.errors import Unauthenticated
from web.nonces import SeenNonces

ASSERTION_HEADER = "Mandate-Assertion"
ASSERTION_LIFETIME = timedelta(seconds=60)
KEY_LIFETIME = timedelta(hours=1)

_VERSION = "ma1"
_CLOCK_SKEW = timedelta(seconds=5)
_MAX_ASSERTION = 16_000
_MAX_NONCES = 100_000


class PublishedKey(BaseModel):
    """The public half of a process's signing key, as the store holds it.

    Attributes:
        service: who signs with it.
        public: the 32 bytes in base64.
        expires: timestamp.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kid: str
    service: str
    public: str
    expires: str


class KeyDirectory(Protocol):
    async def key(self, kid: str) -> PublishedKey | None:
        """Return the published key, None if nobody published one of that name."""
        ...


@dataclass(frozen=True, slots=True)
class VerifiedAssertion:
    """What a verified assertion says.

    Attributes:
        service: which of our services signed it.
        principal: the id of the one on whose behalf it asks.
        deadline: by when the work must be done.
        nonce: to be claimed in the append that the call causes.
    """

    service: str
    tenant: TenantId
    principal: PrincipalId
    kind: PrincipalKind
    roles: frozenset[Role]
    groups: frozenset[str]
    plan: str
    region: str
    correlation: str
    chain: tuple[Actor, ...]
    deadline: datetime
    nonce: str


_Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class _Payload(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kid: _Name
    audience: _Name
    request: _Name
    issued: AwareDatetime
    expires: AwareDatetime
    nonce: _Name
    deadline: AwareDatetime
    tenant: _Name
    principal: _Name
    kind: PrincipalKind
    roles: frozenset[Role]
    groups: frozenset[str]
    plan: _Name
    region: _Name
    correlation: _Name
    chain: tuple[Actor, ...]


class AssertionSigner:
    """Signs for one process of `service`; the private key is made here and never leaves."""

    def __init__(self, service: str, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self._kid = new_id("key")
        self._private = Ed25519PrivateKey.generate()

    @property
    def key(self) -> PublishedKey:
        """The key to publish. It is valid for an hour from now: publish it again well before that."""
        return PublishedKey(
            kid=self._kid,
            service=self._service,
            public=base64.b64encode(self._private.public_key().public_bytes_raw()).decode(),
            expires=timestamp(self._clock.now() + KEY_LIFETIME),
        )

    def sign(
        self, context: TenantContext, *, audience: str, method: str, path: str, body: bytes, deadline: datetime
    ) -> str:
        """Return the assertion for one request; `path` is the request target: path and query as they are sent."""
        now = self._clock.now()
        payload = canonical(
            {
                "kid": self._kid,
                "audience": audience,
                "request": _request_digest(method, path, body),
                "issued": timestamp(now),
                "expires": timestamp(min(now + ASSERTION_LIFETIME, deadline)),
                "nonce": secrets.token_hex(16),
                "deadline": timestamp(deadline),
                "tenant": context.tenant,
                "principal": context.principal.id,
                "kind": context.principal.kind,
                "roles": sorted(context.principal.roles),
                "groups": sorted(context.principal.groups),
                "plan": context.plan,
                "region": context.region,
                "correlation": context.correlation,
                "chain": [{"kind": actor.kind, "id": actor.id} for actor in context.chain],
            }
        )
        signed = f"{_VERSION}.{_encode(payload)}"
        return f"{signed}.{_encode(self._private.sign(signed.encode()))}"


class AssertionVerifier:
    """Verifies the assertions that reach one service.

    Args:
        audience: the name of this service.
        keys: where processes publish their keys.
        clock: tells expiry.
    """

    def __init__(self, *, audience: str, keys: KeyDirectory, clock: Clock) -> None:
        self._audience = audience
        self._keys = keys
        self._clock = clock
        self._seen = SeenNonces(_MAX_NONCES, ASSERTION_LIFETIME + _CLOCK_SKEW)

    async def verify(
        self, assertion: str, *, issuer_services: Collection[str], method: str, path: str, body: bytes
    ) -> VerifiedAssertion:
        """Return what `assertion` says, once it is proved to be for exactly this request.

        Args:
            assertion: the value of the `Mandate-Assertion` header.
            issuer_services: who may call this route.
            method: of the request.
            path: the request target, see `request_target`.
            body: as it was received.

        Raises:
            Unauthenticated: `assertion.` malformed, unknown_key, signature, issuer, audience, expired, request or
                replayed.
            Unavailable: too many requests within a minute to remember (`dependency.replay_guard`).
        """
        signed, payload, signature = _parse(assertion)
        key = await self._keys.key(payload.kid)
        if key is None or key.kid != payload.kid:
            raise _refused("unknown_key")
        _check_signature(key, signed, signature)
        if key.service not in issuer_services:
            raise _refused("issuer")
        if payload.audience != self._audience:
            raise _refused("audience")
        now = self._clock.now()
        _check_lifetime(payload, key, now)
        if not secrets.compare_digest(payload.request.encode(), _request_digest(method, path, body).encode()):
            raise _refused("request")
        if not self._seen.claim(f"{payload.kid}.{payload.nonce}", now):
            raise _refused("replayed")
        return _verified(key.service, payload)


def request_target(scope: Scope) -> str:
    """Return path and query of a request as they were sent, below the prefix at which the application is mounted."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope.get("query_string", b"")
    path = raw.decode("latin-1").removeprefix(scope.get("root_path", ""))
    return f"{path}?{query.decode('latin-1')}" if query else path


def _parse(assertion: str) -> tuple[bytes, _Payload, bytes]:
    parts = assertion.split(".", maxsplit=3)
    if len(assertion) > _MAX_ASSERTION or len(parts) != 3 or parts[0] != _VERSION:  # noqa: PLR2004 - version, payload, signature
        raise _refused("malformed")
    try:
        payload = _Payload.model_validate_json(_decode(parts[1]))
        return f"{parts[0]}.{parts[1]}".encode(), payload, _decode(parts[2])
    except (ValidationError, ValueError):
        raise _refused("malformed") from None


def _check_signature(key: PublishedKey, signed: bytes, signature: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(key.public, validate=True)).verify(signature, signed)
    except (InvalidSignature, ValueError):
        raise _refused("signature") from None


def _check_lifetime(payload: _Payload, key: PublishedKey, now: datetime) -> None:
    ends = min(payload.expires, payload.issued + ASSERTION_LIFETIME, parse_timestamp(key.expires))
    if now >= ends or payload.issued > now + _CLOCK_SKEW:
        raise _refused("expired")


def _verified(service: str, payload: _Payload) -> VerifiedAssertion:
    return VerifiedAssertion(
        service=service,
        tenant=TenantId(payload.tenant),
        principal=PrincipalId(payload.principal),
        kind=payload.kind,
        roles=payload.roles,
        groups=payload.groups,
        plan=payload.plan,
        region=payload.region,
        correlation=payload.correlation,
        chain=payload.chain,
        deadline=payload.deadline,
        nonce=payload.nonce,
    )


def _request_digest(method: str, path: str, body: bytes) -> str:
    return digest(canonical([method.upper(), path, digest(body)]))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    padded = text.encode("ascii") + b"=" * (-len(text) % 4)
    return binascii.a2b_base64(padded.translate(_FROM_URLSAFE), strict_mode=True)


_FROM_URLSAFE = bytes.maketrans(b"-_+/", b"+/!!")  # what only plain base64 has becomes invalid


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated(_MESSAGES[why], code=f"assertion.{why}")


_MESSAGES = {
    "malformed": "The tenant assertion cannot be read.",
    "unknown_key": "The tenant assertion is signed with a key that nobody published.",
    "signature": "The signature of the tenant assertion is wrong.",
    "issuer": "The service that signed the tenant assertion may not call this.",
    "audience": "The tenant assertion is for another service.",
    "expired": "The tenant assertion is not valid at this time.",
    "request": "The tenant assertion is for another request.",
    "replayed": "The tenant assertion was used before.",
}
