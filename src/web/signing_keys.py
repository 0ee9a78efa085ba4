"""The issuer's public keys (JWKS), fetched when needed and kept through its outages."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWTError
from jwt.algorithms import RSAAlgorithm
from pydantic import BaseModel

from core import Clock
from core.errors import Unavailable
from web.bounded import read_bounded

_FRESH = timedelta(hours=6)
_BETWEEN_FETCHES = timedelta(seconds=30)
_BETWEEN_FETCHES_WITHOUT_KEYS = timedelta(seconds=1)
_FETCH_SECONDS = 5.0
_MAX_DOCUMENT = 500_000
_MIN_KEY_BITS = 2048

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key and, where the issuer restricts it, the issuer template (with `{tenantid}`) that it may sign for."""

    public: RSAPublicKey
    issuer: str | None


class _Jwk(BaseModel):
    kty: str
    kid: str = ""
    use: str = "sig"
    n: str = ""
    e: str = ""
    issuer: str | None = None


class _JwkSet(BaseModel):
    keys: list[_Jwk]


class SigningKeys:
    """Keys by `kid`. A failed fetch leaves those in use that we have.

    Args:
        uri: of the JWKS document.
        session: used for fetching; stays the caller's to close.
        clock: decides when to fetch again.
    """

    def __init__(self, uri: str, session: aiohttp.ClientSession, clock: Clock) -> None:
        self._uri = uri
        self._session = session
        self._clock = clock
        self._keys: dict[str, SigningKey] = {}
        self._fetched = self._attempted = datetime.min.replace(tzinfo=UTC)
        self._attempts = 0
        self._lock = asyncio.Lock()

    def __contains__(self, kid: str) -> bool:
        return kid in self._keys

    async def key(self, kid: str) -> SigningKey | None:
        """Return the key, None if the issuer has none of that name.

        Raises:
            Unavailable: keys were never fetched and cannot be fetched now (`dependency.jwks`).
        """
        if kid not in self._keys or self._clock.now() - self._fetched > _FRESH:
            await self._refresh()
        if not self._keys:
            message = "Who you are cannot be checked now: the identity provider does not answer. Try again shortly."
            raise Unavailable(message, code="dependency.jwks", retry_after=1)
        return self._keys.get(kid)

    async def _refresh(self) -> None:
        attempts = self._attempts
        async with self._lock:
            pause = _BETWEEN_FETCHES if self._keys else _BETWEEN_FETCHES_WITHOUT_KEYS
            if attempts != self._attempts or self._clock.now() - self._attempted < pause:
                return
            try:
                self._keys = await self._fetch()
                self._fetched = self._clock.now()
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                _log.warning("signing keys cannot be fetched: %s", type(error).__name__)
            self._attempts += 1
            self._attempted = self._clock.now()

    async def _fetch(self) -> dict[str, SigningKey]:
        async with asyncio.timeout(_FETCH_SECONDS), self._session.get(self._uri) as response:
            response.raise_for_status()
            document = await read_bounded(response.content.iter_any(), _MAX_DOCUMENT)
        found = {jwk.kid: key for jwk in _JwkSet.model_validate_json(document).keys if (key := _signing_key(jwk))}
        if not found:
            raise ValueError("the document holds no usable key")
        return found


def _signing_key(jwk: _Jwk) -> SigningKey | None:
    if jwk.kty != "RSA" or jwk.use != "sig" or not jwk.kid:
        return None
    try:
        public = RSAAlgorithm.from_jwk({"kty": "RSA", "n": jwk.n, "e": jwk.e})
    except (PyJWTError, ValueError):
        return None
    if not isinstance(public, RSAPublicKey) or public.key_size < _MIN_KEY_BITS:
        return None
    return SigningKey(public, jwk.issuer)
