"""One zip of all that a tenant or a person has here, made while it is read: see `docs/data-export.md`.

It walks through the list of stores. Of what it has written nothing is kept but the entries' names and hashes.
"""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Literal, Protocol
from zipfile import ZIP_DEFLATED, ZipFile

from pydantic import BaseModel, ConfigDict

from core import Clock, PrincipalId, TenantId, digest, timestamp
from orchestration.exporting import Exporting
from orchestration.stores import STORES

MANIFEST = "manifest.json"
SEAL = "seal.json"
"""The last entry: who vouches for the manifest."""

BATCH_BYTES = 256 * 1024
"""What is compressed and handed on at once; a single line may be longer: a piece of content is one."""


class Entry(BaseModel):
    """An entry of the archive as it is when unpacked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lines: int
    bytes: int
    sha256: str


class Manifest(BaseModel):
    """What is in the archive, and what is not and why.

    Attributes:
        person: of whom it is; None for all of the tenant's.
        at: when it was begun. Whatever changed until its end may be in it or not.
        stores: each store of the product, and what it says of its export.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["mandate.tenant-export.2"] = "mandate.tenant-export.2"
    tenant: TenantId
    person: PrincipalId | None
    at: str
    stores: dict[str, str]
    entries: dict[str, Entry]


class _Writable(Protocol):
    def write(self, data: bytes, /) -> int: ...


class _Sink(io.RawIOBase):
    """What the zip is written into; it cannot go back in it, and so need not keep it."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview", /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride] - zipfile writes these
        self._waiting += data
        return len(data)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken


Vouch = Callable[[str], Awaitable[bytes]]
"""Gives the seal over a manifest, whose SHA-256 it is given."""


async def archive(exporting: Exporting, clock: Clock, vouch: Vouch) -> AsyncIterator[bytes]:
    """Give the archive piece by piece; one that ends early has no manifest, and no zip reader opens it."""
    at, sink, entries = timestamp(clock.now()), _Sink(), dict[str, Entry]()
    with ZipFile(sink, "w", ZIP_DEFLATED, compresslevel=1) as zipped:
        for store in STORES:
            if store.archives:
                name, entry = f"{store.name}.jsonl", _Written()
                with zipped.open(name, "w", force_zip64=True) as target:
                    async for batch in _batches(store.archives(exporting)):
                        await asyncio.to_thread(entry.write, target, batch)
                        yield sink.take()
                entries[name] = entry.told
        manifest = Manifest(
            tenant=exporting.context.tenant,
            person=exporting.person,
            at=at,
            stores={store.name: store.exports for store in STORES},
            entries=entries,
        )
        told = manifest.model_dump_json(indent=2).encode()
        zipped.writestr(MANIFEST, told)
        zipped.writestr(SEAL, await vouch(digest(told)))
    yield sink.take()


class _Written:
    """Counts and hashes what goes into an entry."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._lines = self._bytes = 0

    def write(self, target: _Writable, data: bytes) -> None:
        self._hash.update(data)
        self._lines += data.count(b"\n")
        self._bytes += len(data)
        target.write(data)

    @property
    def told(self) -> Entry:
        return Entry(lines=self._lines, bytes=self._bytes, sha256=self._hash.hexdigest())


async def _batches(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    waiting = bytearray()
    async for line in lines:
        waiting += line
        if len(waiting) >= BATCH_BYTES:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)
