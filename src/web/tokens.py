"""Who is asking: access tokens as Microsoft Entra ID issues them (v2.0), verified.

What each claim means: https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference. Entra's keys
are shared by all organisations of a cloud, so a good signature says nothing about the tenant: issuer and `tid` must
agree, and whether that tenant is a customer is for the caller to find out.
"""

import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, Literal

import aiohttp
import jwt
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from core import Clock
from core.errors import Unauthenticated
from web.signing_keys import SigningKey, SigningKeys

_ALGORITHM = "RS256"
_LEEWAY_SECONDS = 60
_MAX_TOKEN = 16_000
_MAX_CACHED = 5_000
_GUID = r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$"


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a verified token says.

    Attributes:
        tenant_id: Entra's tenant (`tid`); one for all personal accounts.
        object_id: who (`oid`), unique within the tenant.
        app_id: the application that asked for the token.
        groups: object ids; empty for somebody in more groups than fit into a token, who then sees less.
        username: for display only: it can be changed and given to somebody else.
        issued_at: seconds since 1970; what a later token says of somebody is what holds.
        expires_at: the same.
        is_app: an application's own token, nobody is signed in (the optional claim `idtyp`, which the API's app
            registration must ask for).
        puid: the optional claim of that name, in capitals; empty where it is not asked for.
    """

    tenant_id: str
    object_id: str
    audience: str
    app_id: str
    roles: frozenset[str]
    groups: frozenset[str]
    name: str
    username: str
    issued_at: float
    expires_at: float
    is_app: bool
    puid: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signed in to say something, and when, in seconds since 1970."""

    tenant_id: str
    object_id: str
    at: float


_Text = Annotated[str, StringConstraints(min_length=1, max_length=256)]
_Seconds = Annotated[int, Field(ge=0, le=2**53)]


