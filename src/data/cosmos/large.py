"""Where content lies that is too large for a document: in Blob Storage, or else in pieces beside the document."""

import asyncio
import base64
from typing import TYPE_CHECKING, Protocol

from azure.core.exceptions import ResourceNotFoundError

from core.errors import Defect
from data.cosmos.calls import Calls, Missing
from data.cosmos.items import Items, text
from data.cosmos.keys import Key, encoded, full_key
from data.cosmos.usage import BLOBS, Operation, count_response

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

PIECE_BYTES = 700_000
"""In base64 less than a megabyte: the service takes two, aiohttp blocks the event loop for what is over one."""


class Large(Protocol):
    """Bytes by a name that is given once. `key` is the partition of the document that they belong to."""

    async def put(self, key: Key, name: str, data: bytes) -> None: ...
    async def get(self, key: Key, name: str, size: int) -> bytes:
        """Return the bytes; `Defect` if they are not there."""
        ...

    async def delete(self, key: Key, name: str, size: int, /) -> None:
        """Delete what is there of them."""
        ...


class Blobs:
    """Blob Storage: a folder for each tenant."""

    def __init__(self, container: "ContainerClient", calls: Calls) -> None:
        self._container = container
        self._calls = calls

    async def put(self, key: Key, name: str, data: bytes) -> None:
        await self._calls.run(
            Operation("put", BLOBS, key[0]),
            lambda: self._container.upload_blob(
                _path(key, name), data, overwrite=True, raw_response_hook=count_response
            ),
        )

    async def get(self, key: Key, name: str, size: int) -> bytes:
        async def attempt() -> bytes:
            download = await self._container.download_blob(_path(key, name), raw_response_hook=count_response)
            return await download.readall()

        data = await self._calls.run(Operation("get", BLOBS, key[0]), attempt)
        if len(data) != size:
            raise Defect("Stored content is not as it was written.", code="defect.store")
        return data

    async def delete(self, key: Key, name: str, _size: int) -> None:
        async def attempt() -> None:
            try:
                await self._container.delete_blob(_path(key, name), raw_response_hook=count_response)
            except ResourceNotFoundError:
                return

        await self._calls.run(Operation("delete", BLOBS, key[0]), attempt)


class Pieces:
    """Documents of the content's own partition, each with a piece."""

    def __init__(self, items: Items) -> None:
        self._items = items

    async def put(self, key: Key, name: str, data: bytes) -> None:
        pieces = [data[start : start + PIECE_BYTES] for start in range(0, len(data), PIECE_BYTES)]
        tenant, shard = key
        for number, piece in enumerate(pieces):
            document = {"id": _piece(name, number), "tenant": tenant, "shard": shard}
            await self._items.upsert(key, {**document, "data": base64.b64encode(piece).decode()})

    async def get(self, key: Key, name: str, size: int) -> bytes:
        found = await asyncio.gather(*(self._items.read(key, _piece(name, n)) for n in range(_count(size))))
        if None in found:
            raise Missing("A piece of stored content is not there.", code="defect.store")
        return b"".join(base64.b64decode(text(piece, "data")) for piece in found if piece)

    async def delete(self, key: Key, name: str, size: int) -> None:
        await asyncio.gather(*(self._items.delete(key, _piece(name, n)) for n in range(_count(size))))


def _path(key: Key, name: str) -> str:
    tenant, _ = full_key(key)
    return f"{tenant}/{encoded(name)}"


def _piece(name: str, number: int) -> str:
    return encoded(f"{name}/{number}")


def _count(size: int) -> int:
    return -(-size // PIECE_BYTES)
