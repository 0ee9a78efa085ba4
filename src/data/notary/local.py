"""On this machine: a key in a file that only its owner reads, and a folder of files that are written once."""

import asyncio
import os
import secrets
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from core import TenantId
from core.errors import Conflict, Unavailable
from data.signatures import PublicKey, signature_of


class LocalSigner:
    """A key in a file, made when it is first needed. Whoever can read the file can sign."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def key(self) -> PublicKey:
        return public_of(await asyncio.to_thread(_private, self._file))

    async def sign(self, data: bytes) -> str:
        return signature_of(await asyncio.to_thread(_private, self._file), data)


class FileAnchor:
    """A folder beside the store, with a folder for each tenant and a file for each checkpoint."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, tenant: TenantId, number: int, data: bytes) -> None:
        await asyncio.to_thread(_write_once, self._path(tenant, number), data)

    async def read(self, tenant: TenantId, number: int) -> bytes | None:
        return await asyncio.to_thread(_read, self._path(tenant, number))

    def _path(self, tenant: TenantId, number: int) -> Path:
        return self._folder / tenant / f"{number:010d}.json"


def public_of(key: ec.EllipticCurvePrivateKey) -> PublicKey:
    numbers = key.public_key().public_numbers()
    return PublicKey.of(numbers.x.to_bytes(32), numbers.y.to_bytes(32))


@cache
def _private(file: Path) -> ec.EllipticCurvePrivateKey:
    try:
        if not file.exists():
            _create(file, _new_key(), 0o600)
        found = load_pem_private_key(file.read_bytes(), None)
    except (OSError, ValueError):
        found = None
    if not isinstance(found, ec.EllipticCurvePrivateKey) or found.curve.name != "secp256r1":
        raise Unavailable(f"The key that signs evidence cannot be read: {file}.", code="dependency.signer")
    return found


def _new_key() -> bytes:
    made = ec.generate_private_key(ec.SECP256R1())
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_once(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not _create(path, data, 0o400) and path.read_bytes() != data:
            raise Conflict("There is another checkpoint under this number already.", code="conflict.anchor")
    except OSError:
        raise Unavailable("The place where evidence is anchored cannot be written.", code="dependency.anchor") from None


def _create(path: Path, data: bytes, mode: int) -> bool:
    """Make a file that is there whole or not at all; return False if there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(new, path)
    except FileExistsError:
        return False
    finally:
        new.unlink()
    return True


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        raise Unavailable("The place where evidence is anchored cannot be read.", code="dependency.anchor") from None
