"""The emulator's signing keys: kept in its folder, rotated on demand, old ones published for as long as needed."""

import asyncio
import hashlib
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from jwt.algorithms import RSAAlgorithm
from jwt.types import Options
from pydantic import BaseModel

from emulators.private_files import keep_first, private_folder, replace_private

_PUBLISHED = 3
_PEM_END = b"-----END PRIVATE KEY-----\n"


class Jwk(BaseModel):
    """A public RSA key (RFC 7517)."""

    kty: str = "RSA"
    use: str = "sig"
    kid: str
    n: str
    e: str
    issuer: str


class JwkSet(BaseModel):
    keys: list[Jwk]


class SigningKeys:
    """RSA-2048 keys, newest first; the newest signs.

    Reads and writes a file when it is made: make it before the event loop starts.
    """

    def __init__(self, folder: Path) -> None:
        private_folder(folder)
        self._file = folder / "signing-keys.pem"
        pem = self._file.read_bytes() if self._file.exists() else keep_first(self._file, _pem([_generate()]))
        self._keys = [_load(part + _PEM_END) for part in pem.split(_PEM_END)[:-1]]
        self._rotating = asyncio.Lock()

    def sign(self, claims: dict[str, Any]) -> str:
        """Return `claims` as a signed JWT."""
        key = self._keys[0]
        return jwt.encode(claims, key, "RS256", headers={"kid": _kid(key)})

    def read(self, token: str, *, issuer: str, audience: str, now: float) -> dict[str, Any] | None:
        """Return the claims of a token that one of these keys signed; None if it is not good at `now`."""
        options: Options = {
            "require": ["exp", "nbf", "iss", "aud", "sub"],
            "verify_exp": False,  # the times are by the emulator's clock, below
            "verify_nbf": False,
            "verify_iat": False,
        }
        for key in self._keys:
            try:
                claims: dict[str, Any] = jwt.decode(
                    token, key.public_key(), ["RS256"], options, issuer=issuer, audience=audience
                )
            except jwt.PyJWTError:
                continue
            return claims if claims["nbf"] <= now < claims["exp"] else None
        return None

    def published(self, issuer: str) -> JwkSet:
        """Return the public keys; each says for which issuer it signs, as Entra's do."""
        return JwkSet(keys=[_jwk(key, issuer) for key in self._keys])

    async def rotate(self) -> str:
        """Sign with a new key from now on; return its id. The two before it stay published."""
        async with self._rotating:
            keys = [await asyncio.to_thread(_generate), *self._keys][:_PUBLISHED]
            await asyncio.to_thread(replace_private, self._file, _pem(keys))
            self._keys = keys
        return _kid(keys[0])


def _generate() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def _load(pem: bytes) -> RSAPrivateKey:
    key = load_pem_private_key(pem, password=None)
    assert isinstance(key, RSAPrivateKey)
    return key


def _pem(keys: list[RSAPrivateKey]) -> bytes:
    return b"".join(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) for key in keys)


def _kid(key: RSAPrivateKey) -> str:
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return urlsafe_b64encode(hashlib.sha256(public).digest()).decode()[:27]


def _jwk(key: RSAPrivateKey, issuer: str) -> Jwk:
    numbers = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return Jwk(kid=_kid(key), n=str(numbers["n"]), e=str(numbers["e"]), issuer=issuer)
