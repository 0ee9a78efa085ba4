"""Who vouches for an archive: a signature over its manifest, and over the last checkpoint that is anchored."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from core import TenantId, canonical, digest
from data.checkpoint_checks import Keys
from data.signatures import PublicKey, Signed

FORMAT = "mandate.archive.1"


class SealStatement(BaseModel):
    """What is signed.

    Attributes:
        manifest: SHA-256 of the manifest's bytes.
        number: of the last checkpoint that is anchored, 0 if none is.
        checkpoint: its hash.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["mandate.archive.1"] = FORMAT
    tenant: TenantId
    at: str
    manifest: str
    number: int
    checkpoint: str

    def canonical(self) -> bytes:
        return canonical(self.model_dump(mode="json"))


class Seal(BaseModel):
    """The entry `seal.json`; `keys` are the public keys of all signatures in the archive."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    signed: Signed
    keys: tuple[PublicKey, ...]


def refuse_seal(seal: Seal, tenant: TenantId, manifest: bytes, keys: Keys) -> tuple[SealStatement | None, str | None]:
    """Return what a seal says, as far as it can be read, and why it does not hold; None if it does."""
    try:
        told = SealStatement.model_validate_json(seal.signed.statement)
    except ValidationError:
        return None, "it is not as it was written"
    if why := keys.refuse(seal.signed):
        return told, why
    if (told.tenant, told.manifest) != (tenant, digest(manifest)):
        return told, "it vouches for another manifest"
    return told, None
