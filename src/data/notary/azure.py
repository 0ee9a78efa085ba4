"""In Azure: a key in Key Vault, whose private half nobody has, and blobs of a container with an immutability policy."""

import hashlib
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.keyvault.keys import KeyVaultKeyIdentifier
from azure.keyvault.keys.aio import KeyClient
from azure.keyvault.keys.crypto import SignatureAlgorithm
from azure.keyvault.keys.crypto.aio import CryptographyClient
from azure.storage.blob.aio import ContainerClient
from pydantic import BaseModel, ConfigDict, ValidationError

from core import TenantId
from core.errors import Conflict, Defect, Unavailable
from data.kept_blobs import SECONDS, open_container
from data.signatures import PublicKey, encoded

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

T = TypeVar("T")


class _Point(BaseModel):
    """What of the SDK's model of a key is the public half."""

    model_config = ConfigDict(from_attributes=True)

    crv: Literal["P-256"]
    x: bytes
    y: bytes


class VaultSigner:
    """A key of type EC, P-256. Its version is fixed, so that everybody can know the public half."""

    def __init__(self, keys: KeyClient, crypto: CryptographyClient, name: str, version: str) -> None:
        self._keys = keys
        self._crypto = crypto
        self._name = name
        self._version = version
        self._key: PublicKey | None = None

    async def key(self) -> PublicKey:
        if self._key is None:
            found = await _answered(self._keys.get_key(self._name, self._version), "signer")
            try:
                point = _Point.model_validate(found.key)
            except ValidationError:
                message = "The key that signs evidence must be an EC key on P-256."
                raise Defect(message, code="defect.settings") from None
            self._key = PublicKey.of(point.x, point.y)
        return self._key

    async def sign(self, data: bytes) -> str:
        digest = hashlib.sha256(data).digest()
        return encoded((await _answered(self._crypto.sign(SignatureAlgorithm.es256, digest), "signer")).signature)


class BlobAnchor:
    """A folder for each tenant, a blob for each checkpoint: created and never replaced, which the policy sees to."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    async def put(self, tenant: TenantId, number: int, data: bytes) -> None:
        try:
            # `overwrite=False` is `If-None-Match: *`
            await _answered(self._container.upload_blob(_name(tenant, number), data, overwrite=False), "anchor")
        except ResourceExistsError:
            if await self.read(tenant, number) != data:
                message = "There is another checkpoint under this number already."
                raise Conflict(message, code="conflict.anchor") from None

    async def read(self, tenant: TenantId, number: int) -> bytes | None:
        try:
            found = await _answered(self._container.download_blob(_name(tenant, number)), "anchor")
            return await _answered(found.readall(), "anchor")
        except ResourceNotFoundError:
            return None


@asynccontextmanager
async def open_signer(
    url: str,
    credential: "AsyncTokenCredential",
    transport: AsyncHttpTransport[HttpRequest, AsyncHttpResponse] | None = None,
) -> AsyncGenerator[VaultSigner]:
    """Open the key that a URL names, such as `https://name.vault.azure.net/keys/evidence/<version>`.

    Raises:
        Defect: the URL names no version of a key (`defect.settings`).
    """
    try:
        parts = KeyVaultKeyIdentifier(url)
    except ValueError:
        parts = None
    if parts is None or urlsplit(url).scheme != "https" or not parts.version:
        raise Defect("MANDATE_EVIDENCE_KEY must be the https URL of a version of a key.", code="defect.settings")
    options = {"retry_total": 1, "connection_timeout": SECONDS, "read_timeout": SECONDS}
    given = {"transport": transport} if transport else {}
    async with (
        KeyClient(parts.vault_url, credential, **options, **given) as keys,
        CryptographyClient(url, credential, **options, **given) as crypto,
    ):
        yield VaultSigner(keys, crypto, parts.name, parts.version)


@asynccontextmanager
async def open_anchor(
    url: str, credential: "AsyncTokenCredential", ca_file: Path | None = None
) -> AsyncGenerator[BlobAnchor]:
    """Open the container that MANDATE_EVIDENCE_ANCHOR names; see `open_container`."""
    async with open_container("MANDATE_EVIDENCE_ANCHOR", url, credential, ca_file) as container:
        yield BlobAnchor(container)


async def _answered(call: Awaitable[T], what: str) -> T:
    """Return what the service answers; that something is there, or is not, is for the caller.

    Raises:
        Unavailable: it does not answer, or does not let us in.
    """
    try:
        return await call
    except (ResourceExistsError, ResourceNotFoundError):
        raise
    except (AzureError, ValueError):  # the latter where the key may not sign now: disabled, or outside its time
        message = "What vouches for evidence cannot be reached; it is tried again."
        raise Unavailable(message, code=f"dependency.{what}") from None


def _name(tenant: TenantId, number: int) -> str:
    return f"{tenant}/{number:010d}.json"