class _Claims(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    ver: Literal["1.0", "2.0"]
    aud: str
    iss: str
    tid: Annotated[str, StringConstraints(pattern=_GUID)]
    oid: _Text
    exp: _Seconds
    nbf: _Seconds
    azp: _Text | None = None
    appid: _Text | None = None
    idtyp: str = ""
    roles: list[str] = []
    groups: list[str] = []
    name: str = ""
    preferred_username: str = ""
    nonce: str = ""
    puid: Annotated[str, StringConstraints(max_length=32)] = ""


def bearer_token(authorization: str | None) -> str:
    """Return the token of an `Authorization: Bearer` header.

    Raises:
        Unauthenticated: there is none (`identity.missing`).
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Sign in first: the request carries no bearer token.", code="identity.missing")
    return token.strip()


class TokenValidator:
    """Verifies access tokens for one audience. A token seen before costs a hash and a look-up.

    Args:
        issuer_template: what `iss` must be, with `{tid}` for the tenant:
            `https://login.microsoftonline.com/{tid}/v2.0`.
        jwks_uri: where the issuer publishes its keys.
        audience: what `aud` must be.
        session: for fetching keys; stays the caller's to close.
        clock: tells expiry.
        v1_issuer_template: the same of tokens of version 1, `https://sts.windows.net/{tid}/`; none is taken without.
    """

    def __init__(
        self,
        *,
        issuer_template: str,
        jwks_uri: str,
        audience: str,
        session: aiohttp.ClientSession,
        clock: Clock,
        v1_issuer_template: str = "",
    ) -> None:
        self._issuer_template = issuer_template
        self._issuers = {"2.0": issuer_template, "1.0": v1_issuer_template}
        self._audience = audience
        self._clock = clock
        self._keys = SigningKeys(jwks_uri, session, clock)
        self._verified: OrderedDict[bytes, tuple[str, VerifiedToken]] = OrderedDict()
        self._jws = jwt.PyJWS(algorithms=[_ALGORITHM])

    async def verify(self, token: str) -> VerifiedToken:
        """Return what `token` says, once it is proved.

        Raises:
            Unauthenticated: `identity.` malformed, algorithm, unknown_key, signature, missing_claim, audience, issuer,
                expired or not_yet_valid.
            Unavailable: the issuer's keys cannot be had (`dependency.jwks`).
        """
        if len(token) > _MAX_TOKEN or not token.isascii():
            raise _refused("malformed")
        cache_key = hashlib.sha256(token.encode()).digest()
        known = self._verified.get(cache_key)
        if known is not None and known[0] in self._keys:
            self._verified.move_to_end(cache_key)
            self._check_not_expired(known[1].expires_at)
            return known[1]
        kid, verified = await self._verify(token)
        self._verified[cache_key] = kid, verified
        if len(self._verified) > _MAX_CACHED:
            self._verified.popitem(last=False)
        return verified

    async def verify_sign_in(self, id_token: str, nonce: str) -> tuple[str, str]:
        """Return tenant (`tid`) and person (`oid`) of an id token that answers the sign-in with this nonce.

        Raises:
            Unauthenticated, Unavailable: as `verify` does; `identity.nonce` where it answers another sign-in.
        """
        claims = await self._answer(id_token, nonce, self._audience)
        return claims.tid, claims.oid

    async def verify_signature(self, id_token: str, *, nonce: str, client: str) -> Signature:
        """Return who signed in to the app `client` with this nonce: if it is a hash of a text, who signed the text.

        Raises:
            Unauthenticated, Unavailable: as `verify_sign_in` does.
        """
        claims = await self._answer(id_token, nonce, client)
        return Signature(claims.tid, claims.oid, float(claims.nbf))

    async def _answer(self, id_token: str, nonce: str, audience: str) -> _Claims:
        if len(id_token) > _MAX_TOKEN or not id_token.isascii():
            raise _refused("malformed")
        _, claims = await self._proved(id_token, audience)
        if not hmac.compare_digest(claims.nonce.encode(), nonce.encode()):
            raise _refused("nonce")
        return claims

    async def _proved(self, token: str, audience: str) -> tuple[str, _Claims]:
        kid = self._key_id(token)
        key = await self._keys.key(kid)
        if key is None:
            raise _refused("unknown_key")
        claims = _parse(self._signed_payload(token, key))
        self._check(claims, key, audience)
        return kid, claims

    async def _verify(self, token: str) -> tuple[str, VerifiedToken]:
        kid, claims = await self._proved(token, self._audience)
        app_id = claims.azp or claims.appid
        if app_id is None:
            raise _refused("missing_claim")
        return kid, VerifiedToken(
            tenant_id=claims.tid,
            object_id=claims.oid,
            audience=claims.aud,
            app_id=app_id,
            roles=frozenset(claims.roles),
            groups=frozenset(claims.groups),
            name=claims.name,
            username=claims.preferred_username,
            issued_at=float(claims.nbf),
            expires_at=float(claims.exp),
            is_app=claims.idtyp == "app",
            puid=claims.puid.upper(),
        )

    def _key_id(self, token: str) -> str:
        try:
            header = self._jws.get_unverified_header(token)
        except jwt.PyJWTError:
            raise _refused("malformed") from None
        if header.get("alg") != _ALGORITHM:
            raise _refused("algorithm")
        kid = header.get("kid")
        if not isinstance(kid, str):
            raise _refused("malformed")
        return kid

    def _signed_payload(self, token: str, key: SigningKey) -> bytes:
        try:
            payload: object = self._jws.decode(token, key.public, algorithms=[_ALGORITHM])
        except jwt.InvalidSignatureError:
            raise _refused("signature") from None
        except jwt.PyJWTError:
            raise _refused("malformed") from None
        if not isinstance(payload, bytes):
            raise _refused("malformed")
        return payload

    def _check(self, claims: _Claims, key: SigningKey, audience: str) -> None:
        if claims.aud != audience:
            raise _refused("audience")
        if not claims.iss or claims.iss != self._issuers[claims.ver].replace("{tid}", claims.tid):
            raise _refused("issuer")
        # Keys name their issuer as version 2 does; those of version 1 are the same keys.
        issuer = self._issuer_template.replace("{tid}", claims.tid)
        if key.issuer is not None and issuer != key.issuer.replace("{tenantid}", claims.tid):
            raise _refused("issuer")
        if claims.nbf > self._clock.now().timestamp() + _LEEWAY_SECONDS:
            raise _refused("not_yet_valid")
        self._check_not_expired(claims.exp)

    def _check_not_expired(self, expires_at: float) -> None:
        if self._clock.now().timestamp() >= expires_at + _LEEWAY_SECONDS:
            raise _refused("expired")


def _parse(payload: bytes) -> _Claims:
    try:
        return _Claims.model_validate_json(payload)
    except ValidationError as error:
        missing = any(e["type"] == "missing" for e in error.errors(include_url=False, include_input=False))
        raise _refused("missing_claim" if missing else "malformed") from None


_MESSAGES = {
    "malformed": "The access token cannot be read. Sign in again.",
    "algorithm": "The access token is not signed with RS256. Sign in again.",
    "unknown_key": "The access token is signed with a key that its issuer does not publish. Sign in again.",
    "signature": "The signature of the access token is wrong. Sign in again.",
    "missing_claim": "The access token lacks a claim we need. Sign in again; ask your administrator if that fails.",
    "audience": "The access token is for another service. Ask for one for this service.",
    "issuer": "The access token was not issued by its own tenant. Sign in again.",
    "expired": "The access token has expired. Sign in again.",
    "nonce": "This answers another sign-in. Sign in again.",
    "not_yet_valid": "The access token is not valid yet. Check the clock of your machine.",
}


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated(_MESSAGES[why], code=f"identity.{why}")
