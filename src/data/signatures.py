"""Signatures that anybody can check: ES256 of RFC 7518 (ECDSA over P-256 and SHA-256), keys as JSON Web Keys."""

import base64
from typing import Literal, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from pydantic import BaseModel, ConfigDict, computed_field

from core import canonical, digest

_BYTES = 32
"""Of a coordinate, and of either half of a signature."""


class PublicKey(BaseModel):
    """A public key as a JSON Web Key; `x` and `y` are its coordinates, in URL-safe base64 without padding."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kty: Literal["EC"] = "EC"
    crv: Literal["P-256"] = "P-256"
    x: str
    y: str

    @computed_field
    @property
    def kid(self) -> str:
        """The key's thumbprint (RFC 7638) in hex: computed, never believed."""
        return digest(canonical({"crv": self.crv, "kty": self.kty, "x": self.x, "y": self.y}))

    @classmethod
    def of(cls, x: bytes, y: bytes) -> "PublicKey":
        """Return the key with these coordinates, big-endian."""
        return cls(x=encoded(x.rjust(_BYTES, b"\x00")), y=encoded(y.rjust(_BYTES, b"\x00")))

    def verifies(self, data: bytes, signature: str) -> bool:
        """Return whether `signature` is this key's over `data`."""
        try:
            raw = decoded(signature)
            if len(raw) != 2 * _BYTES:
                return False
            numbers = ec.EllipticCurvePublicNumbers(
                int.from_bytes(decoded(self.x)), int.from_bytes(decoded(self.y)), ec.SECP256R1()
            )
            der = encode_dss_signature(int.from_bytes(raw[:_BYTES]), int.from_bytes(raw[_BYTES:]))
            numbers.public_key().verify(der, data, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True


class Signer(Protocol):
    """Holds the key that vouches for evidence; nothing else is ever signed with it."""

    async def key(self) -> PublicKey:
        """Return the public key; `Unavailable` (`dependency.signer`) if it cannot be had."""
        ...

    async def sign(self, data: bytes) -> str:
        """Return the signature over `data`, as `PublicKey.verifies` takes it; raises as `key`."""
        ...


class Signed(BaseModel):
    """A statement with its signature: the text is what was signed, byte for byte."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    statement: str
    kid: str
    signature: str

    @classmethod
    async def by(cls, signer: Signer, statement: bytes) -> "Signed":
        return cls(statement=statement.decode(), kid=(await signer.key()).kid, signature=await signer.sign(statement))

    @property
    def hash(self) -> str:
        return digest(self.statement.encode())


def signature_of(key: ec.EllipticCurvePrivateKey, data: bytes) -> str:
    """Sign with a key that this process holds."""
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return encoded(r.to_bytes(_BYTES) + s.to_bytes(_BYTES))


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Return the bytes; `ValueError` if it is no URL-safe base64."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
